package store

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"
)

// maxAhead is by how much a file's time may run ahead of the clock. A time further in the future is nobody's who
// publishes often.
const maxAhead = time.Minute

// isAbsent reports whether err says that there is no file of that name: a directory is none, and
// nothing lies below a file.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR)
}

// digest returns the ETag and the size of a file, or "", 0 and an error.
func digest(root *os.Root, name string) (etag string, size int64, err error) {
	f, err := root.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := md5.New()
	size, err = io.Copy(h, f)
	if err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

// temporary returns the name under which a file or directory is made ready. There is one for each
// name, used under the lock only, so that the next writer finds and removes what a killed one left.
func temporary(name string) string {
	dir, base := path.Split(name)
	return dir + "." + base + ".tmp"
}

// replace puts data at name, whose directory exists, and has the disk confirm it. Until the data is
// complete only this user can read it. The mode is set apart from the umask, for the web server.
func replace(root *os.Root, name string, data []byte) (err error) {
	tmp := temporary(name)
	if err := root.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			root.Remove(tmp)
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := advanceTime(root, tmp, name); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := root.Rename(tmp, name); err != nil {
		return err
	}
	return syncDir(root, path.Dir(name))
}

// advanceTime gives the file at tmp a time of a later second than the file at name, which it is to replace. nginx and
// Caddy make ETags of a file's second and size, and rsync goes by these too. Of two versions of one size within a
// second, those who have the first would never see the second.
func advanceTime(root *os.Root, tmp, name string) error {
	old, err := root.Stat(name)
	if isAbsent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	now, err := root.Stat(tmp)
	if err != nil {
		return err
	}
	next := old.ModTime().Truncate(time.Second).Add(time.Second)
	if !now.ModTime().Before(next) || next.Sub(now.ModTime()) > maxAhead {
		return nil
	}
	return root.Chtimes(tmp, next, next)
}

// makeParents makes the directories above key that are missing. Each appears with its final mode, so
// that a writer killed in between doesn't leave one that the web server can't enter.
func makeParents(root *os.Root, key string) error {
	for i, c := range key {
		if c != '/' {
			continue
		}
		dir := key[:i]
		if _, err := root.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return err
			}
			continue
		}
		tmp := temporary(dir)
		if err := root.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := root.Mkdir(tmp, 0o755); err != nil {
			return err
		}
		info, err := root.Stat(tmp)
		if err != nil {
			return err
		}
		// What the umask took away comes back; an inherited setgid bit stays.
		if err := root.Chmod(tmp, info.Mode()|0o755); err != nil {
			return err
		}
		if err := root.Rename(tmp, dir); err != nil {
			return err
		}
		if err := syncDir(root, path.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
