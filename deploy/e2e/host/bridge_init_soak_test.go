//go:build soak

package host

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakInitInAContainer has init find an nginx that runs in a container behind a bridge, with its files from the
// machine and without.
func TestSoakInitInAContainer(t *testing.T) {
	t.Parallel()
	for _, mounted := range []bool{true, false} {
		t.Run(fmt.Sprintf("mounted %v", mounted), func(t *testing.T) {
			t.Parallel()
			b := wire(t, netip.MustParseAddrPort("172.30.0.3:3000"))
			rig.Check(t, os.Remove(b.Config))
			port := b.Blocks[0].Port
			b.http = fmt.Sprintf("server { listen %d; server_name demo.example.org; location / { proxy_pass http://172.30.0.3:3000; } }\n", port)
			b.Nginx.MountConf = mounted
			b.start(t)
			was := rig.ReadFile(t, b.Nginx.Conf)

			r := b.run(t, "init").Want(t, 0)
			for _, line := range []string{
				`test     = ["docker", "exec", "web", "nginx", "-t"]`, `reload   = ["docker", "exec", "web", "nginx", "-s", "reload"]`,
				fmt.Sprintf("pid_file = %q", b.Nginx.PIDFile()), fmt.Sprintf("listen    = %q", rig.Loopback(port)), `upstreams = ["172.30.0.3:3000"]`,
				"# CHANGE: with the port that web publishes", "# CHANGE: mount /var/lib/conforma-status in the container web at the same path",
			} {
				if !strings.Contains(r.Stdout, line) {
					t.Errorf("it doesn't say %s\n%s", line, r.Stdout)
				}
			}

			if !mounted {
				rig.Says(t, b.run(t, "init", "--write").Want(t, 1), "the container doesn't have it mounted at the same path (web)", "hint: mount its directory")
				if _, err := os.Stat(b.Config); !os.IsNotExist(err) || rig.ReadFile(t, b.Nginx.Conf) != was {
					t.Errorf("something was written (%v)", err)
				}
				return
			}
			rig.Check(t, os.MkdirAll(filepath.Join(filepath.Dir(b.Nginx.Conf), "conforma-status"), 0o755))
			b.run(t, "init", "--write").Want(t, 0)
			if conf := rig.ReadFile(t, b.Nginx.Conf); strings.Count(conf, "include ") != 2 {
				t.Errorf("the lines aren't there:\n%s", conf)
			}
			b.run(t, "init", "--undo").Want(t, 0)
			if conf := rig.ReadFile(t, b.Nginx.Conf); conf != was {
				t.Errorf("it isn't as it was:\n%s", conf)
			}
		})
	}
}
