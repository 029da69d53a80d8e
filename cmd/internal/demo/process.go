package demo

import (
	"errors"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a program that runs beside the demo, in a process group of its own: a Ctrl-C in the terminal reaches the
// demo only, which then ends them in order.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed once the program has ended
	err   error         // how, after ended
}

// startProcess starts cmd. It is sent SIGTERM should this program die without stopping it.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.SysProcAttr = ownGroup()
	cmd.WaitDelay = time.Second // what it has started itself must not hold us
	started := make(chan error)
	go func() {
		// The kernel watches the thread that started the program: it has to live as long (PR_SET_PDEATHSIG, prctl(2)).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	return p, <-started
}

// stop asks the program to end, and kills it and all that it has started when it doesn't within the grace.
func (p *process) stop(grace time.Duration) error {
	group := p.cmd.Process.Pid
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-p.ended:
	case <-t.C:
	}
	err := syscall.Kill(-group, syscall.SIGKILL)
	<-p.ended
	if errors.Is(err, syscall.ESRCH) { // nobody was left
		return nil
	}
	return err
}

// hasEnded reports whether the program has ended.
func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}
