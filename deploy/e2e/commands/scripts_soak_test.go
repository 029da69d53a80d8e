//go:build soak

package commands

import "testing"

// TestSoakScripts runs the scripts that close a site most often, and those of what is rarely changed.
func TestSoakScripts(t *testing.T) { runScripts(t, "scripts/soak") }
