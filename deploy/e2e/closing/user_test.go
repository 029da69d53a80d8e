package closing

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestClosingAsAnOrdinaryUser runs nginx and conforma-status as somebody whom the kernel doesn't let destroy sockets:
// the old workers are ended, which touches other sites too, and that is said. Somebody else's nginx on the same
// machine, which they may not look into, is none of their business.
func TestClosingAsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	elsewhere := newTestHost(t, &testSite{name: "elsewhere"})
	elsewhere.start(t) // root's, where the test is run by root
	strangers := workersOf(t, elsewhere.Nginx.PID(t))

	site := &testSite{name: "demo", settled: true}
	h := newTestHost(t, site)
	h.render(t)
	h.Nginx.StartAsNobody(t)
	l := newLoad(t, h)
	tab := openSocket(t, l, site)

	r := h.asNobody(t, "set", "offline", "--no-cut", "--drain", h.drain, "--json").Want(t, 4)
	receiptOf(t, r).counts(t, 0, 0, aWebSocket)
	r = h.asNobody(t, "set", "offline", "--drain", h.drain, "--json").Want(t, 0)
	returned := time.Now()
	got := receiptOf(t, r)
	got.counts(t, 0, aWebSocket, 0)
	if err := exchange(l.ctx, tab); err == nil {
		t.Error("the tab can still be used")
	}
	if !got.warns("was ended, with the connections of every site that it held") {
		t.Errorf("it isn't said that a worker was ended: %v", got.Warnings)
	}
	site.app.untouchedSince(t, returned)
	for _, pid := range strangers {
		if gone(pid) {
			t.Errorf("worker %d of somebody else's nginx was ended", pid)
		}
	}
	if r := h.dialer(site).Do(t, rig.GraphQL(site.url())); r.Status != 503 {
		t.Errorf("the site answers %d", r.Status)
	}

	// Who may not even read the configuration is told what would help.
	if err := os.Chmod(h.Config, 0); err != nil {
		t.Fatal(err)
	}
	if r := h.asNobody(t, "set", "online").Want(t, 2); !strings.Contains(r.Stderr, "permission denied\nhint: run it as root (sudo)") {
		t.Errorf("it says %s", r.Stderr)
	}
}
