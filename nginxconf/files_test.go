package nginxconf

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// tree is the content of every file below dir, by its path there, with a slash and nothing for an empty directory.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			entries, err := os.ReadDir(path)
			if len(entries) == 0 && name != "." {
				files[name+"/"] = ""
			}
			return err
		}
		data, err := os.ReadFile(path)
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// grow makes such a tree.
func grow(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			data, path = "", filepath.Join(path, ".") // a directory
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPlaces(t *testing.T) {
	if got := HTTPFile("/etc/nginx/conforma-status/"); got != "/etc/nginx/conforma-status/http.conf" {
		t.Errorf("http.conf is at %s", got)
	}
	if got := SiteFile("/etc/nginx/conforma-status", "demo"); got != "/etc/nginx/conforma-status/sites/demo.conf" {
		t.Errorf("the rules of a site are at %s", got)
	}
}

func TestInstall(t *testing.T) {
	long := strings.Repeat("a", 250) // fits into a directory, but not with the mark of a temporary file
	type files = map[string]string
	for name, c := range map[string]struct {
		before, install files
		fails           bool
		after           files // nil where it is as before
		rolledBack      files // nil where it is as before
	}{
		"new":             {before: files{}, install: files{"sites/a.conf": "1"}, after: files{"sites/a.conf": "1"}, rolledBack: files{"sites/": ""}},
		"nothing":         {before: files{"http.conf": "1"}, install: files{}},
		"unchanged":       {before: files{"http.conf": "1"}, install: files{"http.conf": "1"}},
		"changed":         {before: files{"http.conf": "1"}, install: files{"http.conf": "2"}, after: files{"http.conf": "2", "http.conf.previous": "1"}, rolledBack: files{"http.conf": "1"}},
		"changed again":   {before: files{"http.conf": "2", "http.conf.previous": "1"}, install: files{"http.conf": "3"}, after: files{"http.conf": "3", "http.conf.previous": "2"}, rolledBack: files{"http.conf": "2"}},
		"unchanged keeps": {before: files{"http.conf": "2", "http.conf.previous": "1"}, install: files{"http.conf": "2"}},
		"empty before":    {before: files{"http.conf": ""}, install: files{"http.conf": "1"}, after: files{"http.conf": "1", "http.conf.previous": ""}, rolledBack: files{"http.conf": ""}},
		"empty after":     {before: files{"http.conf": "1"}, install: files{"http.conf": ""}, after: files{"http.conf": "", "http.conf.previous": "1"}, rolledBack: files{"http.conf": "1"}},
		"new and empty":   {before: files{}, install: files{"http.conf": ""}, after: files{"http.conf": ""}, rolledBack: files{}},
		"several": {
			before:     files{"http.conf": "1", "sites/a.conf": "1", "sites/b.conf": "1", "sites/other.conf": "x"},
			install:    files{"http.conf": "1", "sites/a.conf": "2", "sites/b.conf": "1", "sites/c.conf": "2"},
			after:      files{"http.conf": "1", "sites/a.conf": "2", "sites/a.conf.previous": "1", "sites/b.conf": "1", "sites/c.conf": "2", "sites/other.conf": "x"},
			rolledBack: files{"http.conf": "1", "sites/a.conf": "1", "sites/b.conf": "1", "sites/other.conf": "x"},
		},

		"a file where a directory should be": {before: files{"sites": "x"}, install: files{"sites/a.conf": "1"}, fails: true},
		"a directory where a file should be": {before: files{"sites/a.conf/": ""}, install: files{"sites/a.conf": "1"}, fails: true},
		"no place for the previous one":      {before: files{"a.conf": "1", "a.conf.previous/": ""}, install: files{"a.conf": "2"}, fails: true},
		"no place for a temporary file":      {before: files{}, install: files{long: "1"}, fails: true},
		"halfway, before the previous is kept": {
			before: files{"a.conf": "1", "c.conf": "1", "c.conf.previous/": ""}, install: files{"a.conf": "2", "b.conf": "2", "c.conf": "2", "d.conf": "2"}, fails: true,
			after: files{"a.conf": "1", "c.conf": "1", "c.conf.previous/": ""},
		},
		"halfway, on reading": {
			before: files{"a.conf": "1", "c.conf/": ""}, install: files{"a.conf": "2", "b.conf": "2", "c.conf": "2", "d.conf": "2"}, fails: true,
			after: files{"a.conf": "1", "c.conf/": ""},
		},
		"halfway, on writing": {
			before: files{"a": "1"}, install: files{"a": "2", long: "2", "b": "2"}, fails: true,
			after: files{"a": "1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.after == nil {
				c.after = c.before
			}
			if c.rolledBack == nil {
				c.rolledBack = c.before
			}
			dir := grow(t, c.before)
			install := map[string][]byte{}
			for name, data := range c.install {
				install[filepath.Join(dir, name)] = []byte(data)
			}
			rollback, err := Install(install)
			if (err != nil) != c.fails || (rollback == nil) != c.fails {
				t.Fatalf("error %v, rollback given: %v", err, rollback != nil)
			}
			if got := tree(t, dir); !maps.Equal(got, c.after) {
				t.Errorf("left %q, want %q", got, c.after)
			}
			if c.fails {
				return
			}
			for range 2 { // the second time there is nothing to do
				if err := rollback(); err != nil {
					t.Fatal(err)
				}
				if got := tree(t, dir); !maps.Equal(got, c.rolledBack) {
					t.Errorf("rolled back to %q, want %q", got, c.rolledBack)
				}
			}
		})
	}
}

// nginx's workers, and whoever looks, can read the files whatever umask the operator has.
func TestInstalledFilesAreReadable(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := grow(t, map[string]string{"a.conf": "1"})
	if err := os.Chmod(filepath.Join(dir, "a.conf"), 0o600); err != nil {
		t.Fatal(err)
	}
	rollback, err := Install(map[string][]byte{filepath.Join(dir, "a.conf"): []byte("2"), filepath.Join(dir, "b.conf"): []byte("2")})
	if err != nil {
		t.Fatal(err)
	}
	check := func(names ...string) {
		t.Helper()
		for _, name := range names {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil || info.Mode() != 0o644 {
				t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
			}
		}
	}
	check("a.conf", "a.conf.previous", "b.conf")
	if err := rollback(); err != nil {
		t.Fatal(err)
	}
	check("a.conf")
}

func TestUnchangedFilesAreLeftAlone(t *testing.T) {
	dir := grow(t, map[string]string{"a.conf": "1"})
	path := filepath.Join(dir, "a.conf")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Install(map[string][]byte{path: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the file was replaced by one that says the same (%v)", err)
	}
}

// The copy that is kept is what is put back, unless somebody has taken it away.
func TestRollbackNeedsNoRoom(t *testing.T) {
	for name, taken := range map[string]bool{"kept": false, "taken away": true} {
		dir := grow(t, map[string]string{"a.conf": "1"})
		path := filepath.Join(dir, "a.conf")
		rollback, err := Install(map[string][]byte{path: []byte("2")})
		if err != nil {
			t.Fatal(err)
		}
		open, err := os.Open(path + previousSuffix) // so that no other file gets its inode
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		kept, err := open.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if taken {
			if err := os.Remove(path + previousSuffix); err != nil {
				t.Fatal(err)
			}
		}
		if err := rollback(); err != nil {
			t.Fatal(err)
		}
		back, err := os.Stat(path)
		if err != nil || os.SameFile(back, kept) == taken {
			t.Errorf("%s: the same file: %v, %v", name, os.SameFile(back, kept), err)
		}
		if got := tree(t, dir); !maps.Equal(got, map[string]string{"a.conf": "1"}) {
			t.Errorf("%s: rolled back to %q", name, got)
		}
	}
}

// Where a file can't be put back either, the error says so.
func TestRollbackFails(t *testing.T) {
	dir := grow(t, map[string]string{"a.conf": "1", "b.conf": "1"})
	a, b := filepath.Join(dir, "a.conf"), filepath.Join(dir, "b.conf")
	rollback, err := Install(map[string][]byte{a: []byte("2"), b: []byte("2")})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(b), os.Mkdir(b, 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := rollback(); err == nil || !strings.Contains(err.Error(), "b.conf") {
		t.Errorf("rolling back over a directory: %v", err)
	}
	if data, err := os.ReadFile(a); err != nil || string(data) != "1" {
		t.Errorf("the other file holds %q, %v", data, err)
	}
}
