//go:build soak

package frontend

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
)

// TestSoakFrontEnd is TestFrontEnd with every row for Apollo Client 3.
func TestSoakFrontEnd(t *testing.T) {
	playRows(t, chrome.Start(t), "apollo3", func(frontendRow) bool { return true })
}
