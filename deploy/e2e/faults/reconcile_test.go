package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestReconcileMends: what somebody has changed by hand, or could not be done at the time. The soak tests do so in each
// mode.
func TestReconcileMends(t *testing.T) { reconcileMends(t, status.Admin) }

func reconcileMends(t *testing.T, modes ...status.Mode) {
	t.Parallel()
	write := func(path, text string) error { return os.WriteFile(path, []byte(text), 0o644) }
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			h := rig.OnlineSingle(t)
			h.CLI(t, "set", string(mode)).Want(t, 0)
			for _, d := range []struct {
				name   string
				damage func() error
				drift  string
			}{
				{"rules edited by hand, and taken up", func() error {
					data, err := os.ReadFile(h.SiteFile(rig.SingleSite))
					if err != nil {
						return err
					}
					first, _, _ := strings.Cut(string(data), "\n")
					if err := write(h.SiteFile(rig.SingleSite), first+"\n"); err != nil {
						return err
					}
					args := h.Nginx.Args("-s", "reload")
					return exec.Command(args[0], args[1:]...).Run()
				}, "edited by hand"},
				{"http.conf edited by hand", func() error {
					return write(filepath.Join(h.ConfDir, "http.conf"), "map $uri $nothing { default 0; }\n")
				}, "http.conf is not that of this configuration"},
				{"rules replaced by hand", func() error { return write(h.SiteFile(rig.SingleSite), "# nothing\n") }, "is not a file of conforma-status"},
				{"rules lost", func() error { return os.Remove(h.SiteFile(rig.SingleSite)) }, "there are no rules"},
				{"the closed file lost, or there", func() error {
					if mode == status.Offline {
						return os.Remove(h.ClosedFile())
					}
					return write(h.ClosedFile(), "")
				}, "the closed file is"},
				{"the status overwritten", func() error {
					return write(h.StatusFile(), strings.Replace(h.Published(t, rig.SingleSite), `"seq":`, `"seq":9`, 1))
				}, "published is"},
				{"the status garbled", func() error { return write(h.StatusFile(), "<html>") }, "not a status document"},
				{"the status lost", func() error { return os.Remove(h.StatusFile()) }, "nothing is published"},
			} {
				if err := d.damage(); err != nil {
					t.Fatalf("%s: %v", d.name, err)
				}
				v := rig.ViewOf(t, h.CLI(t, "get", "--json"))
				if v.Code != 5 || !strings.Contains(strings.Join(v.Drift, "\n"), d.drift) {
					t.Errorf("%s: get: exit code %d, drift %q, want %q", d.name, v.Code, v.Drift, d.drift)
				}
				r := h.CLI(t, "reconcile")
				if r.Code != 0 {
					t.Errorf("%s: reconcile: exit code %d\n%s", d.name, r.Code, r.Stderr)
				}
				rig.Agreed(t, h, mode)
			}
		})
	}
}

// TestReconcileDoesNothing where all agrees: nginx keeps its workers and no file is touched, however often it runs.
func TestReconcileDoesNothing(t *testing.T) {
	t.Parallel()
	h := rig.OnlineSingle(t)
	for _, mode := range []string{"offline", "admin", "online"} {
		h.CLI(t, "set", mode).Want(t, 0)
		rig.WaitFor(t, "the old workers to go", func() bool { return len(rig.WorkerIDs(t, h)) == 2 })
		before := fmt.Sprint(rig.WorkerIDs(t, h), touched(t, h))
		for range 5 {
			r := h.CLI(t, "reconcile", "--json").Want(t, 0)
			if strings.Join(strings.Fields(r.Stdout), "") != `{"version":1,"sites":[]}` || r.Stderr != "" {
				t.Errorf("%s: reconcile said %s%s", mode, r.Stdout, r.Stderr)
			}
		}
		if after := fmt.Sprint(rig.WorkerIDs(t, h), touched(t, h)); after != before {
			t.Errorf("%s: reconcile has left a trace:\n%s\n%s", mode, before, after)
		}
	}
}

// touched are the times at which files were written, but for the lock, which says who had it last, and for what the
// kernel barrier was told, where what it says counts: whose nginx's workers are is also up to other tests.
func touched(t *testing.T, h *rig.Single) map[string]string {
	t.Helper()
	times := map[string]string{}
	for _, root := range []string{h.State, h.ConfDir, h.Store} {
		err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
			if err != nil || path == filepath.Join(h.State, "lock") {
				return err
			}
			if path == filepath.Join(h.State, "barrier.json") {
				times[path] = sitesTold(t, path)
				return nil
			}
			info, err := os.Stat(path)
			if err == nil && path != h.State {
				times[path] = info.ModTime().String()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return times
}

// sitesTold is what the kernel barrier was told of the sites.
func sitesTold(t *testing.T, file string) string {
	t.Helper()
	var told struct {
		Rules struct{ Sites json.RawMessage }
	}
	if err := json.Unmarshal([]byte(rig.ReadFile(t, file)), &told); err != nil {
		t.Fatal(err)
	}
	return string(told.Rules.Sites)
}
