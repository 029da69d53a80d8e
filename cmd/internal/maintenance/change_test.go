package maintenance

import (
	"bytes"
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

func (r *Receipt) steps() string {
	var out []string
	for _, s := range r.Steps {
		out = append(out, string(s.Step))
	}
	return strings.Join(out, " ")
}

// TestSetTakesItsSteps: a site goes round, and each change has its order.
func TestSetTakesItsSteps(t *testing.T) {
	const (
		closing = "announce shut install test reload probe drain"
		opening = "install test reload probe"
	)
	w := newWorld(t)
	for _, c := range []struct {
		to   status.Mode
		want string
	}{
		{status.Offline, closing + " record"},
		{status.Offline, ""},
		{status.Admin, opening + " open publish record"},
		{status.Offline, closing + " record"},
		{status.Online, opening + " open see publish record"},
		{status.Online, ""},
		{status.Admin, closing + " open record"},
		{status.Online, opening + " open see publish record"},
	} {
		r := w.set(t, c.to)
		if r.steps() != c.want || r.Err != nil {
			t.Errorf("set %s: took %q, want %q (%v)", c.to, r.steps(), c.want, r.Err)
		}
		w.agrees(t, c.to)
		if _, err := os.Stat(w.journalFile()); err == nil {
			t.Errorf("set %s: the journal is still there", c.to)
		}
		if rs := w.reconcile(t); len(rs) != 0 {
			t.Errorf("after set %s, reconcile took %q", c.to, rs[0].steps())
		}
		// What a dry run foresees is what is done then.
		for _, next := range modes {
			foreseen := w.set(t, next, func(r *Request) { r.DryRun = true }).steps()
			if next == c.to && foreseen != "" {
				t.Errorf("from %s, a dry run of %s foresees %q", c.to, next, foreseen)
			}
		}
	}
}

func TestDryRunForeseesTheSteps(t *testing.T) {
	w := newWorld(t)
	w.Config.Sites[0].Settled, w.Config.Sites[0].Smoke = []string{"true"}, "/healthz"
	w.set(t, status.Offline, func(r *Request) { r.DryRun = true })
	if _, err := os.Stat(w.Config.StateDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a dry run makes the state directory (%v)", err)
	}
	for _, to := range []status.Mode{status.Offline, status.Admin, status.Online, status.Admin, status.Offline, status.Online} {
		before := w.effective()
		foreseen := w.set(t, to, func(r *Request) { r.DryRun = true })
		if foreseen.Outcome != Planned || w.effective() != before {
			t.Fatalf("a dry run ended in %s, nginx is %s", foreseen.Outcome, w.effective())
		}
		if done := w.set(t, to); done.steps() != foreseen.steps()+" record" {
			t.Errorf("set %s: foreseen was %q, done is %q", to, foreseen.steps(), done.steps())
		}
	}
}

var (
	one = nginxconf.Connection{Process: nginxconf.Process{PID: 11, Start: 1}}
	two = nginxconf.Connection{Process: nginxconf.Process{PID: 12, Start: 1}}
)

// TestReceiptCounts: what was let in before, and what became of it.
func TestReceiptCounts(t *testing.T) {
	held := func(w *world) { w.left.Connections = []nginxconf.Connection{one, two} }
	for name, c := range map[string]struct {
		setup              func(*world)
		noCut              bool
		drained, cut, left int
		safe               bool
		warns              string
		took               time.Duration // at most
	}{
		"nothing":                    {func(*world) {}, false, 0, 0, 0, true, "", time.Second},
		"it ends by itself":          {func(w *world) { held(w); w.drainAfter = 20 }, false, 2, 0, 0, true, "", time.Second},
		"it is cut":                  {held, false, 0, 2, 0, false, "", 32 * time.Second},
		"it is not to be cut":        {held, true, 0, 0, 2, false, "", 32 * time.Second},
		"it can't be cut one by one": {func(w *world) { held(w); w.cantCut = true }, false, 0, 2, 0, false, "old worker 11 was ended", 32 * time.Second},
		"it can't be cut at all":     {func(w *world) { held(w); w.cutStays = true }, false, 0, 0, 2, false, "", 37 * time.Second},
		"an old worker still listens": {func(w *world) { w.left.Listening = []nginxconf.Process{one.Process} }, false, 0, 0, 0, true, "old worker 11 was ended",
			32 * time.Second},
		"an old worker can't be looked at": {func(w *world) { w.left.Unreadable = []nginxconf.Process{one.Process} }, false, 0, 0, 1, false, "", 37 * time.Second},
		"cut, and vouched for":             {func(w *world) { held(w); w.Config.Sites[0].Settled = []string{"true"} }, false, 0, 2, 0, true, "", 32 * time.Second},
		"drained, and not vouched for": {func(w *world) {
			w.Config.Sites[0].Settled, w.settledErr = []string{"false"}, errors.New("3 transactions")
		},
			false, 0, 0, 0, false, "3 transactions", 32 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.setup(w)
			began := w.now
			r := w.set(t, status.Offline, func(r *Request) { r.NoCut = c.noCut })
			if r.Drained != c.drained || r.Cut != c.cut || r.Left != c.left || (r.SafeSince != nil) != c.safe {
				t.Errorf("drained %d, cut %d, left %d, safe since %v", r.Drained, r.Cut, r.Left, r.SafeSince)
			}
			if unsettled := name == "drained, and not vouched for"; r.Unsettled != unsettled || r.WasCut != (c.cut > 0 && !c.safe) {
				t.Errorf("not settled: %v, something was cut: %v", r.Unsettled, r.WasCut)
			}
			if warnings := strings.Join(r.Warnings, "\n"); !strings.Contains(warnings, c.warns) {
				t.Errorf("warnings: %q, want %q", warnings, c.warns)
			}
			if took := w.now.Sub(began); took > c.took {
				t.Errorf("it took %v", took)
			}
			if r.Outcome != Done || r.ClosedAt == nil || w.effective() != status.Offline {
				t.Errorf("%s, closed at %v, nginx is %s", r.Outcome, r.ClosedAt, w.effective())
			}
		})
	}
}

// TestSafety: once something was cut, only the site's own command, or opening it, makes up for it.
func TestSafety(t *testing.T) {
	w := newWorld(t)
	w.left.Connections = []nginxconf.Connection{one}
	if r := w.set(t, status.Offline); r.Cut != 1 || r.SafeSince != nil {
		t.Fatalf("cut %d, safe since %v", r.Cut, r.SafeSince)
	}
	if r := w.set(t, status.Offline); r.SafeSince != nil || !r.WasCut {
		t.Errorf("safe, because it was asked twice (it says that something was cut: %v)", r.WasCut)
	}
	eta := w.now.Add(time.Hour)
	if r := w.set(t, status.Offline, func(r *Request) { r.WordsOnly, r.ETA = true, &eta }); r.SafeSince != nil || !r.WasCut {
		t.Errorf("safe, because it was extended (it says that something was cut: %v)", r.WasCut)
	}
	if r := w.set(t, status.Admin); r.SafeSince != nil {
		t.Error("safe, because it went admin")
	}
	if r := w.set(t, status.Offline); r.SafeSince != nil {
		t.Error("safe, because it came back from admin")
	}
	w.Config.Sites[0].Settled = []string{"true"}
	if r := w.set(t, status.Offline); r.SafeSince == nil {
		t.Error("not safe, though the application was found idle")
	}
	w.set(t, status.Online)
	if r := w.set(t, status.Offline); r.SafeSince == nil || r.Cut != 0 {
		t.Error("not safe, though it was open in between")
	}
}

// TestAdminStaysShutWhileSomethingIsLeft: with --no-cut a site on its way from online doesn't open to administrators.
func TestAdminStaysShutWhileSomethingIsLeft(t *testing.T) {
	w := newWorld(t)
	w.left.Connections = []nginxconf.Connection{one}
	r := w.set(t, status.Admin, func(r *Request) { r.NoCut = true })
	if r.SafeSince != nil || r.Left != 1 || w.effective() != status.Offline {
		t.Errorf("safe since %v, left %d, nginx is %s", r.SafeSince, r.Left, w.effective())
	}
	if err := w.open("demo"); err != nil { // by hand
		t.Fatal(err)
	}
	if w.reconcile(t); w.effective() != status.Offline {
		t.Errorf("reconcile leaves open what was held shut: nginx is %s", w.effective())
	}
	if rs := w.reconcile(t); len(rs) > 0 || w.left.Connections == nil {
		t.Errorf("reconcile did something about what is as it was left: %+v", rs)
	}
	w.left.Connections = nil
	if r := w.set(t, status.Admin); r.SafeSince == nil || r.Err != nil {
		t.Errorf("safe since %v, %v", r.SafeSince, r.Err)
	}
	w.agrees(t, status.Admin)
}

// TestNobodyIsToldOfAdminBeforeItIsOpen: what was let in before a site was offline keeps it shut on its way to admin, and visitors
// are told that it is offline for as long.
func TestNobodyIsToldOfAdminBeforeItIsOpen(t *testing.T) {
	noCut := func(r *Request) { r.NoCut = true }
	for name, open := range map[string]func(*testing.T, *world){
		"set admin": func(t *testing.T, w *world) {
			w.left.Connections = nil
			w.set(t, status.Admin)
			w.agrees(t, status.Admin)
		},
		"set offline": func(t *testing.T, w *world) { w.set(t, status.Offline, noCut); w.agrees(t, status.Offline) },
		"set online":  func(t *testing.T, w *world) { w.set(t, status.Online); w.agrees(t, status.Online) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.left.Connections = []nginxconf.Connection{one}
			w.set(t, status.Offline, noCut)
			p := w.promise(t, name)
			message := "Longer."
			for what, again := range map[string]func(){
				"set":       func() {},
				"set again": func() { w.set(t, status.Admin, noCut) },
				"extend":    func() { w.set(t, status.Admin, func(r *Request) { r.WordsOnly, r.Message = true, &message }) },
				"reconcile": func() {
					if rs := w.reconcile(t); len(rs) > 0 {
						t.Errorf("reconcile did something: %+v", rs[0])
					}
				},
				"publish": func() {
					if _, put, err := w.PublishStatus(t.Context(), w.site); put || err != nil {
						t.Errorf("publish published: %v, %v", put, err)
					}
				},
				"reconcile after somebody": func() {
					w.docs["demo/status.json"] = w.document(status.Online, 99)
					p.excused = true
					w.reconcile(t)
				},
			} {
				if r := w.set(t, status.Admin, noCut); r.SafeSince != nil || r.Left != 1 || !r.Published {
					t.Errorf("safe since %v, left %d, published %v", r.SafeSince, r.Left, r.Published)
				}
				again()
				if w.effective() != status.Offline || w.published() != status.Offline || w.loaded.mode != status.Admin {
					t.Errorf("%s: nginx is %s, published is %s", what, w.effective(), w.published())
				}
				answers, err := os.ReadFile(filepath.Join(w.siteDir("demo"), nginxconf.StatusFile))
				if err != nil || !bytes.Equal(answers, w.docs["demo/status.json"]) {
					t.Errorf("%s: nginx says %s, published is %s (%v)", what, answers, w.docs["demo/status.json"], err)
				}
			}
			open(t, w)
		})
	}
}

// TestFaultsOfNginx: what a change comes to, and that it ends in agreement once the fault is gone.
func TestFaultsOfNginx(t *testing.T) {
	broken := errors.Join(nginxconf.ErrRefused, errors.New("unknown directive"))
	for name, c := range map[string]struct {
		from, to status.Mode
		fault    func(*world)
		want     Outcome
		is       error
		now      status.Mode // "" when nginx doesn't run
		ends     status.Mode // after reconcile
	}{
		"closing, not running":         {status.Online, status.Offline, func(w *world) { w.running = false }, Shut, nginxconf.ErrNotRunning, "", status.Offline},
		"closing, broken":              {status.Online, status.Offline, func(w *world) { w.testErr = broken }, Shut, nginxconf.ErrRefused, status.Offline, status.Offline},
		"closing, not taken up":        {status.Online, status.Offline, func(w *world) { w.deaf = true }, Shut, nil, status.Offline, status.Offline},
		"closing, not taken up, blind": {status.Online, status.Offline, func(w *world) { w.deaf, w.blind = true, true }, Failed, ErrNotShut, status.Online, status.Offline},
		"closing, blind":               {status.Online, status.Offline, func(w *world) { w.blind = true }, Done, nil, status.Offline, status.Offline},
		"to admin, broken":             {status.Online, status.Admin, func(w *world) { w.testErr = broken }, Shut, nginxconf.ErrRefused, status.Offline, status.Admin},
		"admin to offline, broken":     {status.Admin, status.Offline, func(w *world) { w.testErr = broken }, Shut, nginxconf.ErrRefused, status.Offline, status.Offline},
		"opening, not running":         {status.Offline, status.Online, func(w *world) { w.running = false }, Failed, nginxconf.ErrNotRunning, "", status.Offline},
		"opening, broken":              {status.Offline, status.Online, func(w *world) { w.testErr = broken }, Failed, nginxconf.ErrRefused, status.Offline, status.Offline},
		"opening, not taken up":        {status.Offline, status.Admin, func(w *world) { w.deaf = true }, Failed, nil, status.Offline, status.Offline},
		"admin to online, broken":      {status.Admin, status.Online, func(w *world) { w.testErr = broken }, Failed, nginxconf.ErrRefused, status.Admin, status.Admin},
		"opening, the application is down": {status.Offline, status.Online, func(w *world) { w.app = 502 }, Done, nil,
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
			if r.Outcome != Done && c.to.StricterThan(c.from) && r.SafeSince != nil {
				t.Error("it is called safe")
			}
			w.testErr, w.deaf, w.blind, w.app = nil, false, false, 200
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
		if r.Outcome != Failed || !opened || w.effective() != status.Offline {
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
				if (r.Outcome == Done) != c.opens || !c.opens && !errors.Is(r.Err, ErrSmoke) {
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
			w.left.Connections, w.drainAfter = []nginxconf.Connection{one}, 8
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
			if safe := r.SafeSince != nil; safe != (r.Outcome == Done && r.Cut == 0 && r.Left == 0) {
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
	if _, err := w.Set(t.Context(), w.request(status.Offline)); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), w.Command) {
		t.Errorf("while it is locked: %v", err)
	}
	if took := w.now.Sub(began); took < lockTimeout || took > lockTimeout+time.Minute {
		t.Errorf("it waited %v", took)
	}
	if len(w.heard.waiting) != 1 || w.heard.waiting[0].Operator != "bob" || w.heard.waiting[0].PID != os.Getpid() {
		t.Errorf("told to wait for %+v", w.heard.waiting)
	}
	if w.effective() != status.Online || len(w.docs) != 0 {
		t.Error("something was done without the lock")
	}
	w.sleeps = unlock
	w.set(t, status.Offline)
	w.agrees(t, status.Offline)
}

// TestNothingIsDoneThatCannotBeWrittenDown: a change begins with the journal.
func TestNothingIsDoneThatCannotBeWrittenDown(t *testing.T) {
	w := newWorld(t)
	if err := os.MkdirAll(filepath.Join(w.journalFile(), "in the way"), 0o755); err != nil {
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
	if err := errors.Join(os.Remove(w.recordFile("demo")), os.MkdirAll(filepath.Join(w.recordFile("demo"), "in the way"), 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Set(t.Context(), w.request(status.Offline)); err == nil {
		t.Fatal("a record that can't be read is no error")
	}
	if err := os.RemoveAll(w.recordFile("demo")); err != nil {
		t.Fatal(err)
	}
	w.moment = func(string) { // when the closing is on its way
		if w.isShut("demo") {
			_ = os.MkdirAll(filepath.Join(w.recordFile("demo"), "in the way"), 0o755)
		}
	}
	r := w.set(t, status.Offline)
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "not on record yet") || w.effective() != status.Offline {
		t.Errorf("nginx is %s, warnings: %q", w.effective(), r.Warnings)
	}
	w.moment = func(string) {}
	if err := os.RemoveAll(w.recordFile("demo")); err != nil {
		t.Fatal(err)
	}
	w.reconcile(t)
	w.agrees(t, status.Offline)
}
