//go:build soak

package frontend

import "testing"

func TestSoakVisitorsAreMovedOnlyWhileClosed(t *testing.T) { visitorsAreMoved(t, "apollo4", "apollo3") }
