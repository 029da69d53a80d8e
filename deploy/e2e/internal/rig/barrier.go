package rig

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
)

// RemoveBarrier takes away the kernel barrier of the configuration with that state directory at the end of the test.
// The kernel would go on refusing, and others use the same ports later.
func RemoveBarrier(tb testing.TB, state string) {
	tb.Helper()
	tb.Cleanup(func() {
		err := barrier.Barrier{StateDir: state}.Remove(context.Background(), 0)
		if err != nil && !errors.Is(err, barrier.ErrNotAllowed) && !errors.Is(err, barrier.ErrNoNftables) {
			tb.Errorf("rig: %v", err)
		}
	})
}

// NoBarrier switches the kernel barrier off in config.toml: what is to be seen then is what holds without it.
func (h *Host) NoBarrier(tb testing.TB) {
	tb.Helper()
	h.EditConfig(tb, "store ", "barrier = \"off\"\nstore ")
}

// HasBarrier reports whether this kernel, and this user, can have the kernel barrier.
var HasBarrier = sync.OnceValue(func() bool {
	return barrier.Barrier{StateDir: "/nowhere"}.Probe(context.Background(), 0, barrier.Rules{}) == nil
})

// NeedBarrier leaves a test out that needs the kernel barrier where nobody but root can have it. Root has to have it.
func NeedBarrier(tb testing.TB) {
	tb.Helper()
	switch {
	case os.Geteuid() == 0 && !HasBarrier():
		tb.Fatal("root has to have the kernel barrier: run `modprobe nf_tables`, or give the container CAP_NET_ADMIN")
	case os.Geteuid() != 0:
		tb.Skip("LEFT OUT: only root can have the kernel barrier, and workers of another user")
	}
}
