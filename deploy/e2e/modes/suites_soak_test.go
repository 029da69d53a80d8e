//go:build soak

package modes

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

func TestSoakModesOnEveryNginx(t *testing.T) {
	t.Parallel()
	rig.OnOtherNginx(t, "TestEveryRequestInEveryMode|TestSoakEveryRequestInEveryMode|TestWhoWasLetInGetsTheAnswer|TestThePageItself|TestBesideTheOperatorsDirectives|TestBelowTheOperatorsDirectives|TestWhereHTTP2IsAllThatIsSpoken|TestSoakOverHTTP3|TestSoakResetOverHTTP3|TestSoakStreams|TestSoakBesideNewerDirectives|TestStandby")
}

// TestSoakEveryRequestInEveryMode has a server block that hands the Host header on, and one as in Conforma's
// container.
func TestSoakEveryRequestInEveryMode(t *testing.T) { everyRequest(t, "north", "stack") }
