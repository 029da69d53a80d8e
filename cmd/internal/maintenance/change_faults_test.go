package maintenance

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestFaultsOfNginx: what a change comes to, and that it ends in agreement once the fault is gone.
func TestFaultsOfNginx(t *testing.T) {
	broken := errors.Join(control.ErrRefused, errors.New("unknown directive"))
	for name, c := range map[string]struct {
		from, to status.Mode
		fault    func(*world)
		want     state.Outcome
		is       error
		now      status.Mode // "" when nginx doesn't run
		ends     status.Mode // after reconcile
	}{
		"closing, not running":         {status.Online, status.Offline, func(w *world) { w.running = false }, state.Shut, workers.ErrNotRunning, "", status.Offline},
		"closing, broken":              {status.Online, status.Offline, func(w *world) { w.testErr = broken }, state.Shut, control.ErrRefused, status.Offline, status.Offline},
		"closing, not taken up":        {status.Online, status.Offline, func(w *world) { w.deaf = true }, state.Shut, nil, status.Offline, status.Offline},
		"closing, not taken up, blind": {status.Online, status.Offline, func(w *world) { w.deaf, w.blind = true, true }, state.Failed, ErrNotShut, status.Online, status.Offline},
		"closing, not taken up, behind a 502": {status.Online, status.Offline, func(w *world) { w.deaf, w.blind, w.app = true, true, 502 },
			state.Failed, ErrMaybeOpen, status.Online, status.Offline},
		"closing, mute":            {status.Online, status.Offline, func(w *world) { w.mute = true }, state.Failed, ErrMaybeOpen, status.Offline, status.Offline},
		"closing, blind":           {status.Online, status.Offline, func(w *world) { w.blind = true }, state.Done, nil, status.Offline, status.Offline},
		"to admin, broken":         {status.Online, status.Admin, func(w *world) { w.testErr = broken }, state.Shut, control.ErrRefused, status.Offline, status.Admin},
		"admin to offline, broken": {status.Admin, status.Offline, func(w *world) { w.testErr = broken }, state.Shut, control.ErrRefused, status.Offline, status.Offline},
		"opening, not running":     {status.Offline, status.Online, func(w *world) { w.running = false }, state.Failed, workers.ErrNotRunning, "", status.Offline},
		"opening, broken":          {status.Offline, status.Online, func(w *world) { w.testErr = broken }, state.Failed, control.ErrRefused, status.Offline, status.Offline},
		"opening, not taken up":    {status.Offline, status.Admin, func(w *world) { w.deaf = true }, state.Failed, nil, status.Offline, status.Offline},
		"admin to online, broken":  {status.Admin, status.Online, func(w *world) { w.testErr = broken }, state.Failed, control.ErrRefused, status.Admin, status.Admin},
		"opening, the application is down": {status.Offline, status.Online, func(w *world) { w.app = 502 }, state.Done, nil,
			status.Online, status.Online},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.set(t, c.from)
			c.fault(w)
			began := w.now
			r := w.set(t, c.to)
			if r.Outcome != c.want || c.is != nil && !errors.Is(r.Err, c.is) {
				t.Errorf("%s: %v", r.Outcome, r.Err)
			}
			if w.effective() != c.now {
				t.Errorf("nginx is %q, want %q", w.effective(), c.now)
			}
			if took := w.now.Sub(began); took > 25*time.Second {
				t.Errorf("it took %v", took)
			}
			if r.Outcome != state.Done && c.to.StricterThan(c.from) && r.SafeSince != nil {
				t.Error("it is called safe")
			}
			w.testErr, w.deaf, w.blind, w.mute, w.app = nil, false, false, false, 200
			if !w.running {
				w.running = true
				w.load()
				if w.effective() == status.Online {
					t.Error("nginx comes up open")
				}
			}
			w.reconcile(t)
			w.agrees(t, c.ends)
			w.set(t, c.to)
			w.agrees(t, c.to)
		})
	}
}

// TestOpeningThatFailsHalfWay: a site that was open for a moment is shut again, and isn't safe any more.
func TestOpeningThatFailsHalfWay(t *testing.T) {
	for _, to := range []status.Mode{status.Online, status.Admin} {
		w := newWorld(t)
		w.set(t, status.Offline)
		opened := false
		w.moment = func(what string) {
			if what == "probe" && slices.Contains(w.heard.begun, StepOpen) && !opened {
				opened = w.effective() == to
				w.running = false
			} else if what == "test" {
				w.running = true
			}
		}
		r := w.set(t, to)
		if r.Outcome != state.Failed || !opened || w.effective() != status.Offline {
			t.Errorf("%s: %s, it was open: %v, nginx is %s", to, r.Outcome, opened, w.effective())
		}
		if r.SafeSince != nil {
			t.Errorf("%s: it is called safe since %v, but was open later", to, r.SafeSince)
		}
		w.agrees(t, status.Offline)
		if r := w.set(t, status.Offline); r.SafeSince == nil {
			t.Errorf("%s: drained, and not safe", to)
		}
	}
}

// TestSmoke: an application is tried before anybody is let in, and one that isn't right keeps its site shut.
func TestSmoke(t *testing.T) {
	for name, c := range map[string]struct {
		smoke      string
		mustAnswer bool
		app        int
		opens      bool
	}{
		"no path":                               {"", false, 502, true},
		"no path, but it must answer":           {"", true, 502, false},
		"no path, and it answers that it can't": {"", true, 500, true},
		"it answers":                            {"/healthz", false, 204, true},
		"it redirects":                          {"/healthz", false, 302, false},
		"it isn't there":                        {"/healthz", false, 404, false},
		"it fails":                              {"/healthz", true, 500, false},
		"it is down":                            {"/healthz", false, 502, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, to := range []status.Mode{status.Online, status.Admin} {
				w := newWorld(t)
				w.Config.Sites[0].Smoke, w.app = c.smoke, c.app
				w.set(t, status.Offline)
				open := false
				w.moment = func(what string) {
					open = open || what == "see" && w.effective() != status.Offline && !slices.Contains(w.heard.begun, StepOpen)
				}
				r := w.set(t, to, func(r *Request) { r.MustAnswer = c.mustAnswer })
				if (r.Outcome == state.Done) != c.opens || !c.opens && !errors.Is(r.Err, ErrSmoke) {
					t.Errorf("%s: %s, %v", to, r.Outcome, r.Err)
				}
				if open {
					t.Errorf("%s: it was open while it was tried", to)
				}
				if !c.opens {
					w.agrees(t, status.Offline)
				}
			}
		})
	}
}

// TestClockJumps: a clock that is put forward or back by an hour ends waits early or late, and nothing worse.
func TestClockJumps(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		for n := 1; n <= 12; n++ {
			w := newWorld(t)
			w.left.Connections, w.drainAfter = []workers.Connection{one}, 8
			sleeps := 0
			w.sleeps = func() {
				if sleeps++; sleeps == n {
					w.now = w.now.Add(by)
				}
			}
			r := w.set(t, status.Offline)
			if w.effective() != status.Offline || w.published() != status.Offline {
				t.Fatalf("%v at sleep %d: nginx is %s, published is %s", by, n, w.effective(), w.published())
			}
			if safe := r.SafeSince != nil; safe != (r.Outcome == state.Done && r.Cut == 0 && r.Left == 0) {
				t.Fatalf("%v at sleep %d: safe since %v, with %d cut and %d left (%s)", by, n, r.SafeSince, r.Cut, r.Left, r.Outcome)
			}
			w.left.Connections = nil
			w.set(t, status.Online)
			w.agrees(t, status.Online)
		}
	}
}

// TestLock: who waits is told for whom, and gets the lock when its holder has let go of it.
func TestLock(t *testing.T) {
	w := newWorld(t)
	w.Operator, w.Command = "bob", "set offline --eta 30m"
	unlock, err := w.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	began := w.now
	if _, err := w.Set(t.Context(), w.request(status.Offline)); !errors.Is(err, state.ErrBusy) || !strings.Contains(err.Error(), w.Command) {
		t.Errorf("while it is locked: %v", err)
	}
	if took := w.now.Sub(began); took < state.LockTimeout || took > state.LockTimeout+time.Minute {
		t.Errorf("it waited %v", took)
	}
	if len(w.heard.waiting) != 1 || w.heard.waiting[0].Operator != "bob" || w.heard.waiting[0].PID != os.Getpid() {
		t.Errorf("told to wait for %+v", w.heard.waiting)
	}
	if w.effective() != status.Online || len(w.docs) != 0 {
		t.Error("something was done without the lock")
	}
	// One who has only just got it has yet to write who they are.
	w.heard.waiting = nil
	if err := os.WriteFile(filepath.Join(w.Config.StateDir, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.sleeps = unlock
	w.set(t, status.Offline)
	if len(w.heard.waiting) != 0 {
		t.Errorf("told to wait for %+v", w.heard.waiting)
	}
	w.agrees(t, status.Offline)
}

// TestNothingIsDoneThatCannotBeWrittenDown: a change begins with the journal.
func TestNothingIsDoneThatCannotBeWrittenDown(t *testing.T) {
	w := newWorld(t)
	if err := os.MkdirAll(filepath.Join(w.Dir().JournalFile(), "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Set(t.Context(), w.request(status.Offline)); err == nil {
		t.Error("no error")
	}
	if w.effective() != status.Online || len(w.docs) != 0 {
		t.Errorf("nginx is %s, published is %v", w.effective(), w.docs)
	}
}

// TestRecordThatCannotBeWritten: what was done stays in the journal, and is written down by the next.
func TestRecordThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	w.set(t, status.Online)
	if err := errors.Join(os.Remove(w.Dir().RecordFile("demo")), os.MkdirAll(filepath.Join(w.Dir().RecordFile("demo"), "in the way"), 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Set(t.Context(), w.request(status.Offline)); err == nil {
		t.Fatal("a record that can't be read is no error")
	}
	if err := os.RemoveAll(w.Dir().RecordFile("demo")); err != nil {
		t.Fatal(err)
	}
	w.moment = func(string) { // when the closing is on its way
		if w.Dir().IsShut("demo") {
			_ = os.MkdirAll(filepath.Join(w.Dir().RecordFile("demo"), "in the way"), 0o755)
		}
	}
	r := w.set(t, status.Offline)
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "not on record yet") || w.effective() != status.Offline {
		t.Errorf("nginx is %s, warnings: %q", w.effective(), r.Warnings)
	}
	w.moment = func(string) {}
	if err := os.RemoveAll(w.Dir().RecordFile("demo")); err != nil {
		t.Fatal(err)
	}
	w.reconcile(t)
	w.agrees(t, status.Offline)
}
