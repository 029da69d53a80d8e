package publishing

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// TestPushScriptCopiesTheStore: what lies in a local store gets to another directory, also what changes meanwhile, and
// nothing that is half written.
func TestPushScriptCopiesTheStore(t *testing.T) {
	t.Parallel()
	h := rig.OnlineSingle(t)
	h.CLI(t, "publish").Want(t, 0)
	to := filepath.Join(rig.Dir(t), "www")
	push := func() error {
		out, err := exec.Command("../../webserver/push.sh", h.Store, to).CombinedOutput()
		if err != nil {
			t.Log(string(out))
		}
		return err
	}
	rig.WriteFile(t, filepath.Join(h.Store, "demo", ".status.json.tmp"), "half")
	if err := push(); err != nil {
		t.Fatal(err)
	}
	rig.WriteFile(t, filepath.Join(to, "theirs", "index.html"), "theirs")
	st, err := store.Open("dir:"+h.Store, store.S3Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		for n := range 60 {
			if _, err := st.Put(t.Context(), "demo/status.json", []byte{byte('a' + n%26), byte('a' + n/26)}, store.Meta{}, store.Always()); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	if err := push(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := push(); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, h.Store, to)
	h.CLI(t, "set", "offline").Want(t, 0)
	if err := push(); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, h.Store, to)
	for name, want := range map[string]bool{"theirs/index.html": true, "demo/.status.json.tmp": false} {
		if _, err := os.Stat(filepath.Join(to, name)); (err == nil) != want {
			t.Errorf("%s is there: %v", name, err == nil)
		}
	}
	if err := os.RemoveAll(h.Store); err != nil {
		t.Fatal(err)
	}
	if err := push(); err == nil {
		t.Error("a store that is gone was pushed")
	}
	if _, err := os.Stat(filepath.Join(to, "demo", "status.json")); err != nil {
		t.Errorf("what was there is gone: %v", err)
	}
}

// sameFiles checks that every file of one directory, but hidden ones, is in the other as it is.
func sameFiles(t *testing.T, from, to string) {
	t.Helper()
	var files []string
	err := filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") {
			files = append(files, name)
		}
		return err
	})
	if err != nil || len(files) < 5 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(strings.Replace(name, from, to, 1))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s is %.40q there instead of %.40q, %v", name, got, want, err)
		}
	}
}
