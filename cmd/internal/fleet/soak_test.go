//go:build soak

package fleet

import "testing"

func TestSoakFleet(t *testing.T) {
	t.Run("four hosts", func(t *testing.T) { liveAll(t, 1000, 80, 4) })
	t.Run("a hundred", func(t *testing.T) { liveAll(t, 1, 1, 100) })
}
