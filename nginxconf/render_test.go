package nginxconf

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with the file of that name in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	was, is := strings.SplitAfter(string(want), "\n"), strings.SplitAfter(string(got), "\n")
	for i := range max(len(was), len(is)) {
		if i >= len(was) || i >= len(is) || was[i] != is[i] {
			t.Errorf("%s differs from line %d on: see what -update makes of it", file, i+1)
			return
		}
	}
}

func demoSite() Site {
	return Site{
		Name: "demo", Dir: "/var/lib/conforma-status/sites/demo", AppURL: "https://demo.example.org:50000",
		PageURL: "https://maintenance.example.org/demo/", Preset: "conforma",
		Worker: `self.a="\\{b}"`,
	}
}

func TestRender(t *testing.T) {
	odd := Site{
		Name: "a_b-C", Dir: `/srv/it's "a b"\c;{}#/sites/a_b-C`, AppURL: "http://[2001:db8::1]:8080/{NAME}/?",
		PageURL: "https://m.example.org/{REVISION}/%7B;'é'/", LoginPaths: []string{"/sign-in", "/static/v1.2/"},
	}
	behindDoor, letsIn, all, shows := demoSite(), demoSite(), demoSite(), demoSite()
	shows.ShowsPage = true
	all.Modules = KnownModules("1.30.6", "--with-http_sub_module --with-http_addition_module --with-http_dav_module")
	behindDoor.Door = "0123456789abcdef"
	letsIn.Allows, letsIn.Preset, letsIn.Door = true, "", "0123456789abcdef"
	for name, c := range map[string]struct {
		site Site
		mode status.Mode
	}{
		"online": {demoSite(), status.Online}, "admin": {demoSite(), status.Admin}, "offline": {demoSite(), status.Offline},
		"online-door": {behindDoor, status.Online}, "admin-door": {behindDoor, status.Admin}, "admin-odd": {odd, status.Admin},
		"admin-allows":    {letsIn, status.Admin},
		"offline-modules": {all, status.Offline}, "admin-page": {shows, status.Admin},
	} {
		rules, err := c.site.Render(c.mode, "7-0badcafe")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		golden(t, name, rules)
		again, err := c.site.Render(c.mode, "7-0badcafe")
		if err != nil || !bytes.Equal(rules, again) {
			t.Errorf("%s: rendered again it is another (%v)", name, err)
		}
		// The words in braces that are left are those that a value brought in.
		for _, word := range regexp.MustCompile(`\{[A-Z_]+\}`).FindAllString(string(rules), -1) {
			if !strings.Contains(c.site.AppURL+c.site.PageURL, word) {
				t.Errorf("%s: %s is left", name, word)
			}
		}
	}
	open, err := demoSite().Render(status.Offline, "1-0")
	if err != nil {
		t.Fatal(err)
	}
	if shut, err := behindDoor.Render(status.Offline, "1-0"); err != nil || !bytes.Equal(open, shut) {
		t.Errorf("a site that is offline has a door (%v)", err)
	}
}

func TestHTTP(t *testing.T) {
	rules, err := HTTP(Shared{GateSocket: "/run/conforma-status/gate.sock"})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "http", rules)
	if rules, err = HTTP(Shared{GateSocket: "/run/conforma-status/gate.sock", Modules: KnownModules("1.22.1", ""), ShowsPage: true}); err != nil {
		t.Fatal(err)
	}
	golden(t, "http-modules", rules)
	if odd, err := HTTP(Shared{GateSocket: `/run/a "b"\c`}); err != nil || !strings.Contains(string(odd), `  server "unix:/run/a \"b\"\\c";`) {
		t.Errorf("an odd path: %v\n%s", err, odd)
	}
	for _, socket := range []string{"/run/$gate", "/run/\n", "/run/\xff"} {
		if rules, err := HTTP(Shared{GateSocket: socket}); err == nil || rules != nil {
			t.Errorf("%q: %v, want an error", socket, err)
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	long := strings.Repeat("a", 2000)
	for name, c := range map[string]struct {
		change func(*Site)
		want   string // in the error
	}{
		"a dollar sign in the directory": {func(s *Site) { s.Dir = "/srv/$x" }, "a dollar sign"},
		"a dollar sign in the page":      {func(s *Site) { s.PageURL = "https://m.example.org/$x/" }, "a dollar sign"},
		"a dollar sign in the app":       {func(s *Site) { s.AppURL = "https://demo.example.org/$x" }, "a dollar sign"},
		"a newline in the directory":     {func(s *Site) { s.Dir = "/srv/\n" }, "a control character"},
		"a newline in the page":          {func(s *Site) { s.PageURL = "https://m.example.org/\n" }, "a control character"},
		"a directory that isn't UTF-8":   {func(s *Site) { s.Dir = "/srv/\xff" }, "not valid UTF-8"},
		"an unknown preset":              {func(s *Site) { s.Preset = "grafana" }, `unknown preset "grafana"`},
		"a login path of everything":     {func(s *Site) { s.LoginPaths = []string{"/login", "/"} }, "would open the whole site"},
		"a login path that is a pattern": {func(s *Site) { s.LoginPaths = []string{"/(.*)"} }, "can't be a login path"},
		"too long together":              {func(s *Site) { s.AppURL, s.PageURL = "https://a/"+long, "https://b/"+long }, "longer than 4000 bytes"},
	} {
		s := demoSite()
		c.change(&s)
		for _, mode := range status.Modes() {
			rules, err := s.Render(mode, "1-0")
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "render demo: ") || rules != nil {
				t.Errorf("%s, %s: %v, want %q", name, mode, err, c.want)
			}
			if rev, err := s.Revision(mode, 1); err == nil || rev != "" {
				t.Errorf("%s, %s: has the revision %q", name, mode, rev)
			}
		}
	}
}

// A revision names what is rendered: it is another one as soon as anything in it is.

func TestUnavailable(t *testing.T) {
	until := time.Date(2026, 11, 23, 10, 45, 0, 999, time.FixedZone("NZDT", 13*60*60))
	message := "</script>"
	d := status.Document{Mode: status.Offline, PageURL: "https://m.example.org/?a&b=\"<é>", Message: &message}
	const tail = `,"pageUrl":"https://m.example.org/?a\u0026b=\"\u003cé\u003e",` +
		`"errors":[{"message":"maintenance","extensions":{"code":"MAINTENANCE"}}]}` + "\n"
	if got, want := string(Unavailable(d)), `{"error":"maintenance","mode":"offline","expectedUntil":null`+tail; got != want {
		t.Errorf("no end known:\n got %s\nwant %s", got, want)
	}
	d.Mode, d.ExpectedUntil = status.Admin, &until
	if got, want := string(Unavailable(d)), `{"error":"maintenance","mode":"admin","expectedUntil":"2026-11-22T21:45:00Z"`+tail; got != want {
		t.Errorf("an end in another time zone:\n got %s\nwant %s", got, want)
	}
}
