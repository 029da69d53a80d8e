package rig

import (
	"bytes"
	"errors"
	"flag"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Result is how a run of conforma-status ended.
type Result struct {
	Stdout, Stderr string
	Code           int
	Worked         time.Duration // of the processor's time, by a command on a Machine
}

// Want fails the test unless the command exited with the code, and returns the result.
func (r Result) Want(tb testing.TB, code int) Result {
	tb.Helper()
	if r.Code != code {
		tb.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", r.Code, code, r.Stdout, r.Stderr)
	}
	return r
}

// CLI runs conforma-status on the host and waits for its end.
func (h *Host) CLI(tb testing.TB, args ...string) Result {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	cmd := h.command(tb, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatalf("rig: run conforma-status %s: %v", strings.Join(args, " "), err)
	}
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
}

// Env is the environment that conforma-status runs in on the host: nothing of the developer's own.
func (h *Host) Env() []string {
	env := []string{
		"CONFORMA_STATUS_CONFIG=" + h.Config, "PATH=" + os.Getenv("PATH"), "HOME=" + h.Nginx.Dir,
		"TMPDIR=" + h.Nginx.Dir, "LANG=C.UTF-8", "AWS_EC2_METADATA_DISABLED=true",
		mallocEnv + "=" + malloc,
	}
	if bench := flag.Lookup("test.bench"); bench == nil || bench.Value.String() == "" { // figures are of the program as it is
		env = append(env, "GOGC=400") // a command is over before it needs its memory again
	}
	return env
}

func (h *Host) command(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	cmd := exec.Command(Binary(tb), args...)
	cmd.Env, cmd.Dir = h.Env(), h.Nginx.Dir
	return cmd
}

// Gate is a running "conforma-status gate".
type Gate struct{ proc *process }

// StartGate starts the gate and returns once it takes connections.
func (h *Host) StartGate(tb testing.TB) *Gate {
	tb.Helper()
	g := &Gate{proc: startProcess(tb, h.command(tb, "gate"))}
	WaitFor(tb, "the gate to listen", func() bool {
		if g.proc.hasExited() {
			tb.Fatalf("rig: the gate ended:\n%s", g.Output(tb))
		}
		conn, err := net.Dial("unix", h.Socket())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return g
}

// PID is its process id.
func (g *Gate) PID() int { return g.proc.cmd.Process.Pid }

// Halt keeps the gate from doing anything until Resume.
func (g *Gate) Halt(tb testing.TB) {
	tb.Helper()
	Halt(tb, g.PID())
}

// Resume has a halted gate go on.
func (g *Gate) Resume(tb testing.TB) {
	tb.Helper()
	g.signal(tb, syscall.SIGCONT)
}

func (g *Gate) signal(tb testing.TB, sig syscall.Signal) {
	tb.Helper()
	if err := g.proc.cmd.Process.Signal(sig); err != nil {
		tb.Fatalf("rig: signal the gate: %v", err)
	}
}

// Kill ends the gate as a crash would.
func (g *Gate) Kill(tb testing.TB) {
	tb.Helper()
	g.proc.stop(tb, syscall.SIGKILL, 0)
}

// Output returns all that the gate has written to its standard output and error.
func (g *Gate) Output(tb testing.TB) string { return g.proc.output(tb) }
