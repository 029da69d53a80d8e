package maintenance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/status"
)

// ErrNotAdmin is returned (wrapped) where a site is not in admin mode, so that a pass would be good for nothing.
var ErrNotAdmin = errors.New("the site is not in admin mode")

// PassKeys returns what a pass of the site is made for: its window of admin mode, and the epoch of its passes, made if
// there is none. The error wraps ErrNotAdmin where the site is in another mode, on record or in nginx.
func (h *Host) PassKeys(ctx context.Context, s config.Site) (window, epoch string, err error) {
	unlock, err := h.lock(ctx) // a change that is under way may end this window
	if err != nil {
		return "", "", err
	}
	defer unlock()
	r, known, err := h.Dir().Record(s.Name)
	if err != nil {
		return "", "", err
	}
	if !known || r.Document.Mode != status.Admin {
		return "", "", fmt.Errorf("%w: %s", ErrNotAdmin, s.Name)
	}
	live, err := h.Probe(ctx, Target(s))
	if err != nil {
		return "", "", fmt.Errorf("ask nginx for the mode of %s: %w", s.Name, err)
	}
	if live.Closed || live.Revision != r.Revision {
		return "", "", fmt.Errorf("%w: nginx serves %s otherwise than it is on record", ErrNotAdmin, s.Name)
	}
	window = cmp.Or(h.window(s.Name), r.Revision)
	file := h.Dir().EpochFile(s.Name)
	if epoch, err = gate.ReadEpoch(file); !errors.Is(err, gate.ErrNoEpoch) {
		return window, epoch, err
	}
	if h.Config.Fleet != nil { // its agent makes it, the same on all hosts
		return "", "", fmt.Errorf("make a pass of the fleet's: %w", err)
	}
	if err := state.MakeDirs(filepath.Dir(file)); err != nil {
		return "", "", err
	}
	epoch, err = gate.NewEpoch(file)
	return window, epoch, err
}

// RevokePasses makes every pass of the site worthless, and reports whether there can have been any. It takes no lock.
func (h *Host) RevokePasses(s config.Site) (had bool, err error) {
	file := h.Dir().EpochFile(s.Name)
	if err := os.Remove(file); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, durable.SyncDir(filepath.Dir(file))
}
