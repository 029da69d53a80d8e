package nginxconf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// commandTimeout bounds each command that is given to nginx.
const commandTimeout = 20 * time.Second

// ErrNotRunning is returned (wrapped) when no nginx runs under the pid file.
var ErrNotRunning = errors.New("nginx is not running")

// ErrNotInstalled is returned (wrapped) when the command to be run doesn't exist.
var ErrNotInstalled = errors.New("no such command")

// ErrRefused is returned (wrapped) when the command ran and failed: the error ends in what it said.
var ErrRefused = errors.New("refused")

// Nginx is the nginx of this host, as far as commands go.
type Nginx struct {
	TestCommand   []string // a command and its arguments, as in "nginx -t"
	ReloadCommand []string
	PIDFile       string
	// Memory is the path of a file in which Test notes what it takes to know that nginx would read the same configuration again, so
	// that Config needn't ask; "" for none.
	Memory string
}

// Test asks nginx whether its configuration is in order. The error carries what nginx said.
func (n Nginx) Test(ctx context.Context) error {
	argv, err := n.dumpCommand()
	remembers := err == nil && n.Memory != ""
	if remembers {
		_, remembers = n.program(argv)
	}
	if !remembers {
		argv = n.TestCommand
	}
	out, err := run(ctx, argv) // -T tests as -t does, and prints what it has tested
	if err != nil {
		return fmt.Errorf("test nginx's configuration: %w", err)
	}
	if remembers {
		n.remember(argv, out)
	}
	return nil
}

// Reload tells nginx to take up its configuration. No error doesn't mean that it did: ask with Probe.
func (n Nginx) Reload(ctx context.Context) error {
	if _, err := n.Master(); err != nil {
		return fmt.Errorf("reload nginx: %w", err)
	}
	if _, err := run(ctx, n.ReloadCommand); err != nil {
		return fmt.Errorf("reload nginx: %w", err)
	}
	return nil
}

// ErrNoDump is returned (wrapped) by Dump when TestCommand has no -t that could become -T.
var ErrNoDump = errors.New("can't tell how to dump the configuration: the test command has no -t")

// Config returns nginx's configuration. nginx is not asked where that is known: see Memory. The error wraps ErrNoDump like Dump's, or
// ErrSyntax.
func (n Nginx) Config(ctx context.Context) (*Config, error) {
	if argv, err := n.dumpCommand(); err == nil && n.Memory != "" {
		if c, ok := n.recall(argv); ok {
			return c, nil
		}
	}
	dump, err := n.Dump(ctx)
	if err != nil {
		return nil, err
	}
	return ReadConfig(dump)
}

// Dump returns the whole configuration as nginx reads it ("nginx -T"), every file with its name before it.
func (n Nginx) Dump(ctx context.Context) ([]byte, error) {
	argv, err := n.dumpCommand()
	if err != nil {
		return nil, err
	}
	out, err := run(ctx, argv)
	if err != nil {
		return nil, fmt.Errorf("read nginx's configuration: %w", err)
	}
	return out, nil
}

// dumpCommand is TestCommand with -T in place of -t. The error wraps ErrNoDump.
func (n Nginx) dumpCommand() ([]string, error) {
	argv := slices.Clone(n.TestCommand)
	slices.Reverse(argv)
	i := slices.Index(argv, "-t") // the last one: a command that runs nginx elsewhere may have a -t of its own
	if i < 0 {
		return nil, ErrNoDump
	}
	argv[i] = "-T"
	slices.Reverse(argv)
	return argv, nil
}

// Master returns the process id of nginx's master process, as this machine counts where nginx runs in a container. The
// error wraps ErrNotRunning when the pid file is missing or names no living process.
func (n Nginx) Master() (int, error) {
	data, err := os.ReadFile(n.PIDFile)
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("%w: there is no %s", ErrNotRunning, n.PIDFile)
	}
	if err != nil {
		return 0, fmt.Errorf("read nginx's pid file: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid < 1 {
		return 0, fmt.Errorf("%w: %s holds no process id", ErrNotRunning, n.PIDFile)
	}
	if _, err := (Sockets{}).Program(pid); err != nil {
		if master := contained(pid, n.PIDFile); master != 0 {
			return master, nil
		}
	}
	// Signal 0 checks for existence only (kill(2)); EPERM means that it is there and not ours.
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return 0, fmt.Errorf("%w: process %d of %s is gone", ErrNotRunning, pid, n.PIDFile)
	}
	return pid, nil
}

// Run runs a command of the operator's to its end. The error wraps ErrNotInstalled, or ErrRefused with what it said.
func Run(ctx context.Context, argv []string) error {
	_, err := run(ctx, argv)
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

// run runs a command to its end, at most commandTimeout, and returns its standard output. The error ends
// in what the command said.
func run(ctx context.Context, argv []string) ([]byte, error) {
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
	return nil, fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), ErrRefused, text)
}
