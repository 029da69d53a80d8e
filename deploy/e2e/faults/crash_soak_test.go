//go:build soak

package faults

import "testing"

func TestSoakCrashTable(t *testing.T) {
	t.Parallel()
	crashTable(t, true)
}

// TestSoakConcurrentSets runs beside no other test here: the last command has ten minutes to wait for its turn.
func TestSoakConcurrentSets(t *testing.T) {
	concurrentSets(t, 200)
}
