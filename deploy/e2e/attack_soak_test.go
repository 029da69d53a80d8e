//go:build soak

package e2e

import "testing"

func TestSoakAttacks(t *testing.T) {
	t.Parallel()
	attack(t, !sampled)
}
