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
