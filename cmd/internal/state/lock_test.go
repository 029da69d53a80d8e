package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// still is a clock on which no time passes: a sleep ends with its context.
type still struct{}

func (still) Now() time.Time { return time.Date(2026, 11, 22, 21, 15, 0, 0, time.UTC) }

func (still) Sleep(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// hasty is a clock on which any time has passed at once.
type hasty struct{ still }

func (hasty) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// queued waits until n wait in the kernel for the directory's lock (proc_locks(5)).
func queued(t *testing.T, d Dir, n int) {
	t.Helper()
	info, err := os.Stat(filepath.Join(string(d), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
	for waiting := -1; waiting != n; {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		waiting = 0
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, "-> FLOCK") && strings.Contains(line, inode) {
				waiting++
			}
		}
	}
}

// TestLockInOrder: who waits gets the lock in the order in which they came, and is told for whom.
func TestLockInOrder(t *testing.T) {
	d := Dir(t.TempDir())
	unlock, err := d.Lock(t.Context(), still{}, Holder{PID: 1, Operator: "ann"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const callers = 8
	came := make(chan int)
	for n := range callers {
		go func() {
			unlock, err := d.Lock(t.Context(), still{}, Holder{PID: 2 + n}, func(h Holder) {
				if h.Operator != "ann" {
					t.Errorf("told to wait for %+v", h)
				}
			})
			if err != nil {
				t.Error(err)
				unlock = func() {}
			}
			came <- n
			unlock()
		}()
		queued(t, d, n+1)
	}
	unlock()
	for n := range callers {
		if next := <-came; next != n {
			t.Errorf("%d has it as number %d", next, n)
		}
	}
}

// TestLockGivenUp: who is tired of waiting, or is told to stop, leaves the lock to the next.
func TestLockGivenUp(t *testing.T) {
	d := Dir(t.TempDir())
	unlock, err := d.Lock(t.Context(), still{}, Holder{PID: 1, Command: "set offline"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	told := func(Holder) {}
	if _, err := d.Lock(t.Context(), hasty{}, Holder{PID: 2}, told); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "set offline (process 1)") {
		t.Errorf("after ten minutes: %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := d.Lock(stopped, still{}, Holder{PID: 3}, told); !errors.Is(err, context.Canceled) {
		t.Errorf("told to stop: %v", err)
	}
	queued(t, d, 2)
	unlock()
	unlock, err = d.Lock(t.Context(), still{}, Holder{PID: 4}, told)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
