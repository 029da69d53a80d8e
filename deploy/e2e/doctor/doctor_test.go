package doctor

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/source"
)

// Each check of the doctor's finds what is wrong, says what to do about it, and finds nothing before and once all is
// mended.
func TestEveryCheckFailsWhereItHasTo(t *testing.T) {
	t.Parallel()
	d := newDoctored(t)
	remove := func(old string) func(string) string {
		return func(conf string) string { return strings.Replace(conf, old, "", 1) }
	}
	insert := func(after, text string) func(string) string {
		return func(conf string) string { return strings.Replace(conf, after, after+"\n"+text, 1) }
	}
	site := "include " + d.SiteFile("demo") + ";"
	listen := "listen " + rig.Loopback(d.Blocks[0].Port) + ";"
	app := rig.Loopback(d.App.Port)
	header := func(name, value string) func(t *testing.T) func() {
		return func(*testing.T) func() {
			return d.spoiled(func(w http.ResponseWriter, _ *http.Request) bool { w.Header().Set(name, value); return false })
		}
	}
	clock := func(off time.Duration) func(t *testing.T) func() {
		return func(*testing.T) func() {
			return d.spoiled(func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
				return false
			})
		}
	}
	edit := func(how func(string) string) func(t *testing.T) func() {
		return func(t *testing.T) func() { return d.nginx(t, how) }
	}
	script := func(t *testing.T, says string) string {
		path := filepath.Join(t.TempDir(), "nginx")
		rig.WriteFile(t, path, "#!/bin/sh\ncase $* in *-V*) echo '"+says+"' >&2;; *) exec "+strings.Join(d.Nginx.Args(), " ")+" \"$@\";; esac\n")
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cases := []struct {
		name  string
		spoil func(t *testing.T) (mend func())
		check string
		level string
		says  string
	}{
		{"an unknown key in site.jwt", func(t *testing.T) func() { return d.config(t, "[site.jwt]", "[site.jwt]\nmax_age = \"never\"") }, "configuration", "fault", "max_age"},
		{"nginx without auth_request", func(t *testing.T) func() {
			path := script(t, "nginx version: nginx/1.22.1")
			mend := func() { d.Configure(t, rig.Settings{}) }
			d.Configure(t, rig.Settings{Test: []string{path, "-t"}})
			return mend
		}, "nginx", "fault", "no ngx_http_auth_request_module"},
		{"an old nginx", func(t *testing.T) func() {
			path := script(t, "nginx version: nginx/1.10.3\nconfigure arguments: --with-http_auth_request_module")
			d.Configure(t, rig.Settings{Test: []string{path, "-t"}})
			return func() { d.Configure(t, rig.Settings{}) }
		}, "nginx", "warning", "1.10.3 is older"},
		{"no nginx installed", func(t *testing.T) func() {
			d.Configure(t, rig.Settings{Test: []string{"/nowhere/nginx", "-t"}})
			return func() { d.Configure(t, rig.Settings{}) }
		}, "nginx", "fault", "/nowhere/nginx"},
		{"nginx stopped", func(t *testing.T) func() { d.Nginx.Stop(d.t); return func() { d.Nginx.Start(d.t) } }, "nginx running", "fault", "not running"},
		{"a pid file from elsewhere", func(t *testing.T) func() {
			return d.config(t, d.Nginx.PIDFile(), filepath.Join(filepath.Dir(writePID(t)), "pid"))
		}, "nginx running", "fault", "not nginx's master process"},
		{"broken nginx configuration", func(t *testing.T) func() { return replace(t, d.Enabled("bad.conf"), rig.BrokenConf) }, "nginx configuration", "fault", "somebody_else"},
		{"open_file_cache beside the rules", func(t *testing.T) func() {
			was, _ := os.ReadFile(d.Nginx.Conf)
			return replace(t, d.Nginx.Conf, insert(site, "open_file_cache max=100;")(string(was)))
		}, "open_file_cache", "fault", "duplicate"},
		{"no include in http, before the sites'", edit(func(conf string) string {
			return strings.Replace(strings.Replace(conf, site, "", 1), "include "+d.ConfDir+"/http.conf;", "", 1)
		}), "http include", "fault", "doesn't include"},
		{"no include in http", func(t *testing.T) func() {
			was, _ := os.ReadFile(d.Nginx.Conf)
			return replace(t, d.Nginx.Conf, remove("include "+d.ConfDir+"/http.conf;")(string(was)))
		}, "http include", "fault", "unknown \"conforma_"},
		{"no include in the server", edit(remove(site)), "include", "fault", "no server {} includes"},
		{"a rewrite before the include", edit(func(conf string) string { return strings.Replace(conf, site, "rewrite ^/old$ /new break;\n"+site, 1) }), "include", "fault", "may end the rules"},
		{"another way to the application", func(t *testing.T) func() {
			return replace(t, d.Enabled("other.conf"), fmt.Sprintf("server { listen %s; location / { proxy_pass http://%s; } }\n", rig.Loopback(rig.Port(t)), app))
		}, "other ways", "fault", "leads to " + app},
		{"a location outside the gate", edit(insert(listen, "location /open/ { auth_request off; proxy_pass http://"+app+"; }")), "admin mode", "warning", "auth_request off"},
		{"rules that were not taken up", func(t *testing.T) func() { return d.config(t, "listen    = ", "listen    = \"127.0.0.1:1\" #") }, "drift", "fault", "nothing answers"},
		{"a port that was never taken up", func(t *testing.T) func() {
			was, _ := os.ReadFile(d.Nginx.Conf)
			return replace(t, d.Nginx.Conf, insert(listen, "listen "+rig.Loopback(rig.Port(t))+";")(string(was)))
		}, "in effect", "fault", "nothing answers"},
		{"the default secret", func(t *testing.T) func() { return replace(t, d.EnvFile("demo"), "JWT_SECRET=devsecret\n") }, "secret", "fault", "default one"},
		{"a secret for all to read", func(t *testing.T) func() {
			rig.Check(t, os.Chmod(d.EnvFile("demo"), 0o644))
			return func() { rig.Check(t, os.Chmod(d.EnvFile("demo"), 0o600)) }
		}, "secret", "fault", "open to every user"},
		{"a webhook's secret for all to read", func(t *testing.T) func() {
			path := filepath.Join(t.TempDir(), "webhook.secret")
			rig.WriteFile(t, path, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
			rig.Check(t, os.Chmod(path, 0o644))
			return d.config(t, "[gate]", fmt.Sprintf("[[webhook]]\nurl = \"http://127.0.0.1:1/\"\nsecret_file = %q\n[gate]", path))
		}, "webhooks", "fault", "open to every user"},
		{"a fleet's key that others can read", func(t *testing.T) func() {
			path, private := filepath.Join(d.Nginx.Dir, "fleet.key"), rig.Dir(t)
			rig.WriteFile(t, path, "the-key-of-the-fleet-is-long-enough-for-hs256\n")
			rig.Check(t, os.Chmod(path, 0o644))
			return d.config(t, "[gate]", fmt.Sprintf("[fleet]\nstore = \"dir:%s\"\nkey_file = %q\n[gate]", private, path))
		}, "fleet", "fault", "open to every user"},
		{"no gate", func(t *testing.T) func() { d.gate.Kill(d.t); return func() { d.gate = d.StartGate(d.t) } }, "gate", "fault", "no gate answers"},
		{"a gate that nginx can't get at", func(t *testing.T) func() {
			dir := filepath.Dir(d.Socket())
			rig.Check(t, os.Chmod(dir, 0o700))
			mend := d.by(rig.Call{Before: rig.AsRoot()})
			return func() { mend(); rig.Check(t, os.Chmod(dir, 0o755)) }
		}, "gate", "fault", "may not enter"},
		{"a gate of another configuration", func(t *testing.T) func() { return d.config(t, "[site.jwt]", "[site.jwt]\naudience = \"others\"") }, "gate", "fault", "401, not 204"},
		{"no store", func(t *testing.T) func() {
			rig.Check(t, os.Rename(d.Store, d.Store+".gone"))
			return func() { rig.Check(t, os.Rename(d.Store+".gone", d.Store)) }
		}, "store", "fault", ""},
		{"no CORS", header("Access-Control-Allow-Origin", "https://elsewhere.example.org"), "CORS", "fault", "can't read it"},
		{"cached for an hour", header("Cache-Control", "max-age=3600"), "cache headers", "fault", "max-age=3600"},
		{"a clock that is off", clock(-2 * time.Minute), "clock", "warning", "apart"},
		{"a clock that is wrong", clock(time.Hour), "clock", "fault", "apart"},
		{"an old status in a cache", func(t *testing.T) func() {
			old := d.Published(t, "demo")
			d.CLI(t, "set", "offline").Want(t, 0)
			mend := d.spoiled(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "status.json") {
					return false
				}
				_, _ = w.Write([]byte(old))
				return true
			})
			return func() { mend(); d.CLI(t, "set", "online").Want(t, 0) }
		}, "stale status", "fault", "the world sees seq"},
		{"no status", func(t *testing.T) func() { return d.spoiled(notFound("status.json")) }, "status", "fault", "404"},
		{"no page", func(t *testing.T) func() { return d.spoiled(notFound("/demo/")) }, "page", "fault", "404"},
		{"a page that isn't one", header("Content-Type", "application/octet-stream"), "page", "fault", "octet-stream"},
		{"pages that nobody serves", func(t *testing.T) func() { return d.config(t, d.PageURL, "http://127.0.0.1:1") }, "page", "fault", "refused"},
		{"pages on the site", func(t *testing.T) func() { return d.config(t, d.PageURL, d.URL+"/maintenance") }, "redirect loop", "fault", "round in circles"},
		{"a page that leads back", func(t *testing.T) func() {
			return d.spoiled(func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, d.URL, http.StatusFound)
				return true
			})
		}, "redirect loop", "fault", "leads back"},
		{"an application that listens for all", func(t *testing.T) func() {
			l, err := net.Listen("tcp", "0.0.0.0:0")
			rig.Check(t, err)
			_, port, _ := net.SplitHostPort(l.Addr().String())
			mend := d.config(t, "upstreams = [", "upstreams = [\"127.0.0.1:"+port+"\", ")
			return func() { mend(); l.Close() }
		}, "upstream ports", "fault", "go round nginx"},
		{"an application that the kernel can't close", func(t *testing.T) func() {
			mend := d.by(rig.Call{Before: rig.AsRoot()})
			put := d.config(t, "upstreams = [", "upstreams = [\"unix:/run/app.sock\", ")
			return func() { mend(); put() }
		}, "kernel barrier", "warning", "there is none for the site"},
		{"a barrier that is required", func(t *testing.T) func() {
			mend := d.by(rig.Call{Before: rig.AsRoot()})
			put := d.config(t, "upstreams = [", "upstreams = [\"unix:/run/app.sock\", ")
			d.EditConfig(t, "store ", "barrier = \"required\"\nstore ")
			return func() { mend(); put() }
		}, "kernel barrier", "fault", "there is none for the site"},
		{"a location that hands no WebSocket on", edit(remove("proxy_set_header Upgrade $http_upgrade;")), "WebSockets", "warning", "hands on no WebSocket"},
		{"nobody who vouches for the application", func(*testing.T) func() { return func() {} }, "settled", "warning", "exit code 4"},
		{"a page that browsers keep", edit(insert(listen, `location = / { default_type text/html; add_header Last-Modified "Sun, 22 Nov 2026 12:00:00 GMT"; return 200 page; }`)),
			"cached pages", "warning", "without asking nginx"},
		{"a service worker that is not served yet", func(t *testing.T) func() { return d.config(t, "grace     =", "service_worker = true\ngrace     =") }, "service worker", "fault", "doesn't serve"},
		{"an application with a service worker", func(t *testing.T) func() {
			mend := d.config(t, "grace     =", "service_worker = true\ngrace     =")
			d.CLI(t, "render").Want(t, 0)
			back := d.nginx(t, insert(listen, `location = /service-worker.js { default_type text/javascript; return 200 "self.x=1"; }`))
			return func() {
				mend()
				d.CLI(t, "render").Want(t, 0)
				back()
			}
		}, "service worker", "warning", "of its own, /service-worker.js"},
		{"a closed file that nobody wanted", func(t *testing.T) func() {
			rig.Check(t, os.MkdirAll(filepath.Dir(d.ClosedFile()), 0o755))
			return replace(t, d.ClosedFile(), "")
		}, "drift", "fault", "the closed file is there"},
		{"a damaged journal", func(t *testing.T) func() { return replace(t, filepath.Join(d.State, "journal"), "x") }, "journal", "fault", "damaged"},
		{"an old journal", func(t *testing.T) func() {
			return replace(t, filepath.Join(d.State, "journal"), journalOf(t, d, "2020-01-01T00:00:00Z"))
		}, "journal", "fault", "never finished"},
		{"a change that is under way", func(t *testing.T) func() {
			return replace(t, filepath.Join(d.State, "journal"), journalOf(t, d, time.Now().UTC().Format(time.RFC3339)))
		}, "journal", "warning", "under way"},
		{"an ETA that has passed", func(t *testing.T) func() {
			d.CLI(t, "set", "offline", "--eta", "1s").Want(t, 0)
			rig.WaitFor(t, "the ETA to pass", func() bool { return len(ofCheck(ofLevel(d.findings(t), "warning"), "overdue")) > 0 })
			return func() { d.CLI(t, "set", "online").Want(t, 0) }
		}, "overdue", "warning", "announced to be back"},
		{"a window that was missed", func(t *testing.T) func() {
			now := time.Now().UTC()
			return replace(t, filepath.Join(d.Store, "demo", "schedule.json"), fmt.Sprintf(
				`{"version":1,"windows":[{"id":"w","sequence":1,"state":"missed","mode":"offline","from":%q,"until":%q,"message":null,"messages":null,"updatedAt":%q}]}`,
				now.Add(-2*time.Hour).Format(time.RFC3339), now.Add(-time.Hour).Format(time.RFC3339), now.Format(time.RFC3339)))
		}, "windows", "fault", "was missed"},
		{"a full disk", func(t *testing.T) func() { return d.by(rig.Call{Before: rig.NewNamespace(t, d.State).Before()}) }, "disk", "fault", "is full"},
		{"a disk that is mounted read-only", func(t *testing.T) func() {
			ns := rig.NewNamespace(t, d.State)
			ns.Run(t, "mount", "-o", "remount,ro", d.State)
			return d.by(rig.Call{Before: ns.Before()})
		}, "files", "fault", "read-only"},
		{"a state directory that workers can't enter", func(t *testing.T) func() {
			rig.Check(t, os.Chmod(d.State, 0o700))
			mend := d.by(rig.Call{Before: rig.AsRoot()})
			return func() { mend(); rig.Check(t, os.Chmod(d.State, 0o755)) }
		}, "files", "warning", "may not enter"},
		{"a security module", func(t *testing.T) func() {
			rig.Check(t, os.Chmod(d.ConfDir, 0o555))
			mend := d.by(rig.Call{Before: rig.Powerless()})
			return func() { mend(); rig.Check(t, os.Chmod(d.ConfDir, 0o755)) }
		}, "files", "fault", "permission denied"},
		{"the pid file of another nginx", func(t *testing.T) func() {
			other := rig.NewNginx(t)
			other.Configure(t, fmt.Sprintf("server { listen %s; return 204; }", rig.Loopback(rig.Port(t))))
			other.Start(t)
			return d.config(t, d.Nginx.PIDFile(), other.PIDFile())
		}, "nginx processes", "fault", "is served by another nginx"},
		{"a store that ignores conditions", func(t *testing.T) func() {
			careless := httptest.NewServer(&carelessS3{})
			t.Cleanup(careless.Close)
			was, err := os.ReadFile(d.Config)
			rig.Check(t, err)
			d.Configure(t, rig.Settings{Store: "s3://bucket", S3: "path_style = true\nendpoint = \"" + careless.URL + "\"\nregion = \"x\""})
			mend := d.by(rig.Call{Env: []string{"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x"}})
			return func() { mend(); rig.WriteFile(t, d.Config, string(was)) }
		}, "conditional writes", "fault", "overwrote a file"},
		{"nothing published", func(t *testing.T) func() {
			rig.Check(t, os.Rename(filepath.Join(d.Store, "demo"), d.Store+".demo"))
			return func() { rig.Check(t, os.Rename(d.Store+".demo", filepath.Join(d.Store, "demo"))) }
		}, "store", "warning", "nothing is published"},
		{"a certificate that has expired", func(t *testing.T) func() {
			pages := httptest.NewUnstartedServer(http.FileServer(http.Dir(d.Store)))
			pages.TLS = &tls.Config{Certificates: []tls.Certificate{expired(t)}}
			pages.StartTLS()
			t.Cleanup(pages.Close)
			return d.config(t, d.PageURL, pages.URL)
		}, "certificate", "fault", "has expired"},
	}
	failing := map[string]bool{
		"time":            true, // cmd/internal/doctor has that one: it takes a disk that hangs
		"nginx container": true, // TestSoakNginxBehindABridge has that one
	}
	for _, c := range cases {
		failing[c.check] = true
	}
	for _, name := range source.DoctorChecks(t) {
		if !failing[name] {
			t.Errorf("nothing makes the check %q fail", name)
		}
	}
	if before := ofLevel(d.examine(t), "fault"); len(before) > 0 {
		t.Fatalf("before anything was spoiled: %v", before)
	}
	was := listing(t, d.Store)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			mend := c.spoil(t)
			found := ofCheck(ofLevel(d.findings(t), c.level), c.check)
			mend()
			said := false
			for _, f := range found {
				said = said || strings.Contains(f.Text, c.says) && f.Hint != ""
			}
			if !said {
				t.Errorf("no %s of %s that says %q and what to do: %v", c.level, c.check, c.says, found)
			}
		})
	}
	if after := ofLevel(d.examine(t), "fault"); len(after) > 0 {
		t.Errorf("after all was mended: %v", after)
	}
	if is := listing(t, d.Store); is != was {
		t.Errorf("in the store was\n%s\nand is\n%s", was, is)
	}
}

// findings are those of a doctor that may find anything.
func (d *doctored) findings(t *testing.T) []finding {
	t.Helper()
	r := d.doctor(t)
	if r.Code != 0 {
		r.Want(t, 5)
	}
	return d.found(t, r)
}

func notFound(suffix string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, suffix) {
			http.NotFound(w, r)
			return true
		}
		return false
	}
}

// writePID writes a pid file with the id of this test, which is no nginx.
func writePID(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "pid")
	rig.WriteFile(t, path, fmt.Sprint(os.Getpid()))
	return path
}

// journalOf is what a change of the site leaves behind when it is killed.
func journalOf(t *testing.T, d *doctored, started string) string {
	t.Helper()
	var to any
	rig.Check(t, json.Unmarshal([]byte(d.Published(t, "demo")), &to))
	line, err := json.Marshal(map[string]any{"version": 1, "started": started, "changes": []any{map[string]any{"site": "demo", "from": "online", "to": to}}})
	rig.Check(t, err)
	return string(line) + "\n"
}
