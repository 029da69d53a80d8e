//go:build soak

package modes

import (
	"slices"
	"testing"
)

// TestSoakBesideEveryDirective is TestBesideTheOperatorsDirectives with all that nginx allows in server {}.
func TestSoakBesideEveryDirective(t *testing.T) {
	t.Parallel()
	besideDirectives(t, "", "", slices.DeleteFunc(directives(t), func(r row) bool { return r.group == "named" }))
}
