//go:build soak

package commands

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

func TestSoakDemoThatFailsHalfway(t *testing.T) {
	for name, as := range demoUsers(t) {
		for _, args := range [][]string{{"--once"}, {}} {
			t.Run(name+strings.Join(args, ""), func(t *testing.T) {
				nginx, _ := nginxThat(t, "echo nginx says no >&2; exit 1")
				d := startDemo(t, as, nginx, args...)
				d.wait(t, 1)
				d.leftNothing(t)
				if !strings.Contains(d.out.String(), "nginx says no") {
					t.Errorf("stdout doesn't say why:\n%s", &d.out)
				}
				if !regexp.MustCompile(`^conforma-status: demo: this differed:\n  set admin: exit code 1, want 0\n$`).MatchString(d.err.String()) {
					t.Errorf("stderr: %s", &d.err)
				}
			})
		}
	}
}

// TestSoakDemoKilled kills the demo alone: nothing of it may go on serving.
func TestSoakDemoKilled(t *testing.T) {
	for name, as := range demoUsers(t) {
		t.Run(name+"/in the tour", func(t *testing.T) {
			nginx, reached := nginxThat(t, "exec sleep 600")
			d := startDemo(t, as, nginx)
			rig.WaitFor(t, "the tour to hang", func() bool { _, err := os.Stat(reached); return err == nil })
			d.kill(t)
		})
		t.Run(name+"/after it", func(t *testing.T) {
			d := startDemo(t, as, "/usr/sbin")
			d.says(t, "Ctrl-C ends it")
			d.kill(t)
		})
	}
}
