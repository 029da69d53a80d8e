package maintenance

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/status"
)

// journalOf returns the journal of a change that was killed on its way.
func journalOf(tb testing.TB, to status.Mode) []byte {
	tb.Helper()
	w := newWorld(tb)
	w.set(tb, status.Online)
	if !w.killAt(12, func() { w.set(tb, to) }) {
		tb.Fatal("it was not killed")
	}
	data, err := os.ReadFile(w.journalFile())
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestParseJournal(t *testing.T) {
	good := string(journalOf(t, status.Offline))
	first, steps, _ := strings.Cut(good, "\n")
	for name, c := range map[string]struct {
		data string
		ok   bool
	}{
		"as it is":              {good, true},
		"its first line":        {first + "\n", true},
		"steps that are torn":   {good[:len(good)-7], true},
		"steps that are not":    {first + "\n" + "\x00\x00\xff{", true},
		"empty":                 {"", false},
		"torn":                  {first, false},
		"shorter":               {first[:len(first)-1] + "\n", false},
		"only steps":            {steps, false},
		"of the future":         {strings.Replace(good, `"version":1`, `"version":2`, 1), false},
		"without a version":     {strings.Replace(good, `"version":1,`, "", 1), false},
		"another mode":          {strings.Replace(good, `"mode":"offline"`, `"mode":"ajar"`, 1), false},
		"another former mode":   {strings.Replace(good, `"from":"online"`, `"from":""`, 1), false},
		"two sites in one":      {strings.Replace(good, `{"site":"demo","from"`, `{"site":"north","from"`, 1), false},
		"nothing to change":     {first[:strings.Index(first, `"changes"`)] + `"changes":[]}` + "\n", false},
		"zeros after a blow":    {strings.Repeat("\x00", len(good)), false},
		"an array":              {"[]\n", false},
		"null":                  {"null\n", false},
		"a document of its own": {string(unknown(newWorld(t).site, newWorld(t).now).Marshal()), false},
	} {
		in, err := parseJournal([]byte(c.data))
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrJournal) {
			t.Errorf("%s: %v", name, err)
		}
		if c.ok && (len(in.Changes) != 1 || in.Changes[0].To.Mode != status.Offline) {
			t.Errorf("%s: %+v", name, in)
		}
	}
	cut := first + "\n" + `{"step":"cut","event":"begin"}` + "\n"
	if in, err := parseJournal([]byte(cut)); err != nil || !in.Cut {
		t.Errorf("a cut in the journal: %v, %v", in.Cut, err)
	}
	if in, _ := parseJournal([]byte(good)); in.Cut {
		t.Error("a cut where there was none")
	}
}

func TestParseRecord(t *testing.T) {
	w := newWorld(t)
	w.set(t, status.Offline)
	data, err := os.ReadFile(w.recordFile("demo"))
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	for name, c := range map[string]struct {
		data string
		ok   bool
	}{
		"as it is":            {good, true},
		"keys that come yet":  {strings.Replace(good, "{", `{"tomorrow": 1,`, 1), true},
		"empty":               {"", false},
		"torn":                {good[:len(good)/2], false},
		"of the future":       {strings.Replace(good, `"version": 1`, `"version": 2`, 1), false},
		"a future document":   {strings.Replace(good, "\"version\": 1,\n    \"site\"", "\"version\": 2,\n    \"site\"", 1), false},
		"another mode":        {strings.Replace(good, `"mode": "offline"`, `"mode": "shut"`, 1), false},
		"a negative sequence": {strings.Replace(good, `"seq": 1`, `"seq": -1`, 1), false},
		"of another site":     {strings.Replace(good, `"site": "demo"`, `"site": "../../etc"`, 1), false},
		"zeros after a blow":  {strings.Repeat("\x00", len(good)), false},
		"null":                {"null", false},
	} {
		r, err := parseRecord("demo", []byte(c.data))
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
		if c.ok && r.Document.Mode != status.Offline {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

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

// TestGarbledState: whatever the journal or the record holds, a closing closes, and then there is nothing left to do. (Not
// a fuzz target, whose inputs have to be quick and always go the same way.)
func TestGarbledState(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	for n := range 60 {
		w := newWorld(t)
		w.set(t, modes[chance.IntN(len(modes))])
		w.killAt(1+chance.IntN(30), func() { w.set(t, modes[chance.IntN(len(modes))]) })
		believed := false // a date of another century is still a record: it takes a look at the store to find it out
		for _, file := range []string{w.journalFile(), w.recordFile("demo")} {
			data, err := os.ReadFile(file)
			if err != nil || chance.IntN(3) == 0 {
				continue
			}
			data = garble(chance, data)
			if err := durable.WriteFile(file, data, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err = parseRecord("demo", data)
			believed = err == nil && file == w.recordFile("demo")
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

func FuzzJournal(f *testing.F) {
	good := journalOf(f, status.Offline)
	f.Add(good)
	f.Add(journalOf(f, status.Admin))
	f.Add(good[:len(good)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := parseJournal(data)
		if err != nil {
			if !errors.Is(err, ErrJournal) {
				t.Fatalf("not ErrJournal: %v", err)
			}
			return
		}
		again, err := json.Marshal(in)
		if err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		if got, err := parseJournal(append(again, '\n')); err != nil || len(got.Changes) != len(in.Changes) || got.Cut != in.Cut {
			t.Fatalf("what was written is read as %+v, %v", got, err)
		}
	})
}

func FuzzRecord(f *testing.F) {
	w := newWorld(f)
	for _, m := range modes {
		w.set(f, m)
		data, err := os.ReadFile(w.recordFile("demo"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRecord("demo", data)
		if err != nil {
			if !errors.Is(err, ErrRecord) {
				t.Fatalf("not ErrRecord: %v", err)
			}
			return
		}
		if got, err := parseRecord("demo", mustJSON(r)); err != nil || !got.Document.Same(r.Document) || r.Document.Site != "demo" {
			t.Fatalf("what was written is read as %+v, %v", got, err)
		}
	})
}
