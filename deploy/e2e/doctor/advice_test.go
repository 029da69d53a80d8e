package doctor

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

var advised = regexp.MustCompile(`conforma-status (store init|publish|reconcile|render|set MODE)`)

// TestDoctorsAdviceOnDrift does what the doctor says about each kind of drift, again while something is left: then all
// agree, and nothing that it said was in vain. Without a record of the site it is otherwise than with one.
func TestDoctorsAdviceOnDrift(t *testing.T) { adviceOnDrift(t, rig.Only(usualDrift...)) }

// usualDrift is that of make test. The rest is in the soak tests.
var usualDrift = []string{
	"with a record/the rules lost", "with a record/the store lost", "with a record/the include line lost",
	"without a record/rules of another configuration", "without a record/closed, and the record lost", "without a record/published as closed",
}

func adviceOnDrift(t *testing.T, rows rig.Rows) {
	t.Parallel()
	d := newDoctored(t)
	remove := func(path string) func(*testing.T) {
		return func(t *testing.T) { rig.Check(t, os.RemoveAll(path)) }
	}
	write := func(path, text string) func(*testing.T) { return func(t *testing.T) { rig.WriteFile(t, path, text) } }
	conf, config := rig.ReadFile(t, d.Nginx.Conf), rig.ReadFile(t, d.Config)
	record := filepath.Join(d.State, "records", "demo.json")
	include := "include " + d.SiteFile("demo") + ";"
	const known, unknown = "with a record", "without a record"
	cases := []struct {
		record, name string
		spoil        func(t *testing.T)
		steps        string // what has to be done, in the end
	}{
		{known, "the rules lost", remove(d.SiteFile("demo")), "reconcile"},
		{known, "the closed file there", write(d.ClosedFile(), ""), "reconcile"},
		{known, "the status lost", remove(d.StatusFile()), "reconcile"},
		{known, "the status garbled", write(d.StatusFile(), "<html>"), "reconcile"},
		{known, "the store lost", remove(d.Store), "store init, reconcile"},
		{known, "nginx stopped", func(t *testing.T) { d.Nginx.Stop(d.t) }, "start nginx"},
		{known, "the include line lost", func(t *testing.T) {
			rig.WriteFile(t, d.Nginx.Conf, strings.Replace(conf, include, "", 1))
			d.reload(t)
		}, "include, reload nginx"},
		{known, "a change interrupted", func(t *testing.T) {
			rig.WriteFile(t, filepath.Join(d.State, "journal"), journalOf(t, d, "2020-01-01T00:00:00Z"))
		}, "reconcile"},
		{unknown, "the rules lost", remove(d.SiteFile("demo")), "render, reload nginx"},
		{unknown, "rules of another configuration", func(t *testing.T) { d.EditConfig(t, d.PageURL, d.PageURL+"/elsewhere") }, "render, reload nginx, publish"},
		{unknown, "rules that were not taken up", func(t *testing.T) {
			d.EditConfig(t, d.PageURL, d.PageURL+"/elsewhere")
			d.CLI(t, "render").Want(t, 0)
		}, "reload nginx, publish"},
		{unknown, "the closed file there", write(d.ClosedFile(), ""), "set MODE"},
		{unknown, "closed, and the record lost", func(t *testing.T) {
			d.CLI(t, "set", "offline").Want(t, 0)
			rig.Check(t, os.Remove(record))
		}, "set MODE"},
		{unknown, "published as closed", func(t *testing.T) {
			rig.WriteFile(t, d.StatusFile(), strings.Replace(d.Published(t, "demo"), `"mode":"online"`, `"mode":"offline"`, 1))
		}, "set MODE"},
		{unknown, "the status garbled", write(d.StatusFile(), "<html>"), "set MODE"},
		{unknown, "the store lost", remove(d.Store), "store init"},
	}
	for _, c := range cases {
		if !rows(c.record + "/" + c.name) {
			continue
		}
		t.Run(c.record+"/"+c.name, func(t *testing.T) {
			defer rig.WriteFile(t, d.Config, config)
			d.CLI(t, "set", "online").Want(t, 0)
			d.CLI(t, "publish").Want(t, 0)
			if c.record == unknown {
				rig.Check(t, os.Remove(record))
				d.CLI(t, "render").Want(t, 0)
				d.reload(t)
			}
			if found := d.drift(t); len(found) > 0 {
				t.Fatalf("before anything was spoiled: %v", found)
			}
			c.spoil(t)
			var did []string
			for found := d.drift(t); len(found) > 0; {
				var steps []string
				hint := found[0].Hint
				for _, m := range advised.FindAllStringSubmatch(hint, -1) {
					steps = append(steps, m[1])
					d.CLI(t, strings.Fields(strings.Replace(m[1], "MODE", "online", 1))...).Want(t, 0)
				}
				if strings.HasPrefix(hint, "start nginx") {
					steps = append(steps, "start nginx")
					d.Nginx.Start(d.t)
				}
				if strings.HasPrefix(hint, `put "`+include) {
					steps = append(steps, "include")
					rig.WriteFile(t, d.Nginx.Conf, conf)
				}
				if strings.Contains(hint, "reload nginx") {
					steps = append(steps, "reload nginx")
					d.reload(t)
				}
				if did = append(did, steps...); len(steps) == 0 || len(did) > 4 {
					t.Fatalf("%q, after %q: there is nothing to do: %s", found[0].Text, did, hint)
				}
				was := found
				if found = d.drift(t); slices.Equal(found, was) {
					t.Fatalf("%q mends nothing: %v", steps, found)
				}
			}
			if got := strings.Join(did, ", "); got != c.steps {
				t.Errorf("it was mended by %q, want %q", got, c.steps)
			}
		})
		if t.Failed() {
			return // it isn't mended
		}
	}
	// What only another program, or its owner, can mend is not said to be mended by reconcile.
	d.CLI(t, "publish").Want(t, 0)
	mend := replace(t, d.StatusFile(), strings.Replace(d.Published(t, "demo"), `"version":1`, `"version":2`, 1))
	defer mend()
	if found := d.drift(t); len(found) != 1 || !strings.Contains(found[0].Hint, "a newer version") {
		t.Errorf("of a status of another version: %v", found)
	}
}

// drift is what the doctor finds of it.
func (d *doctored) drift(t *testing.T) []finding {
	t.Helper()
	return slices.DeleteFunc(ofCheck(d.findings(t), "drift"), func(f finding) bool { return f.Level == "ok" })
}

// reload has nginx take up its configuration.
func (d *doctored) reload(t *testing.T) {
	t.Helper()
	rig.Reloaded(t, d.Single, func() {
		args := d.Nginx.Args("-s", "reload")
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("reload nginx: %v\n%s", err, out)
		}
	})
}
