package maintenance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// lockTimeout bounds the wait for another change to end; a change that drains takes its time.
const lockTimeout = 10 * time.Minute

// lockRetry is how often a lock that is held is tried again.
const lockRetry = 25 * time.Millisecond

// ErrBusy is returned (wrapped) when another change didn't end in time.
var ErrBusy = errors.New("another change is under way")

// Holder is who holds the lock. All fields are empty when that can't be read.
type Holder struct {
	PID      int       `json:"pid"`
	Operator string    `json:"operator"`
	Command  string    `json:"command"`
	Since    time.Time `json:"since"`
}

// lock makes this the only change on this host until unlock is called or the process ends, whatever way
// it ends: the kernel drops the lock with its holder (flock(2)).
func (h *Host) lock(ctx context.Context) (unlock func(), err error) {
	if err := makeDirs(h.Config.StateDir); err != nil {
		return nil, fmt.Errorf("lock the state directory: %w", err)
	}
	path := filepath.Join(h.Config.StateDir, "lock")
	l := flock.New(path, flock.SetPermissions(0o600))
	deadline := h.Clock.Now().Add(lockTimeout)
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
			h.Progress.Waiting(holder)
			told = true
		}
		if !h.Clock.Now().Before(deadline) {
			return nil, fmt.Errorf("lock the state directory: %w: %s (process %d) since %s", ErrBusy, holder.Command, holder.PID, holder.Since.Format(time.RFC3339))
		}
		if err := h.Clock.Sleep(ctx, lockRetry); err != nil {
			return nil, fmt.Errorf("wait for another change to end: %w", err)
		}
	}
	data := mustJSON(Holder{PID: os.Getpid(), Operator: h.Operator, Command: h.Command, Since: h.Clock.Now().UTC()})
	if err := os.WriteFile(path, data, 0o600); err != nil { // through the inode that is locked, so not by rename
		return nil, errors.Join(fmt.Errorf("lock the state directory: %w", err), l.Unlock())
	}
	return func() { _ = l.Unlock() }, nil
}

// lockIfAny is lock where there is a state directory; without one there is no record to keep others from.
func (h *Host) lockIfAny(ctx context.Context) (unlock func(), err error) {
	if _, err := os.Stat(h.Config.StateDir); errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	return h.lock(ctx)
}

func readHolder(path string) Holder {
	var holder Holder
	if data, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(data, &holder)
	}
	return holder
}
