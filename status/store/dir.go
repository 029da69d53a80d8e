package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// dirStore is a directory that a web server serves. Files are replaced by rename. Writers exclude each
// other with flock(2) on the directory itself, so that no lock file lies among what is served and none
// outlives a killed process. All paths are resolved inside an os.Root: no symbolic link leads out.
//
// Not by renameio, as other files are: it names temporary files at random, and what a killed writer left would stay
// among what is served; and a file's time has to be set before it is renamed.
type dirStore struct {
	root     string        // absolute
	lockWait time.Duration // longest wait for another writer
	limits
}

func (d *dirStore) Get(ctx context.Context, key string) ([]byte, string, error) {
	var data []byte
	err := d.on(ctx, "read", key, func(_ context.Context, root *os.Root) (err error) {
		data, err = root.ReadFile(key)
		if isAbsent(err) {
			return ErrNotFound
		}
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return data, ContentETag(data), nil
}

func (d *dirStore) Put(ctx context.Context, key string, data []byte, _ Meta, cond Condition) (string, error) {
	err := d.on(ctx, "write", key, func(ctx context.Context, root *os.Root) error {
		unlock, err := d.lock(ctx, root)
		if err != nil {
			return err
		}
		defer unlock()
		present, _, err := digest(root, key)
		if err != nil && !isAbsent(err) {
			return err
		}
		if !cond.holds(present) {
			return ErrPrecondition
		}
		if err := makeParents(root, key); err != nil {
			return err
		}
		return replace(root, key, data)
	})
	if err != nil {
		return "", err
	}
	return ContentETag(data), nil
}

// List reads every file that it lists, for its ETag: ctx alone bounds it. It leaves out what this user can't read.
func (d *dirStore) List(ctx context.Context, prefix string) ([]Object, error) {
	doing := d.doing("list", prefix+"*")
	if err := checkPrefix(prefix); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	var found []Object
	start := path.Clean(path.Dir(prefix + "x")) // the deepest directory that holds every match
	err := d.call(ctx, limits{grace: d.grace}, doing, func(ctx context.Context, root *os.Root) error {
		return fs.WalkDir(root.FS(), start, func(name string, entry fs.DirEntry, err error) error {
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
			o, err := object(root, name)
			if o != nil {
				found = append(found, *o)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b Object) int { return cmp.Compare(a.Key, b.Key) })
	return found, nil
}

// object describes a file, nil where it is none, is gone, or can't be read by this user.
func object(root *os.Root, name string) (*Object, error) {
	info, err := root.Stat(name)
	if err != nil || !info.Mode().IsRegular() { // gone, a link that leads nowhere or out, a socket
		return nil, nil
	}
	etag, size, err := digest(root, name)
	if isAbsent(err) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	return &Object{Key: name, ETag: etag, Size: size}, err
}

// Delete leaves the file's directory, even when it is empty now.
func (d *dirStore) Delete(ctx context.Context, key string) error {
	return d.on(ctx, "delete", key, func(ctx context.Context, root *os.Root) error {
		unlock, err := d.lock(ctx, root)
		if err != nil {
			return err
		}
		defer unlock()
		if info, err := root.Lstat(key); err == nil && info.IsDir() {
			return nil // a directory is not a file that is there
		}
		for _, name := range []string{temporary(key), key} {
			if err := root.Remove(name); err != nil && !isAbsent(err) {
				return err
			}
		}
		if err := syncDir(root, path.Dir(key)); err != nil && !isAbsent(err) {
			return err
		}
		return nil
	})
}

func (d *dirStore) doing(verb, key string) string { return verb + " " + key + " in " + d.root }

// on is call for one file.
func (d *dirStore) on(ctx context.Context, verb, key string, do func(context.Context, *os.Root) error) error {
	if err := checkKey(key); err != nil {
		return fmt.Errorf("use %s: %w", d.root, err)
	}
	return d.call(ctx, d.limits, d.doing(verb, key), do)
}

// call does something in the directory within the limits. Its errors are opErrors.
func (d *dirStore) call(ctx context.Context, l limits, doing string, do func(context.Context, *os.Root) error) error {
	if err := ctx.Err(); err != nil { // later, it is the limits' to say why
		return d.explain(doing, err)
	}
	err := within(ctx, l, func(ctx context.Context) error {
		root, err := os.OpenRoot(d.root)
		if errors.Is(err, fs.ErrNotExist) {
			return errors.Join(errNoRoot, err)
		}
		if err != nil {
			return err
		}
		defer root.Close()
		return do(ctx, root)
	})
	if err == nil {
		return nil
	}
	return d.explain(doing, err)
}

// lock waits until no other writer is in the directory, for as long as ctx and d.lockWait allow.
func (d *dirStore) lock(ctx context.Context, root *os.Root) (unlock func() error, err error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.lockWait)
	defer cancel()
	locked := make(chan error, 1)
	go func() { locked <- flock(f) }()
	select {
	case err = <-locked:
		if err == nil {
			return f.Close, nil
		}
		f.Close()
		return nil, fmt.Errorf("lock the directory: %w", err)
	case <-ctx.Done():
		// flock(2) can't be told to give up: when it does get the lock, it goes back at once.
		go func() {
			<-locked
			f.Close()
		}()
		return nil, errors.Join(errLocked, ctx.Err())
	}
}

func flock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			return err
		}
	}
}

var (
	errNoRoot = errors.New("the directory does not exist")
	errLocked = errors.New("another process kept the directory locked")
)

// explain puts what the file system said into an opError.
func (d *dirStore) explain(doing string, err error) *opError {
	f := &opError{doing: doing, kind: ErrUnavailable, why: err.Error(), cause: err}
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrPrecondition):
		return &opError{doing: doing, kind: err}
	case errors.Is(err, errStuck):
		f.why = errStuck.Error()
		f.hint = "see whether what is mounted at " + d.root + " is there: findmnt -T " + d.root
	case errors.Is(err, errNoRoot):
		f.why = errNoRoot.Error()
		f.hint = "mount what should be there; or, where nothing should, conforma-status store init makes " + d.root
	case errors.Is(err, errLocked):
		f.why = errLocked.Error()
		f.hint = "see who holds it: fuser -v " + d.root
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
