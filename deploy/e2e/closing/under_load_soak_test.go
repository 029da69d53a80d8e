//go:build soak

package closing

import "testing"

// TestSoakNothingArrivesAfterSafeUnderLoad switches a hundred times and a few.
func TestSoakNothingArrivesAfterSafeUnderLoad(t *testing.T) { switchUnderLoad(t, 17) }
