//go:build soak

package e2e

import "testing"

func TestSoakCrashTable(t *testing.T) {
	t.Parallel()
	crashTable(t, true)
}

func TestSoakConcurrentSets(t *testing.T) {
	t.Parallel()
	concurrentSets(t, 200)
}
