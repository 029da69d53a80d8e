package nginxconf

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
)

// HTTPFile is the path of http.conf below nginx's conf_dir.
func HTTPFile(confDir string) string { return filepath.Join(confDir, "http.conf") }

// SiteFile is the path of a site's rules below nginx's conf_dir.
func SiteFile(confDir, site string) string { return filepath.Join(confDir, "sites", site+".conf") }

// previousSuffix marks the rules that were in place before the last change; nginx doesn't include them.
const previousSuffix = ".previous"

// Install puts rendered files in place of those that are there, in the order of their paths, and keeps
// each one's predecessor beside it. It returns a function that puts the predecessors back, for which the disk
// needs no room. Should Install fail halfway it has put them back itself.
func Install(files map[string][]byte) (rollback func() error, err error) {
	type change struct {
		path string
		was  []byte // nil when there was no file
	}
	var done []change
	rollback = func() error {
		var errs []error
		for _, c := range slices.Backward(done) {
			if c.was == nil {
				if err := os.Remove(c.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
					errs = append(errs, err)
				}
				continue
			}
			errs = append(errs, putBack(c.path, c.was))
		}
		done = nil
		return errors.Join(errs...)
	}
	var paths []string
	for path := range files {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		was, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(fmt.Errorf("read the rules in place: %w", err), rollback())
		}
		if err == nil && bytes.Equal(was, files[path]) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, errors.Join(err, rollback())
		}
		if was != nil {
			if err := durable.WriteFile(path+previousSuffix, was, 0o644); err != nil {
				return nil, errors.Join(fmt.Errorf("keep the rules in place: %w", err), rollback())
			}
		}
		done = append(done, change{path, was})
		if err := durable.WriteFile(path, files[path], 0o644); err != nil {
			return nil, errors.Join(err, rollback())
		}
	}
	return rollback, nil
}

// putBack puts the predecessor of a file back: by renaming the copy that was kept, since the disk may be full by now.
func putBack(path string, was []byte) error {
	if err := os.Rename(path+previousSuffix, path); err != nil { // somebody has taken it away
		return durable.WriteFile(path, was, 0o644)
	}
	return durable.SyncDir(filepath.Dir(path))
}
