//go:build soak

package closing

import "testing"

// TestSoakPump switches a hundred times and a few.
func TestSoakPump(t *testing.T) { pump(t, 17) }
