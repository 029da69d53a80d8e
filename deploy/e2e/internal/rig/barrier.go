package rig

import (
	"context"
	"errors"
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
