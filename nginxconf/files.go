package nginxconf

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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

// Install puts rendered files in the place of those that are there, in the order of their paths, and keeps the previous
// one of each beside it. It returns a function that puts those back, which needs no room on the disk. If Install fails
// halfway, it has put them back itself.
func Install(files map[string][]byte) (rollback func() error, err error) {
	var done replaced
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := done.replace(path, files[path]); err != nil {
			return nil, errors.Join(err, done.rollBack())
		}
	}
	return done.rollBack, nil
}

// Remove removes a file of rules with its predecessor, and their directory where nothing is left in it. It is no error
// where they aren't there.
func Remove(path string) error {
	for _, path := range []string{path, path + previousSuffix} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	_ = os.Remove(filepath.Dir(path))
	return nil
}

// replaced are the files that were replaced, in their order.
type replaced []predecessor

type predecessor struct {
	path string
	was  []byte // nil when there was no file
}

func (r *replaced) replace(path string, data []byte) error {
	was, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the rules in place: %w", err)
	}
	if err == nil && bytes.Equal(was, data) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if was != nil {
		if err := durable.WriteFile(path+previousSuffix, was, 0o644); err != nil {
			return fmt.Errorf("keep the rules in place: %w", err)
		}
	}
	*r = append(*r, predecessor{path, was})
	return durable.WriteFile(path, data, 0o644)
}

// rollBack puts back what was there, the last first. A second call does nothing.
func (r *replaced) rollBack() error {
	var errs []error
	for _, f := range slices.Backward(*r) {
		if f.was != nil {
			errs = append(errs, putBack(f.path, f.was))
		} else if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	*r = nil
	return errors.Join(errs...)
}

// putBack puts the predecessor of a file back: by renaming the copy that was kept, since the disk may be full by now.
func putBack(path string, was []byte) error {
	if err := os.Rename(path+previousSuffix, path); err != nil { // somebody has taken it away
		return durable.WriteFile(path, was, 0o644)
	}
	return durable.SyncDir(filepath.Dir(path))
}
