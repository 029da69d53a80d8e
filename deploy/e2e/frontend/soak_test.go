//go:build soak

package frontend

import "testing"

func TestSoakVisitorsAreMovedOnlyWhileClosed(t *testing.T) {
	visitorsAreMoved(t, "apollo4", "apollo3", func(situation) bool { return true })
}

func TestSoakVisitorsAreMovedRarely(t *testing.T) { visitorsAreMoved(t, "apollo3", "apollo4", isRare) }
