//go:build soak

package barrier

import (
	"fmt"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakProofThatFails has somebody else's rules refuse what our own should have refused.
func TestSoakProofThatFails(t *testing.T) {
	t.Parallel()
	rig.NeedBarrier(t)
	h := newHost(t)
	h.Install(t)
	otherTable(t, fmt.Sprintf("rig_%d", h.App.Port), h.App.Port)
	got := receiptOf(t, h.CLI(t, "set", "offline", "--json").Want(t, 0)) // the old way has proven it
	if got.Barrier || !strings.Contains(got.NoBarrier, "not proven") {
		t.Errorf("the receipt doesn't say that the barrier isn't proven: %+v", got)
	}
	h.CLI(t, "set", "online").Want(t, 0)
	h.EditConfig(t, "store ", "barrier = \"required\"\nstore ")
	r := h.CLI(t, "set", "offline", "--json").Want(t, 4)
	if got := receiptOf(t, r); got.SafeSince != nil || !got.warns("required") {
		t.Errorf("required and not proven: %+v", got)
	}
	if v := h.view(t, "demo", 0); !v.Live.Closed || v.Wanted.SafeSince != nil {
		t.Errorf("get says %+v", v)
	}
}

// TestSoakWorkersOfAnotherUser has nginx start with other workers while a site is closed.
func TestSoakWorkersOfAnotherUser(t *testing.T) {
	t.Parallel()
	rig.NeedBarrier(t)
	h := newHost(t)
	h.Install(t)
	h.CLI(t, "set", "offline").Want(t, 0)
	hole := rig.Loopback(rig.Port(t))
	h.Nginx.Stop(t)
	h.Nginx.User = "games"
	rig.WriteFile(t, h.Enabled("shape.conf"), h.words("server { listen "+hole+"; location / { proxy_pass http://127.0.0.1:APP; } }\n"))
	h.WriteNginx(t)
	h.Nginx.Start(t)
	h.CLI(t, "reconcile").Want(t, 0)
	n := h.App.Count()
	if r := (rig.Client{Addr: hole, Host: hole}).Get(t, "/"); r.Status != 502 || h.App.Count() != n {
		t.Errorf("workers of another user: %d, and %d requests reach the application", r.Status, h.App.Count()-n)
	}
	if v := h.view(t, "demo", 0); !v.Kernel.Barrier || v.Kernel.Tried.Nginx == 0 {
		t.Errorf("get says %+v", v)
	}
}
