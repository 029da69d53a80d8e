package faults

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestAnOpeningThatIsInterruptedIsUndone: when the command returns, no worker of nginx follows the rules that were
// given up, although it had told nginx to take them up.
func TestAnOpeningThatIsInterruptedIsUndone(t *testing.T) { interruptedOpenings(t, 1) }

func interruptedOpenings(t *testing.T, times int) {
	t.Parallel()
	for _, c := range []struct{ from, to status.Mode }{
		{status.Offline, status.Admin}, {status.Offline, status.Online}, {status.Admin, status.Online},
	} {
		t.Run(string(c.from)+" to "+string(c.to), func(t *testing.T) {
			t.Parallel()
			h := rig.OnlineSingle(t)
			h.CLI(t, "set", string(c.from)).Want(t, 0)
			reload := strings.Join(h.Nginx.Args("-s", "reload"), " ")
			for range times {
				// Its parent is our command, which ends it once it has heard. Undoing the opening reloads as ever.
				began := filepath.Join(rig.Dir(t), "began")
				h.Configure(t, rig.Settings{Reload: []string{"sh", "-c", "[ -e " + began + " ] && exec " + reload + "; touch " + began + "; " + reload + "; kill -INT $PPID; exec sleep 600"}})
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

// TestInterruptedWhileNginxWorks: Ctrl-C in the middle of one of nginx's commands is called what it is, whether or not
// that command gets it too, as in a terminal. What was asked for is undone; only a closing stays shut, by its file.
func TestInterruptedWhileNginxWorks(t *testing.T) {
	interruptedCommands(t, rig.Only(usualInterrupts...))
}

// usualInterrupts are those of make test. The others are in the soak tests.
var usualInterrupts = []string{"opening, nginx -s reload, both", "closing, nginx -t, ours"}

func interruptedCommands(t *testing.T, rows rig.Rows) {
	t.Parallel()
	const ours, both = "kill -INT $PPID; exec sleep 600", "kill -INT $PPID; kill -INT $$" // the parent of the command is ours
	test := func(command []string) rig.Settings { return rig.Settings{Test: command} }
	reload := func(command []string) rig.Settings { return rig.Settings{Reload: command} }
	for _, c := range []struct {
		name     string
		slow     func(command []string) rig.Settings
		from, to status.Mode
		code     int
		doing    string
	}{
		{"opening, nginx -t", test, status.Offline, status.Online, 1, "test nginx's configuration: "},
		{"opening, nginx -s reload", reload, status.Offline, status.Online, 1, "reload nginx: "},
		{"closing, nginx -t", test, status.Online, status.Offline, 4, "test nginx's configuration: "},
	} {
		for name, signals := range map[string]string{"ours": ours, "both": both} {
			if !rows(c.name + ", " + name) {
				continue
			}
			t.Run(c.name+", "+name, func(t *testing.T) {
				t.Parallel()
				h := rig.OnlineSingle(t)
				h.CLI(t, "set", string(c.from)).Want(t, 0)
				began := filepath.Join(h.Nginx.Dir, "began")
				h.Configure(t, c.slow([]string{"sh", "-c", "[ -e " + began + " ] && exit; touch " + began + "; " + signals}))
				r := h.CLI(t, "set", string(c.to)).Want(t, c.code)
				rig.Says(t, r, "set demo "+string(c.to)+": "+c.doing, ": it was interrupted\n", "hint: repeat this command\n")
				for _, not := range []string{"canceled", "refused", "error log"} {
					if strings.Contains(r.Stderr, not) {
						t.Errorf("it says %q:\n%s", not, r.Stderr)
					}
				}
				h.Configure(t, rig.Settings{})
				if c.code == 1 {
					rig.Agreed(t, h, c.from)
				}
				h.CLI(t, "set", string(c.to)).Want(t, 0)
				rig.Agreed(t, h, c.to)
			})
		}
	}
}
