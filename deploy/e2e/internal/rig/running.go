package rig

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// Call is a run of conforma-status that needs more than arguments.
type Call struct {
	Binary string   // default: Binary
	Before []string // a command that runs it: nsenter, setpriv
	Env    []string // beside Host.Env
	Args   []string
}

// Running is a conforma-status that runs beside the test.
type Running struct {
	cmd    *exec.Cmd
	dir    string
	exited chan struct{}
}

// Start starts conforma-status on the host. It is killed with tb where it hasn't ended by then.
func (h *Host) Start(tb testing.TB, c Call) *Running {
	tb.Helper()
	if c.Binary == "" {
		c.Binary = Binary(tb)
	}
	argv := append(append(append([]string{}, c.Before...), c.Binary), c.Args...)
	r := &Running{cmd: exec.Command(argv[0], argv[1:]...), dir: Dir(tb), exited: make(chan struct{})}
	r.cmd.Env, r.cmd.Dir = append(h.Env(), c.Env...), h.Nginx.Dir
	// Files, since a pipe would keep Wait waiting for whatever outlives a command that is killed.
	for name, to := range map[string]*io.Writer{"stdout": &r.cmd.Stdout, "stderr": &r.cmd.Stderr} {
		f, err := os.Create(filepath.Join(r.dir, name))
		if err != nil {
			tb.Fatalf("rig: start conforma-status: %v", err)
		}
		defer f.Close()
		*to = f
	}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // where the test binary dies without its cleanups
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // see startProcess
		defer runtime.UnlockOSThread()
		err := r.cmd.Start()
		started <- err
		if err == nil {
			_ = r.cmd.Wait() // how it ended is in cmd.ProcessState
			close(r.exited)
		}
	}()
	if err := <-started; err != nil {
		tb.Fatalf("rig: start conforma-status: %v", err)
	}
	tb.Cleanup(func() {
		r.Signal(syscall.SIGKILL)
		<-r.exited
	})
	return r
}

// PID is its process id.
func (r *Running) PID() int { return r.cmd.Process.Pid }

// Signal sends it a signal, unless it has ended.
func (r *Running) Signal(sig os.Signal) { _ = r.cmd.Process.Signal(sig) }

// Ended reports whether it has ended.
func (r *Running) Ended() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}

// Wait waits for its end. The code is -1 when a signal ended it.
func (r *Running) Wait(tb testing.TB) Result {
	tb.Helper()
	<-r.exited
	out := r.Said(tb)
	out.Code = r.cmd.ProcessState.ExitCode()
	return out
}

// Said returns what it has written so far.
func (r *Running) Said(tb testing.TB) Result {
	tb.Helper()
	var out Result
	for name, to := range map[string]*string{"stdout": &out.Stdout, "stderr": &out.Stderr} {
		data, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			tb.Fatalf("rig: read what conforma-status wrote: %v", err)
		}
		*to = string(data)
	}
	return out
}

// Says returns once it has said something on standard error.
func (r *Running) Says(tb testing.TB, text string) {
	tb.Helper()
	WaitFor(tb, fmt.Sprintf("%q to be said", text), func() bool {
		ended := r.Ended()
		said := r.Said(tb).Stderr
		if strings.Contains(said, text) {
			return true
		}
		if ended {
			tb.Fatalf("rig: it ended without saying %q:\n%s", text, said)
		}
		return false
	})
}

// Call runs conforma-status on the host and waits for its end.
func (h *Host) Call(tb testing.TB, c Call) Result {
	tb.Helper()
	return h.Start(tb, c).Wait(tb)
}
