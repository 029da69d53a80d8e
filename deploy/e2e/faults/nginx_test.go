package faults

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// nginxFault is one way in which nginx can fail a change. mend is what the operator does about it.
type nginxFault struct {
	name            string
	fault           func(t *testing.T, h *rig.Single) (mend func())
	closing         int // exit codes
	opening         int
	says            []string
	whileClosing    status.Mode // what visitors find afterwards; "" for nobody who answers
	whileOpening    status.Mode
	comesUpByItself bool // it changes what was asked for
}

var nginxFaults = []nginxFault{
	{"it is not running", func(t *testing.T, h *rig.Single) func() {
		h.Nginx.Stop(t)
		return func() { h.Nginx.Start(t) }
	}, 4, 1, []string{"nginx is not running", "hint: start nginx: it comes up shut, because of the closed file; then repeat this command"}, "", "", false},

	{"it dies during the reload", func(t *testing.T, h *rig.Single) func() {
		h.Configure(t, rig.Settings{Reload: []string{"sh", "-c", "kill -9 -$(cat " + h.Nginx.PIDFile() + ")"}})
		return func() {
			h.Configure(t, rig.Settings{})
			h.Nginx.Kill(t)
			if err := os.Remove(h.Nginx.PIDFile()); err != nil {
				t.Fatal(err)
			}
			h.Nginx.Start(t)
		}
	}, 4, 1, []string{"did not take up revision", "nginx is not running", "hint: start nginx"}, "", "", false},

	{"its configuration was broken before", func(t *testing.T, h *rig.Single) func() {
		rig.WriteFile(t, h.Enabled("broken.conf"), rig.BrokenConf)
		return func() { os.Remove(h.Enabled("broken.conf")) }
	}, 4, 1, []string{`unknown directive "somebody_else"`, "hint: mend what nginx names above, then repeat this command"}, status.Offline, status.Offline, false},

	{"its configuration is broken meanwhile", func(t *testing.T, h *rig.Single) func() {
		h.Configure(t, rig.Settings{Reload: []string{"sh", "-c", "echo '" + strings.TrimSpace(rig.BrokenConf) + "' >" + h.Enabled("broken.conf") + "; kill -HUP $(cat " + h.Nginx.PIDFile() + ")"}})
		return func() {
			os.Remove(h.Enabled("broken.conf"))
			h.Configure(t, rig.Settings{})
		}
	}, 4, 1, []string{"did not take up revision", `rolling back: test nginx's configuration`, `unknown directive "somebody_else"`, "hint:"}, status.Offline, status.Offline, false},

	{"a port is taken", func(t *testing.T, h *rig.Single) func() {
		port := rig.Port(t)
		taken, err := net.Listen("tcp4", rig.Loopback(port))
		if err != nil {
			t.Fatal(err)
		}
		rig.WriteFile(t, h.Enabled("new.conf"), fmt.Sprintf("server { listen %s; }\n", rig.Loopback(port)))
		return func() { taken.Close() }
	}, 4, 1, []string{"did not take up revision", "within 10s", "hint: nginx's error log says why it keeps its old configuration"}, status.Offline, status.Offline, false},

	{"its master was killed", func(t *testing.T, h *rig.Single) func() {
		if err := syscall.Kill(h.Nginx.PID(t), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		return func() { // the workers go on, and hold the port
			h.Nginx.Kill(t)
			if err := os.Remove(h.Nginx.PIDFile()); err != nil {
				t.Fatal(err)
			}
			h.Nginx.Start(t)
		}
	}, 4, 1, []string{"nginx is not running", "hint: start nginx"}, status.Offline, status.Offline, false},

	{"somebody else reloads it all the time", func(t *testing.T, h *rig.Single) func() {
		master := h.Nginx.PID(t)
		return rig.Repeat(6*time.Millisecond, func() { _ = syscall.Kill(master, syscall.SIGHUP) })
	}, 0, 0, nil, status.Offline, status.Online, true},
}

// TestNginxFaultTable: whatever becomes of nginx, a closing leaves the site shut and an opening leaves it as it was;
// once it is mended, reconcile finishes the closing.
func TestNginxFaultTable(t *testing.T) { nginxFaultTable(t, rig.Only(usualNginxFaults...)) }

// usualNginxFaults are those of make test. The others are in the soak tests.
var usualNginxFaults = []string{"it is not running", "its configuration was broken before", "its configuration is broken meanwhile"}

func nginxFaultTable(t *testing.T, rows rig.Rows) {
	t.Parallel()
	for _, f := range nginxFaults {
		if !rows(f.name) {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			h := rig.OnlineSingle(t)
			for _, mode := range []status.Mode{status.Offline, status.Online} {
				was, code, finds := status.Online, f.closing, f.whileClosing
				if mode == status.Online {
					was, code, finds = status.Offline, f.opening, f.whileOpening
				}
				rig.Agreed(t, h, was)
				mend := f.fault(t, h)
				r := h.CLI(t, "set", string(mode))
				if r.Code != code {
					t.Errorf("set %s: exit code %d, want %d\n%s", mode, r.Code, code, r.Stderr)
				}
				rig.Says(t, r, f.says...)
				if code == 4 {
					rig.Says(t, r, "NOT SAFE: ")
				}
				if finds != "" {
					if got := rig.Lets(t, h); got != finds {
						t.Errorf("after set %s visitors find it %s, want %s", mode, got, finds)
					}
				}
				if !f.comesUpByItself && !rig.ClosedFileIsThere(h) {
					t.Errorf("after set %s the closed file is gone", mode)
				}
				if d := h.Published(t, rig.SingleSite); code != 0 && !strings.Contains(d, `"mode":"offline"`) {
					t.Errorf("after set %s it is published that %s", mode, d)
				}
				mend()
				if code != 0 { // nginx comes up shut, or has stayed so
					if got := rig.Lets(t, h); got != status.Offline {
						t.Errorf("after it was mended visitors find it %s", got)
					}
				}
				h.CLI(t, "reconcile").Want(t, 0)
				if code == 0 {
					rig.Agreed(t, h, mode)
				} else {
					rig.Agreed(t, h, status.Offline)
				}
				h.CLI(t, "set", string(mode)).Want(t, 0)
				rig.Agreed(t, h, mode)
				os.Remove(h.Enabled("new.conf"))
			}
		})
	}
}
