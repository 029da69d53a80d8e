package maintenance

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
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
		if _, err := os.Stat(w.Dir().JournalFile()); err == nil {
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
		if foreseen.Outcome != state.Planned || w.effective() != before {
			t.Fatalf("a dry run ended in %s, nginx is %s", foreseen.Outcome, w.effective())
		}
		if done := w.set(t, to); done.steps() != foreseen.steps()+" record" {
			t.Errorf("set %s: foreseen was %q, done is %q", to, foreseen.steps(), done.steps())
		}
	}
}

var (
	one = workers.Connection{Process: workers.Process{PID: 11, Start: 1}}
	two = workers.Connection{Process: workers.Process{PID: 12, Start: 1}}
)

// TestReceiptCounts: what was let in before, and what became of it.
func TestReceiptCounts(t *testing.T) {
	held := func(w *world) { w.left.Connections = []workers.Connection{one, two} }
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
		"an old worker still listens": {func(w *world) { w.left.ListeningWorkers = []workers.Process{one.Process} }, false, 0, 0, 0, true, "old worker 11 was ended",
			32 * time.Second},
		"an old worker has nobody that can be seen": {func(w *world) {
			w.left.ListeningWorkers, w.left.Bare = []workers.Process{one.Process}, []workers.Process{one.Process}
		},
			false, 0, 0, 0, true, "at most some over QUIC", 6 * time.Second},
		"an old worker has nobody that can be seen, and isn't to be ended": {func(w *world) {
			w.left.ListeningWorkers, w.left.Bare = []workers.Process{one.Process}, []workers.Process{one.Process}
		},
			true, 0, 0, 1, false, "", 32 * time.Second},
		"an old worker can't be looked at": {func(w *world) { w.left.UnreadableWorkers = []workers.Process{one.Process} }, false, 0, 0, 1, false, "", 37 * time.Second},
		"cut, and vouched for":             {func(w *world) { held(w); w.Config.Sites[0].Settled = []string{"true"} }, false, 0, 2, 0, true, "", 32 * time.Second},
		"drained, and not vouched for": {func(w *world) {
			w.Config.Sites[0].Settled, w.settledErr = []string{"false"}, errors.New("3 transactions")
		},
			false, 0, 0, 0, false, "3 transactions", 32 * time.Second},
		"cut, and not vouched for": {func(w *world) {
			held(w)
			w.Config.Sites[0].Settled, w.settledErr = []string{"false"}, errors.New("3 transactions")
		},
			false, 0, 2, 0, false, "3 transactions", 64 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.setup(w)
			began := w.now
			r := w.set(t, status.Offline, func(r *Request) { r.NoCut = c.noCut })
			if r.Drained != c.drained || r.Cut != c.cut || r.Left != c.left || (r.SafeSince != nil) != c.safe {
				t.Errorf("drained %d, cut %d, left %d, safe since %v", r.Drained, r.Cut, r.Left, r.SafeSince)
			}
			unsettled := strings.HasSuffix(name, "and not vouched for")
			if (r.Doubt == state.NotSafeUnsettled) != unsettled || (r.Doubt == state.NotSafeCut) != (c.cut > 0 && !c.safe && !unsettled) {
				t.Errorf("the doubt about it: %q", r.Doubt)
			}
			want := state.NotSafeUnknown
			switch {
			case c.left > 0:
				want = state.NotSafeLeft
			case unsettled:
				want = state.NotSafeUnsettled
			case !c.safe:
				want = state.NotSafeCut
			}
			if v, err := w.View(t.Context(), w.site); err != nil || v.Wanted.NotSafe != want || !c.safe && r.NotSafe() != want {
				t.Errorf("get says why it is not safe: %q (%v), set: %q, want %q", v.Wanted.NotSafe, err, r.NotSafe(), want)
			}
			if warnings := strings.Join(r.Warnings, "\n"); !strings.Contains(warnings, c.warns) {
				t.Errorf("warnings: %q, want %q", warnings, c.warns)
			}
			if took := w.now.Sub(began); took > c.took {
				t.Errorf("it took %v", took)
			}
			if r.Outcome != state.Done || r.ClosedAt == nil || w.effective() != status.Offline {
				t.Errorf("%s, closed at %v, nginx is %s", r.Outcome, r.ClosedAt, w.effective())
			}
		})
	}
}

// TestSafety: once something was cut, only the site's own command, or opening it, makes up for it.
func TestSafety(t *testing.T) {
	w := newWorld(t)
	w.left.Connections = []workers.Connection{one}
	if r := w.set(t, status.Offline); r.Cut != 1 || r.SafeSince != nil {
		t.Fatalf("cut %d, safe since %v", r.Cut, r.SafeSince)
	}
	if r := w.set(t, status.Offline); r.SafeSince != nil || r.Doubt != state.NotSafeCut {
		t.Errorf("safe, because it was asked twice (it says: %q)", r.Doubt)
	}
	eta := w.now.Add(time.Hour)
	if r := w.set(t, status.Offline, func(r *Request) { r.Keeps, r.ETA = KeepsMode, &eta }); r.SafeSince != nil || r.Doubt != state.NotSafeCut {
		t.Errorf("safe, because it was extended (it says: %q)", r.Doubt)
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
	w.left.Connections = []workers.Connection{one}
	r := w.set(t, status.Admin, func(r *Request) { r.NoCut = true })
	if r.SafeSince != nil || r.Left != 1 || w.effective() != status.Offline {
		t.Errorf("safe since %v, left %d, nginx is %s", r.SafeSince, r.Left, w.effective())
	}
	if v, err := w.View(t.Context(), w.site); err != nil || len(v.Drift) > 0 || v.Wanted.SafeSince != nil {
		t.Errorf("it is as it was asked to be, and drifts: %q, safe since %v (%v)", v.Drift, v.Wanted.SafeSince, err)
	}
	if err := w.Dir().Open("demo"); err != nil { // by hand
		t.Fatal(err)
	}
	if v, err := w.View(t.Context(), w.site); err != nil || len(v.Drift) == 0 {
		t.Errorf("it was opened by hand, and there is no drift (%v)", err)
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

// TestNobodyIsToldOfAdminBeforeItIsOpen: what was let in before a site was offline keeps it shut on its way to admin,
// and visitors are told that it is offline for as long.
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
			w.left.Connections = []workers.Connection{one}
			w.set(t, status.Offline, noCut)
			p := w.promise(t, name)
			message := "Longer."
			for what, again := range map[string]func(){
				"set":       func() {},
				"set again": func() { w.set(t, status.Admin, noCut) },
				"extend":    func() { w.set(t, status.Admin, func(r *Request) { r.Keeps, r.Message = KeepsMode, &message }) },
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
				answers, err := os.ReadFile(filepath.Join(w.Dir().SiteDir("demo"), nginxconf.StatusFile))
				if err != nil || !bytes.Equal(answers, w.docs["demo/status.json"]) {
					t.Errorf("%s: nginx says %s, published is %s (%v)", what, answers, w.docs["demo/status.json"], err)
				}
			}
			open(t, w)
		})
	}
}
