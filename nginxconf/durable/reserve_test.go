package durable

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReserve(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	left := filepath.Join(dir, "f.reserved")
	if err := os.WriteFile(left, []byte(strings.Repeat("left by one that was killed", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{"one", "", "exactly8", "more than was reserved"} {
		r, err := Reserve(path, 8)
		if err != nil {
			t.Fatal(err)
		}
		room, err := os.Stat(left)
		if err != nil || room.Size() != 8 {
			t.Fatalf("reserved: %v, %v", room, err)
		}
		if err := r.Write([]byte(data), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		info, errStat := os.Stat(path)
		if err != nil || errStat != nil || string(got) != data || info.Mode() != 0o640 || !os.SameFile(room, info) {
			t.Errorf("wrote %q, read %q, %v, %v", data, got, err, errStat)
		}
		r.Release()
		if err := r.Write([]byte(data+" again"), 0o640); err != nil { // with no room set aside
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != data+" again" {
			t.Errorf("wrote %q again, read %q, %v", data, got, err)
		}
	}
	r, err := Reserve(path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	r.Release()
	r.Release()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if _, err := Reserve(filepath.Join(dir, "no", "f"), 8); !os.IsNotExist(err) {
		t.Errorf("in a directory that isn't there: %v", err)
	}
}

// A file that can't take the place of what is there is no file that is left beside it.
func TestReservedInTheWay(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	r, err := Reserve(path, 8)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.Write([]byte("x"), 0o644); err == nil {
		t.Error("over a directory: no error")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
