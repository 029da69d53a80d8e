package state

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/status"
)

// document is one of the site "demo".
func document(mode status.Mode) status.Document {
	now := time.Date(2026, 11, 22, 21, 15, 0, 0, time.UTC)
	return status.Document{
		Version: status.Version, Site: "demo", Mode: mode, Seq: 1, Since: now, UpdatedAt: now,
		AppURL: "https://demo.example.org:50000", PageURL: "https://maintenance.example.org/demo/",
	}
}

// journalOf returns the journal of a change to the mode that was killed on its way.
func journalOf(tb testing.TB, to status.Mode) []byte {
	tb.Helper()
	d := Dir(tb.TempDir())
	j, err := d.Begin(Intent{Operator: "ann", Drain: 30 * time.Second, Changes: []SiteChange{{Site: "demo", From: status.Online, To: document(to)}}}, "announce")
	if err != nil {
		tb.Fatal(err)
	}
	for _, l := range []JournalLine{{"announce", StepBegins, ""}, {"announce", StepFailed, "the store is down"}, {"shut", StepBegins, ""}} {
		if err := j.Write(l); err != nil {
			tb.Fatal(err)
		}
	}
	j.Keep()
	data, err := os.ReadFile(d.JournalFile())
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// recordOf returns the record of a site in the mode.
func recordOf(tb testing.TB, mode status.Mode) []byte {
	tb.Helper()
	d := Dir(tb.TempDir())
	if err := d.WriteRecord("demo", Record{Document: document(mode), Revision: "7-00c0ffee", Changes: 7}); err != nil {
		tb.Fatal(err)
	}
	data, err := os.ReadFile(d.RecordFile("demo"))
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
		"a document of its own": {string(document(status.Online).Marshal()), false},
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
	if in, err := parseJournal([]byte(cut)); err != nil || !slices.Equal(in.Begun, []string{"cut"}) {
		t.Errorf("a cut in the journal: %v, %v", in.Begun, err)
	}
	if in, _ := parseJournal([]byte(good)); !slices.Equal(in.Begun, []string{"announce", "shut"}) {
		t.Errorf("begun were %v", in.Begun)
	}
}

func TestParseRecord(t *testing.T) {
	good := string(recordOf(t, status.Offline))
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
		again, err := json.Marshal(in.Intent)
		if err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		if got, err := parseJournal(append(again, '\n')); err != nil || len(got.Changes) != len(in.Changes) || got.Cut != in.Cut {
			t.Fatalf("what was written is read as %+v, %v", got, err)
		}
	})
}

func FuzzRecord(f *testing.F) {
	for _, m := range status.Modes() {
		data := recordOf(f, m)
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

// TestRecordOfTheFirstRelease: what it wrote as three keys is one hold.
func TestRecordOfTheFirstRelease(t *testing.T) {
	for _, c := range []struct {
		keys string
		want Hold
	}{
		{``, HoldNone},
		{`"noCut": true,`, HoldLeftAlone},
		{`"held": true,`, HoldNone}, // what is left was to be cut, and reconcile tries again
		{`"noCut": true, "held": true,`, HoldKeptShut},
		{`"noCut": true, "held": true, "waits": true,`, HoldKeptShutUnannounced},
		{`"held": true, "waits": true,`, HoldUnannounced},
		{`"hold": "kept-shut",`, HoldKeptShut},
	} {
		data := strings.Replace(string(recordOf(t, status.Admin)), "{", "{"+c.keys, 1)
		if r, err := parseRecord("demo", []byte(data)); err != nil || r.Hold != c.want {
			t.Errorf("%s: hold %q, want %q (%v)", c.keys, r.Hold, c.want, err)
		}
	}
	data := strings.Replace(string(recordOf(t, status.Admin)), "{", `{"hold": "tight",`, 1)
	if _, err := parseRecord("demo", []byte(data)); !errors.Is(err, ErrRecord) {
		t.Errorf("a hold that is none: %v", err)
	}
}

// TestWhatVisitorsAreTold: nginx's health says 503 while a site is shut and this file is there.
func TestWhatVisitorsAreTold(t *testing.T) {
	d := Dir(t.TempDir())
	for _, c := range []struct {
		mode status.Mode
		open bool
	}{{status.Offline, false}, {status.Online, true}, {status.Online, true}, {status.Admin, false}, {status.Offline, false}, {status.Online, true}} {
		if err := d.WriteAnswers(document(c.mode)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(d.SiteDir("demo"), nginxconf.ToldOpenFile)); (err == nil) != c.open {
			t.Errorf("%s: %v, want told open to be %v", c.mode, err, c.open)
		}
	}
}
