package maintenance

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestDamagedState: what can't be understood is put aside, and a closing still closes.
func TestDamagedState(t *testing.T) {
	for _, garbage := range []string{"", "\x00\x00\x00", `{"version":99}`, "null\n"} {
		for _, damaged := range []string{"journal", "records/demo.json"} {
			for _, from := range modes {
				for _, to := range modes {
					w := newWorld(t)
					w.set(t, from)
					file := filepath.Join(w.Config.StateDir, damaged)
					if err := durable.WriteFile(file, []byte(garbage), 0o644); err != nil {
						t.Fatal(err)
					}
					if v, err := w.View(t.Context(), w.site); err == nil && len(v.Drift) == 0 {
						t.Errorf("%s is %q: nobody is told", damaged, garbage)
					}
					if r := w.set(t, to); r.Err != nil {
						t.Fatalf("%s is %q: set %s: %v", damaged, garbage, to, r.Err)
					}
					w.agrees(t, to)
					if len(w.heard.aside) != 1 {
						t.Fatalf("%s is %q: set aside %v", damaged, garbage, w.heard.aside)
					}
					if kept, err := os.ReadFile(w.heard.aside[0]); err != nil || string(kept) != garbage {
						t.Errorf("%s is %q, kept is %q (%v)", damaged, garbage, kept, err)
					}
					if got := w.published(); got != to {
						t.Errorf("published is %s", got)
					}
				}
			}
		}
	}
}

// TestGarbledState: whatever the journal or the record holds, a closing closes, and then there is nothing left to do.
// (Not a fuzz target, whose inputs have to be quick and always go the same way.)
func TestGarbledState(t *testing.T) {
	chance := chance(t)
	for n := range 60 {
		w := newWorld(t)
		w.set(t, modes[chance.IntN(len(modes))])
		w.killAt(1+chance.IntN(30), func() { w.set(t, modes[chance.IntN(len(modes))]) })
		believed := false // a date of another century is still a record: it takes a look at the store to find it out
		for _, file := range []string{w.Dir().JournalFile(), w.Dir().RecordFile("demo")} {
			data, err := os.ReadFile(file)
			if err != nil || chance.IntN(3) == 0 {
				continue
			}
			data = garble(chance, data)
			if err := durable.WriteFile(file, data, 0o644); err != nil {
				t.Fatal(err)
			}
			_, _, err = w.Dir().Record("demo")
			believed = err == nil && file == w.Dir().RecordFile("demo")
		}
		if r := w.set(t, status.Offline); r.Err != nil {
			t.Fatalf("%d: set offline: %v", n, r.Err)
		}
		if believed {
			w.reconcile(t)
		}
		w.agrees(t, status.Offline)
		if rs := w.reconcile(t); len(rs) != 0 {
			t.Fatalf("%d: reconcile took %s", n, rs[0].steps())
		}
		if entries, err := os.ReadDir(filepath.Join(w.Config.StateDir, "sites")); err != nil || len(entries) != 1 {
			t.Fatalf("%d: written for sites: %v (%v)", n, entries, err)
		}
	}
}

// garble cuts data short, changes some of its bytes, or copies one part over another.
func garble(chance *rand.Rand, data []byte) []byte {
	data = bytes.Clone(data)
	for range 1 + chance.IntN(3) {
		if len(data) == 0 {
			break
		}
		at := chance.IntN(len(data))
		switch chance.IntN(3) {
		case 0:
			data = data[:at]
		case 1:
			data[at] = byte(chance.IntN(256))
		case 2:
			copy(data[at:], data[chance.IntN(len(data)):])
		}
	}
	return data
}
