package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
)

// Space is what a file system has left.
type Space struct {
	bytes, files uint64
	uncounted    bool // it doesn't count files
}

// Free is what the file system of dir has left. The error is that of statfs(2).
func Free(dir string) (Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Space{}, err
	}
	return Space{bytes: s.Bavail * uint64(s.Bsize), files: s.Ffree, uncounted: s.Files == 0}, nil
}

// A change writes a few kilobytes; where there is less than this, the next log line takes it.
const (
	littleSpace = 100 << 20 // bytes: a warning
	noSpace     = 5 << 20   // bytes: a fault
	noFiles     = 100
)

// longAgo is when a change that is in the journal has been interrupted, not only slow.
const longAgo = 15 * time.Minute

func (e *examination) configuration() {
	for _, f := range e.Faults {
		hint := cmp.Or(f.Hint, "mend that line of the configuration")
		if config.ScopeOf(f) == config.Removed {
			e.warn(checkConfiguration, f.String(), hint)
			continue
		}
		e.fault(checkConfiguration, f.String(), hint)
	}
	if len(e.Faults) == 0 {
		e.ok(checkConfiguration, e.Host.Config.File)
	}
}

// disk sees whether there is room, and whether we may write, where a change writes.
func (e *examination) disk() {
	c := e.Host.Config
	e.room("state_dir", c.StateDir)
	e.room("nginx.conf_dir", c.Nginx.ConfDir)
	if dir := e.closedToWorkers(c.StateDir); dir != "" {
		e.warn(checkFiles, fmt.Sprintf("nginx's workers may not enter %s: they would not see the closed file", dir), "chmod o+x "+dir)
	}
}

// room looks at the directory that is configured at key.
func (e *examination) room(key, configured string) {
	dir, name := existing(configured), key+" "+configured
	s, err := e.Free(dir)
	switch {
	case err != nil:
		e.fault(checkDisk, fmt.Sprintf("%s: %v", name, err), "see that the directory is there and can be entered")
		return
	case s.bytes < noSpace || !s.uncounted && s.files < noFiles:
		e.fault(checkDisk, fmt.Sprintf("%s: its file system is full (%d MB and %d files left)", name, s.bytes>>20, s.files),
			"make room on that file system")
	case s.bytes < littleSpace:
		e.warn(checkDisk, fmt.Sprintf("%s: %d MB left", name, s.bytes>>20), "make room on that file system")
	default:
		e.ok(checkDisk, fmt.Sprintf("%s: %d MB left", name, s.bytes>>20))
	}
	switch err := unix.Access(dir, unix.W_OK|unix.X_OK); {
	case errors.Is(err, unix.EROFS):
		e.fault(checkFiles, name+": that file system is mounted read-only", "remount it, or choose another directory: no change can be made")
	case err != nil && e.denied(checkFiles, fmt.Errorf("write to %s: %w", name, err)):
	case err != nil:
		e.fault(checkFiles, fmt.Sprintf("%s can't be written to: %v", name, err), "see that it is a directory that can be written to")
	default:
		e.ok(checkFiles, name+" can be written to")
	}
}

// closedToWorkers returns the directory, dir or one above it, that nginx's workers may not enter, "" if there is none.
// They run as an ordinary user. The workers of an ordinary user's own nginx run as that user.
func (e *examination) closedToWorkers(dir string) string {
	for dir = existing(dir); e.UID == 0; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return ""
}

// existing is dir, or the nearest directory above it that there is.
func existing(dir string) string {
	for dir != "/" && unix.Access(dir, unix.F_OK) == unix.ENOENT {
		dir = filepath.Dir(dir)
	}
	return dir
}

func (e *examination) journal() {
	began, err := e.Host.Interrupted()
	change := "a change that began at " + began.UTC().Format(time.RFC3339)
	switch {
	case errors.Is(err, state.ErrJournal):
		e.fault(checkJournal, err.Error(), hintJournal)
	case err != nil:
		e.failed(checkJournal, err, "see that state_dir is a directory that can be read")
	case began.IsZero():
		e.ok(checkJournal, "no change is under way")
	case e.Now().Sub(began) > longAgo:
		e.fault(checkJournal, change+" was never finished", hintFinish)
	default:
		e.warn(checkJournal, change+" is under way, or was interrupted", "wait for it, or: conforma-status reconcile")
	}
}
