package closing

import (
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestKernelThatCantBeAsked has a kernel without sock_diag(7): what is left is read from /proc, and to cut it the old
// workers are ended, which is said.
func TestKernelThatCantBeAsked(t *testing.T) {
	t.Parallel()
	site := &testSite{name: "demo", settled: true}
	h := newTestHost(t, site)
	h.NoBarrier(t)
	h.start(t)
	l := newLoad(t, h)
	tab := openSocket(t, l, site)
	call := func(args ...string) rig.Result {
		t.Helper()
		return h.Call(t, rig.Call{Before: rig.OldKernel(t), Args: args})
	}
	got := receiptOf(t, call("set", "offline", "--no-cut", "--drain", h.drain, "--json").Want(t, 4))
	got.counts(t, 0, 0, aWebSocket)
	got = receiptOf(t, call("set", "offline", "--drain", h.drain, "--json").Want(t, 0))
	returned := time.Now()
	got.counts(t, 0, aWebSocket, 0)
	if !got.warns("was ended, with the connections of every site that it held") {
		t.Errorf("it isn't said that a worker was ended: %v", got.Warnings)
	}
	if err := exchange(l.ctx, tab); err == nil {
		t.Error("the tab can still be used")
	}
	site.app.untouchedSince(t, returned)
}
