//go:build soak

package modes

import (
	"testing"
	"time"
)

// TestSoakWholeBodyBeforeTheAnswer is TestWholeBodyBeforeTheAnswer with nginx's own times.
func TestSoakWholeBodyBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	wholeBody(t, "", 36*time.Second, "offline")
}
