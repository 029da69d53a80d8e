package demo

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestProcessStops(t *testing.T) {
	for _, test := range []struct {
		name, script string // which says when it is ready
		grace        time.Duration
		want         syscall.Signal // that it dies of, 0 when it ends in its own way
	}{
		{"ends when it is asked to", "trap 'exit 0' TERM; echo; while :; do sleep 0.01; done", time.Minute, 0},
		{"dies when it is asked to, and its child with it", "sleep 600 & echo; wait", time.Minute, syscall.SIGTERM},
		{"won't listen, and neither will its child", "trap '' TERM; sleep 600 & echo; wait; sleep 600", 0, syscall.SIGKILL},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			cmd := exec.Command("sh", "-c", test.script)
			cmd.Stdout = w
			p, err := startProcess(cmd)
			if err := errors.Join(err, w.Close()); err != nil {
				t.Fatal(err)
			}
			output := bufio.NewReader(r)
			if _, err := output.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if err := p.stop(test.grace); err != nil {
				t.Fatal(err)
			}
			if state := cmd.ProcessState.Sys().(syscall.WaitStatus); state.Signaled() != (test.want != 0) || state.Signaled() && state.Signal() != test.want {
				t.Errorf("it ended with %v, want signal %d", cmd.ProcessState, test.want)
			}
			if _, err := io.ReadAll(output); err != nil { // comes to an end once nobody holds the pipe any more
				t.Fatal(err)
			}
			if err := p.stop(0); err != nil {
				t.Errorf("stopped once more: %v", err)
			}
		})
	}
}

func TestStartProcessThatIsNotThere(t *testing.T) {
	if _, err := startProcess(exec.Command("/nowhere/at/all")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that it does not exist", err)
	}
}

func TestStartNamesWhatWasSaid(t *testing.T) {
	d := &demo{dir: t.TempDir()}
	defer func() {
		if err := d.takeDown(); err != nil {
			t.Error(err)
		}
	}()
	err := d.start(context.Background(), exec.Command("sh", "-c", "echo bind failed; exit 1"), "out", func(*process) bool { return false })
	if want := "it ended by itself\nbind failed"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	script := t.TempDir() + "/sleeps"
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec sleep 600\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	d := &demo{self: script, dir: t.TempDir()}
	cancel()
	if _, _, err := d.run(ctx, "set"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
