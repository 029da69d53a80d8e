package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	then := time.Date(2026, 12, 5, 22, 0, 0, 0, time.UTC)
	at := func(path string, data []byte, perm os.FileMode) error { return WriteFileAt(path, data, perm, then) }
	for _, write := range []func(string, []byte, os.FileMode) error{WriteFile, ReplaceFile, at} {
		for _, data := range []string{"one", "", "three\x00"} {
			if err := write(path, []byte(data), 0o640); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			info, errStat := os.Stat(path)
			if err != nil || errStat != nil || string(got) != data || info.Mode() != 0o640 {
				t.Errorf("wrote %q, read %q, %v, %v", data, got, err, errStat)
			}
		}
	}
	if info, err := os.Stat(path); err != nil || !info.ModTime().Equal(then) {
		t.Errorf("written last at %v, %v, want %v", info.ModTime(), err, then)
	}
	if err := WriteFile(filepath.Join(dir, "no", "f"), nil, 0o644); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a directory that isn't there: %v", err)
	}
	if err := SyncDir(filepath.Join(dir, "no")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sync a directory that isn't there: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// Only root can give a file away, so only root can show whose it is afterwards.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("wants root")
	}
	path := filepath.Join(t.TempDir(), "f")
	owner := func() uint32 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Uid
	}
	for _, c := range []struct {
		name  string
		write func(string, []byte, os.FileMode) error
		want  uint32
	}{{"ReplaceFile", ReplaceFile, 12345}, {"WriteFile", WriteFile, 0}} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if err := c.write(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := owner(); got != c.want {
			t.Errorf("%s: the file belongs to %d, want %d", c.name, got, c.want)
		}
	}
}

func TestRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it isn't there
		if err := Remove(path); err != nil {
			t.Error(err)
		}
	}
	if err := Remove(filepath.Join(path+"\x00", "x")); err == nil {
		t.Error("what can't be removed is no error")
	}
}
