//go:build soak

package frontend

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
)

// TestSoakVisitorsAreMovedOnlyWhileClosed plays every situation with Apollo Client 3.
func TestSoakVisitorsAreMovedOnlyWhileClosed(t *testing.T) {
	playSituations(t, chrome.Browser(t), "apollo3", func(situation) bool { return true })
}
