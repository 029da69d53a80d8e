package barrier

import (
	"fmt"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestKeptWhileClosed: reconcile leaves a closed site alone whose configuration doesn't say where it leads to. When an
// open site gets the same application, the closed one has no barrier any more, and isn't safe.
func TestKeptWhileClosed(t *testing.T) {
	t.Parallel()
	rig.NeedBarrier(t)
	h := newHost(t)
	h.EditConfig(t, fmt.Sprintf("upstreams = [%q, %q, %q]\n", rig.Loopback(h.App.Port), rig.Loopback(h.wild), rig.Loopback(h.both)), "")
	h.Install(t)
	if got := receiptOf(t, h.CLI(t, "set", "offline", "--json").Want(t, 0)); !got.Barrier || got.SafeSince == nil {
		t.Fatalf("the receipt says %+v", got)
	}
	was := h.view(t, "demo", 0)
	h.CLI(t, "reconcile").Want(t, 0)
	if now := h.view(t, "demo", 0); !now.Kernel.Barrier || now.Wanted.SafeSince == nil || !now.Wanted.SafeSince.Equal(*was.Wanted.SafeSince) {
		t.Errorf("get said %+v, and after reconcile %+v", was, now)
	}
	h.CLI(t, "set", "online").Want(t, 0)

	h = newHost(t)
	h.Install(t)
	h.CLI(t, "set", "offline").Want(t, 0)
	h.second(t, "")
	h.CLI(t, "render").Want(t, 0)
	h.Nginx.Stop(t)
	h.Nginx.Start(t)
	h.CLI(t, "reconcile").Want(t, 4)
	if now := h.view(t, "demo", 0); now.Kernel.Barrier || now.Wanted.SafeSince != nil || !now.Live.Closed {
		t.Errorf("an open site leads there, and get says %+v", now)
	}
}
