//go:build soak

package e2e

import "testing"

// TestSoakFrontEnd is TestFrontEnd with every row for Apollo Client 3.
func TestSoakFrontEnd(t *testing.T) {
	playRows(t, startBrowser(t), "apollo3", func(frontendRow) bool { return true })
}
