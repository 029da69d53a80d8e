package closing

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// command is a conforma-status that runs while the test goes on.
type command struct {
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr transcript
}

// transcript is what was written so far.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// begin starts conforma-status.
func (y *yard) begin(tb testing.TB, args ...string) *command {
	tb.Helper()
	c := y.command(tb, args...)
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	if err := c.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	return c
}

func (y *yard) command(tb testing.TB, args ...string) *command {
	tb.Helper()
	c := &command{cmd: exec.Command(rig.Binary(tb), args...)}
	c.cmd.Env, c.cmd.Dir = y.Env(), y.Nginx.Dir
	tb.Cleanup(func() {
		if c.cmd.ProcessState == nil && c.cmd.Process != nil { // the test has failed meanwhile
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
		}
	})
	return c
}

// end waits for the command's end.
func (c *command) end() rig.Result {
	_ = c.cmd.Wait() // how it ended is in the exit code
	return rig.Result{Stdout: c.stdout.String(), Stderr: c.stderr.String(), Code: c.cmd.ProcessState.ExitCode()}
}

// awaits returns once the command has said so.
func (c *command) awaits(tb testing.TB, text string) {
	tb.Helper()
	rig.WaitFor(tb, fmt.Sprintf("%q to be said", text), func() bool { return strings.Contains(c.stderr.String(), text) })
}

// asNobody runs conforma-status as an ordinary user, with a copy of it that they may read. A test that isn't run by root
// runs it as its own user.
func (y *yard) asNobody(tb testing.TB, args ...string) rig.Result {
	tb.Helper()
	c := y.command(tb, args...)
	if os.Geteuid() == 0 {
		copied := filepath.Join(y.Nginx.Dir, "conforma-status.bin")
		if out, err := exec.Command("install", "-m", "755", rig.Binary(tb), copied).CombinedOutput(); err != nil {
			tb.Fatalf("copy the binary: %v\n%s", err, out)
		}
		c.cmd.Path = copied
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: rig.Nobody, Gid: rig.Nobody}}
	}
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	if err := c.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	return c.end()
}

// onTerminal runs conforma-status on a terminal of the kind (as in TERM) and returns all that it writes there, with its exit code.
func (y *yard) onTerminal(tb testing.TB, kind string, args ...string) (string, int) {
	tb.Helper()
	master, slave := openTerminal(tb)
	c := y.command(tb, args...)
	c.cmd.Env = append(c.cmd.Env, "TERM="+kind)
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = slave, slave, slave
	if err := c.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	slave.Close()
	text, _ := io.ReadAll(master) // ends in EIO when nobody has the other side any more (pty(7))
	return string(text), c.end().Code
}

func openTerminal(tb testing.TB) (master, slave *os.File) {
	tb.Helper()
	check := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatalf("open a terminal: %v", err)
		}
	}
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	check(err)
	tb.Cleanup(func() { master.Close() })
	check(unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	check(err)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	check(err)
	return master, slave
}
