//go:build soak

package conforma

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestSoakSettledPostgres has the rest of the table.
func TestSoakSettledPostgres(t *testing.T) { settled(t, rig.Without(usualSettled...)) }

// TestSoakLaunchScriptRefuses has launch_conforma called as it can't be meant.
func TestSoakLaunchScriptRefuses(t *testing.T) {
	t.Parallel()
	d := newDemoServer(t)
	d.script(t, nil, "launch", "demo").Want(t, 0)

	// What would keep it closed is found before it is closed.
	seq := rig.Agreed(t, d.Single, status.Online).Wanted.Seq
	for _, c := range []struct {
		env, lines string
		args       []string
		code       int
		says       string
	}{
		{"", "", []string{"demo", "nosuch"}, 2, "there is no " + d.dir + "/env_files/nosuch.env"},
		{"", "", []string{"../demo"}, 2, "../demo is no name of a site"},
		{"", "", []string{}, 2, "which site?"},
		{"", "", []string{"--eta"}, 2, "--eta needs a value"},
		{"", "", []string{"--opne", "demo"}, 2, "no such option: --opne"},
		{"", "", []string{"--eta", "soon", "demo"}, 2, "soon"},
		{"TAG=missing", "", []string{"demo"}, 1, "can't get the image msupplyfoundation/conforma:missing; nothing was closed"},
		{"CONFORMA_DIR=/nonexistent", "", []string{"demo"}, 2, "there is no /nonexistent/launch.mjs"},
		{"CONFORMA_STATUS_CONFIG=/nonexistent", "", []string{"demo"}, 2, "/nonexistent"},
		{"", "PORT=x\n", []string{"demo"}, 2, "is no number"},
	} {
		d.env(t, c.lines)
		rig.Says(t, d.script(t, []string{c.env}, "launch", c.args...).Want(t, c.code), c.says)
		if now := rig.Agreed(t, d.Single, status.Online).Wanted.Seq; now != seq {
			t.Fatalf("%v: the site was closed for it", c.args)
		}
	}
	d.env(t, "")
	rig.WriteFile(t, filepath.Join(d.dir, "default.env"), "")
	rig.Says(t, d.script(t, nil, "launch", "demo").Want(t, 2), "TAG is neither set nor in")
	rig.Says(t, d.script(t, []string{"TAG=pulled-first"}, "launch", "demo").Want(t, 0), "demo is online")
}

// TestSoakSnapshotScriptFails has snapshot_conforma called as it can't be meant, and Conforma fail.
func TestSoakSnapshotScriptFails(t *testing.T) {
	t.Parallel()
	d := newDemoServer(t)
	d.env(t, "TAG=1\n")
	rig.WriteFile(t, filepath.Join(d.dir, "database"), "what was written\n") // an empty one counts as none
	d.script(t, nil, "launch", "demo").Want(t, 0)
	name := strings.TrimSpace(d.script(t, nil, "snapshot", "take", "demo", "nightly").Want(t, 0).Stdout)

	seq := rig.Agreed(t, d.Single, status.Online).Wanted.Seq
	for _, c := range []struct {
		says string
		args []string
	}{
		{"take, load or list?", []string{"burn", "demo"}},
		{"which site?", []string{"take"}},
		{"one site at a time", []string{"take", "demo", "x", "y"}},
		{"is no name for a snapshot", []string{"take", "demo", "../x"}},
		{"which snapshot?", []string{"load", "demo"}},
		{"which snapshot?", []string{"load", "demo", "../../etc"}},
		{"there is no whole snapshot nosuch", []string{"load", "demo", "nosuch"}},
	} {
		rig.Says(t, d.script(t, nil, "snapshot", c.args...).Want(t, 2), c.says, "hint: ")
	}
	if now := rig.Agreed(t, d.Single, status.Online).Wanted.Seq; now != seq {
		t.Error("the site was closed for nothing")
	}

	// Conforma says that it failed by words alone. The site stays closed.
	rig.Says(t, d.script(t, nil, "snapshot", "take", "demo", "broken").Want(t, 1), "Conforma took no snapshot of demo", "demo is closed (offline) and stays so")
	rig.Agreed(t, d.Single, status.Offline)
	if err := os.CopyFS(filepath.Join(d.dir, "snapshots", "broken"), os.DirFS(filepath.Join(d.dir, "snapshots", name))); err != nil {
		t.Fatal(err)
	}
	rig.Says(t, d.script(t, nil, "snapshot", "load", "--open", "demo", "broken").Want(t, 1), "Conforma did not load broken into demo", "snapshot_conforma load --open demo before_loading_")
	rig.Agreed(t, d.Single, status.Offline)
	rig.Says(t, d.script(t, nil, "snapshot", "load", "demo", name).Want(t, 0), "stays closed")
	rig.Agreed(t, d.Single, status.Offline)
}
