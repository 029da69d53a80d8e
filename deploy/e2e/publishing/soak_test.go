//go:build soak

package publishing

import (
	"testing"
)

func TestSoakPublishThroughFaults(t *testing.T) {
	t.Parallel()
	publishThroughFaults(t, 50)
}
