//go:build soak

package gate

import "testing"

func TestSoakAttacks(t *testing.T) {
	t.Parallel()
	attack(t, !sampled)
}
