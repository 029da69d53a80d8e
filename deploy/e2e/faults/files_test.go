package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// small is a host whose state and configuration directories are small file systems of their own.
type small struct {
	*rig.Single
	ns *rig.Namespace
}

func newSmall(t *testing.T) *small {
	t.Helper()
	h := &small{Single: rig.NewSingle(t)}
	if err := os.Mkdir(h.ConfDir, 0o755); err != nil {
		t.Fatal(err)
	}
	h.ns = rig.NewNamespace(t, h.State, h.ConfDir)
	rig.WriteFile(t, h.Enabled("none.conf"), "")
	h.call(t, "render").Want(t, 0)
	h.WriteNginx(t)
	h.Nginx.StartIn(t, h.ns)
	h.call(t, "set", "online").Want(t, 0)
	return h
}

func (h *small) call(t *testing.T, args ...string) rig.Result {
	t.Helper()
	return h.Call(t, rig.Call{Before: h.ns.Before(), Args: args})
}

// fill leaves no room on the file system of a directory.
func (h *small) fill(t *testing.T, dir string) (mend func()) {
	t.Helper()
	path := h.ns.Path(filepath.Join(dir, "filler"))
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() { os.Remove(path) }
}

// readOnly has a directory's file system mounted read-only.
func (h *small) readOnly(t *testing.T, dir string) (mend func()) {
	t.Helper()
	h.ns.Run(t, "mount", "-o", "remount,ro", dir)
	return func() { h.ns.Run(t, "mount", "-o", "remount,rw", dir) }
}

// mounted makes a file a mount of its own, as a container's volume of one file is: nothing can be renamed over it.
func (h *small) mounted(t *testing.T, file string) (mend func()) {
	t.Helper()
	h.ns.Run(t, "mount", "--bind", file, file)
	return func() { h.ns.Run(t, "umount", file) }
}

// TestDiskFaultTable: where nothing can be written down, nothing is done; where only the rules can't be written, a
// closing is done by the closed file.
func TestDiskFaultTable(t *testing.T) { diskFaultTable(t, rig.Only(usualDiskFaults...)) }

// usualDiskFaults are those of make test. The others are in the soak tests.
var usualDiskFaults = []string{"the state's disk is full", "the rules' disk is full", "opening, the rules' disk is full"}

func diskFaultTable(t *testing.T, rows rig.Rows) {
	t.Parallel()
	const full, readOnly = "no space left on device", "read-only file system"
	for _, f := range []struct {
		name  string
		fault func(*testing.T, *small) func()
		from  status.Mode
		to    status.Mode
		code  int
		says  []string
		finds status.Mode // what visitors find
		ends  status.Mode // after reconcile
	}{
		{"the state's disk is full", func(t *testing.T, h *small) func() { return h.fill(t, h.State) }, "online", "offline", 1,
			[]string{full, "hint: make room"}, "online", "online"},
		{"the state's disk is read-only", func(t *testing.T, h *small) func() { return h.readOnly(t, h.State) }, "online", "offline", 1,
			[]string{readOnly, "hint: "}, "online", "online"},
		{"the rules' disk is full", func(t *testing.T, h *small) func() { return h.fill(t, h.ConfDir) }, "online", "offline", 4,
			[]string{"put the rules in place", full, "hint: make room", "shut by its closed file", "NOT SAFE"}, "offline", "offline"},
		{"the rules' disk is read-only", func(t *testing.T, h *small) func() { return h.readOnly(t, h.ConfDir) }, "online", "offline", 4,
			[]string{"put the rules in place", readOnly, "hint: ", "shut by its closed file"}, "offline", "offline"},
		{"the rules' file is a mount of its own", func(t *testing.T, h *small) func() { return h.mounted(t, h.SiteFile(rig.SingleSite)) }, "online", "offline", 4,
			[]string{"put the rules in place", "device or resource busy", "hint: the file is a mount point of its own", "shut by its closed file"}, "offline", "offline"},
		{"opening, the state's disk is full", func(t *testing.T, h *small) func() { return h.fill(t, h.State) }, "offline", "online", 1,
			[]string{full, "hint: make room"}, "offline", "offline"},
		{"opening, the state's disk is read-only", func(t *testing.T, h *small) func() { return h.readOnly(t, h.State) }, "offline", "online", 1,
			[]string{readOnly, "hint: "}, "offline", "offline"},
		{"opening, the rules' disk is full", func(t *testing.T, h *small) func() { return h.fill(t, h.ConfDir) }, "offline", "online", 1,
			[]string{"put the rules in place", full, "hint: make room"}, "offline", "offline"},
		{"opening, the rules' disk is read-only", func(t *testing.T, h *small) func() { return h.readOnly(t, h.ConfDir) }, "offline", "online", 1,
			[]string{"put the rules in place", readOnly, "hint: "}, "offline", "offline"},
	} {
		if !rows(f.name) {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			h := newSmall(t)
			h.call(t, "set", string(f.from)).Want(t, 0)
			mend := f.fault(t, h)
			r := h.call(t, "set", string(f.to))
			if r.Code != f.code {
				t.Errorf("exit code %d, want %d\n%s", r.Code, f.code, r.Stderr)
			}
			rig.Says(t, r, f.says...)
			if got := rig.Lets(t, h.Single); got != f.finds {
				t.Errorf("visitors find it %s, want %s", got, f.finds)
			}
			mend()
			h.call(t, "reconcile").Want(t, 0)
			all(t, h, f.ends)
			h.call(t, "set", string(f.to)).Want(t, 0)
			all(t, h, f.to)
		})
	}
}

// all is agreed in a namespace.
func all(t *testing.T, h *small, mode status.Mode) {
	t.Helper()
	v := rig.ViewOf(t, h.call(t, "get", "--json"))
	if v.Code != 0 || len(v.Drift) > 0 || v.Mode != mode || v.Live.Mode != mode || v.Published == nil || v.Published.Mode != mode {
		t.Errorf("not all agree on %s: exit code %d\n%s", mode, v.Code, v.Text)
	}
	if got := rig.Lets(t, h.Single); got != mode {
		t.Errorf("visitors find it %s, want %s", got, mode)
	}
}

// TestPermissionFaultTable: an ordinary user has put everything up, and is then not allowed any more.
func TestPermissionFaultTable(t *testing.T) {
	permissionFaultTable(t, rig.Only(usualPermissionFaults...))
}

// usualPermissionFaults are those of make test. The others are in the soak tests.
var usualPermissionFaults = []string{"the directory of the rules", "the site's directory, opening"}

func permissionFaultTable(t *testing.T, rows rig.Rows) {
	t.Parallel()
	for _, f := range []struct {
		name  string
		dir   func(*rig.Single) string
		from  status.Mode
		to    status.Mode
		code  int
		says  []string
		finds status.Mode
		ends  status.Mode
	}{
		{"the state directory", func(h *rig.Single) string { return h.State }, "online", "offline", 1,
			[]string{"permission denied", "hint: run it as root (sudo)"}, "online", "online"},
		{"the directory of the rules", func(h *rig.Single) string { return filepath.Join(h.ConfDir, "sites") }, "online", "offline", 4,
			[]string{"put the rules in place", "permission denied", "hint: run it as root (sudo)", "shut by its closed file", "NOT SAFE"}, "offline", "offline"},
		{"the directory of the rules, opening", func(h *rig.Single) string { return filepath.Join(h.ConfDir, "sites") }, "offline", "online", 1,
			[]string{"put the rules in place", "permission denied", "hint: run it as root (sudo)"}, "offline", "offline"},
		{"the site's directory, opening", func(h *rig.Single) string { return filepath.Dir(h.ClosedFile()) }, "offline", "online", 1,
			[]string{"permission denied", "hint: run it as root (sudo)"}, "offline", "offline"},
		{"the site's directory", func(h *rig.Single) string { return filepath.Dir(h.ClosedFile()) }, "online", "offline", 0,
			[]string{"permission denied"}, "offline", "offline"},
	} {
		if !rows(f.name) {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			h := rig.NewSingle(t)
			rig.WriteFile(t, h.Enabled("none.conf"), "")
			h.CLI(t, "render").Want(t, 0)
			h.WriteNginx(t)
			h.Nginx.StartAsNobody(t)
			call := func(args ...string) rig.Result {
				t.Helper()
				c := rig.Call{Args: args}
				if os.Geteuid() == 0 {
					who := fmt.Sprint(rig.Nobody)
					c.Before = []string{"setpriv", "--reuid", who, "--regid", who, "--clear-groups", "--bounding-set=-all"}
				}
				return h.Call(t, c)
			}
			call("set", "online").Want(t, 0)
			call("set", string(f.from)).Want(t, 0)
			dir := f.dir(h)
			if err := os.Chmod(dir, 0o555); err != nil {
				t.Fatal(err)
			}
			r := call("set", string(f.to))
			if r.Code != f.code {
				t.Errorf("exit code %d, want %d\n%s", r.Code, f.code, r.Stderr)
			}
			rig.Says(t, r, f.says...)
			if got := rig.Lets(t, h); got != f.finds {
				t.Errorf("visitors find it %s, want %s", got, f.finds)
			}
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			call("reconcile").Want(t, 0)
			rig.Agreed(t, h, f.ends)
			call("set", string(f.to)).Want(t, 0)
			rig.Agreed(t, h, f.to)
		})
	}
}
