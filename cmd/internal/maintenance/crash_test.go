package maintenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
)

// errKilled is what a made-up kill panics with.
var errKilled = errors.New("killed")

// killAt runs do until its surroundings are asked for something for the nth time, and ends it there as a kill would. It
// reports whether it was.
func (w *world) killAt(n int, do func()) (was bool) {
	watching := w.moment
	w.moment = func(what string) {
		watching(what)
		if n--; n == 0 {
			panic(errKilled)
		}
	}
	defer func() {
		w.moment = watching
		if r := recover(); r != nil {
			if r != any(errKilled) {
				panic(r)
			}
			was = true
		}
	}()
	do()
	return false
}

// TestKilledWhileCutting: what a killed command has cut, nobody vouches for.
func TestKilledWhileCutting(t *testing.T) {
	for _, settled := range [][]string{nil, {"true"}} {
		w := newWorld(t)
		w.Config.Sites[0].Settled = settled
		w.left.Connections = []workers.Connection{one}
		n := 0
		w.moment = func(what string) {
			if n++; what == "destroy" {
				w.left.Connections = nil
				panic(errKilled)
			}
		}
		if !w.killAt(1e9, func() { w.set(t, status.Offline) }) {
			t.Fatal("it was not killed")
		}
		w.moment = func(string) {}
		for range 3 { // and however often it is killed again
			w.killAt(5, func() { w.reconcile(t) })
		}
		w.reconcile(t)
		w.agrees(t, status.Offline)
		if r := w.set(t, status.Offline); (r.SafeSince != nil) != (settled != nil) {
			t.Errorf("settled %v: safe since %v", settled, r.SafeSince)
		}
	}
}

// TestKilledWhenAllWasRecorded: what was vouched for before the kill stays so.
func TestKilledWhenAllWasRecorded(t *testing.T) {
	w := newWorld(t)
	w.Config.Sites[0].Settled = []string{"true"}
	w.left.Connections = []workers.Connection{one}
	w.set(t, status.Offline)
	w.set(t, status.Online)
	journal, err := json.Marshal(state.Intent{Version: 1, Cut: true, Changes: []state.SiteChange{{Site: "demo", From: status.Online, To: w.next(t, status.Admin)}}})
	if err != nil {
		t.Fatal(err)
	}
	w.left.Connections = []workers.Connection{one}
	w.set(t, status.Admin)
	if err := durable.WriteFile(w.Dir().JournalFile(), append(journal, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	w.Config.Sites[0].Settled = nil
	w.reconcile(t)
	if r := w.set(t, status.Offline); r.SafeSince == nil {
		t.Error("not safe, though nothing was cut since the application was found idle")
	}
}

// next is the document that a change to the mode would have.
func (w *world) next(t *testing.T, mode status.Mode) status.Document {
	t.Helper()
	r, _, err := w.Dir().Record("demo")
	if err != nil {
		t.Fatal(err)
	}
	d := next(r.Document, w.site, w.request(mode), w.now.Truncate(time.Second))
	d.Seq, d.UpdatedAt = r.Document.Seq+1, w.now.Truncate(time.Second)
	return d
}

// TestKilledWhileCuttingAndOverruled: the change that follows doesn't finish the one that has cut, and knows of it
// all the same.
func TestKilledWhileCuttingAndOverruled(t *testing.T) {
	w := newWorld(t)
	w.left.Connections = []workers.Connection{one}
	w.moment = func(what string) {
		if what == "destroy" {
			w.left.Connections = nil
			panic(errKilled)
		}
	}
	if !w.killAt(1e9, func() { w.set(t, status.Admin) }) {
		t.Fatal("it was not killed")
	}
	w.moment = func(string) {}
	if r := w.set(t, status.Offline); r.SafeSince != nil {
		t.Errorf("safe since %v", r.SafeSince)
	}
	w.agrees(t, status.Offline)
}

// TestKilledOpeningThatWasTold: an opening is killed once it is published, and can't be finished because nginx is
// broken. What closes the site then announces it, although nginx is off and can't say that the site is open.
func TestKilledOpeningThatWasTold(t *testing.T) {
	for _, from := range []status.Mode{status.Offline, status.Admin} {
		for _, then := range []status.Mode{status.Admin, status.Offline, status.Online} {
			for n := 1; ; n++ {
				w := newWorld(t)
				w.set(t, from)
				w.promise(t, fmt.Sprintf("%s to online, killed at %d, then %s", from, n, then))
				if !w.killAt(n, func() { w.set(t, status.Online) }) {
					break
				}
				w.testErr = control.ErrRefused
				_, _ = w.Set(t.Context(), w.request(status.Online))
				w.running = false
				_, _ = w.Set(t.Context(), w.request(then))
				w.mend()
				w.set(t, then)
				w.agrees(t, then)
			}
		}
	}
}

// TestKilledAnywhere kills every change at every moment at which it asks its surroundings for something.
func TestKilledAnywhere(t *testing.T) {
	for _, from := range modes {
		for _, to := range modes {
			for n := 1; ; n++ {
				w := newWorld(t)
				w.Config.Sites[0].Smoke = "/healthz"
				w.set(t, from)
				p := w.promise(t, fmt.Sprintf("%s to %s, killed at %d", from, to, n))
				if !w.killAt(n, func() { w.set(t, to) }) {
					break
				}
				if m := w.effective(); m != from && m != to && m != status.Offline {
					t.Fatalf("%s to %s, killed at %d: nginx is %s", from, to, n, m)
				}
				begun := len(p.begun()) > 0
				w.reconcile(t)
				if begun {
					w.agrees(t, to)
				} else {
					w.agrees(t, from)
				}
			}
		}
	}
}

// TestKilledClosingIsNotUndone: where nginx's configuration is broken meanwhile, the site stays shut until it is
// mended.
func TestKilledClosingIsNotUndone(t *testing.T) {
	for _, c := range []situation{
		{recorded: status.Online, wanted: status.Offline}, {recorded: status.Online, wanted: status.Admin}, {recorded: status.Admin, wanted: status.Offline},
	} {
		for n := 1; ; n++ {
			w := newWorld(t)
			w.set(t, c.recorded)
			p := w.promise(t, fmt.Sprintf("%s to %s, killed at %d", c.recorded, c.wanted, n))
			w.testErr = control.ErrRefused
			if !w.killAt(n, func() { w.set(t, c.wanted) }) {
				break
			}
			begun := len(p.begun()) > 0
			w.reconcile(t)
			w.reconcile(t)
			if begun && w.effective() != status.Offline {
				t.Fatalf("%s: nginx is %s", p.what, w.effective())
			}
			w.mend()
			w.reconcile(t)
			if begun {
				w.agrees(t, c.wanted)
			}
		}
	}
}

// TestSmokeAfterAKill: an opening that a kill has interrupted is tried all the same before anybody gets in.
func TestSmokeAfterAKill(t *testing.T) {
	for _, to := range []status.Mode{status.Online, status.Admin} {
		for n := 1; ; n++ {
			w := newWorld(t)
			w.Config.Sites[0].Smoke, w.app = "/healthz", 500
			w.set(t, status.Offline)
			w.heard.begun = nil
			was := w.killAt(n, func() { w.set(t, to) })
			w.moment = func(what string) {
				if w.effective() != status.Offline {
					t.Fatalf("killed at %d: at %q nginx is %s, though the application fails", n, what, w.effective())
				}
			}
			w.reconcile(t)
			w.agrees(t, status.Offline)
			if !was {
				break
			}
		}
	}
}

// promise watches over a world: what is announced never runs ahead of nginx, and the closed file shuts.
type promise struct {
	w    *world
	what string
	// excused is set from when the store fails, or somebody else writes into it, until the next of our documents is
	// published: a closing doesn't wait for it.
	excused bool
	told    status.Mode // what was last published
}

func (w *world) promise(t *testing.T, what string) *promise {
	t.Helper()
	p := &promise{w: w, what: what, told: w.published()}
	w.heard.begun = nil
	w.moment = func(at string) {
		if at == "published" {
			p.excused = false
		}
		if w.storeErr != nil {
			p.excused = true
		}
		told, is := w.published(), w.effective()
		was := p.told
		p.told = told
		if told == "" || is == "" || p.excused || !is.StricterThan(told) {
			return
		}
		// Nobody is told that a site is online before it is. On the way from online to admin administrators may find it shut.
		if told == status.Online || !w.Dir().IsShut(w.site.Name) || was == status.Offline {
			t.Errorf("%s: at %q nginx is %s, published is %s; steps: %v", p.what, at, is, told, w.heard.begun)
		}
	}
	return p
}

func (p *promise) begun() []Step { return p.w.heard.begun }

// TestTheAnnouncementNeverRunsAhead has random things happen to a site: changes, kills, faults and their mending. At
// every moment the promise has to hold, and when all is mended everything has to agree.
func TestTheAnnouncementNeverRunsAhead(t *testing.T) {
	chance := chance(t)
	for n := range 60 {
		w := newWorld(t)
		w.set(t, status.Online)
		if chance.IntN(2) == 0 {
			w.Config.Sites[0].Smoke = "/healthz"
		}
		p := w.promise(t, fmt.Sprintf("sequence %d", n))
		faults := chance.IntN(2) == 0
		for range 3 + chance.IntN(8) {
			mode := modes[chance.IntN(len(modes))]
			p.what += ", " + w.happen(t, chance, mode, faults)
			if t.Failed() {
				return
			}
		}
		w.mend()
		w.reconcile(t)
		w.reconcile(t)
		if r, _, err := w.Dir().Record("demo"); err == nil && r.KeptShut() { // that is for the operator to say
			w.set(t, status.Admin)
		}
		v, err := w.View(t.Context(), w.Config.Sites[0])
		if err != nil || len(v.Drift) > 0 || w.effective() != v.Mode || w.published() != v.Mode {
			t.Fatalf("%s: wanted %s, nginx %s, published %s, drift %q (%v)", p.what, v.Mode, w.effective(), w.published(), v.Drift, err)
		}
	}
}

// mend takes every fault away, and starts nginx where it doesn't run.
func (w *world) mend() {
	w.testErr, w.deaf, w.storeErr, w.app, w.left = nil, false, nil, 200, workers.Remaining{}
	if !w.running {
		w.running = true
		w.load()
	}
}

// happen has one thing happen, and returns what it was.
func (w *world) happen(t *testing.T, chance *rand.Rand, mode status.Mode, faults bool) string {
	t.Helper()
	try := func() { // whatever comes of it
		_, _ = w.Set(t.Context(), w.request(mode, func(r *Request) { r.NoCut = len(w.left.Connections) > 0 }))
	}
	switch kind := chance.IntN(11); {
	case kind == 10:
		if w.left.Connections == nil {
			w.left.Connections = []workers.Connection{one}
			return "somebody stays"
		}
		w.left.Connections = nil
		return "they leave"
	case kind < 3:
		try()
		return "set " + string(mode)
	case kind < 5:
		n := 1 + chance.IntN(40)
		w.killAt(n, try)
		return fmt.Sprintf("set %s killed at %d", mode, n)
	case kind < 6:
		_, _ = w.Reconcile(t.Context(), 0)
		return "reconcile"
	case kind < 7:
		w.running = true
		w.load() // a restart: what is on disk is in force
		return "restart"
	case !faults:
		w.mend()
		return "nothing"
	case kind < 8:
		w.mend()
		return "mend"
	}
	switch chance.IntN(5) {
	case 0:
		w.storeErr = errDown
		return "store down"
	case 1:
		w.testErr = control.ErrRefused
		return "broken"
	case 2:
		w.deaf = true
		return "deaf"
	case 3:
		w.running = false
		return "nginx down"
	default:
		w.app = 502
		return "application down"
	}
}
