//go:build soak

package host

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakUnitEntersContainer: what the handbook has an operator add lets the units enter the network of a container,
// and nothing less does.
func TestSoakUnitEntersContainer(t *testing.T) {
	t.Parallel()
	handbook, err := os.ReadFile("../../OPERATIONS.md")
	rig.Check(t, err)
	_, rest, found := strings.Cut(string(handbook), "\n```ini\n[Service]\nCapabilityBoundingSet=")
	more, _, _ := strings.Cut(rest, "\n```")
	if !found {
		t.Fatal("the handbook doesn't say what to add")
	}
	added := strings.Split("CapabilityBoundingSet="+more, "\n")
	m := rig.NewMachine(t)
	m.PowerOn(t)
	m.Await(t, "systemd", "systemctl is-system-running --wait || true")
	for _, name := range []string{"conforma-status-reconcile", "conforma-status-follow"} {
		file, err := os.ReadFile("../../systemd/" + name + ".service")
		rig.Check(t, err)
		own := regexp.MustCompile(`(?m)^(?:Capability|Restrict|SystemCall|NoNewPrivileges).*$`).FindAllString(string(file), -1)
		for n := range len(added) + 1 {
			const of = "/etc/systemd/system/enters.service"
			lines := func(of []string) string { return "'[Service]' '" + strings.Join(of, "' '") + "'" }
			unit := lines(append(own, "Type=oneshot", "ExecStart=sh -c \"exec nsenter --net=/proc/$$(cat /run/inside)/ns/net true\""))
			r := m.Run(t, "unshare --net sleep infinity & echo $! >/run/inside; ours=$(readlink /proc/self/ns/net); until [ \"$(readlink /proc/$!/ns/net)\" != \"$ours\" ]; do :; done; "+
				"mkdir -p "+of+".d; printf '%s\\n' "+unit+" >"+of+"; printf '%s\\n' "+lines(added[:n])+" >"+of+".d/override.conf; systemctl daemon-reload; "+
				"status=0; systemctl start enters || status=$?; journalctl -u enters | tail -n 3; kill $!; exit $status")
			if entered := r.Code == 0; entered != (n == len(added)) {
				t.Errorf("%s with %q: %d, %s%s", name, added[:n], r.Code, r.Stdout, r.Stderr)
			}
		}
	}
}
