package nginxconf

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestCheckLoginPath(t *testing.T) {
	for _, p := range []string{
		"/login", "/login/", "/a/b/c", "/a/b/c/", "/assets/", "/index.html", "/v1.2/sign_in", "/@user/~me", "/-", "/_", "/~",
		"/a.b.c", "/a..b", "/a.", "/LOGIN", "/" + strings.Repeat("a", maxLoginPath-1),
	} {
		if err := CheckLoginPath(p); err != nil {
			t.Errorf("%q is refused: %v", p, err)
		}
	}
	for _, p := range []string{
		"", "/", "//", "login", "login/", "./login", " /login", "/login ", "/login\n", "https://example.org/login",
		"/..", "/../", "/a/..", "/a/../b", "/.", "/./a", "/.git/", "/a/.b", "/...",
		"//login", "/a//b", "/a//", "/login//",
		"/%2f", "/a%2fb", "/%2e%2e/", "/%", "/a%00",
		"/a;b", "/a;jsessionid=1", "/a?b", "/a?", "/a#b", "/a&b", "/a=b", "/a,b", "/a:b", "/a!",
		"/$uri", "/a$", "/${x}", "/{a}", `/a"b`, "/a'b", `/a\b`, "/a b", "/a\tb", "/a\x00",
		"/.*", "/a*", "/a+b", "/(a)", "/[a]", "/a|b", "/^a", "/a{2}",
		"/ü", "/\xff", "/" + strings.Repeat("a", maxLoginPath),
	} {
		if err := CheckLoginPath(p); err == nil {
			t.Errorf("%q is accepted", p)
		}
		if all, err := openRequests("", []string{"/login", p}); err == nil || all != nil {
			t.Errorf("patterns are made from %q: %q", p, all)
		}
	}
}

func TestPresets(t *testing.T) {
	if got := Presets(); !slices.Equal(got, []string{"conforma"}) {
		t.Errorf("presets are %q", got)
	}
	if all, err := openRequests("", nil); err != nil || len(all) != 0 {
		t.Errorf("without a preset and paths all is shut: %q, %v", all, err)
	}
	if _, err := openRequests("grafana", nil); err == nil {
		t.Error("an unknown preset is accepted")
	}
	if all, err := openRequests("conforma", []string{"/a", "/b/"}); err != nil || len(all) != 3 {
		t.Errorf("a preset with further paths: %q, %v", all, err)
	}
	for name, p := range presets {
		// They stand between quotes in nginx's configuration, and a match must be of the whole line.
		if strings.ContainsAny(p.requests+p.begins, `"'\{}`) || p.requests[0] != '^' || !strings.HasSuffix(p.requests, "$") || strings.Count(p.requests+p.begins, "$") != 1 {
			t.Errorf("%s: %+v", name, p)
		}
		// Whoever is led to it gets it.
		if page := LoginPage(name, []string{"/elsewhere"}); page != p.login || CheckLoginPath(page) != nil || !regexp.MustCompile(p.requests).MatchString("GET "+page) {
			t.Errorf("%s: the login page is %q", name, page)
		}
	}
}

// own are a site's own login paths, for the tables below.
var own = []string{"/sign-in", "/static/", "/v1.2/token"}

func TestOpenRequests(t *testing.T) {
	for _, c := range []struct {
		preset string
		paths  []string
		open   []string
		shut   []string
	}{
		{
			preset: "conforma",
			open: []string{
				"GET /login", "HEAD /login", "GET /login?next=/outcomes", "GET /login?", "GET /login/reset", "GET /login/a/b-c",
				"GET /assets/index-4f2a.js", "GET /assets/a/b/c.css?v=1", "GET /fonts/x.woff2", "GET /images/logo.png", "GET /static/x",
				"GET /favicon.ico", "GET /manifest.json", "GET /robots.txt", "GET /app.webmanifest", "GET /sw.js?x=../..",
				"GET /server/api/public/get-prefs", "GET /server/api/public/file?uid=abc", "GET /server/api/public/language/en_NZ",
				"POST /server/api/public/login", "POST /server/api/login-org", "POST /server/api/login-org?x",
				"GET /login?../../server/graphql", // a query is no path
			},
			shut: []string{
				"GET /", "GET /index.html", "GET /application/1", "GET /Login", "GET /login/", "GET /loginx", "GET /login.", "get /login",
				"POST /login", "DELETE /assets/x.js", "PUT /favicon.ico", "OPTIONS /login", "GETT /login", "XGET /login", "GET  /login",
				"GET /assets/", "GET /assets", "GET /assets/a/", "GET /x/app.js", "GET /.env.js", "GET /.js", "GET /app.jsp", "GET /app.js.php", "GET /app_js",
				"POST /server/graphql", "POST /graphql", "GET /server/api/user-info", "GET /server/api/public/verify?uid=1",
				"GET /server/api/public/login", "POST /server/api/public/file", "POST /server/api/public/get-prefs", "GET /server/api/public/",
				"GET /server/api/public/language/", "GET /server/api/public/language/en/../../../graphql", "GET /server/api/publicXfile",
				"GET /server/admin/assets/x.js", "POST /server/api/upload", "GET /server/api/public/file/../../admin",
				"POST /server/api/public/login/../../graphql", "POST /server/api/login-org/", "POST /SERVER/api/login-org",
			},
		},
		{
			paths: own,
			open: []string{
				"GET /sign-in", "POST /sign-in", "GET /sign-in?a=b&c", "PROPFIND /sign-in",
				"GET /static/", "GET /static/?x", "GET /static/a", "GET /static/a/b.js", "GET /static/a/b/", "POST /static/a",
				"POST /v1.2/token", "GET /v1.2/token?",
			},
			shut: []string{
				"GET /", "GET /sign-in/", "GET /sign-inn", "GET /sign-in/x", "GET /Sign-In", "GET /static", "GET /staticx/", "GET /login",
				"GET /x/sign-in", "GET /v1x2/token", "GET /v1.2", "GET /v1.2/", "GET /v1.2/tokens", "GET sign-in", "get /sign-in", " /sign-in", "/sign-in",
				"GET x /sign-in", "GET /x /sign-in", "GET /sign-in /x", "GET /sign-in\tx", "GET /static/a b",
			},
		},
		{shut: []string{"GET /", "GET /login", "GET /assets/x.js", "POST /server/api/public/login"}},
	} {
		is := letsThrough(t, c.preset, c.paths)
		for _, line := range c.open {
			if !is(line) {
				t.Errorf("preset %q, paths %q: %q is shut", c.preset, c.paths, line)
			}
		}
		for _, line := range c.shut {
			if is(line) {
				t.Errorf("preset %q, paths %q: %q is open", c.preset, c.paths, line)
			}
		}
	}
}

// Every way of going from a path that is open to one that isn't is tried from every path that is open.
func TestTraversals(t *testing.T) {
	is := letsThrough(t, "conforma", own)
	steps := []string{
		"/..", "/../", "/../..", "/%2e%2e", "/%2E%2E/", "/.%2e", "/%2e.", "%2f..", "%2F..%2F", "/..%2f", "/%2e%2e%2f", "/%252e%252e", "/..;", "/..;/",
		"/;/..", ";/..", ";a=b", "/.", "/./", "/.//", "//", "//..", "//..//", `/..\`, `\..`, `/\..\`, "/%5c..", "%5c..%5c", "/..%00", "%00", "%00/..", "/\x00",
		"/…", "/%c0%ae%c0%ae", "/..%c0%af", "/%u002e%u002e", "#/..", "/#/..", "%23/..", "%3f/..", "%3F", "/.../", "/....//", "&/..", "/*", "/'", `/"`, "/`", "/{", "/|",
		"/..?", "/../?x", "%20", "+/..", "/\xff", "/\u2025/", "/\uff0e\uff0e/",
	}
	from := []string{
		"/login", "/login/reset", "/assets/x.js", "/assets", "/favicon.ico", "/server/api/public/file", "/server/api/public/language/en", "/server/api/public/login",
		"/server/api/login-org", "/sign-in", "/static", "/static/a", "/v1.2/token",
	}
	for _, f := range from {
		for _, step := range steps {
			for _, to := range []string{"", "/", "/server/graphql", "/admin", "server/graphql"} {
				for _, method := range []string{"GET", "HEAD", "POST"} {
					line := method + " " + f + step + to
					if is(line) {
						t.Errorf("%q is open", line)
					}
				}
			}
		}
	}
	for _, line := range []string{
		"GET /../login", "GET //login", "GET /./login", "GET /%6cogin", "GET /x/../login", "GET /server/graphql?/../../login", "GET /server/graphql#/login",
		"POST //server/api/login-org", "GET http://example.org/login", "GET ///static/a", "GET /%2e/static/a", "GET \\login", "GET *",
	} {
		if is(line) {
			t.Errorf("%q is open", line)
		}
	}
}

// letsThrough reports of a method and a raw request target whether admin mode lets them through without a token.
// What it does, no visitor's shortcut may take.
func letsThrough(t testing.TB, preset string, paths []string) func(line string) bool {
	t.Helper()
	all, err := openRequests(preset, paths)
	if err != nil {
		t.Fatal(err)
	}
	var requests, begins []*regexp.Regexp
	for _, r := range all {
		requests = append(requests, regexp.MustCompile(r.requests))
		begins = append(begins, regexp.MustCompile("^/(?:"+r.begins+")"))
	}
	return func(line string) bool {
		i := slices.IndexFunc(requests, func(r *regexp.Regexp) bool { return r.MatchString(line) })
		if i < 0 {
			return false
		}
		if _, target, _ := strings.Cut(line, " "); !begins[i].MatchString(target) {
			t.Errorf("%q is open, but a navigation to it would be redirected", line)
		}
		return true
	}
}

// However a request is written, where it leads is below the path that let it through; and it is written plainly.
func FuzzLoginPath(f *testing.F) {
	for _, p := range own {
		f.Add(p, "GET", p)
		f.Add(p, "POST", p+"?a=b")
		f.Add(p, "GET", p+"/../x")
		f.Add(p, "GET", p+"x")
	}
	f.Add("/", "GET", "/server/graphql")
	f.Add("/a.b/", "GET", "/aXb/")
	f.Add("/login/", "GET", "/login/%2e%2e/x")
	f.Add("/a", "GET x", "/a#?")
	f.Add("/conforma", "GET", "/assets/index.js")
	f.Add("/conforma", "POST", "/server/api/public/login")
	preset := letsThrough(f, "conforma", nil)
	f.Fuzz(func(t *testing.T, p, method, target string) {
		line := method + " " + target
		raw, _, _ := strings.Cut(target, "?")
		plain := func(why string) {
			if decoded, err := url.PathUnescape(raw); err != nil || decoded != raw || normal(raw) != raw || strings.ContainsAny(raw, ";\\#% \"'$\n\r") {
				t.Fatalf("%q is open by %s, and leads to %q", line, why, normal(raw))
			}
		}
		if preset(line) {
			plain("the preset")
		}
		if CheckLoginPath(p) != nil || !letsThrough(t, "", []string{p})(line) {
			return
		}
		plain(p)
		if to := normal(raw); to != p && (!strings.HasSuffix(p, "/") || !strings.HasPrefix(to, p)) {
			t.Fatalf("%q is open by %q, and leads to %q", line, p, to)
		}
	})
}

// normal is where a path leads: decoded, without empty and dotted segments, its last slash kept.
func normal(raw string) string {
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		decoded = raw
	}
	to := path.Clean("/" + decoded)
	if strings.HasSuffix(decoded, "/") && to != "/" {
		to += "/"
	}
	return to
}

func TestLoginPage(t *testing.T) {
	for _, c := range []struct {
		preset string
		paths  []string
		want   string
	}{
		{"conforma", nil, "/login"},
		{"", []string{"/assets/", "/sign-in", "/other"}, "/sign-in"},
		{"unknown", []string{"/sign-in"}, "/sign-in"},
		{"", []string{"/assets/"}, ""},
		{"", nil, ""},
	} {
		if got := LoginPage(c.preset, c.paths); got != c.want {
			t.Errorf("preset %q, paths %q: %q, want %q", c.preset, c.paths, got, c.want)
		}
	}
}
