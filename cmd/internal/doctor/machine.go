package doctor

import (
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
	Bytes, Files uint64
	NoFiles      bool // it doesn't count files
}

// Free is what the file system of dir has left.
func Free(dir string) (Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Space{}, err
	}
	return Space{Bytes: s.Bavail * uint64(s.Bsize), Files: s.Ffree, NoFiles: s.Files == 0}, nil
}

// A change writes a few kilobytes; where there is less than this, the next log line takes it.
const (
	littleSpace = 100 << 20 // bytes: a warning
	noSpace     = 5 << 20   // bytes: a fault
	noFiles     = 100
	// longAgo is when a change that is in the journal has been interrupted, not only slow.
	longAgo = 15 * time.Minute
)

func (e *examination) configuration() {
	for _, f := range e.Faults {
		hint := f.Hint
		if hint == "" {
			hint = "mend that line of the configuration"
		}
		if config.ScopeOf(f) == config.Removed {
			e.warn(Configuration, f.String(), hint)
		} else {
			e.fault(Configuration, f.String(), hint)
		}
	}
	if len(e.Faults) == 0 {
		e.ok(Configuration, e.Host.Config.File)
	}
}

// disk sees whether there is room, and whether we may write, where a change writes.
func (e *examination) disk() {
	c := e.Host.Config
	for _, d := range []struct{ key, dir string }{{"state_dir", c.StateDir}, {"nginx.conf_dir", c.Nginx.ConfDir}} {
		dir := existing(d.dir)
		s, err := e.Free(dir)
		switch {
		case err != nil:
			e.fault(Disk, fmt.Sprintf("%s %s: %v", d.key, d.dir, err), "see that the directory is there and can be entered")
			continue
		case s.Bytes < noSpace || !s.NoFiles && s.Files < noFiles:
			e.fault(Disk, fmt.Sprintf("%s %s: its file system is full (%d MB and %d files left)", d.key, d.dir, s.Bytes>>20, s.Files), "make room on that file system")
		case s.Bytes < littleSpace:
			e.warn(Disk, fmt.Sprintf("%s %s: %d MB left", d.key, d.dir, s.Bytes>>20), "make room on that file system")
		default:
			e.ok(Disk, fmt.Sprintf("%s %s: %d MB left", d.key, d.dir, s.Bytes>>20))
		}
		switch err := unix.Access(dir, unix.W_OK|unix.X_OK); {
		case errors.Is(err, unix.EROFS):
			e.fault(Files, fmt.Sprintf("%s %s: that file system is mounted read-only", d.key, d.dir), "remount it, or choose another directory: no change can be made")
		case err != nil && e.refused(Files, fmt.Errorf("write to %s %s: %w", d.key, d.dir, err)):
		case err != nil:
			e.fault(Files, fmt.Sprintf("%s %s can't be written to: %v", d.key, d.dir, err), "see that it is a directory that can be written to")
		default:
			e.ok(Files, fmt.Sprintf("%s %s can be written to", d.key, d.dir))
		}
	}
	if dir := e.barred(c.StateDir); dir != "" {
		e.warn(Files, fmt.Sprintf("nginx's workers may not enter %s: they would not see the closed file", dir), "chmod o+x "+dir)
	}
}

// barred returns the directory, dir or one above it, that nginx's workers, who are an ordinary user, may not enter; "" where
// there is none. An ordinary user's own nginx has no others as its workers.
func (e *examination) barred(dir string) string {
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
	switch began, err := e.Host.Interrupted(); {
	case errors.Is(err, state.ErrJournal):
		e.fault(Journal, err.Error(), "look at the file, move it away, and set the mode again")
	case err != nil && e.refused(Journal, err):
	case err != nil:
		e.fault(Journal, err.Error(), "see that state_dir is a directory that can be read")
	case began.IsZero():
		e.ok(Journal, "no change is under way")
	case e.Now().Sub(began) > longAgo:
		e.fault(Journal, "a change that began at "+began.UTC().Format(time.RFC3339)+" was never finished", "conforma-status reconcile finishes it")
	default:
		e.warn(Journal, "a change that began at "+began.UTC().Format(time.RFC3339)+" is under way, or was interrupted", "wait for it, or: conforma-status reconcile")
	}
}
