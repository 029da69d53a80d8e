package maintenance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestBootAfterKill has the machine die at every moment of every change, and come up with reconcile before nginx and
// once more after it: what nginx comes up with is the old mode or shut, also where its files were lost with the
// machine, and in the end all agree.
func TestBootAfterKill(t *testing.T) {
	modes := []status.Mode{status.Online, status.Admin, status.Offline}
	for _, from := range modes {
		for _, to := range modes {
			if from == to {
				continue
			}
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				for n := 1; ; n++ {
					lost := n%2 == 0
					w := newWorld(t)
					w.set(t, from)
					killed := w.killAt(n, func() { w.set(t, to) })
					w.running = false
					shut := w.Dir().IsShut("demo")
					if lost {
						for _, path := range []string{nginxconf.SiteFile(w.Config.Nginx.ConfDir, "demo"), nginxconf.HTTPFile(w.Config.Nginx.ConfDir)} {
							if err := os.Remove(path); err != nil {
								t.Fatal(err)
							}
						}
					}
					for range 2 { // the second finds the same
						if _, err := w.Reconcile(t.Context(), time.Second); err != nil && !(errors.Is(err, ErrNginxNeeded) && killed) {
							t.Fatalf("moment %d: before nginx: %v", n, err)
						}
					}
					w.running = true
					w.load()
					switch got := w.effective(); {
					case got == status.Offline, got == from && !shut, got == to && !killed:
					case got == to && !shut && from.StricterThan(to): // it was open already
					default:
						t.Errorf("moment %d: it comes up %s (closed file before: %v)", n, got, shut)
					}
					w.reconcile(t)
					w.reconcile(t)
					if !killed {
						w.agrees(t, to)
						break
					}
					if v, err := w.View(t.Context(), w.Config.Sites[0]); err != nil || len(v.Drift) > 0 {
						t.Errorf("moment %d: drift %q (%v)", n, v.Drift, err)
					}
				}
			})
		}
	}
}

// TestStandBy: what is put right before nginx starts, and what is left to be seen to when it runs.
func TestStandBy(t *testing.T) {
	for _, c := range []struct {
		name   string
		mode   status.Mode
		damage func(*testing.T, *world)
		comes  status.Mode
		closed bool
	}{
		{"all as it was", status.Online, func(*testing.T, *world) {}, status.Online, false},
		{"offline, the closed file lost", status.Offline, func(t *testing.T, w *world) { remove(t, w.Dir().ClosedFile("demo")) }, status.Offline, true},
		{"offline, the rules of online", status.Offline, func(t *testing.T, w *world) { w.rulesOf(t, status.Online); remove(t, w.Dir().ClosedFile("demo")) }, status.Offline, true},
		{"admin, the rules of online", status.Admin, func(t *testing.T, w *world) { w.rulesOf(t, status.Online) }, status.Admin, false},
		{"online, the rules of offline", status.Online, func(t *testing.T, w *world) { w.rulesOf(t, status.Offline) }, status.Offline, false},
		{"online, the closed file there", status.Online, func(t *testing.T, w *world) { write(t, w.Dir().ClosedFile("demo"), "") }, status.Offline, true},
		{"online, no rules", status.Online, func(t *testing.T, w *world) { remove(t, nginxconf.SiteFile(w.Config.Nginx.ConfDir, "demo")) }, status.Online, false},
		{"online, rules that are none", status.Online, func(t *testing.T, w *world) {
			write(t, nginxconf.SiteFile(w.Config.Nginx.ConfDir, "demo"), "return 200;\n")
		}, status.Online, false},
		{"never set, no rules", "", func(t *testing.T, w *world) { remove(t, nginxconf.SiteFile(w.Config.Nginx.ConfDir, "demo")) }, status.Online, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.mode != "" {
				w.set(t, c.mode)
			}
			w.running = false
			c.damage(t, w)
			if rs, err := w.Reconcile(t.Context(), time.Second); err != nil || len(rs) > 0 {
				t.Fatalf("before nginx: %v, %v", rs, err)
			}
			w.running = true
			w.load()
			if got := w.effective(); got != c.comes || w.Dir().IsShut("demo") != c.closed {
				t.Errorf("it comes up %s, closed file %v, want %s, %v", got, w.Dir().IsShut("demo"), c.comes, c.closed)
			}
			if w.reconcile(t); c.mode != "" {
				w.agrees(t, c.mode)
			}
		})
	}
}

// TestStandByTellsVisitors of a closing that they weren't told yet, and never of an opening: nobody can see whether
// it is one.
func TestStandByTellsVisitors(t *testing.T) {
	for _, mode := range []status.Mode{status.Offline, status.Online} {
		w := newWorld(t)
		w.set(t, status.Admin)
		w.storeErr = errDown
		w.set(t, mode)
		w.running, w.storeErr = false, nil
		if _, err := w.Reconcile(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		want := mode
		if mode == status.Online {
			want = status.Admin
		}
		if got := w.published(); got != want {
			t.Errorf("set %s while the store was down: visitors are told %s, want %s", mode, got, want)
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// rulesOf puts the rules of another mode in place, as if somebody had copied them there.
func (w *world) rulesOf(t *testing.T, mode status.Mode) {
	t.Helper()
	rev, err := w.rules(w.site, "").Revision(mode, 1)
	if err != nil {
		t.Fatal(err)
	}
	text, err := w.rules(w.site, "").Render(mode, rev)
	if err != nil {
		t.Fatal(err)
	}
	write(t, nginxconf.SiteFile(w.Config.Nginx.ConfDir, "demo"), string(text))
}
