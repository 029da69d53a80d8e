package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/fault"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// full sets every key there is.
const full = `
store     = "s3://conforma-maintenance"
page_url  = "https://maintenance.example.org"
state_dir = "/var/lib/conforma-status"
content   = "/etc/conforma-status/content"
barrier   = "required"

[s3]
region = "ap-southeast-2"
endpoint = "http://127.0.0.1:7070"
path_style = true

[nginx]
conf_dir = "/etc/nginx/conforma-status"
test     = ["nginx", "-t"]
reload   = ["nginx", "-s", "reload"]
pid_file = "/run/nginx.pid"

[gate]
socket = "/run/conforma-status/gate.sock"

[fleet]
host = "app-1"
store = "s3://conforma-fleet"
poll = "2s"
key_file = "/etc/conforma-status/fleet.key"

[[site]]
name      = "demo"
path      = ""
app_url   = "https://demo.example.org:50000"
listen    = "127.0.0.1:50000"
upstreams = ["127.0.0.1:8000"]
preset    = "conforma"
settled   = []
smoke     = ""

[site.jwt]
secret_env_file = "/home/ubuntu/demo_server/env_files/demo.env"
audience    = "postgraphile"
admin_claim = "isAdmin"
max_age     = "8h"

[[site]]
name = "live"
path = "a/live-2.0"
app_url = "http://[2001:db8::1]"
listen = "[::1]:8080"
upstreams = ["unix:/run/live.sock", "[::1]:8000", "app.internal:80"]
login_paths = ["/sign-in", "/static/"]
settled = ["pg_idle", "--database", "a b"]
smoke = "/health?deep=1"
grace = "1.5s"
shared_upstream = true

[site.jwt]
secret_file = "/etc/live.secret"
audience = "a"
admin_claim = "role.admin"
max_age = "1d12h"
algorithm = "HS512"
issuer = "live"
leeway = "5s"

[site.admin]
allow = ["203.0.113.7", "10.0.0.0/8", "2001:db8::/32"]
`

// minimal leaves out all that may be.
const minimal = `
store = "dir:/var/www/maintenance"
page_url = "https://maintenance.example.org/"
[[site]]
name = "demo"
app_url = "https://demo.example.org"
`

func TestGoodFiles(t *testing.T) {
	for name, c := range map[string]struct {
		data  string
		lines map[string]int
		want  Config
	}{
		"full": {full, map[string]int{"content": 5, "site[0]": 28, "site[1]": 44}, Config{
			File: "full", Store: "s3://conforma-maintenance", PageURL: "https://maintenance.example.org",
			StateDir: "/var/lib/conforma-status", Content: "/etc/conforma-status/content", Barrier: BarrierRequired,
			S3: store.S3Options{Region: "ap-southeast-2", Endpoint: "http://127.0.0.1:7070", PathStyle: true},
			Nginx: Nginx{
				ConfDir: "/etc/nginx/conforma-status", PIDFile: "/run/nginx.pid",
				Test: []string{"nginx", "-t"}, Reload: []string{"nginx", "-s", "reload"},
			},
			Gate:  Gate{Socket: "/run/conforma-status/gate.sock"},
			Fleet: &Fleet{Host: "app-1", Store: "s3://conforma-fleet", Poll: 2 * time.Second, KeyFile: "/etc/conforma-status/fleet.key"},
			Sites: []Site{{
				Name: "demo", Path: "", AppURL: "https://demo.example.org:50000", PageURL: "https://maintenance.example.org/",
				Listen: "127.0.0.1:50000", Upstreams: []string{"127.0.0.1:8000"}, Preset: "conforma", Grace: 5 * time.Second, Navigation: NavigationRedirect,
				JWT: &JWT{
					SecretEnvFile: "/home/ubuntu/demo_server/env_files/demo.env",
					Audience:      "postgraphile", AdminClaim: "isAdmin", MaxAge: 8 * time.Hour,
					Algorithm: "HS256", Leeway: 30 * time.Second,
				},
			}, {
				Name: "live", Path: "a/live-2.0", AppURL: "http://[2001:db8::1]", PageURL: "https://maintenance.example.org/a/live-2.0/",
				Listen: "[::1]:8080", Upstreams: []string{"unix:/run/live.sock", "[::1]:8000", "app.internal:80"},
				LoginPaths: []string{"/sign-in", "/static/"}, Settled: []string{"pg_idle", "--database", "a b"}, Smoke: "/health?deep=1",
				Grace: 1500 * time.Millisecond, Navigation: NavigationRedirect, SharedUpstream: true,
				JWT: &JWT{
					SecretFile: "/etc/live.secret", Audience: "a", AdminClaim: "role.admin", MaxAge: 36 * time.Hour,
					Algorithm: "HS512", Issuer: "live", Leeway: 5 * time.Second,
				},
				Allow: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
			}},
		}},
		"minimal": {minimal, map[string]int{"content": 0, "site[0]": 4}, Config{
			File: "minimal", Store: "dir:/var/www/maintenance", PageURL: "https://maintenance.example.org",
			StateDir: "/var/lib/conforma-status", Barrier: BarrierAuto,
			Nginx: Nginx{
				ConfDir: "/etc/nginx/conforma-status", PIDFile: "/run/nginx.pid",
				Test: []string{"nginx", "-t"}, Reload: []string{"nginx", "-s", "reload"},
			},
			Gate: Gate{Socket: "/run/conforma-status/gate.sock"},
			Sites: []Site{{
				Name: "demo", Path: "demo", AppURL: "https://demo.example.org", PageURL: "https://maintenance.example.org/demo/",
				Listen: "127.0.0.1:443", Grace: 5 * time.Second, Navigation: NavigationRedirect,
			}},
		}},
	} {
		got, faults := Parse(name, []byte(c.data))
		if len(faults) > 0 {
			t.Errorf("%s:\n%v", name, faults)
		}
		for place, line := range c.lines {
			if now := got.Line(place); now != line {
				t.Errorf("%s: %s is at line %d, want %d", name, place, now, line)
			}
		}
		got.lines = nil
		if !reflect.DeepEqual(got, &c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, &c.want)
		}
	}
}

// Without a preset nobody's audience is looked for: the default is Conforma's alone.
func TestDefaultAudience(t *testing.T) {
	for preset, want := range map[string]string{`preset = "conforma"`: "postgraphile", "": ""} {
		c, faults := Parse("f", []byte(minimal+preset+"\n[site.jwt]\nsecret_file = \"/etc/secret\"\n"))
		if len(faults) > 0 || c.Sites[0].JWT.Audience != want {
			t.Errorf("%q: audience %q, %v", preset, c.Sites[0].JWT.Audience, faults)
		}
	}
}

// A list of addresses that is not right lets nobody in, and keeps nobody from closing the site.
func TestAllowOfFaults(t *testing.T) {
	for _, list := range []string{`["10.0.0.0/8", "10.0.0.1/24"]`, `["10.0.0.0/8", "10.1.0.0/16"]`, `["10.0.0.0/8", 1]`, `"10.0.0.0/8"`} {
		c, faults := Parse("f", []byte(minimal+"[site.admin]\nallow = "+list+"\n"))
		if len(faults) == 0 || len(Of(faults, Tokens)) != len(faults) || len(c.Sites[0].Allow) > 0 {
			t.Errorf("%s: %v, %v", list, c.Sites[0].Allow, faults)
		}
	}
}

// However its tables are written, a file says the same.
func TestSpellings(t *testing.T) {
	top := "store = \"dir:/srv/www\"\npage_url = \"https://m.example.org\"\n"
	want := Site{
		Name: "a", Path: "a", AppURL: "https://a.example.org", PageURL: "https://m.example.org/a/", Listen: "127.0.0.1:443", Grace: 5 * time.Second, Navigation: NavigationRedirect,
		JWT: &JWT{SecretFile: "/s", Audience: "x", AdminClaim: "isAdmin", MaxAge: time.Hour, Algorithm: "HS256", Leeway: 30 * time.Second},
	}
	for name, c := range map[string]struct {
		data string
		line int
	}{
		"tables":       {top + "[[site]]\nname = 'a'\napp_url = 'https://a.example.org'\n[site.jwt]\nsecret_file = '/s'\naudience = 'x'\nmax_age = '1h'\n", 3},
		"dotted keys":  {top + "[[site]]\nname = 'a'\napp_url = 'https://a.example.org'\njwt.secret_file = '/s'\njwt.audience = 'x'\njwt.max_age = '1h'\n", 3},
		"inline table": {top + "[[site]]\nname = 'a'\napp_url = 'https://a.example.org'\njwt = {secret_file = '/s', audience = 'x', max_age = '1h'}\n", 3},
		"a list of sites": {
			top + "site = [ # one\n{name = 'a', app_url = 'https://a.example.org', jwt = {secret_file = '/s', audience = 'x', max_age = '60m'}}]\n", 4,
		},
	} {
		got, faults := Parse("f", []byte(c.data))
		if len(faults) > 0 || len(got.Sites) != 1 {
			t.Errorf("%s: %v", name, faults)
			continue
		}
		if line := got.LineOf(got.Sites[0]); line != c.line {
			t.Errorf("%s: at line %d, want %d", name, line, c.line)
		}
		if !reflect.DeepEqual(got.Sites[0], want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got.Sites[0], want)
		}
	}
}

func TestDefaultListen(t *testing.T) {
	for appURL, want := range map[string]string{
		"https://demo.example.org":          "127.0.0.1:443",
		"https://demo.example.org/":         "127.0.0.1:443",
		"http://demo.example.org":           "127.0.0.1:80",
		"https://demo.example.org:50000":    "127.0.0.1:50000",
		"http://demo.example.org:8080/app/": "127.0.0.1:8080",
		"https://demo.example.org:":         "127.0.0.1:443",
		"https://[2001:db8::1]":             "127.0.0.1:443",
		"http://[2001:db8::1]:50001":        "127.0.0.1:50001",
		"https://192.0.2.1:443":             "127.0.0.1:443",
	} {
		c, faults := Parse("f", []byte(strings.Replace(minimal, "https://demo.example.org", appURL, 1)))
		if len(faults) > 0 || c.Sites[0].Listen != want {
			t.Errorf("%s: listens at %s, want %s (%v)", appURL, c.Sites[0].Listen, want, faults)
		}
	}
}

func TestPathAndPageURL(t *testing.T) {
	for _, c := range []struct{ pageURL, line, path, want string }{
		{"https://m.example.org", "", "demo", "https://m.example.org/demo/"},
		{"https://m.example.org//", `path = ""`, "", "https://m.example.org/"},
		{"https://m.example.org/a/b/", `path = "c/d"`, "c/d", "https://m.example.org/a/b/c/d/"},
		{"http://127.0.0.1:8080", `path = "_x.y"`, "_x.y", "http://127.0.0.1:8080/_x.y/"},
		{"https://m.example.org/caf%C3%A9", "", "demo", "https://m.example.org/caf%C3%A9/demo/"},
	} {
		data := strings.Replace(minimal, "https://maintenance.example.org/", c.pageURL, 1) + c.line + "\n"
		got, faults := Parse("f", []byte(data))
		if len(faults) > 0 || got.Sites[0].Path != c.path || got.Sites[0].PageURL != c.want {
			t.Errorf("%s, %s: %q at %s, want %q at %s (%v)", c.pageURL, c.line, got.Sites[0].Path, got.Sites[0].PageURL, c.path, c.want, faults)
		}
	}
}

func TestOddButLegal(t *testing.T) {
	for _, line := range []string{
		`state_dir = "/var/lib/a b"`, `state_dir = '/var/lib/"a\b'`, `state_dir = "/var/lib/ü;{}#'"`, `state_dir = "/a/../b/"`,
		`gate.socket = "/` + strings.Repeat("a", 106) + `"`, `gate.socket = "/run/a b:c"`,
		`nginx.test = ["sudo", "-n", "nginx", "-t", ""]`, `s3.endpoint = "https://[::1]:7070"`, `content = ""`,
	} {
		if _, faults := Parse("f", []byte(line+"\n"+minimal)); len(faults) > 0 {
			t.Errorf("%s: %v", line, faults)
		}
	}
	c, _ := Parse("f", []byte("state_dir = \"/a/../b//c/\"\n"+minimal))
	if c.StateDir != "/b/c" {
		t.Errorf("the state directory is %q, want it clean", c.StateDir)
	}
}

// A key that is gone is said once, and changes nothing else: the configuration is what it is without it.
func TestRemovedKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	load := func(data string) (*Config, fault.List, error) {
		if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		return Load(file)
	}
	want, _, err := load(minimal)
	if err != nil {
		t.Fatal(err)
	}
	for key, became := range removed {
		for _, value := range []string{`"/run/x"`, `"x"`, "1", "true", "[]", "{}"} {
			line := key + " = " + value
			got, faults, err := load(minimal[:1] + line + minimal)
			if err != nil || len(faults) != 1 || faults[0] != (fault.Fault{File: file, Line: 2, Key: key, Problem: became, Hint: hintRemoved}) {
				t.Errorf("%s: %+v, %v", line, faults, err)
				continue
			}
			got.Gate.Verdicts = ""
			got.lines, want.lines = nil, nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v, want %+v", line, got, want)
			}
		}
		_, faults, err := load("nosuch = 1\n" + key + " = 1\n" + minimal)
		var wrong fault.List
		if !errors.As(err, &wrong) || len(wrong) != 1 || wrong[0].Key != "nosuch" || len(faults) != 1 || ScopeOf(faults[0]) != Removed {
			t.Errorf("%s beside a key that isn't known: %v, %v", key, faults, err)
		}
	}
	for value, want := range map[string]string{`"/run/verdicts/"`: "/run/verdicts", `"verdicts"`: "", `""`: "", "1": ""} {
		if c, _, err := load("gate.remember = " + value + "\n" + minimal); err != nil || c.Gate.Verdicts != want {
			t.Errorf("gate.remember = %s: %q, %v, want %q", value, c.Gate.Verdicts, err, want)
		}
	}
}

func TestSiteByName(t *testing.T) {
	c, _ := Parse("f", []byte(full))
	if s, ok := c.Site("live"); !ok || s.Name != "live" {
		t.Errorf("live: %+v, %v", s, ok)
	}
	for _, name := range []string{"", "Live", "liv"} {
		if s, ok := c.Site(name); ok || s.Name != "" {
			t.Errorf("%q: %+v, %v", name, s, ok)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := func(name, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	weak := minimal + "[site.jwt]\nmax_age = \"x\"\n"

	good := file("good.toml", minimal)
	if c, faults, err := Load(good); err != nil || len(faults) > 0 || c.File != good {
		t.Errorf("a good file: %+v, %v, %v", c, faults, err)
	}
	tokens := file("tokens.toml", weak)
	c, faults, err := Load(tokens)
	if err != nil || c == nil || c.Sites[0].Name != "demo" {
		t.Fatalf("a file with faults in [site.jwt] alone is usable: %+v, %v", c, err)
	}
	if len(Of(faults, Tokens)) != 2 || len(Of(faults, Core, Pages)) != 0 || len(Of(faults)) != 0 {
		t.Errorf("its faults: %v", faults)
	}

	// What stops every command comes with what would stop some, and with the names that were read.
	c, faults, err = Load(file("core.toml", "content = \"x\"\nzzz = 1\n"+weak))
	var all fault.List
	if c == nil || len(c.Sites) != 1 || c.Sites[0].Name != "demo" || faults != nil || !errors.As(err, &all) || len(all) != 4 || len(Of(all, Core)) != 1 {
		t.Errorf("a file with a fault of every kind: %v, %v, %v", c, faults, err)
	}
	text := fmt.Sprintf("%[1]s:1: content: is not an absolute path\n%[1]s:2: zzz: unknown key\n"+
		"%[1]s:9: site.jwt.secret_env_file: neither secret_env_file nor secret_file is set\n"+
		"%[1]s:10: site.jwt.max_age: \"x\" is not a duration above zero", filepath.Join(dir, "core.toml"))
	if err == nil || err.Error() != text {
		t.Errorf("it says\n%v\nwant\n%s", err, text)
	}

	if _, _, err := Load(filepath.Join(dir, "none.toml")); !errors.Is(err, ErrNoFile) || !strings.Contains(err.Error(), "none.toml") {
		t.Errorf("no file: %v, want ErrNoFile", err)
	}
	if _, _, err := Load(dir); err == nil || errors.Is(err, ErrNoFile) || errors.As(err, &all) {
		t.Errorf("a directory: %v, want an error of reading", err)
	}
}

// What is not measured, because it is short, fits.
func TestRoomy(t *testing.T) {
	long := func(n int) string { return strings.Repeat("&", n) } // what grows the most
	const origin = "https://a.example/"
	for _, c := range []struct {
		name, dir string
		app, page int
	}{
		{"app_url", "/s", 1, 0}, {"page_url", "/s", 0, 1}, {"both", "/s", 1, 1}, {"state_dir", "/" + strings.Repeat(`"`, 200), 1, 1},
	} {
		left := roomy - len("demo") - len(c.dir) - 2*len(origin)
		s := Site{
			Name: "demo", AppURL: origin + long(c.app*left/(c.app+c.page)), PageURL: origin + long(c.page*left/(c.app+c.page)),
			ServiceWorker: true,
		}
		rules := nginxconf.Site{Name: s.Name, Dir: c.dir, AppURL: s.AppURL, PageURL: s.PageURL, Worker: s.Worker()}
		if err := rules.Check(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Whatever is in the file, faults are said in the order of its lines and always the same; and without faults that
// stop every command, nginx's configuration can be written for all modes.
func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(minimal))
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, faults := Parse("f", data)
		_, again := Parse("f", data)
		if !reflect.DeepEqual(faults, again) {
			t.Fatalf("first\n%v\nthen\n%v", faults, again)
		}
		for i, f := range faults {
			if f.Line < 1 || i > 0 && f.Line < faults[i-1].Line {
				t.Fatalf("not in the order of lines: %v", faults)
			}
		}
		if len(Of(faults, Core)) > 0 {
			return
		}
		if len(c.Sites) == 0 {
			t.Fatal("no sites and no fault")
		}
		if _, err := nginxconf.HTTP(nginxconf.Shared{GateSocket: c.Gate.Socket}); err != nil {
			t.Fatal(err)
		}
		for _, s := range c.Sites {
			if s.JWT != nil && s.JWT.MaxAge <= 0 && len(Of(faults, Tokens)) == 0 {
				t.Fatalf("tokens are good for %v, and that is no fault", s.JWT.MaxAge)
			}
			rules := nginxconf.Site{
				Name: s.Name, Dir: filepath.Join(c.StateDir, "sites", s.Name), AppURL: s.AppURL, PageURL: s.PageURL,
				Preset: s.Preset, LoginPaths: s.LoginPaths, Worker: s.Worker(),
			}
			for _, mode := range status.Modes() {
				if _, err := rules.Render(mode, "1-00000000"); err != nil {
					t.Fatal(err)
				}
			}
			// What goes into the status document is valid there.
			d := status.Document{
				Version: status.Version, Site: s.Name, Mode: status.Online, Since: time.Unix(0, 0), UpdatedAt: time.Unix(0, 0),
				AppURL: s.AppURL, PageURL: s.PageURL,
			}
			if err := d.Validate(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
