package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dirAt returns a store that waits long for others: many writers may share one slow disk here.
func dirAt(root string) *dirStore {
	return &dirStore{root: root, lockWait: 10 * time.Minute, limits: limits{grace: 10 * time.Minute}}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	mkdir(t, filepath.Dir(name))
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// names returns what lies in dir and below, hidden files too.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	must(t, filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, err = filepath.Rel(dir, name)
			found = append(found, name)
		}
		return err
	}))
	return found
}

func TestDirList(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"status.json", "demo/index.html", "demo/ar/index.html", "demo-2/index.html",
		".git/config", ".well-known/x", "demo/.index.html.tmp", "a\\b"} {
		write(t, filepath.Join(root, name), "x")
	}
	write(t, filepath.Join(t.TempDir(), "secret"), "x")
	must(t, os.Symlink("demo/index.html", filepath.Join(root, "link.html")))
	must(t, os.Symlink("nowhere", filepath.Join(root, "dangling")))
	must(t, os.Symlink("/etc/hostname", filepath.Join(root, "leads-out")))
	must(t, syscall.Mkfifo(filepath.Join(root, "fifo"), 0o644))
	s := dirAt(root)
	for prefix, want := range map[string][]string{
		"":             {"demo-2/index.html", "demo/ar/index.html", "demo/index.html", "link.html", "status.json"},
		"demo":         {"demo-2/index.html", "demo/ar/index.html", "demo/index.html"},
		"demo/":        {"demo/ar/index.html", "demo/index.html"},
		"demo/a":       {"demo/ar/index.html"},
		"status.json":  {"status.json"},
		"no/such/":     nil,
		"status.json/": nil,
	} {
		list, err := s.List(t.Context(), prefix)
		var got []string
		for _, o := range list {
			got = append(got, o.Key)
			if o.ETag != ContentETag([]byte("x")) || o.Size != 1 {
				t.Errorf("list %q: %+v", prefix, o)
			}
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("list %q = %q, %v; want %q", prefix, got, err, want)
		}
	}
}

func TestDirStaysInside(t *testing.T) {
	outside := t.TempDir()
	write(t, filepath.Join(outside, "secret"), "secret")
	root := t.TempDir()
	must(t, os.Symlink(outside, filepath.Join(root, "out")))
	must(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(root, "secret")))
	must(t, os.Symlink(filepath.Join(outside, "new"), filepath.Join(root, "new")))
	s := dirAt(root)
	for _, key := range []string{"out/secret", "secret", "out/new", "new"} {
		if data, _, err := s.Get(t.Context(), key); err == nil {
			t.Errorf("get %s reads %q outside the store", key, data)
		}
		s.Put(t.Context(), key, []byte("overwritten"), Meta{}, Always())
		s.Delete(t.Context(), key)
	}
	if got := names(t, outside); !slices.Equal(got, []string{"secret"}) {
		t.Errorf("outside the store there is now %q", got)
	}
	if data, _ := os.ReadFile(filepath.Join(outside, "secret")); string(data) != "secret" {
		t.Errorf("the file outside the store now says %q", data)
	}
}

// TestDirFaults: what the operator reads, and that the store is as it was.
func TestDirFaults(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "file"), "x")
	mkdir(t, filepath.Join(root, "directory"))
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	put := func(root, key string) error {
		_, err := dirAt(root).Put(t.Context(), key, []byte("y"), Meta{}, Always())
		return err
	}
	for _, c := range []struct {
		name      string
		err       error
		is        error
		says, tip string
	}{
		{"missing root", put(root+"/none", "a"), ErrUnavailable, "does not exist", "conforma-status store init makes " + root + "/none"},
		{"root is a file", put(root+"/file", "a"), ErrUnavailable, "not a directory", ""},
		{"key is a directory", put(root, "directory"), ErrUnavailable, "file exists", "remove the one"},
		{"below a file", put(root, "file/a"), ErrUnavailable, "not a directory", "remove the one"},
		{"deep below a file", put(root, "file/a/b"), ErrUnavailable, "not a directory", "remove the one"},
		{"interrupted", func() error { _, _, err := dirAt(root).Get(canceled, "a"); return err }(), context.Canceled, "canceled", ""},
	} {
		if !errors.Is(c.err, c.is) || !errors.Is(c.err, ErrUnavailable) || !strings.Contains(fmt.Sprint(c.err), c.says) || !strings.Contains(Hint(c.err), c.tip) {
			t.Errorf("%s: %v (hint: %s)", c.name, c.err, Hint(c.err))
		}
	}
	if got := names(t, root); !slices.Equal(got, []string{"file"}) {
		t.Errorf("left in the store: %q", got)
	}
	// A directory, or what would lie below a file, is a key with no file.
	s := dirAt(root)
	for _, key := range []string{"directory", "file/a", "none"} {
		if _, _, err := s.Get(t.Context(), key); !errors.Is(err, ErrNotFound) {
			t.Errorf("get %s: %v, want ErrNotFound", key, err)
		}
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("delete %s: %v", key, err)
		}
	}
	for errno, want := range map[syscall.Errno]struct {
		kind error
		tip  string
	}{
		syscall.EACCES: {ErrDenied, "write in /srv"},
		syscall.EPERM:  {ErrDenied, "write in /srv"},
		syscall.EROFS:  {ErrDenied, "read-only"},
		syscall.ENOSPC: {ErrUnavailable, "make room"},
		syscall.EDQUOT: {ErrUnavailable, "make room"},
		syscall.EIO:    {ErrUnavailable, ""},
	} {
		err := dirAt("/srv").explain("write x in /srv", &fs.PathError{Op: "write", Path: "x", Err: errno})
		if !errors.Is(err, want.kind) || !errors.Is(err, errno) || !strings.Contains(Hint(err), want.tip) || !strings.HasPrefix(err.Error(), "write x in /srv: ") {
			t.Errorf("%v: %v (hint: %s)", errno, err, Hint(err))
		}
	}
}

func TestDirLockWaitIsBounded(t *testing.T) {
	s := dirAt(t.TempDir())
	held, err := os.Open(s.root)
	must(t, err)
	must(t, flock(held))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := s.Put(ctx, "a", nil, Meta{}, Always())
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("with the directory locked: %v", err)
	}
	s.lockWait = time.Millisecond
	if _, err := s.Put(t.Context(), "a", nil, Meta{}, Always()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "kept the directory locked") {
		t.Errorf("with the directory locked for longer than the wait: %v", err)
	}
	s.lockWait = time.Minute
	must(t, held.Close())
	// The lock that was asked for and given up isn't kept.
	if _, err := s.Put(t.Context(), "a", nil, Meta{}, Always()); err != nil {
		t.Errorf("after the lock was free: %v", err)
	}
}

// TestDirReaderSeesWholeFiles reads while another goroutine replaces the file.
func TestDirReaderSeesWholeFiles(t *testing.T) {
	s := dirAt(t.TempDir())
	versions := bigVersions()
	_, err := s.Put(t.Context(), "page", versions[0], Meta{}, Always())
	must(t, err)
	done := make(chan error, 1)
	go func() {
		for i := range 50 {
			if _, err := s.Put(context.Background(), "page", versions[i%2], Meta{}, Always()); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		data, err := os.ReadFile(filepath.Join(s.root, "page"))
		if err != nil || !(bytes.Equal(data, versions[0]) || bytes.Equal(data, versions[1])) {
			t.Fatalf("a reader saw %d bytes that nobody wrote, %v", len(data), err)
		}
		select {
		case err := <-done:
			must(t, err)
			return
		default:
		}
	}
}

func bigVersions() [2][]byte {
	return [2][]byte{bytes.Repeat([]byte("old "), 1<<17), bytes.Repeat([]byte("new, longer "), 1<<16)}
}

// TestDirReplacedInOneSecond: what a web server makes its ETag of changes with the file, however quickly.
func TestDirReplacedInOneSecond(t *testing.T) {
	root := t.TempDir()
	d := dirAt(root)
	second := func() int64 {
		t.Helper()
		info, err := os.Stat(filepath.Join(root, "demo/status.json"))
		must(t, err)
		return info.ModTime().Unix()
	}
	put := func() {
		t.Helper()
		_, err := d.Put(t.Context(), "demo/status.json", []byte("x"), Meta{}, Always())
		must(t, err)
	}
	put()
	for range 5 {
		before := second()
		put()
		if now := second(); now <= before {
			t.Fatalf("replaced in second %d, it is of second %d", before, now)
		}
	}
	// One from the future, by a clock that was wrong, doesn't take those after it along.
	future := time.Now().Add(time.Hour)
	must(t, os.Chtimes(filepath.Join(root, "demo/status.json"), future, future))
	put()
	if now := second(); now > time.Now().Add(time.Minute).Unix() {
		t.Errorf("it is of %v", time.Unix(now, 0))
	}
}
