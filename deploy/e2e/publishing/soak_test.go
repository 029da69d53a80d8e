//go:build soak

package publishing

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

func TestSoakWebServersDuringWrites(t *testing.T) { duringWrites(t, 200) }

// TestSoakStoreFaultTable has the rest of the table.
func TestSoakStoreFaultTable(t *testing.T) { storeFaultTable(t, rig.Without(usualStoreFaults...)) }

func TestSoakPublishThroughFaults(t *testing.T) {
	t.Parallel()
	publishThroughFaults(t, 50)
}
