package maintenance

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
	"github.com/msupply-foundation/conforma-status/status"
)

// fakeKernel is a kernel that does what it is told, or says why not.
type fakeKernel struct {
	w     *world
	rules barrier.Rules
	there bool

	shared            bool                     // every site has the same upstream
	places            map[string]barrier.Place // where other than usual the upstreams of a site are
	findErr, loadErr  error
	proveErr, lookErr error
	unresolved        error // why the upstream's name has no address
	passed, refused   uint64
	users             []barrier.User
	clients           []workers.Client // of each site
}

// withKernel gives the world a kernel that has the barrier.
func (w *world) withKernel() *fakeKernel {
	k := &fakeKernel{w: w}
	w.Kernel = k
	return k
}

func (k *fakeKernel) Who(int, []barrier.End) ([]barrier.User, []barrier.Cgroup, error) {
	k.w.at("who")
	return append([]barrier.User{{ID: 33, Here: 33, Group: 33}}, k.users...), nil, nil
}

func (k *fakeKernel) Places(_ context.Context, _ int, upstreams map[string][]string) (map[string]barrier.Place, error) {
	k.w.at("places")
	out := map[string]barrier.Place{}
	port := uint16(8000)
	for _, s := range k.w.Config.Sites {
		if _, asked := upstreams[s.Name]; !asked {
			continue
		}
		place := barrier.Place{Err: k.unresolved}
		if place.Err == nil {
			place.Ends = []barrier.End{{Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), Local: true}}
		}
		if elsewhere, is := k.places[s.Name]; is {
			place = elsewhere
		}
		out[s.Name] = place
		if !k.shared {
			port++
		}
	}
	return out, k.findErr
}

func (k *fakeKernel) Probe(_ context.Context, _ int, r barrier.Rules) error {
	k.w.at("probe kernel")
	return errors.Join(r.Check(), k.loadErr)
}

func (k *fakeKernel) Load(_ context.Context, _ int, r barrier.Rules) error {
	k.w.at("load")
	if err := errors.Join(r.Check(), k.loadErr); err != nil {
		return err
	}
	k.rules, k.there = r, true
	k.w.at("loaded")
	return nil
}

func (k *fakeKernel) Prove(ctx context.Context, master int, r barrier.Rules, sites []string, users []barrier.User) (barrier.Seen, error) {
	k.w.at("prove")
	for _, s := range r.Sites { // of others there is nothing to prove
		if slices.Contains(sites, s.Name) && (!k.refuses(s.Name) || len(users) == 0) {
			return barrier.Seen{}, barrier.ErrNotProven
		}
	}
	if k.proveErr != nil {
		return barrier.Seen{}, k.proveErr
	}
	return k.Look(ctx, master, r)
}

func (k *fakeKernel) Look(_ context.Context, _ int, r barrier.Rules) (barrier.Seen, error) {
	k.w.at("look at kernel")
	seen := barrier.Seen{There: k.there, Nginx: map[string]barrier.Traffic{}, Outside: map[string]barrier.Traffic{}}
	for _, s := range r.Sites {
		seen.Nginx[s.Name] = barrier.Traffic{Tried: k.passed + k.refused, Refused: k.refused}
		if has := k.site(s.Name); has.Nginx < s.Nginx || has.Outside < s.Outside {
			seen.Less, seen.Differs = true, "the table is gone"
		}
	}
	return seen, k.lookErr
}

func (k *fakeKernel) Remove(context.Context, int) error {
	k.w.at("remove")
	if k.loadErr != nil {
		return k.loadErr
	}
	k.rules, k.there = barrier.Rules{}, false
	return nil
}

func (k *fakeKernel) IsContainer(int) bool { return false }

func (k *fakeKernel) Clients(_ int, f barrier.Found) (map[string][]workers.Client, error) {
	out := map[string][]workers.Client{}
	for name := range f.Sites {
		out[name] = k.clients
	}
	return out, nil
}

// site is what is done for a site.
func (k *fakeKernel) site(name string) barrier.Site {
	i := slices.IndexFunc(k.rules.Sites, func(s barrier.Site) bool { return s.Name == name })
	if !k.there || i < 0 {
		return barrier.Site{}
	}
	return k.rules.Sites[i]
}

func (k *fakeKernel) refuses(name string) bool { return k.site(name).Nginx == barrier.Refuse }

func (w *world) recordOf(t *testing.T, site string) state.Record {
	t.Helper()
	r, _, err := w.Dir().Record(site)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// stepsOf are the steps of a receipt.
func stepsOf(r *Receipt) []Step {
	var out []Step
	for _, s := range r.Steps {
		out = append(out, s.Step)
	}
	return out
}

// TestOldWorkersBehindTheBarrier: a closing leaves clients of old workers in peace, since the kernel keeps them from
// the application. A worker from when the site was online would serve them by those rules once it is let in
// administrators.
func TestOldWorkersBehindTheBarrier(t *testing.T) {
	toApp := one
	toApp.Upstream = true
	for name, c := range map[string]struct {
		held      workers.Connection
		drains    int // looks after which it is gone by itself, 0 for never
		cut, left int
		safe      bool
		found     status.Mode
		noCut     bool
	}{
		"a client leaves by itself":        {held: one, drains: 4, safe: true, found: status.Admin},
		"a client is cut":                  {held: one, safe: true, found: status.Admin},
		"what leads to the application is": {held: toApp, cut: 1, found: status.Admin},
		"nothing is to be cut":             {held: one, left: 1, noCut: true, found: status.Offline},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.withKernel()
			if r := w.set(t, status.Offline); r.SafeSince == nil || !r.Barrier {
				t.Fatalf("it isn't closed: %+v", r)
			}
			w.left.Connections, w.drainAfter = []workers.Connection{c.held}, c.drains
			rs, err := w.Set(t.Context(), w.request(status.Admin, func(r *Request) { r.NoCut = c.noCut }))
			if err != nil {
				t.Fatal(err)
			}
			if r := rs[0]; r.Cut != c.cut || r.Left != c.left || (r.SafeSince != nil) != c.safe {
				t.Errorf("cut %d, left %d, safe since %v", r.Cut, r.Left, r.SafeSince)
			}
			if got := w.effective(); got != c.found {
				t.Errorf("visitors find %s, want %s", got, c.found)
			}
		})
	}
}

// TestBehindTheBarrier: which steps it takes, and what the kernel does in each mode.
func TestBehindTheBarrier(t *testing.T) {
	w := newWorld(t)
	k := w.withKernel()
	for _, c := range []struct {
		mode             status.Mode
		takes            []Step
		nginx, outside   barrier.Verdict
		there, onRecords bool
	}{
		{status.Offline, []Step{StepCount, StepRead, StepRefuse}, barrier.Refuse, barrier.Refuse, true, true},
		{status.Admin, []Step{StepCount, StepLift, StepRefuse}, barrier.Leave, barrier.Refuse, true, true},
		{status.Offline, []Step{StepCount, StepRead, StepRefuse}, barrier.Refuse, barrier.Refuse, true, true},
		{status.Online, []Step{StepLift}, barrier.Leave, barrier.Leave, false, false},
		{status.Admin, []Step{StepCount, StepRefuse}, barrier.Leave, barrier.Refuse, true, true},
		{status.Online, []Step{StepLift}, barrier.Leave, barrier.Leave, false, false},
	} {
		r := w.set(t, c.mode)
		var took []Step
		for _, s := range stepsOf(r) {
			if slices.Contains([]Step{StepCount, StepRead, StepRefuse, StepLift}, s) {
				took = append(took, s)
			}
		}
		if !slices.Equal(took, c.takes) {
			t.Errorf("%s takes %v, want %v", c.mode, took, c.takes)
		}
		if is := k.site("demo"); is.Nginx != c.nginx || is.Outside != c.outside || k.there != c.there {
			t.Errorf("%s: the kernel does %v and %v (table %v), want %v and %v (%v)", c.mode, is.Nginx, is.Outside, k.there, c.nginx, c.outside, c.there)
		}
		if rec := w.recordOf(t, "demo"); rec.Barrier != c.onRecords || r.Barrier != c.onRecords || r.NoBarrier != "" {
			t.Errorf("%s: on record %v, in the receipt %v (%s), want %v", c.mode, rec.Barrier, r.Barrier, r.NoBarrier, c.onRecords)
		}
		w.agrees(t, c.mode)
		if rs := w.reconcile(t); len(rs) != 0 {
			t.Errorf("%s: reconcile does something: %v", c.mode, stepsOf(rs[0]))
		}
	}
}

// TestNginxWithOtherModules: a closing makes its rules for the nginx that is there, whichever was there before. Only
// where it reads nginx's configuration once the site is shut does it ask that late.
func TestNginxWithOtherModules(t *testing.T) {
	for name, c := range map[string]struct {
		barrier  bool
		from, to status.Mode
		late     []bool // of each time that nginx is asked
	}{
		"behind the barrier":  {true, status.Online, status.Offline, []bool{true}},
		"without the barrier": {false, status.Online, status.Offline, []bool{false}},
		"closed already":      {true, status.Offline, status.Offline, []bool{false, false}},
		"from admin":          {true, status.Admin, status.Offline, []bool{true}},
		"to admin":            {true, status.Online, status.Admin, []bool{false}},
		"opened":              {true, status.Offline, status.Online, []bool{false}},
	} {
		w := newWorld(t)
		if c.barrier {
			w.withKernel()
		}
		w.modules = []string{"limit_req"}
		w.set(t, c.from)
		w.modules = []string{"limit_req", "ssi"}
		var asked []bool
		w.moment = func(what string) {
			if what == "modules" {
				asked = append(asked, w.Dir().IsShut("demo") && c.from != status.Offline)
			}
		}
		w.set(t, c.to)
		if !slices.Equal(asked, c.late) {
			t.Errorf("%s: nginx is asked once it is shut: %v, want %v", name, asked, c.late)
		}
		if rules, err := os.ReadFile(nginxconf.SiteFile(w.Config.Nginx.ConfDir, "demo")); err != nil || !strings.Contains(string(rules), "ssi off;") {
			t.Errorf("%s: the rules don't name the module that came (%v)", name, err)
		}
		w.agrees(t, c.to)
		if rs := w.reconcile(t); len(rs) != 0 {
			t.Errorf("%s: reconcile does something: %v", name, stepsOf(rs[0]))
		}
	}
}

// TestWithoutTheBarrier: what is said, and done, where it can't be had.
func TestWithoutTheBarrier(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(*fakeKernel)
		says  string
		loses bool // it was thought to be had
	}{
		"not allowed":     {func(k *fakeKernel) { k.loadErr = barrier.ErrNotAllowed }, "CAP_NET_ADMIN", false},
		"no address":      {func(k *fakeKernel) { k.unresolved = barrier.ErrNoAddress }, "has no address", false},
		"a unix socket":   {func(k *fakeKernel) { k.unresolved = barrier.ErrUnixSocket }, "a unix socket", false},
		"can't be found":  {func(k *fakeKernel) { k.findErr = workers.ErrNoAnswer }, "doesn't answer", false},
		"can't be seen":   {func(k *fakeKernel) { k.lookErr = barrier.ErrNotOurs }, "somebody else's", false},
		"it isn't proven": {func(k *fakeKernel) { k.proveErr = barrier.ErrNotProven }, "not proven", true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, required := range []bool{false, true} {
				w := newWorld(t)
				c.fault(w.withKernel())
				// The old way: this worker has to end.
				w.left.ListeningWorkers = []workers.Process{{PID: 7}}
				if !required {
					r := w.set(t, status.Offline)
					if r.Barrier || !strings.Contains(r.NoBarrier, c.says) || r.SafeSince == nil || len(w.left.ListeningWorkers) != 0 {
						t.Errorf("barrier %v (%s), safe since %v, left %v", r.Barrier, r.NoBarrier, r.SafeSince, w.left)
					}
					continue
				}
				w.Config.Barrier = config.BarrierRequired
				rs, err := w.Set(t.Context(), w.request(status.Offline))
				switch {
				case c.loses:
					if err != nil || rs[0].SafeSince != nil || w.effective() != status.Offline {
						t.Errorf("required, and lost: %v, safe since %v, nginx is %s", err, rs[0].SafeSince, w.effective())
					}
				case !errors.Is(err, ErrBarrier) || !strings.Contains(err.Error(), c.says) || w.effective() != status.Online || len(w.heard.begun) != 0:
					t.Errorf("required: %v, nginx is %s, steps %v", err, w.effective(), w.heard.begun)
				}
			}
		})
	}
}

// TestLostBarrier: what came through meanwhile may be at work. It is drained again, and safe from then on.
func TestLostBarrier(t *testing.T) {
	w := newWorld(t)
	k := w.withKernel()
	first := w.set(t, status.Offline)
	k.there = false // nft flush ruleset
	v, err := w.View(t.Context(), w.site)
	if err != nil || len(v.Drift) != 1 || v.Drift[0].Shown != ByKernel {
		t.Errorf("get finds %v (%v)", v.Drift, err)
	}
	w.now = w.now.Add(10 * takeUpTimeout)
	rs := w.reconcile(t)
	if len(rs) != 1 || rs[0].SafeSince == nil || !rs[0].SafeSince.After(*first.SafeSince) || !k.refuses("demo") {
		t.Fatalf("reconcile: %+v, refused: %v", rs, k.refuses("demo"))
	}
	if !slices.Contains(stepsOf(rs[0]), StepDrain) {
		t.Errorf("it wasn't drained again: %v", stepsOf(rs[0]))
	}
	w.agrees(t, status.Offline)
}

// TestBarrierOfAnEarlierRelease: a site that was closed without one gets it, and stays safe.
func TestBarrierOfAnEarlierRelease(t *testing.T) {
	for _, mode := range []status.Mode{status.Offline, status.Admin} {
		w := newWorld(t)
		r := w.set(t, mode)
		k := w.withKernel()
		if rs := w.reconcile(t); len(rs) != 0 {
			t.Errorf("%s: reconcile does more: %v", mode, stepsOf(rs[0]))
		}
		rec := w.recordOf(t, "demo")
		if !rec.Barrier || k.site("demo").Outside != barrier.Refuse || k.refuses("demo") != (mode == status.Offline) || !rec.SafeSince.Equal(*r.SafeSince) {
			t.Errorf("%s: on record %+v, in the kernel %+v", mode, rec, k.site("demo"))
		}
		w.agrees(t, mode)
	}
}

// TestOpeningThatFailsIsBarredAgain: nobody gets to the application after an opening that was undone.
func TestOpeningThatFailsIsBarredAgain(t *testing.T) {
	for name, fault := range map[string]func(*world){
		"nginx refuses":        func(w *world) { w.testErr = control.ErrRefused },
		"it isn't taken up":    func(w *world) { w.deaf = true },
		"it can't be reloaded": func(w *world) { w.reloadErr = control.ErrRefused },
		"the application is down": func(w *world) {
			w.Config.Sites[0].Smoke, w.app = "/healthz", 502
		},
		"the kernel doesn't answer": func(w *world) { w.Kernel.(*fakeKernel).loadErr = workers.ErrNoAnswer },
	} {
		w := newWorld(t)
		k := w.withKernel()
		w.set(t, status.Offline)
		fault(w)
		if r := w.set(t, status.Online); r.Err == nil || w.effective() != status.Offline {
			t.Errorf("%s: %v, nginx is %s", name, r.Err, w.effective())
		}
		if rec := w.recordOf(t, "demo"); !k.refuses("demo") || !rec.Barrier || rec.SafeSince == nil {
			t.Errorf("%s: refused %v, on record %+v", name, k.refuses("demo"), rec)
		}
	}
}

// TestAnotherClosesBeside: a site goes on as the kernel was told while another one closes, whether it has a closed file
// or not.
func TestAnotherClosesBeside(t *testing.T) {
	for _, c := range []struct {
		mode   status.Mode
		nginx  barrier.Verdict
		closed bool // whether there is a closed file
	}{{status.Offline, barrier.Refuse, true}, {status.Offline, barrier.Refuse, false}, {status.Admin, barrier.Leave, false}} {
		w := newWorld(t)
		k := w.withKernel()
		w.set(t, status.Offline)
		w.set(t, status.Online)
		w.another(t)
		rec := w.recordOf(t, "demo")
		rec.Document.Site, rec.Document.Mode, rec.Barrier, rec.SafeSince = "other", c.mode, true, new(w.now)
		end := barrier.End{Addr: netip.MustParseAddrPort("127.0.0.1:8001"), Local: true}
		k.there, k.rules = true, barrier.Rules{Users: []uint32{33}, Sites: []barrier.Site{
			{Name: "other", Nginx: c.nginx, Outside: barrier.Refuse, Ends: []barrier.End{end}},
		}}
		if err := errors.Join(w.Dir().WriteRecord("other", rec), w.Dir().WriteBarrier(state.Barrier{Rules: k.rules})); err != nil {
			t.Fatal(err)
		}
		if c.closed {
			if err := w.Dir().Shut("other"); err != nil {
				t.Fatal(err)
			}
		}
		one := w.request(status.Offline)
		one.Sites = w.Config.Sites[:1]
		if _, err := w.Set(t.Context(), one); err != nil || !k.refuses("demo") {
			t.Fatalf("%s: %v", c.mode, err)
		}
		after := w.recordOf(t, "other")
		if is := k.site("other"); is.Nginx != c.nginx || is.Outside != barrier.Refuse || !after.Barrier || after.SafeSince == nil {
			t.Errorf("%s, closed file %v: the kernel is told %v, %v of the other, on record %+v", c.mode, c.closed, is.Nginx, is.Outside, after)
		}
	}
}

// TestSharedUpstream: sites behind one address are closed together, or have no barrier.
func TestSharedUpstream(t *testing.T) {
	w := newWorld(t)
	k := w.withKernel()
	k.shared = true
	w.another(t)
	one := w.request(status.Offline)
	one.Sites = w.Config.Sites[:1]
	rs, err := w.Set(t.Context(), one)
	if err != nil || rs[0].Barrier || !strings.Contains(rs[0].NoBarrier, "demo and other share the upstream 127.0.0.1:8000") {
		t.Fatalf("closed alone: %v, %+v", err, rs)
	}
	// Where the other one was closed before, without a barrier, both have it from now on.
	open := w.request(status.Online)
	open.Sites = w.Config.Sites[:1]
	if _, err := w.Set(t.Context(), open); err != nil {
		t.Fatal(err)
	}
	rec := w.recordOf(t, "demo")
	now := w.now
	rec.Document.Site, rec.Document.Mode, rec.SafeSince = "other", status.Offline, &now
	if err := w.Dir().WriteRecord("other", rec); err != nil {
		t.Fatal(err)
	}
	rs, err = w.Set(t.Context(), one)
	if err != nil || !rs[0].Barrier || rs[0].NoBarrier != "" || rs[0].SafeSince == nil || !k.refuses("demo") || !k.refuses("other") {
		t.Fatalf("closed after the other: %v, %+v; refused %v %v", err, *rs[0], k.refuses("demo"), k.refuses("other"))
	}
	if after := w.recordOf(t, "other"); !after.Barrier || !after.SafeSince.Equal(now) {
		t.Errorf("on record of the other: %+v", after)
	}
	// One that opens lifts the other's.
	rs, err = w.Set(t.Context(), open)
	if after := w.recordOf(t, "other"); err != nil || k.refuses("other") || after.Barrier || after.SafeSince != nil {
		t.Errorf("opened: %v, %+v, refused %v, on record %+v", err, *rs[0], k.refuses("other"), after)
	}
}

// TestRequiredBarrierLost: where it is required, and reconcile can't see to it, the site is shut and not known to be
// safe.
func TestRequiredBarrierLost(t *testing.T) {
	for name, fault := range map[string]func(*fakeKernel){
		"it can't be asked": func(k *fakeKernel) { k.lookErr = workers.ErrNoAnswer },
		"it can't be found": func(k *fakeKernel) { k.findErr = workers.ErrNoAnswer },
		"it is not allowed": func(k *fakeKernel) { k.there, k.loadErr = false, barrier.ErrNotAllowed },
		"it isn't proven":   func(k *fakeKernel) { k.there, k.proveErr = false, barrier.ErrNotProven },
	} {
		w := newWorld(t)
		w.Config.Barrier = config.BarrierRequired
		k := w.withKernel()
		w.set(t, status.Offline)
		fault(k)
		rs, err := w.Reconcile(t.Context(), 0)
		unsafe := len(rs) == 1 && rs[0].SafeSince == nil
		if !errors.Is(err, ErrBarrierLost) && !unsafe || w.effective() != status.Offline {
			t.Errorf("%s: %v, %+v, nginx is %s", name, err, rs, w.effective())
		}
	}
}

// TestKilledBehindTheBarrier kills every change at every moment. The kernel never keeps an open site's visitors from
// its application, and what reconcile leaves agrees.
func TestKilledBehindTheBarrier(t *testing.T) {
	for _, from := range modes {
		for _, to := range modes {
			for n := 1; ; n++ {
				w := newWorld(t)
				k := w.withKernel()
				w.set(t, from)
				p := w.promise(t, fmt.Sprintf("%s to %s, killed at %d", from, to, n))
				watching := w.moment
				w.moment = func(at string) {
					watching(at)
					if k.refuses("demo") && w.effective() != status.Offline {
						t.Errorf("%s: at %q nginx is %s, and the kernel refuses it", p.what, at, w.effective())
					}
				}
				if !w.killAt(n, func() { w.set(t, to) }) {
					break
				}
				begun := len(p.begun()) > 0
				w.reconcile(t)
				is := from
				if begun {
					is = to
				}
				w.agrees(t, is)
				if k.refuses("demo") != (is == status.Offline) || k.there != is.Closed() {
					t.Fatalf("%s: it is %s, the kernel does %+v", p.what, is, k.site("demo"))
				}
			}
		}
	}
}

// TestHowOftenIdle: an application at which nothing was seen to be at work has to be found idle once, after the kernel
// refuses it, and any other twice in a row.
func TestHowOftenIdle(t *testing.T) {
	toApp := one
	toApp.Upstream = true
	for name, c := range map[string]struct {
		setup func(w *world, k *fakeKernel)
		asked int
	}{
		"nothing was at work": {func(*world, *fakeKernel) {}, 1},
		"a client was there":  {func(w *world, _ *fakeKernel) { w.left.Connections, w.drainAfter = []workers.Connection{one}, 3 }, 1},
		"it drained":          {func(w *world, _ *fakeKernel) { w.left.Connections, w.drainAfter = []workers.Connection{toApp}, 3 }, 2},
		"it was cut":          {func(w *world, _ *fakeKernel) { w.left.Connections = []workers.Connection{toApp} }, 2},
		"it was counted only": {func(_ *world, k *fakeKernel) { k.passed = 1 }, 2},
		"no proof":            {func(_ *world, k *fakeKernel) { k.proveErr = barrier.ErrNotProven }, 2},
		"no barrier":          {func(w *world, _ *fakeKernel) { w.Kernel = nil }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Config.Sites[0].Settled = []string{"true"}
			c.setup(w, w.withKernel())
			var asked, early int
			proven := w.Kernel == nil
			w.moment = func(what string) {
				switch what {
				case "prove":
					proven = true
				case "settled":
					if asked++; !proven {
						early++
					}
				}
			}
			if r := w.set(t, status.Offline); r.SafeSince == nil || asked != c.asked || early != 0 {
				t.Errorf("asked %d times, %d of them too early, safe since %v: want %d", asked, early, r.SafeSince, c.asked)
			}
		})
	}
}

// TestReconcileTakesNoSiteForClosedThatWasNeverChanged: such a site is open. The kernel isn't asked about it, and a
// closed site that shares its upstream can't have the barrier.
func TestReconcileTakesNoSiteForClosedThatWasNeverChanged(t *testing.T) {
	w := newWorld(t)
	k := w.withKernel()
	k.shared = true
	w.another(t)
	asked := 0
	w.moment = func(what string) {
		if what == "probe kernel" {
			asked++
		}
	}
	w.reconcile(t)
	if asked != 0 {
		t.Errorf("the kernel was asked %d times for sites that are open", asked)
	}
	one := w.request(status.Offline)
	one.Sites = w.Config.Sites[:1]
	if _, err := w.Set(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(nginxconf.SiteFile(w.Config.Nginx.ConfDir, "demo")); err != nil {
		t.Fatal(err)
	}
	rs := w.reconcile(t)
	if len(rs) != 1 || slices.Contains(stepsOf(rs[0]), StepCount) || !strings.Contains(rs[0].NoBarrier, "share the upstream") {
		t.Errorf("reconcile: %+v", rs)
	}
}
