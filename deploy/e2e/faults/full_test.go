package faults

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// filling is a command that notes how long the journal is, and leaves no room in directories, once it is called with
// that last argument, and runs nginx.
const filling = `case "$*" in
*"$LAST") wc -c <"$STATE/journal" >"$NOTE"; for d in $FULL; do dd if=/dev/zero of="$d/filler" bs=4k 2>"$NOTE.dd" || true; done ;;
esac
exec "$@"`

// fillAt makes the command that runs nginx with the arguments fill the disks, and note how long the journal is.
func (h *small) fillAt(args ...string) []string { return h.filling(h.State+" "+h.ConfDir, args...) }

// noteAt makes it note how long the journal is, and fill nothing.
func (h *small) noteAt(args ...string) []string { return h.filling("", args...) }

func (h *small) filling(full string, args ...string) []string {
	env := []string{"LAST=" + args[len(args)-1], "STATE=" + h.State, "FULL=" + full, "NOTE=" + h.note()}
	return append(append(append([]string{"env"}, env...), "sh", "-c", filling, "sh"), h.Nginx.Args(args...)...)
}

// note is the file with the length of the journal.
func (h *small) note() string { return filepath.Join(h.Nginx.Dir, "journal-bytes") }

func (h *small) makeRoom(t *testing.T) {
	t.Helper()
	h.ns.Run(t, "rm", "-f", filepath.Join(h.State, "filler"), filepath.Join(h.ConfDir, "filler"))
}

// rules are what is in place: every file that nginx includes.
func (h *small) rules(t *testing.T) string {
	t.Helper()
	return rig.ReadFile(t, h.ns.Path(filepath.Join(h.ConfDir, "http.conf"))) + rig.ReadFile(t, h.ns.Path(h.SiteFile(rig.SingleSite)))
}

// page is how much a file takes of the disk at a time.
const page = 4096

// reasonToFillThePage is a reason for a change like the last one, with which what nginx said, or all that comes after
// the next line, doesn't fit into the page that the journal has.
func (h *small) reasonToFillThePage(t *testing.T) string {
	t.Helper()
	long, err := strconv.Atoi(strings.TrimSpace(rig.ReadFile(t, h.note())))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Repeat("x", page-long%page-20)
}

// TestDiskFullDuringRollback fills the disks of the rules and of the state when the new rules are in place, and are
// then not taken: the previous ones are back, and what is wanted is on record.
func TestDiskFullDuringRollback(t *testing.T) { diskFullDuringRollback(t, rig.Only(usualRollbacks...)) }

// usualRollbacks are those of make test. The others are in the soak tests.
var usualRollbacks = []string{"closing, nginx refuses the rules, the journal has none", "opening, the application is down, the journal has room"}

func diskFullDuringRollback(t *testing.T, rows rig.Rows) {
	t.Parallel()
	refused := func(t *testing.T, h *small) rig.Settings {
		rig.WriteFile(t, h.Enabled("broken.conf"), rig.BrokenConf)
		return rig.Settings{Test: h.fillAt("-t")}
	}
	given := func(t *testing.T, h *small) rig.Settings {
		return rig.Settings{Reload: h.fillAt("-s", "reload"), Site: `smoke = "` + rig.BadPath + `"`}
	}
	for _, c := range []struct {
		name     string
		from, to status.Mode
		fails    func(*testing.T, *small) rig.Settings
		code     int
		says     []string
		ends     status.Mode
	}{
		{"closing, nginx refuses the rules", status.Online, status.Offline, refused, 4, []string{"unknown directive", "shut by its closed file"}, status.Offline},
		{"opening, nginx refuses the rules", status.Offline, status.Online, refused, 1, []string{"unknown directive"}, status.Offline},
		{"towards admin, nginx refuses the rules", status.Offline, status.Admin, refused, 1, []string{"unknown directive"}, status.Offline},
		{"opening, the application is down", status.Offline, status.Online, given, 1, []string{"the application does not answer as it must"}, status.Offline},
	} {
		for _, journal := range []string{"has room", "has none"} {
			name := c.name + ", the journal " + journal
			if !rows(name) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				h := newSmall(t)
				h.call(t, "set", string(c.from)).Want(t, 0)
				before := h.rules(t)
				h.Configure(t, c.fails(t, h))
				args := []string{"set", string(c.to), "--reason", "x"}
				if journal == "has none" {
					h.call(t, args...).Want(t, c.code)
					h.makeRoom(t)
					args[3] = h.reasonToFillThePage(t)
				}
				r := h.call(t, args...).Want(t, c.code)
				rig.Says(t, r, c.says...)
				if strings.Contains(r.Stderr, "and rolling back") || strings.Contains(r.Stderr, "not on record yet") {
					t.Errorf("it was not undone:\n%s", r.Stderr)
				}
				if got := h.rules(t); got != before {
					t.Errorf("the rules in place are not those of before:\n%s", got)
				}
				if got := rig.Lets(t, h.Single); got != c.ends {
					t.Errorf("visitors find it %s, want %s", got, c.ends)
				}
				h.makeRoom(t)
				os.Remove(h.Enabled("broken.conf"))
				h.Configure(t, rig.Settings{})
				if v := rig.ViewOf(t, h.call(t, "get", "--json")); v.Mode != c.ends || c.from == c.ends && v.Code != 0 || strings.Contains(v.Text, "was interrupted") {
					t.Errorf("get: exit code %d\n%s", v.Code, v.Text)
				}
				h.call(t, "reconcile").Want(t, 0)
				all(t, h, c.ends)
				h.call(t, "set", string(c.to)).Want(t, 0)
				all(t, h, c.to)
			})
		}
	}
}

// TestDiskFullDuringClosing fills the disks while a site closes: it is closed, that is on record, and so it stays
// closed.
func TestDiskFullDuringClosing(t *testing.T) {
	t.Parallel()
	h := newSmall(t)
	h.Configure(t, rig.Settings{Reload: h.noteAt("-s", "reload")})
	h.call(t, "set", "offline", "--reason", "x").Want(t, 0)
	reason := h.reasonToFillThePage(t)
	h.call(t, "set", "online").Want(t, 0)
	h.Configure(t, rig.Settings{Reload: h.fillAt("-s", "reload")})
	r := h.call(t, "set", "offline", "--reason", reason).Want(t, 4) // what can't be written down is not done
	rig.Says(t, r, "no space left on device", "NOT SAFE")
	if got := rig.Lets(t, h.Single); got != status.Offline {
		t.Errorf("visitors find it %s", got)
	}
	h.makeRoom(t)
	h.Configure(t, rig.Settings{})
	h.call(t, "reconcile").Want(t, 0)
	if got := rig.Lets(t, h.Single); got != status.Offline {
		t.Errorf("after reconcile visitors find it %s", got)
	}
	h.call(t, "set", "offline").Want(t, 0)
	all(t, h, status.Offline)
}
