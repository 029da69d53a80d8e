//go:build soak

package faults

import "testing"

func TestSoakCrashTable(t *testing.T) {
	t.Parallel()
	crashTable(t, true)
}

func TestSoakConcurrentSets(t *testing.T) {
	t.Parallel()
	concurrentSets(t, 200)
}
