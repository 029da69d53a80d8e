package store

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ahead is by how much a file's time may run ahead of the clock. A time further in the future is nobody's who publishes often.
const ahead = time.Minute

// dirStore is a directory that a web server serves. Files are replaced by rename. Writers exclude each
// other with flock(2) on the directory itself, so that no lock file lies among what is served and none
// outlives a killed process. All paths are resolved inside an os.Root: no symbolic link leads out.
type dirStore struct {
	root string        // absolute
	wait time.Duration // longest wait for another writer
}

func (d *dirStore) Get(ctx context.Context, key string) ([]byte, string, error) {
	doing := d.doing("read", key)
	root, err := d.open(ctx, doing, key)
	if err != nil {
		return nil, "", err
	}
	defer root.Close()
	data, err := root.ReadFile(key)
	if isAbsent(err) {
		return nil, "", &opError{doing: doing, kind: ErrNotFound}
	}
	if err != nil {
		return nil, "", d.fail(doing, err)
	}
	return data, ContentETag(data), nil
}

func (d *dirStore) Put(ctx context.Context, key string, data []byte, _ Meta, cond Condition) (string, error) {
	doing := d.doing("write", key)
	root, err := d.open(ctx, doing, key)
	if err != nil {
		return "", err
	}
	defer root.Close()
	unlock, err := d.lock(ctx, doing, root)
	if err != nil {
		return "", err
	}
	defer unlock()
	present, _, err := digest(root, key)
	if err != nil && !isAbsent(err) {
		return "", d.fail(doing, err)
	}
	if !cond.holds(present) {
		return "", &opError{doing: doing, kind: ErrPrecondition}
	}
	if err := makeParents(root, key); err != nil {
		return "", d.fail(doing, err)
	}
	if err := replace(root, key, data); err != nil {
		return "", d.fail(doing, err)
	}
	return ContentETag(data), nil
}

// List reads every file that it lists, for its ETag. It leaves out what this user can't read.
func (d *dirStore) List(ctx context.Context, prefix string) ([]Object, error) {
	doing := d.doing("list", prefix+"*")
	if err := checkPrefix(prefix); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	root, err := d.openRoot(ctx, doing)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var found []Object
	start := path.Clean(path.Dir(prefix + "x")) // the deepest directory that holds every match
	err = fs.WalkDir(root.FS(), start, func(name string, entry fs.DirEntry, err error) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case isAbsent(err): // gone since its directory was read
			return nil
		case errors.Is(err, fs.ErrPermission) && name != start: // not ours: lost+found, for one
			return nil
		case err != nil:
			return err
		case name == ".":
			return nil
		case checkKey(name) != nil && entry.IsDir():
			return fs.SkipDir
		case entry.IsDir() || checkKey(name) != nil || !strings.HasPrefix(name, prefix):
			return nil
		}
		info, err := root.Stat(name)
		if err != nil || !info.Mode().IsRegular() { // gone, a link that leads nowhere or out, a socket
			return nil
		}
		etag, size, err := digest(root, name)
		if isAbsent(err) || errors.Is(err, fs.ErrPermission) {
			return nil
		}
		found = append(found, Object{Key: name, ETag: etag, Size: size})
		return err
	})
	if err != nil {
		return nil, d.fail(doing, err)
	}
	slices.SortFunc(found, func(a, b Object) int { return cmp.Compare(a.Key, b.Key) })
	return found, nil
}

// Delete leaves the file's directory, even when it is empty now.
func (d *dirStore) Delete(ctx context.Context, key string) error {
	doing := d.doing("delete", key)
	root, err := d.open(ctx, doing, key)
	if err != nil {
		return err
	}
	defer root.Close()
	unlock, err := d.lock(ctx, doing, root)
	if err != nil {
		return err
	}
	defer unlock()
	if info, err := root.Lstat(key); err == nil && info.IsDir() {
		return nil // a directory is not a file that is there
	}
	for _, name := range []string{temporary(key), key} {
		if err := root.Remove(name); err != nil && !isAbsent(err) {
			return d.fail(doing, err)
		}
	}
	if err := syncDir(root, path.Dir(key)); err != nil && !isAbsent(err) {
		return d.fail(doing, err)
	}
	return nil
}

func (d *dirStore) doing(verb, key string) string { return verb + " " + key + " in " + d.root }

func (d *dirStore) open(ctx context.Context, doing, key string) (*os.Root, error) {
	if err := checkKey(key); err != nil {
		return nil, fmt.Errorf("use %s: %w", d.root, err)
	}
	return d.openRoot(ctx, doing)
}

func (d *dirStore) openRoot(ctx context.Context, doing string) (*os.Root, error) {
	if err := ctx.Err(); err != nil {
		return nil, d.fail(doing, err)
	}
	root, err := os.OpenRoot(d.root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &opError{doing: doing, kind: ErrUnavailable, why: "the directory does not exist",
			hint: "mount what should be there; or, where nothing should, conforma-status store init makes " + d.root, cause: err}
	case err != nil:
		return nil, d.fail(doing, err)
	}
	return root, nil
}

// lock waits until no other writer is in the directory, for as long as ctx and d.wait allow.
func (d *dirStore) lock(ctx context.Context, doing string, root *os.Root) (unlock func() error, err error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, d.fail(doing, err)
	}
	ctx, cancel := context.WithTimeout(ctx, d.wait)
	defer cancel()
	locked := make(chan error, 1)
	go func() { locked <- flock(f) }()
	select {
	case err = <-locked:
		if err == nil {
			return f.Close, nil
		}
		f.Close()
		return nil, d.fail(doing, fmt.Errorf("lock the directory: %w", err))
	case <-ctx.Done():
		// flock(2) can't be told to give up: when it does get the lock, it goes back at once.
		go func() {
			<-locked
			f.Close()
		}()
		return nil, &opError{doing: doing, kind: ErrUnavailable, why: "another process kept the directory locked",
			hint: "see who holds it: fuser -v " + d.root, cause: ctx.Err()}
	}
}

func flock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			return err
		}
	}
}

// fail puts what the file system said into an opError.
func (d *dirStore) fail(doing string, err error) error {
	f := &opError{doing: doing, kind: ErrUnavailable, why: err.Error(), cause: err}
	switch {
	case errors.Is(err, fs.ErrPermission):
		f.kind = ErrDenied
		f.hint = "let the user that runs conforma-status write in " + d.root
	case errors.Is(err, syscall.EROFS):
		f.kind = ErrDenied
		f.hint = "the file system of " + d.root + " is mounted read-only"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		f.hint = "make room on the file system of " + d.root
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, fs.ErrExist):
		f.hint = "a file and a directory want the same name: remove the one that is wrong"
	}
	return f
}

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
	if err := later(root, tmp, name); err != nil {
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

// later has the file at tmp, which is to replace the one at name, be of a later second than that one. nginx's and Caddy's ETags
// are made of a file's second and size, and rsync goes by these too: of two versions of one size within a second, the
// later would never be seen by those who have the earlier.
func later(root *os.Root, tmp, name string) error {
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
	if !now.ModTime().Before(next) || next.Sub(now.ModTime()) > ahead {
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
