package faults

import (
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestAnOpeningThatIsInterruptedIsUndone: when the command returns, no worker of nginx follows the rules that were given up, although it had
// told nginx to take them up.
func TestAnOpeningThatIsInterruptedIsUndone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, to status.Mode }{
		{status.Offline, status.Admin}, {status.Offline, status.Online}, {status.Admin, status.Online},
	} {
		t.Run(string(c.from)+" to "+string(c.to), func(t *testing.T) {
			t.Parallel()
			h := rig.OnlineSingle(t)
			h.CLI(t, "set", string(c.from)).Want(t, 0)
			reload := strings.Join(h.Nginx.Args("-s", "reload"), " ")
			for range 5 {
				h.Configure(t, rig.Settings{Reload: []string{"sh", "-c", reload + "; kill -INT $PPID"}}) // its parent is our command
				r := h.CLI(t, "set", string(c.to)).Want(t, 1)
				before := h.App.Count()
				if got := h.Client().Do(t, rig.Post()); got.Status != 503 || h.App.Count() != before {
					t.Errorf("a visitor gets %d after the opening was undone:\n%s", got.Status, r.Stderr)
				}
				h.Configure(t, rig.Settings{})
				rig.Agreed(t, h, c.from)
				if warned := strings.Contains(r.Stderr, "visitors may have been let in"); warned != (c.from == status.Admin) {
					t.Errorf("warned: %v\n%s", warned, r.Stderr)
				}
			}
			h.CLI(t, "set", string(c.from)).Want(t, 0)
		})
	}
}
