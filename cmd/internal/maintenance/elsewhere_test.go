package maintenance

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

// laptop is another machine with the same configuration and the same store: it has no state, and no nginx.
func (w *world) laptop(t *testing.T) *Host {
	t.Helper()
	h, c := *w.Host, *w.Config
	c.StateDir = filepath.Join(memory(t), "state")
	c.Nginx.ConfDir = filepath.Join(memory(t), "conf")
	h.Config = &c
	return &h
}

// TestExtendElsewhere: another machine says that it takes longer; the host takes that over, and never a mode.
func TestExtendElsewhere(t *testing.T) {
	text, eta := "It takes longer.", func(w *world) time.Time { return w.now.Add(3 * time.Hour).Truncate(time.Second) }
	for name, c := range map[string]struct {
		here func(*testing.T, *world) // what the host does before it hears of it
		mode status.Mode
		text string // afterwards, on the host and published
	}{
		"reconcile":                {func(t *testing.T, w *world) { w.reconcile(t) }, status.Offline, text},
		"let administrators in":    {func(t *testing.T, w *world) { w.set(t, status.Admin) }, status.Admin, text},
		"closed again, same words": {func(t *testing.T, w *world) { w.set(t, status.Offline) }, status.Offline, text},
		"other words": {func(t *testing.T, w *world) {
			other := "We found the fault."
			w.set(t, status.Offline, func(r *Request) { r.Message = &other })
		}, status.Offline, "We found the fault."},
		"opened": {func(t *testing.T, w *world) { w.set(t, status.Online) }, status.Online, ""},
		"booted": {func(t *testing.T, w *world) {
			w.running = false
			if _, err := w.Reconcile(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			w.running = true
			w.load()
		}, status.Offline, text},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			soon := w.now.Add(time.Hour)
			w.set(t, status.Offline, func(r *Request) { r.ETA = &soon })
			before := w.announced(t).Seq
			far := w.laptop(t)
			until := eta(w)
			rs, err := far.Extend(t.Context(), Request{Keeps: KeepsMode, Sites: far.Config.Sites, ETA: &until, Message: &text})
			if err != nil || len(rs) != 1 || rs[0].Err != nil || !rs[0].Published || rs[0].Mode != status.Offline {
				t.Fatalf("extend: %+v, %v", rs, err)
			}
			if far.Dir().Exists() {
				t.Error("the other machine has a state directory now")
			}
			if d := w.announced(t); d.Seq != before+1 || !d.ExpectedUntil.Equal(until) || *d.Message != text || d.Mode != status.Offline {
				t.Fatalf("published is %+v", d)
			}
			c.here(t, w)
			w.agrees(t, c.mode)
			r, _, err := w.Dir().Record(w.site.Name)
			if err != nil {
				t.Fatal(err)
			}
			for where, d := range map[string]status.Document{"on record": r.Document, "published": w.announced(t)} {
				switch {
				case c.text == "" && (d.Message != nil || d.ExpectedUntil != nil):
					t.Errorf("%s is %+v", where, d)
				case c.text != "" && (d.Message == nil || *d.Message != c.text || !d.ExpectedUntil.Equal(until)):
					t.Errorf("%s is %+v", where, d)
				}
			}
			served, err := os.ReadFile(filepath.Join(w.Dir().SiteDir("demo"), "status.json"))
			if err != nil || !strings.Contains(string(served), c.text) {
				t.Errorf("nginx serves %s, %v", served, err)
			}
			if rs := w.reconcile(t); len(rs) > 0 {
				t.Errorf("something is left to do: %+v", rs)
			}
		})
	}
}

// TestTakeOver: what somebody writes into the store by hand, and what the host makes of it.
func TestTakeOver(t *testing.T) {
	for name, c := range map[string]struct {
		mode  status.Mode // on the host
		write func(d *status.Document)
		words bool // they are taken over
	}{
		"newer words":           {status.Offline, func(d *status.Document) { d.Seq++ }, true},
		"words of the same seq": {status.Offline, func(*status.Document) {}, false},
		"older words":           {status.Offline, func(d *status.Document) { d.Seq-- }, false},
		"words and admin":       {status.Offline, func(d *status.Document) { d.Seq++; d.Mode = status.Admin }, true},
		"an opening":            {status.Offline, func(d *status.Document) { d.Seq++; d.Mode = status.Online }, false},
		"a closing":             {status.Online, func(d *status.Document) { d.Seq++; d.Mode = status.Offline }, false},
		"another site's":        {status.Offline, func(d *status.Document) { d.Seq++; d.Site = "other" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.set(t, status.Offline)
			if c.mode != status.Offline {
				w.set(t, c.mode)
			}
			d, text, until := w.announced(t), "By hand.", w.now.Add(time.Hour).Truncate(time.Second)
			d.Message, d.ExpectedUntil = &text, &until
			c.write(&d)
			w.docs[StatusKey(w.site)] = d.Marshal()
			w.reconcile(t)
			w.agrees(t, c.mode)
			got := w.announced(t)
			if taken := got.Message != nil && *got.Message == text && got.ExpectedUntil.Equal(until); taken != c.words {
				t.Errorf("published is %+v", got)
			}
			if got.Seq < d.Seq {
				t.Errorf("seq went from %d to %d", d.Seq, got.Seq)
			}
		})
	}
}

// TestExtendElsewhereRefuses: what can't be said of a site from another machine.
func TestExtendElsewhereRefuses(t *testing.T) {
	w := newWorld(t)
	far := w.laptop(t)
	until := w.now.Add(time.Hour)
	req := Request{Keeps: KeepsMode, Sites: far.Config.Sites, ETA: &until}
	if _, err := far.Extend(t.Context(), req); !errors.Is(err, ErrOnline) || !strings.Contains(err.Error(), "nothing is published") {
		t.Errorf("of one that isn't published: %v", err)
	}
	w.set(t, status.Online)
	if _, err := far.Extend(t.Context(), req); !errors.Is(err, ErrOnline) {
		t.Errorf("of one that is online: %v", err)
	}
	w.set(t, status.Offline)
	if _, err := far.Extend(t.Context(), Request{Keeps: KeepsMode, Sites: far.Config.Sites, Longer: time.Hour}); !errors.Is(err, ErrNoETA) {
		t.Errorf("longer than nothing: %v", err)
	}
	w.docs[StatusKey(w.site)] = []byte(`{"version":2}`)
	if _, err := far.Extend(t.Context(), req); !errors.Is(err, status.ErrVersion) || string(w.docs[StatusKey(w.site)]) != `{"version":2}` {
		t.Errorf("of one of the future: %v", err)
	}
	w.storeErr = errDown
	if _, err := far.Extend(t.Context(), req); !errors.Is(err, errDown) {
		t.Errorf("with the store away: %v", err)
	}
}

// TestScheduleElsewhere: a window is scheduled, moved and cancelled on another machine; what it is refused there.
func TestScheduleElsewhere(t *testing.T) {
	w := newWorld(t)
	far := w.laptop(t)
	announce := func(id string, change func(status.Schedule, time.Time) (status.Schedule, error)) error {
		_, err := far.Announce(t.Context(), Announcement{Sites: far.Config.Sites, ID: id, Change: change})
		return err
	}
	add := func(id string, in time.Duration) error {
		return announce(id, func(s status.Schedule, now time.Time) (status.Schedule, error) { return s.Add(w.window(id, in), now) })
	}
	if err := add("w", leastAhead-time.Second); !errors.Is(err, ErrTooSoon) || len(w.docs) > 0 {
		t.Errorf("less than two minutes ahead: %v", err)
	}
	if err := add("w", -time.Second); !errors.Is(err, ErrBegun) || len(w.docs) > 0 {
		t.Errorf("in the past: %v", err)
	}
	if err := add("w", leastAhead); err != nil {
		t.Fatal(err)
	}
	if d := w.announced(t); d.Mode != status.Online || d.Next == nil || !d.Next.From.Equal(w.now.Add(leastAhead)) {
		t.Errorf("status.json says %+v", d)
	}
	if err := add("v", leastAhead+time.Minute); !errors.Is(err, status.ErrOverlap) {
		t.Errorf("over another: %v", err)
	}
	if len(w.docs["demo/maintenance.ics"]) == 0 {
		t.Error("there is no calendar")
	}
	w.reconcile(t)
	if d := w.announced(t); d.Next == nil {
		t.Errorf("the host has status.json say %+v", d)
	}
	sooner := func(s status.Schedule, now time.Time) (status.Schedule, error) {
		from := now.Add(time.Minute)
		return s.Move("w", status.Moved{From: &from}, now)
	}
	if err := announce("w", sooner); !errors.Is(err, ErrTooSoon) {
		t.Errorf("moved to in a minute: %v", err)
	}
	if err := announce("w", func(s status.Schedule, now time.Time) (status.Schedule, error) { return s.Cancel("w", now) }); err != nil {
		t.Fatal(err)
	}
	if d := w.announced(t); d.Next != nil {
		t.Errorf("status.json says %+v", d)
	}
	w.now = w.now.Add(leastAhead)
	w.reconcile(t)
	w.in(t, status.WindowCancelled)
	if w.effective() != status.Online {
		t.Errorf("the site is %s", w.effective())
	}
	if far.Dir().Exists() {
		t.Error("the other machine has a state directory now")
	}
}

// TestAnnounceAllOrNone: what can't be announced for one site is announced for none.
func TestAnnounceAllOrNone(t *testing.T) {
	w := newWorld(t)
	w.another(t)
	far := w.laptop(t)
	puts := 0
	w.moment = func(what string) {
		if what == "put" {
			if puts++; puts == 2 {
				w.docs["other/schedule.json"] = w.schedule(t, w.window("v", time.Hour)) // somebody else comes in between
			}
		}
	}
	_, err := far.Announce(t.Context(), Announcement{Sites: far.Config.Sites, ID: "w", Change: func(s status.Schedule, now time.Time) (status.Schedule, error) {
		return s.Add(w.window("w", time.Hour), now)
	}})
	if !errors.Is(err, status.ErrOverlap) {
		t.Fatalf("it says %v", err)
	}
	if s := w.stored(t); len(s.Windows) > 0 {
		t.Errorf("left is %+v", s.Windows)
	}
}
