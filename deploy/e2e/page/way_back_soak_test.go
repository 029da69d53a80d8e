//go:build soak

package page

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/firefox"
)

// TestSoakEveryWayBack is TestEveryWayBack for Firefox.
func TestSoakEveryWayBack(t *testing.T) {
	t.Parallel()
	s := newWay(t)
	fox := firefox.Start(t, "")
	fox.Tab(t, "")
	s.everyWay(t, fox.Open, fox.TryEval)
}
