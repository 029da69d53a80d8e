package maintenance

import (
	"context"
	"fmt"
	"testing"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/status"
)

// interruptAt calls do with a context that ends at the nth moment, and reports whether there was one.
func (w *world) interruptAt(t *testing.T, n int, do func(context.Context)) (was bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watching := w.moment
	w.moment = func(what string) {
		watching(what)
		if n--; n == 0 {
			cancel()
		}
	}
	do(ctx)
	w.moment = watching
	return n <= 0
}

// TestInterruptedAnywhere: whenever a command is interrupted, nobody is told that a site is online that is shut, during
// it and after it: not on a change of mode, and not where the site only gets other rules.
func TestInterruptedAnywhere(t *testing.T) {
	for _, edited := range []bool{false, true} {
		for _, from := range modes {
			for _, to := range modes {
				for n, was := 1, true; was; n++ {
					w := newWorld(t)
					w.set(t, from)
					w.Config.Sites[0].ServiceWorker = edited
					what := fmt.Sprintf("edited %v, %s to %s, interrupted at %d", edited, from, to, n)
					w.promise(t, what)
					was = w.interruptAt(t, n, func(ctx context.Context) { _, _ = w.Set(ctx, w.request(to)) })
					if told, is := w.published(), w.effective(); told == status.Online && is != status.Online {
						t.Errorf("%s: afterwards nginx is %s, published %s", what, is, told)
					}
				}
			}
		}
	}
}

// TestKilledThenInterrupted: an opening is killed, and the command that finishes it is interrupted.
func TestKilledThenInterrupted(t *testing.T) {
	for k, killed := 1, true; killed; k++ {
		for n, was := 1, true; was; n++ {
			w := newWorld(t)
			w.Config.Sites[0].Smoke = "/healthz"
			w.set(t, status.Offline)
			if killed = w.killAt(k, func() { w.set(t, status.Online) }); !killed {
				break
			}
			was = w.interruptAt(t, n, func(ctx context.Context) { _, _ = w.Set(ctx, w.request(status.Online)) })
			if told, is := w.published(), w.effective(); told == status.Online && is != status.Online {
				t.Errorf("killed at %d, interrupted at %d: afterwards nginx is %s, published %s", k, n, is, told)
			}
		}
	}
}

// TestOpenSiteStaysOpen: a site that is online gets other rules in the same command that fails to open another.
func TestOpenSiteStaysOpen(t *testing.T) {
	w := newWorld(t)
	w.another(t)
	w.set(t, status.Online)
	one := w.request(status.Offline)
	one.Sites = w.Config.Sites[:1]
	if _, err := w.Set(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	w.FetchPage = func(_ context.Context, target operator.Target, _, _ string) (control.Page, error) {
		if target.Site == "demo" {
			return control.Page{Status: 302, Maintenance: "offline"}, nil
		}
		return control.Page{Status: 200}, nil
	}
	w.Config.Sites[1].ServiceWorker = true
	receipts, err := w.Set(t.Context(), w.request(status.Online))
	if err != nil || receipts[0].Outcome != state.Failed || receipts[1].Outcome != state.Failed {
		t.Fatalf("%v, %+v", err, receipts)
	}
	if !w.Dir().IsShut("demo") || w.Dir().IsShut("other") {
		t.Errorf("shut: demo %v, other %v", w.Dir().IsShut("demo"), w.Dir().IsShut("other"))
	}
}

// TestCutOfAnother: a repair of two sites is killed while it cuts what one of them held. The other one, which was open
// all along, had nothing cut.
func TestCutOfAnother(t *testing.T) {
	w := newWorld(t)
	w.set(t, status.Online)
	closing := w.next(t, status.Offline)
	closing.Site = "gone"
	killed, err := w.Dir().Begin(state.Intent{Changes: []state.SiteChange{
		{Site: "gone", From: status.Offline, To: closing},
		{Site: "demo", From: status.Online, To: w.recordOf(t, "demo").Document},
	}}, string(StepCut))
	if err != nil {
		t.Fatal(err)
	}
	killed.Keep()
	if r := w.set(t, status.Offline); r.Cut != 0 || r.SafeSince == nil {
		t.Errorf("cut %d, safe since %v: %s", r.Cut, r.SafeSince, r.Doubt)
	}
}
