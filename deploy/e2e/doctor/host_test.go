package doctor

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// doctored is a host that the doctor finds nothing wrong with.
type doctored struct {
	*rig.Single
	t    *testing.T // of the whole test: what runs beside it outlives a row of the table
	gate *rig.Gate
	how  rig.Call // how the doctor is run

	mu    sync.Mutex
	spoil func(http.ResponseWriter, *http.Request) (done bool) // what is wrong with the web server of the pages
}

type finding struct{ Check, Site, Level, Text, Hint string }

func newDoctored(t *testing.T) *doctored {
	t.Helper()
	d := &doctored{Single: rig.NewSingle(t), t: t}
	files := http.FileServer(http.Dir(d.Store))
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Cache-Control", "no-cache")
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.spoil == nil || !d.spoil(w, r) {
			files.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(pages.Close)
	d.PageURL = pages.URL
	d.Configure(t, rig.Settings{})
	d.Install(t)
	d.CLI(t, "publish").Want(t, 0)
	d.gate = d.StartGate(t)
	return d
}

// spoiled changes what the web server of the pages answers, until mended.
func (d *doctored) spoiled(how func(http.ResponseWriter, *http.Request) bool) (mend func()) {
	set := func(how func(http.ResponseWriter, *http.Request) bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.spoil = how
	}
	set(how)
	return func() { set(nil) }
}

// nginx gives the host another nginx configuration until mended.
func (d *doctored) nginx(t *testing.T, edit func(conf string) string) (mend func()) {
	t.Helper()
	was, err := os.ReadFile(d.Nginx.Conf)
	if err != nil {
		t.Fatal(err)
	}
	now := edit(string(was))
	if now == string(was) {
		t.Fatal("nothing was changed")
	}
	d.Nginx.Stop(d.t)
	rig.WriteFile(t, d.Nginx.Conf, now)
	d.Nginx.Start(d.t)
	return func() {
		d.Nginx.Stop(d.t)
		rig.WriteFile(t, d.Nginx.Conf, string(was))
		d.Nginx.Start(d.t)
	}
}

// config edits config.toml until mended.
func (d *doctored) config(t *testing.T, old, new string) (mend func()) {
	t.Helper()
	was, err := os.ReadFile(d.Config)
	if err != nil {
		t.Fatal(err)
	}
	d.EditConfig(t, old, new)
	return func() { rig.WriteFile(t, d.Config, string(was)) }
}

// replace gives a file another content until mended.
func replace(t *testing.T, path, content string) (mend func()) {
	t.Helper()
	was, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	info, _ := os.Stat(path)
	rig.WriteFile(t, path, content)
	return func() {
		if info != nil {
			rig.WriteFile(t, path, string(was))
			rig.Check(t, os.Chmod(path, info.Mode()))
		} else if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
	}
}

func (d *doctored) doctor(t *testing.T) rig.Result {
	t.Helper()
	how := d.how
	how.Args = []string{"doctor", "--json"}
	return d.Call(t, how)
}

// by runs the doctor otherwise until mended.
func (d *doctored) by(how rig.Call) (mend func()) {
	d.how = how
	return func() { d.how = rig.Call{} }
}

// examine is what the doctor finds where nothing is at fault.
func (d *doctored) examine(t *testing.T) []finding {
	t.Helper()
	return d.found(t, d.doctor(t).Want(t, 0))
}

// found is what a run of the doctor's found.
func (d *doctored) found(t *testing.T, r rig.Result) []finding {
	t.Helper()
	var doc struct {
		Version int
		Sites   []struct{ Site, Level string }
		Checks  []finding
	}
	if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil || doc.Version != 1 || len(doc.Sites) != 1 {
		t.Fatalf("no document (%v):\n%s", err, r.Stdout)
	}
	if strings.Contains(r.Stdout+r.Stderr, d.Blocks[0].Secret) || strings.Contains(r.Stdout+r.Stderr, "eyJ") {
		t.Errorf("a secret was printed:\n%s%s", r.Stdout, r.Stderr)
	}
	return doc.Checks
}

func ofLevel(fs []finding, level string) []finding {
	return slices.DeleteFunc(slices.Clone(fs), func(f finding) bool { return f.Level != level })
}

func ofCheck(fs []finding, check string) []finding {
	return slices.DeleteFunc(slices.Clone(fs), func(f finding) bool { return f.Check != check })
}
