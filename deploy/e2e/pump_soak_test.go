//go:build soak

package e2e

import "testing"

// TestSoakPump switches a hundred times and a few.
func TestSoakPump(t *testing.T) { pump(t, 17) }
