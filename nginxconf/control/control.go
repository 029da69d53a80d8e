// Package control runs nginx's commands (test, reload, dump), and asks nginx itself what it serves.
package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// commandTimeout bounds each command that is given to nginx.
const commandTimeout = 20 * time.Second

// ErrNotInstalled is returned (wrapped) when the command to be run doesn't exist.
var ErrNotInstalled = errors.New("no such command")

// ErrRefused is returned (wrapped) when the command ran and failed: the error ends in what it said.
var ErrRefused = errors.New("refused")

// ErrInterrupted is returned (wrapped) when a command didn't come to its end because its context, or a signal from the
// terminal, ended it.
var ErrInterrupted = errors.New("it was interrupted")

// Nginx is the nginx of this host, as far as commands go.
type Nginx struct {
	TestCommand   []string // a command and its arguments, as in "nginx -t"
	ReloadCommand []string
	PIDFile       string
}

// Test asks nginx whether its configuration is in order. The error carries what nginx said; where that is one of
// ErrDuplicate, ErrOpenFileCache, ErrNoHTTPConf and ErrDenied, it wraps that.
func (n Nginx) Test(ctx context.Context) error {
	if _, err := Output(ctx, n.TestCommand); err != nil {
		return fmt.Errorf("test nginx's configuration: %w", err)
	}
	return nil
}

// Reload tells nginx to take up its configuration. No error doesn't mean that it did: ask with Probe.
func (n Nginx) Reload(ctx context.Context) error {
	if _, err := n.Master(); err != nil {
		return fmt.Errorf("reload nginx: %w", err)
	}
	if _, err := Output(ctx, n.ReloadCommand); err != nil {
		return fmt.Errorf("reload nginx: %w", err)
	}
	return nil
}

// ErrNoDump is returned (wrapped) by Dump when TestCommand has no -t that could become -T.
var ErrNoDump = errors.New("can't tell how to dump the configuration: the test command has no -t")

// Dump returns the whole configuration as nginx reads it ("nginx -T"), every file with its name before it.
func (n Nginx) Dump(ctx context.Context) ([]byte, error) {
	argv, err := n.command("-T")
	if err != nil {
		return nil, err
	}
	out, err := Output(ctx, argv)
	if err != nil {
		return nil, fmt.Errorf("read nginx's configuration: %w", err)
	}
	return out, nil
}

// Config returns nginx's configuration, read. The errors are those of Dump and of operator.ReadConfig.
func (n Nginx) Config(ctx context.Context) (*operator.Config, error) {
	dump, err := n.Dump(ctx)
	if err != nil {
		return nil, err
	}
	return operator.ReadConfig(dump)
}

// command is TestCommand with another flag in place of -t. The error wraps ErrNoDump.
func (n Nginx) command(flag string) ([]string, error) {
	argv := slices.Clone(n.TestCommand)
	// The last one: a command that runs nginx elsewhere may have a -t of its own.
	for i, arg := range slices.Backward(argv) {
		if arg == "-t" {
			argv[i] = flag
			return argv, nil
		}
	}
	return nil, ErrNoDump
}

// Master returns the process id of nginx's master process, see workers.Master.
func (n Nginx) Master() (int, error) { return workers.Master(n.PIDFile) }

// network returns the network namespace of nginx's master process, that of this process where none is found.
func (n Nginx) network() workers.Network {
	master, err := n.Master()
	if err != nil {
		return workers.Network{}
	}
	return workers.Of(master)
}

// Run runs a command of the operator's to its end. The error wraps ErrNotInstalled, or ErrRefused with what it said.
func Run(ctx context.Context, argv []string) error {
	_, err := Output(ctx, argv)
	return err
}

// program finds a program also where an ordinary user's PATH doesn't look: nginx lies in /usr/sbin.
func program(name string) string {
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path, err := exec.LookPath(dir + "/" + name); err == nil && !strings.Contains(name, "/") {
			return path
		}
	}
	return name
}

// Output runs a command to its end, at most commandTimeout, and returns its standard output. The error ends
// in what the command said.
func Output(ctx context.Context, argv []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(argv[0]), argv[1:]...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = time.Second // a child that keeps the pipe open must not hold us
	err := cmd.Run()
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // which stands for success, with a pipe still open
		return out.Bytes(), nil
	case ctx.Err() == context.DeadlineExceeded:
		return nil, fmt.Errorf("%s: no answer within %v", strings.Join(argv, " "), commandTimeout)
	case ctx.Err() != nil, isInterrupt(err):
		return nil, fmt.Errorf("%s: %w", strings.Join(argv, " "), ErrInterrupted)
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", argv[0], ErrNotInstalled)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%s: %w: %w", strings.Join(argv, " "), ErrRefused, err)
	}
	text := strings.TrimSpace(said.String())
	if text == "" {
		text = strings.TrimSpace(out.String())
	}
	if text == "" {
		text = err.Error()
	}
	return nil, fmt.Errorf("%s: %w: %w", strings.Join(argv, " "), ErrRefused, refusal(text))
}

// isInterrupt reports whether a command died of the key that a terminal sends to all who run in it, us included.
func isInterrupt(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	state, ok := exit.Sys().(syscall.WaitStatus)
	return ok && state.Signaled() && state.Signal() == syscall.SIGINT
}
