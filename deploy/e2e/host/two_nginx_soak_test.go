//go:build soak

package host

import (
	"fmt"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakTwoNginx names the pid file of another nginx than the site's: the site is shut, and it is said why its rules
// aren't taken up.
func TestSoakTwoNginx(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	s.CLI(t, "publish").Want(t, 0)
	other := rig.NewNginx(t)
	other.Configure(t, fmt.Sprintf("server { listen %s; return 204; }", rig.Loopback(rig.Port(t))))
	other.Start(t)
	s.EditConfig(t, s.Nginx.PIDFile(), other.PIDFile())
	s.Configure(t, rig.Settings{Reload: other.Args("-s", "reload")})
	s.EditConfig(t, s.Nginx.PIDFile(), other.PIDFile())
	r := s.CLI(t, "set", "offline").Want(t, 4)
	rig.Says(t, r, "another nginx serves it", fmt.Sprintf("nginx.pid_file names process %d", other.PID(t)), "hint: name in [nginx] the pid_file")
	if got := s.Client().Do(t, rig.GraphQL(s.URL)).Status; got != 503 {
		t.Errorf("the site answers %d", got)
	}
	s.Configure(t, rig.Settings{})
	s.CLI(t, "set", "offline").Want(t, 0)
}
