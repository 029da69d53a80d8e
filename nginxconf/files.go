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
	var undo []func() error
	rollback = func() error { // the last first; a second call does nothing
		var errs []error
		for _, f := range slices.Backward(undo) {
			errs = append(errs, f())
		}
		undo = nil
		return errors.Join(errs...)
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		back, err := replace(path, files[path])
		if back != nil {
			undo = append(undo, back)
		}
		if err != nil {
			return nil, errors.Join(err, rollback())
		}
	}
	return rollback, nil
}

// Remove removes a file of rules with its predecessor, and their directory where nothing is left in it. It is no error
// where they aren't there.
func Remove(path string) error {
	for _, path := range []string{path, path + previousSuffix} {
		if err := durable.Remove(path); err != nil {
			return err
		}
	}
	_ = os.Remove(filepath.Dir(path))
	return nil
}

// replace puts data in the place of a file. back puts its predecessor back; it is nil where nothing was replaced.
func replace(path string, data []byte) (back func() error, err error) {
	was, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the rules in place: %w", err)
	}
	if err == nil && bytes.Equal(was, data) {
		return nil, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if was != nil {
		if err := durable.WriteFile(path+previousSuffix, was, 0o644); err != nil {
			return nil, fmt.Errorf("keep the rules in place: %w", err)
		}
	}
	return func() error { return putBack(path, was) }, durable.WriteFile(path, data, 0o644)
}

// putBack puts back what was there, nil for no file: by renaming the copy that was kept, since the disk may be full by
// now.
func putBack(path string, was []byte) error {
	if was == nil {
		return durable.Remove(path)
	}
	if err := os.Rename(path+previousSuffix, path); err != nil { // somebody has taken it away
		return durable.WriteFile(path, was, 0o644)
	}
	return durable.SyncDir(filepath.Dir(path))
}
