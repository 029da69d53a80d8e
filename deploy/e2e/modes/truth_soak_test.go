//go:build soak

package modes

import "testing"

func TestSoakStatusNeverRunsAhead(t *testing.T) {
	t.Parallel()
	statusNeverRunsAhead(t, 60)
}
