package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/status"
)

// elsewhere is a machine that can't be a host, with the configuration of a site, whose store is a directory.
type elsewhere struct {
	dir, store string
	doc        status.Document
}

func newElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	canBeHost = false
	t.Cleanup(func() { canBeHost = true })
	e := &elsewhere{dir: t.TempDir()}
	e.store = filepath.Join(e.dir, "store")
	if err := os.Mkdir(e.store, 0o755); err != nil {
		t.Fatal(err)
	}
	pages := httptest.NewServer(http.FileServer(http.Dir(e.store)))
	t.Cleanup(pages.Close)
	config := fmt.Sprintf(`store = "dir:%s"
page_url = %q
state_dir = "%s/state"
[nginx]
conf_dir = "%s/nginx"
test = ["false"]
reload = ["false"]
[[site]]
name = "demo"
app_url = "http://127.0.0.1:1"
upstreams = ["127.0.0.1:2"]
login_paths = ["/login"]
`, e.store, pages.URL, e.dir, e.dir)
	if err := os.WriteFile(filepath.Join(e.dir, "config.toml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	until := time.Date(2026, 11, 22, 21, 45, 0, 0, time.UTC)
	e.doc = status.Document{Version: 1, Site: "demo", Mode: status.Offline, Seq: 42, Since: until.Add(-time.Hour), ExpectedUntil: &until,
		AppURL: "http://127.0.0.1:1/", PageURL: pages.URL + "/demo/", UpdatedAt: until.Add(-time.Hour)}
	return e
}

func (e *elsewhere) publish(t *testing.T, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(e.store, "demo"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(e.store, "demo", "status.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs the program there.
func (e *elsewhere) run(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = execute(ctx, append([]string{"--config", filepath.Join(e.dir, "config.toml")}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

// TestElsewhere has each command run where no application can live.
func TestElsewhere(t *testing.T) {
	e := newElsewhere(t)
	out := filepath.Join(e.dir, "pages")
	refused := map[string][]string{
		"set": {"set", "offline"}, "run": {"run", "--mode", "offline", "--", "true"}, "reconcile": nil, "render": nil, "history": nil,
		"doctor": nil, "init": nil, "secret init": nil, "gate": nil, "follow": nil, "pass": nil, "units": {"units", out}, "lift": nil, "demo": nil, "webhook test": nil, "webhook deliver": nil,
	}
	works := map[string][]string{
		"build": {"build", "--out", out}, "publish": nil, "preview": {"preview", "--listen", "127.0.0.1:0"}, "get": nil, "store init": nil,
		"extend": {"extend", "1h"}, "schedule": {"schedule", "offline", "--from", "1h", "--for", "1h"}, "schedule list": nil,
		"schedule move": {"schedule", "move", "moved", "--for", "2h"}, "schedule cancel": {"schedule", "cancel", "cancelled"}, "version": nil,
	}
	fleets := map[string][]string{"fleet list": nil, "fleet forget": {"fleet", "forget", "app-1", "--confirm-off"}}
	var walk func(c *cobra.Command, path string)
	walk = func(c *cobra.Command, path string) {
		for _, sub := range c.Commands() {
			walk(sub, strings.TrimSpace(path+" "+sub.Name()))
		}
		_, no := refused[path]
		_, yes := works[path]
		if _, ofFleet := fleets[path]; !ofFleet && !c.HasSubCommands() && no == yes {
			t.Errorf("%s: this test has to say whether it works elsewhere", path)
		}
	}
	walk((&app{terminal: terminal.New(nil, nil)}).root(), "")

	for path, args := range refused {
		if args == nil {
			args = strings.Fields(path)
		}
		code, stdout, stderr := e.run(t.Context(), args...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, ": it runs on the application's host, a Linux machine with nginx\nhint: ") {
			t.Errorf("%s: exit %d\n%s%s", path, code, stdout, stderr)
		}
	}
	for path, args := range fleets {
		if args == nil {
			args = strings.Fields(path)
		}
		if code, _, stderr := e.run(t.Context(), args...); code != 2 || !strings.Contains(stderr, "there is no [fleet]") {
			t.Errorf("%s: exit %d\n%s", path, code, stderr)
		}
	}
	if entries, err := os.ReadDir(e.dir); err != nil || len(entries) != 2 {
		t.Errorf("something was done: %v, %v", entries, err)
	}

	record := state.Record{Document: e.doc, Published: e.doc.Seq, ClosedAt: &e.doc.Since, SafeSince: &e.doc.Since}
	if err := state.Dir(filepath.Join(e.dir, "state")).WriteRecord("demo", record); err != nil {
		t.Fatal(err)
	}
	e.publish(t, e.doc.Marshal())
	schedule, err := status.EmptySchedule(), error(nil)
	for i, id := range []string{"moved", "cancelled"} {
		from := time.Now().AddDate(0, 0, i+1)
		w := status.ScheduledWindow{ID: id, Mode: status.Offline, From: from, Until: from.Add(time.Hour)}
		if schedule, err = schedule.Add(w, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(e.store, "demo", "schedule.json"), schedule.Marshal(), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, args := range works {
		if args == nil {
			args = strings.Fields(path)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if path == "preview" {
			cancel() // it ends once it has begun
		}
		code, stdout, stderr := e.run(ctx, args...)
		cancel()
		if code != 0 || strings.Contains(stderr, errNotHost.Error()) {
			t.Errorf("%s: exit %d\n%s%s", path, code, stdout, stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(out, "demo", "index.html")); err != nil {
		t.Error(err)
	}
}

// TestOrderElsewhere has a fleet ordered from a machine that has the configuration, the key and the rights, and nothing
// of a host: no state directory, no secret of the site, no gate.
func TestOrderElsewhere(t *testing.T) {
	for _, host := range []bool{false, true} {
		e := newElsewhere(t)
		canBeHost = host
		key, private := filepath.Join(e.dir, "fleet.key"), filepath.Join(e.dir, "receipts")
		file := filepath.Join(e.dir, "config.toml")
		was, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		more := fmt.Sprintf("[fleet]\nhost = \"laptop\"\nstore = \"dir:%s\"\nkey_file = %q\n[nginx]", private, key)
		text := strings.Replace(string(was), "[nginx]", more, 1) + "[site.jwt]\nsecret_file = \"/nowhere\"\n"
		for path, content := range map[string]string{file: text, key: strings.Repeat("k", 40) + "\n"} {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(private, 0o700); err != nil {
			t.Fatal(err)
		}
		for i, mode := range []string{"offline", "admin", "online"} {
			code, stdout, stderr := e.run(t.Context(), "set", mode, "--wait", "1s")
			if code != 4 || !strings.Contains(stdout, "no host follows this site") {
				t.Errorf("set %s: exit %d\n%s%s", mode, code, stdout, stderr)
			}
			published, err := os.ReadFile(filepath.Join(e.store, "demo", "status.json"))
			if want := fmt.Sprintf(`"order":%d,"wanted":%q`, i+1, mode); err != nil || !strings.Contains(string(published), want) {
				t.Errorf("set %s: published is %s, %v", mode, published, err)
			}
		}
		if code, _, stderr := e.run(t.Context(), "set", "offline", "--dry-run"); !host && (code != 2 || !strings.Contains(stderr, errNotHost.Error())) {
			t.Errorf("a dry run: exit %d\n%s", code, stderr)
		}
		if _, err := os.Stat(filepath.Join(e.dir, "state")); err == nil && !host {
			t.Error("a state directory was made")
		}
	}
}

// TestGetElsewhere is what get says where only what is published can be seen.
func TestGetElsewhere(t *testing.T) {
	e := newElsewhere(t)
	for name, c := range map[string]struct {
		there      func() []byte // nil where there is nothing
		code       int
		mode, says string
	}{
		"nothing":        {nil, 0, "", "published  nothing\n"},
		"closed":         {e.doc.Marshal, 0, "offline", "published  offline (seq 42) since 2026-11-22 "},
		"not a document": {func() []byte { return []byte("<html>") }, 5, "", "drift: what is published is not a status document"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.there != nil {
				e.publish(t, c.there())
				t.Cleanup(func() { os.RemoveAll(filepath.Join(e.store, "demo")) })
			}
			code, stdout, stderr := e.run(t.Context(), "get")
			if code != c.code || !strings.Contains(stdout, c.says) || !strings.Contains(stdout, "on the application's host") {
				t.Errorf("exit %d, want %d\n%s%s", code, c.code, stdout, stderr)
			}
			code, stdout, stderr = e.run(t.Context(), "get", "--json")
			var got struct {
				Version int
				Sites   []map[string]any
			}
			if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != c.code || got.Version != 1 || len(got.Sites) != 1 {
				t.Fatalf("exit %d, %v\n%s%s", code, err, stdout, stderr)
			}
			s := got.Sites[0]
			mode, _ := s["mode"].(string)
			drift, isList := s["drift"].([]any)
			_, live := s["live"]
			if s["site"] != "demo" || mode != c.mode || live || !isList || (len(drift) > 0) != (c.code == 5) || (s["published"] == nil) != (c.mode == "") {
				t.Errorf("%s", stdout)
			}
		})
	}
}
