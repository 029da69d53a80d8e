package maintenance

import (
	"context"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestClosedSiteOutOfReach: the upstream of a closed site becomes one that the kernel can't keep nginx from. The site
// is drained again, and isn't said to be behind the barrier.
func TestClosedSiteOutOfReach(t *testing.T) {
	for name, moves := range map[string]func(*testing.T, *world, *fakeKernel){
		"a unix socket": func(_ *testing.T, _ *world, k *fakeKernel) {
			k.places = map[string]barrier.Place{"other": {Err: barrier.ErrUnixSocket}}
		},
		"shared with a new site, which is open": func(t *testing.T, w *world, k *fakeKernel) {
			third := w.another(t)
			third.Name, third.Path = "third", "third"
			w.Config.Sites[2] = third
			k.places = map[string]barrier.Place{"third": {Ends: k.site("other").Ends}}
			if _, err := w.Render(t.Context(), w.Config.Nginx.ConfDir); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			k := w.withKernel()
			other := w.another(t)
			w.set(t, status.Offline)
			before := w.recordOf(t, "other")
			if !k.refuses("other") || !before.Barrier {
				t.Fatal("there was no barrier")
			}
			moves(t, w, k)
			receipts, err := w.Reconcile(t.Context(), 0)
			if err != nil || len(receipts) != 1 || receipts[0].Site != "other" || receipts[0].Barrier {
				t.Errorf("reconcile: %+v, %v", receipts, err)
			}
			if after := w.recordOf(t, "other"); after.Barrier || after.SafeSince != nil && !after.SafeSince.After(*before.SafeSince) {
				t.Errorf("on record: barrier %v, safe since %v, before %v", after.Barrier, after.SafeSince, before.SafeSince)
			}
			if v, err := w.View(t.Context(), other); err != nil || v.Kernel.Barrier {
				t.Errorf("get: %+v, %v", v.Kernel, err)
			}
			if !k.refuses("demo") || !w.recordOf(t, "demo").Safe() {
				t.Error("the other site lost its barrier too")
			}
			if again, err := w.Reconcile(t.Context(), 0); err != nil || len(again) != 0 {
				t.Errorf("reconcile again: %+v, %v", again, err)
			}
		})
	}
}

// TestSiteThatComesBack: a site in admin mode is taken out of the configuration, and put back. Before reconcile knows,
// another one closes: that doesn't take from it what is on record.
func TestSiteThatComesBack(t *testing.T) {
	w := newWorld(t)
	k := w.withKernel()
	other := w.another(t)
	w.set(t, status.Admin)
	w.Config.Sites = w.Config.Sites[:1]
	w.reconcile(t)
	if k.site("other").Outside == barrier.Refuse {
		t.Fatal("the kernel still gates a site that isn't there")
	}
	w.Config.Sites = append(w.Config.Sites, other)
	one := w.request(status.Offline)
	one.Sites = w.Config.Sites[:1]
	receipts, err := w.Set(t.Context(), one)
	if err != nil || strings.Contains(strings.Join(receipts[0].Warnings, "\n"), "no kernel barrier") {
		t.Errorf("closing the other one: %v, %q", err, receipts[0].Warnings)
	}
	w.reconcile(t)
	if rec := w.recordOf(t, "other"); k.site("other").Outside != barrier.Refuse || !rec.Barrier || !rec.Safe() {
		t.Errorf("the kernel does %v, on record: barrier %v, safe %v", k.site("other").Outside, rec.Barrier, rec.Safe())
	}
}

// configured is an nginx that dumps its configuration.
type configured struct {
	fakeNginx
	conf *operator.Config
}

func (n configured) Config(context.Context) (*operator.Config, error) { return n.conf, nil }

// served has nginx's configuration lead to the site's application by its rules, and by the lines of another server.
func (w *world) served(t *testing.T, more string) {
	t.Helper()
	rules := nginxconf.SiteFile(w.Config.Nginx.ConfDir, w.site.Name)
	conf, err := operator.ReadConfig([]byte("# configuration file /etc/nginx/nginx.conf:\nhttp {\n" +
		"server { listen " + w.site.Listen + "; include " + rules + "; location / { proxy_pass http://" + w.site.Upstreams[0] + "; } }\n" +
		more + "\n}\n# configuration file " + rules + ":\n"))
	if err != nil {
		t.Fatal(err)
	}
	w.Nginx = configured{fakeNginx{w}, conf}
}

// TestHoleWhenReconciled: a hole refuses no repair, but the site isn't safe. It is where the operator has closed it by
// force, and answers for the hole.
func TestHoleWhenReconciled(t *testing.T) {
	for _, forced := range []bool{false, true} {
		w := newWorld(t)
		hole := "server { listen 50009; location / { proxy_pass http://" + w.site.Upstreams[0] + "; } }"
		w.served(t, "")
		if forced {
			w.served(t, hole)
		}
		req := w.request(status.Offline)
		req.Force = forced
		receipts, err := w.Set(t.Context(), req)
		if err != nil || receipts[0].SafeSince == nil {
			t.Fatalf("forced %v: %+v, %v", forced, receipts, err)
		}
		w.served(t, hole)
		w.Config.Sites[0].ServiceWorker = true // there is something to repair
		for n, kills := range []bool{true, false} {
			if kills {
				w.killAt(12, func() { w.reconcile(t) })
				continue
			}
			receipts, err = w.Reconcile(t.Context(), 0)
			if err != nil || len(receipts) != 1 || receipts[0].Err != nil {
				t.Fatalf("forced %v, reconcile %d: %+v, %v", forced, n, receipts, err)
			}
		}
		if rec := w.recordOf(t, "demo"); rec.Safe() != forced || rec.Forced != forced {
			t.Errorf("forced %v: on record safe %v, forced %v; %q", forced, rec.SafeSince, rec.Forced, receipts[0].Warnings)
		}
		w.served(t, "")
		if r := w.set(t, status.Online); r.Err != nil {
			t.Fatal(r.Err)
		}
		if w.recordOf(t, "demo").Forced {
			t.Error("the operator still answers for holes of a site that is open")
		}
	}
}

// TestClosedBesideClosed: a closed site that has no barrier takes none from another closed one behind the same
// upstream.
func TestClosedBesideClosed(t *testing.T) {
	for name, c := range map[string]struct {
		both, one status.Mode
		keeps     string // the site that has the barrier afterwards
	}{
		"both in admin mode, one closes":  {status.Admin, status.Offline, "other"},
		"both offline, one goes to admin": {status.Offline, status.Admin, "demo"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			k := w.withKernel()
			k.shared = true
			w.another(t)
			w.set(t, c.both)
			req := w.request(c.one)
			req.Sites = w.Config.Sites[:1]
			receipts, err := w.Set(t.Context(), req)
			if err != nil || receipts[0].Err != nil || receipts[0].Barrier != (c.keeps == "demo") {
				t.Fatalf("%+v, %v", receipts[0], err)
			}
			for range 3 {
				if receipts, err := w.Reconcile(t.Context(), 0); err != nil || len(receipts) != 0 {
					t.Fatalf("reconcile: %+v, %v", receipts, err)
				}
				if rec := w.recordOf(t, c.keeps); k.site(c.keeps).Outside != barrier.Refuse || !rec.Barrier || !rec.Safe() {
					t.Errorf("the kernel does %v for %s, on record: barrier %v, safe %v", k.site(c.keeps).Outside, c.keeps, rec.Barrier, rec.Safe())
				}
			}
		})
	}
}

// TestBarrierIsMissed: a closing that nginx doesn't take up forgets no barrier, so that the next reconcile has it back.
func TestBarrierIsMissed(t *testing.T) {
	w := newWorld(t)
	k := w.withKernel()
	w.set(t, status.Offline)
	k.there, k.rules = false, barrier.Rules{} // it went with nginx's network
	w.running = false
	if receipts, err := w.Set(t.Context(), w.request(status.Offline)); err != nil || receipts[0].Err == nil || !w.recordOf(t, "demo").Barrier {
		t.Errorf("without nginx: %v, on record %+v", err, w.recordOf(t, "demo"))
	}
	w.running = true
	w.reconcile(t)
	if !k.refuses("demo") || !w.recordOf(t, "demo").Safe() {
		t.Errorf("after reconcile: %+v", w.recordOf(t, "demo"))
	}
}
