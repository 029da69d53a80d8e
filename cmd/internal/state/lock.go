package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// LockTimeout bounds the wait for another change to end; a change that drains takes its time.
const LockTimeout = 10 * time.Minute

// holderRetry is how often the lock is tried while its holder has yet to write who they are.
const holderRetry = 25 * time.Millisecond

// ErrBusy is returned (wrapped) when another change didn't end in time.
var ErrBusy = errors.New("another change is under way")

// Clock tells the time.
type Clock interface {
	Now() time.Time
	// Sleep waits for d, or until ctx is done, whose error it returns then.
	Sleep(ctx context.Context, d time.Duration) error
}

// Holder is who holds the lock. All fields are empty when that can't be read.
type Holder struct {
	PID      int       `json:"pid"`
	Operator string    `json:"operator"` // a user name
	Command  string    `json:"command"`  // what they typed
	Since    time.Time `json:"since"`
}

// Lock makes me the only holder until unlock is called, or the process ends in any way: the kernel drops the lock then
// (flock(2)). It waits for LockTimeout; after that the error wraps ErrBusy. Those who wait get it in the order in which
// they came. waiting is called once with the holder that it waits for. me.Since is filled in.
func (d Dir) Lock(ctx context.Context, clock Clock, me Holder, waiting func(Holder)) (unlock func(), err error) {
	if err := MakeDirs(string(d)); err != nil {
		return nil, fmt.Errorf("lock the state directory: %w", err)
	}
	path := filepath.Join(string(d), "lock")
	l := flock.New(path, flock.SetPermissions(0o600))
	deadline := clock.Now().Add(LockTimeout)
	for {
		ok, err := l.TryLock()
		if err != nil {
			return nil, fmt.Errorf("lock the state directory: %w", err)
		}
		if ok {
			break
		}
		if holder := readHolder(path); holder.PID != 0 {
			waiting(holder)
			if err := queue(ctx, clock, l, deadline.Sub(clock.Now())); err != nil {
				return nil, err
			}
			break
		}
		if !clock.Now().Before(deadline) {
			return nil, busy(path)
		}
		if err := clock.Sleep(ctx, holderRetry); err != nil {
			return nil, notWaited(err)
		}
	}
	me.Since = clock.Now().UTC()
	if err := os.WriteFile(path, mustJSON(me), 0o600); err != nil { // through the inode that is locked, so not by rename
		return nil, errors.Join(fmt.Errorf("lock the state directory: %w", err), l.Unlock())
	}
	return func() { _ = l.Unlock() }, nil
}

// queue waits in the kernel, which wakes the one who came first, and nobody else (Linux, fs/locks.c). Asking again and
// again takes processor time from the holder, and lets the lucky one in.
func queue(ctx context.Context, clock Clock, l *flock.Flock, longest time.Duration) error {
	got := make(chan error, 1)
	waiting, end := context.WithCancel(ctx)
	defer end()
	go func() {
		got <- l.Lock()
		end()
	}()
	tired := clock.Sleep(waiting, longest)
	select {
	case err := <-got:
		if err != nil {
			return fmt.Errorf("lock the state directory: %w", err)
		}
		return nil
	default:
	}
	go func() { // a place in the queue can't be given up: what comes of it is let go
		if <-got == nil {
			_ = l.Unlock()
		}
	}()
	if tired != nil {
		return notWaited(tired)
	}
	return busy(l.Path())
}

func notWaited(err error) error { return fmt.Errorf("wait for another change to end: %w", err) }

func busy(path string) error {
	holder := readHolder(path)
	return fmt.Errorf("lock the state directory: %w: %s (process %d) since %s",
		ErrBusy, holder.Command, holder.PID, holder.Since.Format(time.RFC3339))
}

func readHolder(path string) Holder {
	var holder Holder
	if data, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(data, &holder)
	}
	return holder
}
