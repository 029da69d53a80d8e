//go:build soak

package modes

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakBesideEveryDirective is TestBesideTheOperatorsDirectives with all that nginx allows in server {}.
func TestSoakBesideEveryDirective(t *testing.T) {
	t.Parallel()
	besideDirectives(t, "", "", slices.DeleteFunc(directives(t), func(r row) bool { return r.group == "named" }))
}

// TestSoakBesideNewerDirectives is the same with those that Debian 12's nginx doesn't know, and a later one does.
func TestSoakBesideNewerDirectives(t *testing.T) {
	t.Parallel()
	older, err := os.ReadFile("/usr/sbin/nginx")
	rig.Check(t, err)
	program, err := os.ReadFile(rig.NewNginx(t).Binary())
	rig.Check(t, err)
	rows := slices.DeleteFunc(directives(t), func(r row) bool {
		name := []byte(r.name + "\x00")
		isOld := bytes.Contains(older, name) && r.name != "http2" // that it knows as a word of listen
		return r.group == "named" || isOld || !bytes.Contains(program, name)
	})
	if len(rows) == 1 {
		t.Skip("this nginx knows none: TestSoakModesOnEveryNginx has others")
	}
	besideDirectives(t, "", "", rows)
}
