package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Reserved is room on the disk for a file that is to be written later, when there may be none.
type Reserved struct {
	path string   // of the file that is to be written
	file *os.File // which has the room, beside it; nil once it was used or given back
}

// Reserve sets room aside for size bytes of the file at path, whose directory exists. The file itself stays as it is.
// If a killed process has left room for the same path, it is taken over. Errors are those of the file system.
func Reserve(path string, size int) (*Reserved, error) {
	f, err := os.OpenFile(path+".reserved", os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	r := &Reserved{path: path, file: f}
	// Zeros, because not every file system knows fallocate(2).
	if _, err := f.Write(make([]byte, size)); err != nil {
		r.Release()
		return nil, err
	}
	return r, nil
}

// Write replaces the file at path as WriteFile does, in the room that was set aside. More data than that needs more
// room; so does all of it on a file system that never overwrites in place.
func (r *Reserved) Write(data []byte, perm os.FileMode) error {
	f := r.file
	if f == nil {
		return WriteFile(r.path, data, perm)
	}
	defer r.Release() // removes nothing once the file is in place
	if _, err := f.WriteAt(data, 0); err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(int64(len(data))), f.Chmod(perm), f.Sync()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), r.path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(r.path))
}

// Release gives back room that wasn't used. It does nothing the second time.
func (r *Reserved) Release() {
	if r.file == nil {
		return
	}
	_ = r.file.Close()           // what counts was synced
	_ = os.Remove(r.file.Name()) // the next to reserve it would take it over
	r.file = nil
}
