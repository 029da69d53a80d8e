//go:build soak

package host

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakPostrm has the rest of the table.
func TestSoakPostrm(t *testing.T) { postrm(t, rig.Without(usualPurges...)) }
