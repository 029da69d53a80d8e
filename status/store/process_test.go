package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Tests of what happens between processes start the test binary again, as one of these. The root of
// the store is the argument.
var children = map[string]func(root string) error{
	"increment": func(root string) error { return increment(dirAt(root), "counter", 100) },

	// Replaces a file for ever, until killed.
	"rewrite": func(root string) error {
		for i := 0; ; i++ {
			if i == 1 {
				fmt.Println("started")
			}
			if _, err := dirAt(root).Put(context.Background(), "demo/page", bigVersions()[i%2], Meta{}, Always()); err != nil {
				return err
			}
		}
	},

	// Writes as a user with the strictest umask.
	"umask": func(root string) error {
		syscall.Umask(0o777)
		_, err := dirAt(root).Put(context.Background(), "a/b/page", []byte("x"), Meta{}, Always())
		return err
	},

	// Can't write more than a page: the write stops in the middle, as on a full disk.
	"full": func(root string) error {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: 4096}); err != nil {
			return err
		}
		_, err := dirAt(root).Put(context.Background(), "page", bigVersions()[1], Meta{}, Always())
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, syscall.EFBIG) {
			return fmt.Errorf("write to a full disk: %v", err)
		}
		return nil
	},

	// May read but not write.
	"stranger": func(root string) error {
		// From here on by its relative name: the way to it may be closed to that user.
		if err := os.Chdir(root); err != nil {
			return err
		}
		if os.Getuid() == 0 {
			if err := syscall.Setuid(65534); err != nil {
				return err
			}
		}
		s := dirAt(".")
		_, err := s.Put(context.Background(), "page", []byte("y"), Meta{}, Always())
		if !errors.Is(err, ErrDenied) || Hint(err) == "" {
			return fmt.Errorf("write without permission: %v", err)
		}
		if err := s.Delete(context.Background(), "page"); !errors.Is(err, ErrDenied) {
			return fmt.Errorf("delete without permission: %v", err)
		}
		list, err := s.List(context.Background(), "")
		if err != nil || len(list) != 1 || list[0].Key != "page" {
			return fmt.Errorf("list beside an unreadable directory: %v, %v", list, err)
		}
		return nil
	},
}

func TestMain(m *testing.M) {
	if child := children[os.Getenv("STORE_TEST_CHILD")]; child != nil {
		if err := child(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(t *testing.T, name, root string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self, root)
	cmd.Env = append(os.Environ(), "STORE_TEST_CHILD="+name, "GORACE=atexit_sleep_ms=0")
	return cmd
}

func runChild(t *testing.T, name, root string) {
	t.Helper()
	if out, err := child(t, name, root).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// increment adds one to a number in the store, times times, by conditional puts only.
func increment(s Store, key string, times int) error {
	ctx := context.Background()
	for done := 0; done < times; {
		data, etag, err := s.Get(ctx, key)
		cond := IfMatch(etag)
		if errors.Is(err, ErrNotFound) {
			data, cond, err = []byte("0"), IfAbsent(), nil
		}
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(data))
		if err != nil {
			return err
		}
		_, err = s.Put(ctx, key, []byte(strconv.Itoa(n+1)), Meta{}, cond)
		switch {
		case err == nil:
			done++
		case !errors.Is(err, ErrPrecondition):
			return err
		}
	}
	return nil
}

func TestDirLosesNoUpdate(t *testing.T) {
	root := t.TempDir()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := increment(dirAt(root), "counter", 4); err != nil {
				t.Error(err)
			}
		})
	}
	for range 2 {
		wg.Go(func() { runChild(t, "increment", root) })
	}
	wg.Wait()
	if data, _ := os.ReadFile(filepath.Join(root, "counter")); string(data) != "400" {
		t.Errorf("after 400 increments the counter is at %s", data)
	}
	if got := names(t, root); !slices.Equal(got, []string{"counter"}) {
		t.Errorf("left in the store: %q", got)
	}
}

func TestDirSurvivesKilledWriter(t *testing.T) {
	root := t.TempDir()
	s := dirAt(root)
	versions := bigVersions()
	for n := range 15 {
		cmd := child(t, "rewrite", root)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		_, err = io.ReadFull(out, make([]byte, len("started")))
		must(t, err)
		time.Sleep(time.Duration(n) * 1300 * time.Microsecond) // one moment after the other
		must(t, cmd.Process.Kill())
		cmd.Wait()
		data, etag, err := s.Get(t.Context(), "demo/page")
		if err != nil || !(bytes.Equal(data, versions[0]) || bytes.Equal(data, versions[1])) {
			t.Fatalf("after a kill the file has %d bytes that nobody wrote, %v", len(data), err)
		}
		list, err := s.List(t.Context(), "")
		if err != nil || len(list) != 1 || list[0].ETag != etag {
			t.Fatalf("after a kill the store lists %v, %v", list, err)
		}
	}
	// What a killed writer leaves, in every place where it can: the next Put of the key removes it.
	write(t, filepath.Join(root, "demo/.page.tmp"), "half")
	mkdir(t, filepath.Join(root, ".new.tmp"))
	for _, key := range []string{"demo/page", "new/page"} {
		if _, err := s.Put(t.Context(), key, []byte("x"), Meta{}, Always()); err != nil {
			t.Error(err)
		}
	}
	if got := names(t, root); !slices.Equal(got, []string{"demo/page", "new/page"}) {
		t.Errorf("left in the store: %q", got)
	}
	write(t, filepath.Join(root, "demo/.page.tmp"), "half")
	must(t, s.Delete(t.Context(), "demo/page"))
	if got := names(t, root); !slices.Equal(got, []string{"new/page"}) {
		t.Errorf("left in the store after a delete: %q", got)
	}
}

func TestDirModesDespiteUmask(t *testing.T) {
	root := t.TempDir()
	runChild(t, "umask", root)
	for name, want := range map[string]os.FileMode{"a": 0o755, "a/b": 0o755, "a/b/page": 0o644} {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %o", name, info.Mode(), err, want)
		}
	}
}

func TestDirFullDiskLeavesOld(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "page"), "old")
	runChild(t, "full", root)
	if data, _ := os.ReadFile(filepath.Join(root, "page")); string(data) != "old" {
		t.Errorf("the file now has %d bytes", len(data))
	}
	if got := names(t, root); !slices.Equal(got, []string{"page"}) {
		t.Errorf("left in the store: %q", got)
	}
}

func TestDirWithoutPermission(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "page"), "x")
	write(t, filepath.Join(root, "unreadable/x"), "x")
	must(t, os.Chmod(filepath.Join(root, "unreadable"), 0))
	must(t, os.Chmod(root, 0o555))
	defer os.Chmod(filepath.Join(root, "unreadable"), 0o755)
	defer os.Chmod(root, 0o755)
	runChild(t, "stranger", root)
}
