//go:build soak

package doctor

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakDoctorsAdviceOnDrift has the rest of the table.
func TestSoakDoctorsAdviceOnDrift(t *testing.T) { adviceOnDrift(t, rig.Without(usualDrift...)) }
