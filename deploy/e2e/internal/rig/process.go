package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"
)

// Patience is how long anything that has to happen on this machine may take before a test fails. The slowest of these
// things takes half a minute where two tests share a processor, and a machine may be ten times slower: a test that
// passes never waits it out.
const Patience = 5 * time.Minute

// process is a program that runs beside a test, in a process group of its own.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed once the program itself has ended
	log    string        // file with what it wrote to stdout and stderr
}

// startProcess starts cmd, and sees to it that it ends, with all that it started in its group, when tb
// does, and also when the test binary dies without running its cleanups (a timeout, a kill).
func startProcess(tb testing.TB, cmd *exec.Cmd) *process {
	tb.Helper()
	// A file, since a pipe would keep Wait waiting for whatever the program has started.
	log, err := os.Create(filepath.Join(Dir(tb), "output"))
	if err != nil {
		tb.Fatalf("rig: start %s: %v", cmd.Path, err)
	}
	defer log.Close()
	p := &process{cmd: cmd, exited: make(chan struct{}), log: log.Name()}
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, syscall.SIGTERM
	started := make(chan error)
	go func() {
		// Pdeathsig is about the thread that started the program: it must not end before the program does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in cmd.ProcessState
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		tb.Fatalf("rig: start %s: %v", cmd.Path, err)
	}
	tb.Cleanup(func() { p.stop(tb, syscall.SIGTERM, 2*time.Second) })
	return p
}

// stop asks the program to end, and after the grace kills its whole group. It returns when nothing of
// the group is left.
func (p *process) stop(tb testing.TB, sig syscall.Signal, grace time.Duration) {
	tb.Helper()
	p.ask(sig, grace)
	group := p.cmd.Process.Pid
	WaitFor(tb, "the processes of "+p.cmd.Path+" to end", func() bool {
		_ = syscall.Kill(-group, syscall.SIGKILL) // what can't be killed is seen next
		return !running(tb, group)
	})
	<-p.exited
}

// ask sends the program a signal and gives it so much time to end.
func (p *process) ask(sig syscall.Signal, grace time.Duration) {
	if p.hasExited() {
		return
	}
	_ = p.cmd.Process.Signal(sig) // it may just have ended
	select {
	case <-p.exited:
	case <-time.After(grace):
	}
}

// output returns what the program has written so far.
func (p *process) output(tb testing.TB) string {
	tb.Helper()
	data, err := os.ReadFile(p.log)
	if err != nil {
		tb.Fatalf("rig: read what %s wrote: %v", p.cmd.Path, err)
	}
	return string(data)
}

// running reports whether the process group has a process that is more than a zombie: those of orphans
// stay until init, which takes its time in some containers, has looked after them.
func running(tb testing.TB, group int) bool {
	tb.Helper()
	procs, err := procfs.AllProcs()
	if err != nil {
		tb.Fatalf("rig: list the processes: %v", err)
	}
	for _, proc := range procs {
		stat, err := proc.Stat() // fails for one that has just ended
		if err == nil && stat.PGRP == group && stat.State != "Z" && stat.State != "X" {
			return true
		}
	}
	return false
}

// Halt keeps a process from doing anything until it is sent SIGCONT.
func Halt(tb testing.TB, pid int) {
	tb.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		tb.Fatalf("rig: halt process %d: %v", pid, err)
	}
	WaitFor(tb, "a process to halt", func() bool {
		proc, err := procfs.NewProc(pid)
		if err != nil {
			return false
		}
		stat, err := proc.Stat()
		return err == nil && stat.State == "T"
	})
}

func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// WaitFor returns as soon as done does true, and fails the test when that takes longer than anything
// on one machine should.
func WaitFor(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	deadline := time.Now().Add(Patience)
	// A look may cost what is waited for some of the processor's time: the longer it takes, the fewer there are.
	for pause := time.Millisecond; !done(); pause = min(pause*5/4, 25*time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("rig: waited %v for %s", Patience, what)
		}
		time.Sleep(pause)
	}
}
