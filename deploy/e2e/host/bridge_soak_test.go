//go:build soak

package host

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
)

// TestSoakNginxBehindABridge has nginx reach the application by a port that is published on the machine, on its own
// bridge and on another one, and closes the site from each mode.
func TestSoakNginxBehindABridge(t *testing.T) {
	t.Parallel()
	for app, modes := range map[string][]string{
		"172.30.0.3:3000": {"offline", "admin", "offline", "online"},
		"172.31.0.3:3000": {"admin", "offline", "online"},
	} {
		t.Run("application at "+app, func(t *testing.T) {
			t.Parallel()
			b := newBridged(t, netip.MustParseAddrPort(app), published)
			b.switches(t, modes...)
			b.startsAnew(t)
		})
	}
}

// startsAnew has the machine start anew while the site is closed. Before the container runs nobody from outside gets
// to the application, and afterwards nginx doesn't either.
func (b *bridged) startsAnew(t *testing.T) {
	t.Helper()
	b.run(t, "set", "offline").Want(t, 0)
	b.Nginx.Kill(t)
	rig.Check(t, os.Remove(b.Nginx.PIDFile()))
	for _, n := range []*rig.Network{b.machine, b.nginx} {
		if removed, err := barrier.RemoveAll(t.Context(), n.Namespace()); err != nil || len(removed) != 1 {
			t.Fatalf("there were the tables %v (%v)", removed, err)
		}
	}
	b.run(t, "reconcile").Want(t, 0)
	n := b.App.Count()
	if _, err := b.outside.Dial(t.Context(), pastNginx); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("before nginx runs the application is reached from outside: %v", err)
	}
	b.start(t)
	b.run(t, "reconcile").Want(t, 0)
	b.run(t, "get").Want(t, 0)
	_, stop := b.pump(t)
	b.run(t, "set", "offline").Want(t, 0)
	stop()
	if late := b.App.Since(n); len(late) > 0 {
		t.Errorf("%d requests reached the application, first %s", len(late), late[0].URI)
	}
	out, err := exec.Command(b.inside[0], append(b.inside[1:], "mount", "-t", "tmpfs", "none", b.State)...).CombinedOutput()
	if err != nil {
		t.Fatalf("hide the state directory: %v\n%s", err, out)
	}
	rig.Says(t, b.run(t, "doctor").Want(t, 5), "nginx's container doesn't have "+b.State+" at the same path", "-> mount each in the container")
}
