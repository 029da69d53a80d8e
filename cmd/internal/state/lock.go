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

// lockRetry is how often a lock that is held is tried again.
const lockRetry = 25 * time.Millisecond

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
// (flock(2)). It waits for LockTimeout; after that the error wraps ErrBusy. waiting is called once with the holder that
// it waits for. me.Since is filled in.
func (d Dir) Lock(ctx context.Context, clock Clock, me Holder, waiting func(Holder)) (unlock func(), err error) {
	if err := MakeDirs(string(d)); err != nil {
		return nil, fmt.Errorf("lock the state directory: %w", err)
	}
	path := filepath.Join(string(d), "lock")
	l := flock.New(path, flock.SetPermissions(0o600))
	deadline := clock.Now().Add(LockTimeout)
	told := false
	for {
		ok, err := l.TryLock()
		if err != nil {
			return nil, fmt.Errorf("lock the state directory: %w", err)
		}
		if ok {
			break
		}
		holder := readHolder(path)
		if !told && holder.PID != 0 { // who has only just got it has yet to write who they are
			waiting(holder)
			told = true
		}
		if !clock.Now().Before(deadline) {
			return nil, fmt.Errorf("lock the state directory: %w: %s (process %d) since %s",
				ErrBusy, holder.Command, holder.PID, holder.Since.Format(time.RFC3339))
		}
		if err := clock.Sleep(ctx, lockRetry); err != nil {
			return nil, fmt.Errorf("wait for another change to end: %w", err)
		}
	}
	me.Since = clock.Now().UTC()
	if err := os.WriteFile(path, mustJSON(me), 0o600); err != nil { // through the inode that is locked, so not by rename
		return nil, errors.Join(fmt.Errorf("lock the state directory: %w", err), l.Unlock())
	}
	return func() { _ = l.Unlock() }, nil
}

func readHolder(path string) Holder {
	var holder Holder
	if data, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(data, &holder)
	}
	return holder
}
