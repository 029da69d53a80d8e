package source

import (
	"regexp"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// DoctorChecks are the names of the doctor's checks, by its source.
func DoctorChecks(t *testing.T) []string {
	t.Helper()
	var names []string
	source := rig.ReadFile(t, rig.Source("cmd", "internal", "doctor", "doctor.go"))
	for _, m := range regexp.MustCompile(`(?m)^\t[A-Za-z]+ +Check = "(.*)"$`).FindAllStringSubmatch(source, -1) {
		names = append(names, m[1])
	}
	if len(names) < 20 {
		t.Fatalf("found only the checks %v", names)
	}
	return names
}
