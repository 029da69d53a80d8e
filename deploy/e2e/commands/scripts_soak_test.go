//go:build soak

package commands

import "testing"

// TestSoakScripts runs the scripts that close a site most often.
func TestSoakScripts(t *testing.T) { runScripts(t, "scripts/soak") }
