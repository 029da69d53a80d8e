//go:build soak

package gate

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

func TestSoakNoAttackGetsInOnAnyNginx(t *testing.T) {
	t.Parallel()
	rig.OnOtherNginx(t, "TestNoAttackGetsIn|TestServersThatLeadNowhere")
}
