// Package durable replaces files so that a reader, or a machine that loses power, sees either the old file or the
// new one, whole. What is published is not written by it: package store has locks and links to mind. It imports
// nothing else of this project.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
)

// WriteFile replaces the file at path, or makes one, whose directory exists. The file has mode perm afterwards,
// whatever the umask and the mode of the old file, and belongs to this user. What path leads to as a link stays as
// it is: the link is replaced. Errors are those of the file system.
func WriteFile(path string, data []byte, perm os.FileMode) error {
	return write(path, data, perm, func(*os.File) error { return nil })
}

// WriteFileAt is WriteFile, and the file has that time of modification from the moment it is there.
func WriteFileAt(path string, data []byte, perm os.FileMode, modified time.Time) error {
	return write(path, data, perm, func(f *os.File) error { return os.Chtimes(f.Name(), modified, modified) })
}

// Remove removes a file. It is no error where there is none. It doesn't wait for the disk: see SyncDir.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// ReplaceFile is WriteFile, but the owner and group of the file that is there, if any, stay.
func ReplaceFile(path string, data []byte, perm os.FileMode) error {
	return write(path, data, perm, func(f *os.File) error {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		owner, ok := info.Sys().(*syscall.Stat_t)
		if ok && (int(owner.Uid) != os.Geteuid() || int(owner.Gid) != os.Getegid()) {
			return f.Chown(int(owner.Uid), int(owner.Gid))
		}
		return nil
	})
}

// write calls last before the new file takes the place of the old one.
func write(path string, data []byte, perm os.FileMode, last func(*os.File) error) error {
	// Not renameio.WriteFile: it leaves no room for last. Beside the file, because another directory may be on
	// another disk.
	beside := renameio.WithTempDir(filepath.Dir(path))
	f, err := renameio.NewPendingFile(path, beside, renameio.WithStaticPermissions(perm))
	if err != nil {
		return err
	}
	defer func() { _ = f.Cleanup() }() // does nothing once the file is in place
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := last(f.File); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the entries of the directory durable: a rename or a removal in it survives a crash.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
