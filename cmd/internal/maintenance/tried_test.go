package maintenance

import (
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/status"
)

// TestTriedWhileClosed: an opening says how often the kernel has refused nginx, and names both that may be why. It
// can't tell a certificate authority's question, which passes in every mode, from a hole.
func TestTriedWhileClosed(t *testing.T) {
	const of = " to reach the application of demo while it was closed, and the kernel refused it: " +
		"a certificate authority's question (/.well-known/acme-challenge/), or a way past the site's rules"
	for refused, want := range map[uint64]string{0: "", 1: "nginx tried once" + of, 2: "nginx tried 2 times" + of} {
		w := newWorld(t)
		k := w.withKernel()
		w.set(t, status.Offline)
		k.refused = refused
		got := ""
		for _, says := range w.set(t, status.Online).Warnings {
			if strings.HasPrefix(says, "nginx tried") {
				got = says
			}
		}
		if got != want {
			t.Errorf("refused %d times, it warns %q, want %q", refused, got, want)
		}
	}
}
