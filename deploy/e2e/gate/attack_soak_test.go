//go:build soak

package gate

import "testing"

func TestSoakNoAttackGetsIn(t *testing.T) {
	t.Parallel()
	attack(t, !sampled)
}
