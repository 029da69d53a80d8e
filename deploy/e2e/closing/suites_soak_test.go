//go:build soak

package closing

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

func TestSoakNothingArrivesAfterSafeOnAnyNginx(t *testing.T) {
	t.Parallel()
	rig.OnOtherNginx(t, "TestNothingArrivesAfterSafeUnderLoad")
}

// TestSoakRunOpensOnlyAfterSuccess has the rest of the table.
func TestSoakRunOpensOnlyAfterSuccess(t *testing.T) { runOpens(t, rig.Without(usualRuns...)) }
