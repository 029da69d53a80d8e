package operator

import (
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// dump is what nginx -T prints for a main file and others, by name, in this order.
func dump(files ...string) []byte {
	var b strings.Builder
	for i := 0; i < len(files); i += 2 {
		fmt.Fprintf(&b, "# configuration file %s:\n%s\n", files[i], files[i+1])
	}
	return []byte(b.String())
}

const ours = "/etc/nginx/cs/sites/demo.conf"

var known = Target{Site: "demo", Addr: "127.0.0.1:50000", URL: "https://demo.example.org:50000"}

func serving(t *testing.T, upstreams []string, files ...string) Serving {
	t.Helper()
	c, err := ReadConfig(dump(files...))
	if err != nil {
		t.Fatal(err)
	}
	return c.Serving(ours, known, upstreams)
}

func TestServingFindsListenersNamesAndUpstreams(t *testing.T) {
	got := serving(t, nil,
		"/etc/nginx/nginx.conf", "http {\n include sites/*;\n}\n",
		"/etc/nginx/sites/demo", `upstream app { server 127.0.0.1:8000; server unix:/run/app.sock; }
server {
  include cs/sites/demo.conf; # first
  listen 50000 ssl; listen [::]:50000 ssl http2; listen 127.0.0.1:81 proxy_protocol;
  server_name demo.example.org *.example.org "~^x" www.example.org;
  location / { proxy_pass http://app/; }
  location /files { proxy_pass http://localhost:9000; }
}
`, ours, "location = /.conforma-status/auth { proxy_pass http://conforma_status_gate/check/demo; }")
	if want := []string{"*:50000", "[::]:50000", "127.0.0.1:81"}; !reflect.DeepEqual(got.Listens, want) {
		t.Errorf("listens at %q, want %q", got.Listens, want)
	}
	if want := []string{"127.0.0.1:8000", "localhost:9000"}; !reflect.DeepEqual(got.Upstreams, want) {
		t.Errorf("leads to %q, want %q", got.Upstreams, want)
	}
	want := []Target{
		{"demo", "127.0.0.1:50000", "https://demo.example.org:50000"}, {"demo", "127.0.0.1:50000", "https://www.example.org:50000"},
		{"demo", "[::]:50000", "https://demo.example.org:50000"}, {"demo", "[::]:50000", "https://www.example.org:50000"},
		{"demo", "127.0.0.1:81", "http://demo.example.org:81"}, {"demo", "127.0.0.1:81", "http://www.example.org:81"},
	}
	if !reflect.DeepEqual(got.Targets, want) {
		t.Errorf("asks at %q, want %q", got.Targets, want)
	}
	if !got.WorkersMustEnd {
		t.Error("doesn't see that a unix socket leads to the application")
	}
	if got.Holes != nil || got.BeforeInclude != nil || got.SamePort != nil || got.Ungated != nil {
		t.Errorf("finds fault with a site that has none: %+v", got)
	}
}

func TestServingAsksWhereItCanBeAsked(t *testing.T) {
	const start, end = "server { include " + ours + "; server_name demo.example.org; ", " }"
	for _, tt := range []struct {
		http    string
		listens []string
		asks    []string // addresses
	}{
		{start + "listen 127.0.0.1:8000-8002;" + end, []string{"127.0.0.1:8000", "127.0.0.1:8001", "127.0.0.1:8002"}, []string{"127.0.0.1:8000", "127.0.0.1:8001", "127.0.0.1:8002"}},
		{start + "listen 8000-8001 ssl;" + end, []string{"*:8000", "*:8001"}, []string{"*:8000", "*:8001"}},
		{start + "listen [::1]:8000-8001;" + end, []string{"[::1]:8000", "[::1]:8001"}, []string{"[::1]:8000", "[::1]:8001"}},
		{start + "listen 443 ssl; listen 127.0.0.1:81; ssl_verify_client on;" + end, []string{"*:443", "127.0.0.1:81"}, []string{"127.0.0.1:81"}},
		{"ssl_verify_client on; " + start + "listen 443 ssl; listen 127.0.0.1:81;" + end, []string{"*:443", "127.0.0.1:81"}, []string{"127.0.0.1:81"}},
		{start + "listen 443 ssl; ssl_verify_client off;" + end + " ssl_verify_client on;", []string{"*:443"}, []string{"*:443"}},
		{start + "listen 443 ssl; ssl_verify_client optional;" + end, []string{"*:443"}, []string{"*:443"}},
	} {
		got := serving(t, nil, "/etc/nginx/nginx.conf", "http { "+tt.http+" }", ours, "")
		var asks []string
		for _, target := range got.Targets {
			asks = append(asks, target.Addr)
		}
		if !reflect.DeepEqual(got.Listens, tt.listens) || !reflect.DeepEqual(asks, tt.asks) {
			t.Errorf("%s\nlistens at %q, want %q\nasks at %q, want %q", tt.http, got.Listens, tt.listens, asks, tt.asks)
		}
	}
}

func TestServingAsksUnderANameOfTheServer(t *testing.T) {
	const app = "demo.example.org" // the host of app_url
	for _, tt := range []struct {
		names string
		asks  []string
	}{
		{"", []string{app}},
		{"server_name _;", []string{app}},
		{`server_name "" $hostname ~^x;`, []string{app}},
		{"server_name WWW.demo.test *.demo.test .example.org;", []string{"WWW.demo.test"}},
		{"server_name a.test b.test; server_name c.test;", []string{"a.test", "b.test", "c.test"}},
		{"server_name *.demo.test;", []string{"conforma-status.demo.test"}},
		{"server_name .demo.test;", []string{"demo.test"}},
		{"server_name _ *.Demo.Test ~^x .other.test;", []string{"conforma-status.demo.test", "other.test"}},
		{"server_name *.demo.example.org;", []string{"conforma-status.demo.example.org"}},
		{"server_name *.ample.org;", []string{"conforma-status.ample.org"}},
		{"server_name .ample.org;", []string{"ample.org"}},
		{"server_name *.demo.test *.example.org;", []string{app}},
		{"server_name *.ORG;", []string{app}},
		{"server_name .example.org;", []string{app}},
		{"server_name .Demo.Example.org *.demo.test;", []string{app}},
		{"server_name Demo.* *.demo.test;", []string{app}},
		{"server_name demo.example.* *.demo.test;", []string{app}},
		{"server_name de.* *.demo.test;", []string{"conforma-status.demo.test"}},
		{"server_name other.*;", []string{app}}, // no name is made for it
		{"server_name www.other.*;", []string{app}},
	} {
		got := serving(t, nil, "/etc/nginx/nginx.conf", "http { server { include "+ours+"; listen 127.0.0.1:81; "+tt.names+" } }", ours, "")
		var asks []string
		for _, target := range got.Targets {
			asks = append(asks, strings.TrimSuffix(strings.TrimPrefix(target.URL, "http://"), ":81"))
		}
		if !reflect.DeepEqual(asks, tt.asks) {
			t.Errorf("%s\nis asked under %q, want %q", tt.names, asks, tt.asks)
		}
	}
}

func TestServingFindsOtherWaysToTheApplication(t *testing.T) {
	const site = "server { listen 50000; include " + ours + "; location / { proxy_pass http://127.0.0.1:8000; } }\n"
	for other, want := range map[string]string{
		"server { listen 81;\n location / { proxy_pass http://127.0.0.1:8000/x; } }":                                                              "2 127.0.0.1:8000",
		"server { listen 81; location / {\n proxy_pass http://localhost:8000; } }":                                                                "2 127.0.0.1:8000",
		"server { listen 81; location / { location /a {\nif ($x) {\nproxy_pass http://0.0.0.0:8000; } } } }":                                      "3 127.0.0.1:8000",
		"upstream u { server [::1]:8000; } server { listen 81;\n location / { proxy_pass http://u; } }":                                           "2 127.0.0.1:8000",
		"upstream App { server 127.0.0.1:8000; } server { listen 81;\n location / { proxy_pass http://aPP; } }":                                   "2 127.0.0.1:8000",
		"server { listen 81; location / { proxy_pass http://127.0.0.1:8001; } }":                                                                  "",
		"server { listen 81; location / { proxy_pass http://$backend; } }":                                                                        "",
		"server { listen 81; location / { return 200 \"proxy_pass http://127.0.0.1:8000;\"; } }":                                                  "",
		"server { listen 81; # location / { proxy_pass http://127.0.0.1:8000; }\n }":                                                              "",
		"server { listen 81; location / { grpc_pass grpc://127.0.0.1:8000; } }":                                                                   "1 127.0.0.1:8000",
		"server { listen 81; location ~ \"a{2}\" { fastcgi_pass 127.0.0.1:8000; } }":                                                              "1 127.0.0.1:8000",
		"server { listen 81; location / { content_by_lua_block { if a then { b() } end } } location /b {\n proxy_pass http://127.0.0.1:8000; } }": "2 127.0.0.1:8000",
	} {
		main := "http {\n include /x/*.conf;\n}\n"
		got := serving(t, nil, "/etc/nginx/nginx.conf", main, "/x/a.conf", site, "/x/b.conf", other, ours, "# rules\n")
		text := ""
		for _, h := range got.Holes {
			text += fmt.Sprintf("%d %s", h.Pass.Line, h.Upstream)
			if h.Pass.File != "/x/b.conf" {
				t.Errorf("%s: found in %s", other, h.Pass.File)
			}
		}
		if text != want {
			t.Errorf("%s\nfinds %q, want %q", other, text, want)
		}
	}
	stream := serving(t, nil, "/n.conf", "http { "+site+" }\nstream { server { listen 82; proxy_pass 127.0.0.1:8000; } }", ours, "")
	if len(stream.Holes) != 1 {
		t.Errorf("a stream server to the application is not found: %+v", stream)
	}
}

func TestServingFindsWhatStandsInTheWay(t *testing.T) {
	for server, want := range map[string]string{
		"include cs/sites/demo.conf; rewrite ^ /x break;":                                          "",
		"set $a 1; root /x; location /a { rewrite ^ /x break; } include cs/sites/demo.conf;":       "",
		"rewrite ^ /x break; include cs/sites/demo.conf;":                                          "early 1",
		"\nif ($host = a) { return 301 /; }\n include cs/sites/demo.conf;":                         "early 2",
		"include cs/sites/demo.conf; location /a { auth_request off; }":                            `"auth_request off" in /a`,
		"include cs/sites/demo.conf; location ~ ^/a { satisfy any; }":                              `"satisfy any" in ~ ^/a`,
		"include cs/sites/demo.conf; location /a { satisfy all; }":                                 "",
		"include cs/sites/demo.conf; location = /a { return 200 ok; }":                             `"return 200" in = /a`,
		"include cs/sites/demo.conf; location /a { location /a/b { error_page 401 /x; } }":         `"error_page 401" in /a /a/b`,
		`include cs/sites/demo.conf; location /a { if ($x != "a secret") { return 403 secret; } }`: `"return 403" in /a if`,
		"include cs/sites/demo.conf; auth_request /mine;":                                          `"auth_request /mine" in `,
		"include cs/sites/demo.conf; return 200 ok;":                                               `"return 200" in `,
		"return 200 ok; include cs/sites/demo.conf;":                                               `early 1"return 200" in `,
		"include cs/sites/demo.conf; satisfy any;":                                                 `"satisfy any" in `,
		"include cs/sites/demo.conf; location /a { location /b { auth_request /b; } }":             `"auth_request /b" in /a /b`,
		"include cs/sites/demo.conf; error_page 404 500 /x;":                                       "",
		"include cs/sites/demo.conf; error_page 404 = @app;":                                       "",
		"include cs/sites/demo.conf; error_page 404 405 = @app;":                                   `"error_page 404" in `,
		"\nerror_page 400 @app; include cs/sites/demo.conf;":                                       `beside 2"error_page 400" in `,
		"include cs/sites/demo.conf;\n error_page 497 @app;":                                       "beside 2",
		"include cs/sites/demo.conf;\n mirror /m; mirror_request_body off;":                        "beside 2",
		"include cs/sites/demo.conf; mirror off; post_action off;":                                 "",
		"include cs/sites/demo.conf; post_action @done;":                                           "beside 1",
		"include cs/sites/demo.conf; location /a { mirror /m; }":                                   "",
		"include cs/sites/demo.conf; error_page 497 301 =307 https://$host$request_uri;":           "",
	} {
		got := serving(t, nil, "/etc/nginx/nginx.conf", "http { server {"+server+" } }",
			ours, "auth_request /.conforma-status/auth; location = /.conforma-status/nav { return 302 /; } location @conforma_503 { return 503; }")
		text := ""
		for _, e := range got.BeforeInclude {
			text += fmt.Sprintf("early %d", e.Line)
		}
		for _, e := range got.Bypasses {
			text += fmt.Sprintf("beside %d", e.Line)
		}
		for _, u := range got.Ungated {
			text += fmt.Sprintf("%q in %s", u.Directive, u.Location)
		}
		if text != want {
			t.Errorf("%s\nfinds %q, want %q", server, text, want)
		}
	}
}

// TestWhatServersInherit: what stands in http {} holds for a server that has none of its own.
func TestWhatServersInherit(t *testing.T) {
	for server, beside := range map[string]int{"": 2, "mirror off;": 1, "mirror off; post_action off;": 0, "error_page 405 @x;": 2} {
		got := serving(t, nil, "/n.conf", "http { mirror /m; post_action /p; error_page 405 @app; server { include "+ours+"; "+server+" } }", ours, "")
		if len(got.Bypasses) != beside || (len(got.Ungated) > 0) != strings.Contains(server, "error_page") { // the rules have an error_page
			t.Errorf("%q: beside %v, ungated %v", server, got.Bypasses, got.Ungated)
		}
	}
}

// TestWhereVariablesLead: what a variable may be is known where a set or a map says so; elsewhere the operator has
// to say.
func TestWhereVariablesLead(t *testing.T) {
	const maps = "map $host $be { default 127.0.0.1:8001; hostnames; a http://127.0.0.1:8002; b $other; }"
	for _, tt := range []struct {
		server, named string
		leads         []string
		whole         bool
	}{
		{"location / { proxy_pass http://127.0.0.1:8000$request_uri; }", "", []string{"127.0.0.1:8000"}, false},
		{"location / { proxy_pass http://app${uri}$is_args$args; }", "", []string{"127.0.0.1:8009"}, false},
		{"location / { proxy_pass http://127.0.0.1:8000?x=$arg_y; }", "", []string{"127.0.0.1:8000"}, false},
		{`set $be ""; location / { set $be 127.0.0.1:8003; proxy_pass http://$be$request_uri; }`, "", []string{"127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"}, true},
		{"set $mine https://app; location / { proxy_pass $mine/x; }", "", []string{"127.0.0.1:8009"}, false},
		{"set $mine unix:/run/a.sock; location / { proxy_pass http://$mine; }", "", nil, true},
		{"location / { proxy_pass http://$arg_x; }", "", nil, true},
		{"location / { proxy_pass http://$arg_x; }", "127.0.0.1:8000", []string{"127.0.0.1:8000"}, false},
	} {
		var named []string
		if tt.named != "" {
			named = []string{tt.named}
		}
		got := serving(t, named, "/n.conf", "http { "+maps+" upstream app { server 127.0.0.1:8009; }\n server { include "+ours+"; "+tt.server+" } }", ours, "")
		if !reflect.DeepEqual(got.Upstreams, tt.leads) || got.WorkersMustEnd != tt.whole {
			t.Errorf("%s: leads to %q, whole %v; want %q, %v", tt.server, got.Upstreams, got.WorkersMustEnd, tt.leads, tt.whole)
		}
	}
}

// TestUpstreamsOfStreamAreOthers than those of http, also where they have their names.
func TestUpstreamsOfStreamAreOthers(t *testing.T) {
	const http = "http { upstream app { server 127.0.0.1:8000; } server { listen 50000; include " + ours + "; location / { proxy_pass http://app; } } }\n"
	for stream, holes := range map[string]int{
		"upstream app { server 127.0.0.1:9000; } server { listen 81; proxy_pass app; }":     0,
		"upstream other { server 127.0.0.1:8000; } server { listen 81; proxy_pass other; }": 1,
		"server { listen 81; proxy_pass 127.0.0.1:8000; }":                                  1,
		"upstream app { server 127.0.0.1:9000; } server { listen 81; proxy_pass $x; }":      0,
	} {
		if got := serving(t, nil, "/n.conf", http+"stream { "+stream+" }", ours, ""); len(got.Holes) != holes || len(got.Upstreams) != 1 {
			t.Errorf("%s: holes %v, leads to %q", stream, got.Holes, got.Upstreams)
		}
	}
}

// TestThisMachine: an address of this machine is its loopback address under another name.
func TestThisMachine(t *testing.T) {
	m := thisMachine()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"127.0.0.1:80": "127.0.0.1:80", "127.9.9.9:80": "127.0.0.1:80", "127.1:80": "127.0.0.1:80", "LocalHost:80": "127.0.0.1:80", "[::1]:80": "127.0.0.1:80",
		"0.0.0.0:80": "127.0.0.1:80", "[::ffff:127.0.0.1]:80": "127.0.0.1:80", strings.ToUpper(name) + ":80": "127.0.0.1:80",
		"192.0.2.1:80": "192.0.2.1:80", "[2001:DB8::1]:80": "[2001:db8::1]:80", "App.example.org:80": "app.example.org:80", "127.example.org:80": "127.example.org:80",
		"unix:/run/a": "unix:/run/a",
	} {
		if got := m.canonical(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		host := a.(*net.IPNet).IP.String()
		if got := m.canonical(net.JoinHostPort(host, "80")); got != "127.0.0.1:80" {
			t.Errorf("%s: %s", host, got)
		}
	}
}

func TestServersOnTheSamePortAreNamed(t *testing.T) {
	got := serving(t, nil, "/n.conf", "http { server { listen 443 ssl; include "+ours+"; }\n server { listen *:443 ssl; location / { fastcgi_pass unix:/php; } }\n server { listen 444; proxy_pass http://a; } }", ours, "")
	if want := []Place{{"/n.conf", 2}}; !reflect.DeepEqual(got.SamePort, want) || !reflect.DeepEqual(got.SamePortWithoutRules, want) {
		t.Errorf("on the same port %v, without rules %v, want %v", got.SamePort, got.SamePortWithoutRules, want)
	}
	for _, nowhere := range []string{
		"if ($host = demo.example.org) { return 301 https://$host$request_uri; } server_name demo.example.org; return 404; # managed by Certbot\n",
		"root /var/www; location / { try_files $uri =404; }", "location /.well-known/ { root /var/www; } location / { return 301 https://x; }", "",
	} {
		got = serving(t, nil, "/n.conf", "http { server { listen 80; include "+ours+"; }\n server { listen *:80; "+nowhere+" } }", ours, "")
		if len(got.SamePort) != 1 || got.SamePortWithoutRules != nil || got.Holes != nil {
			t.Errorf("%s: on the same port %v, without rules %v, holes %v", nowhere, got.SamePort, got.SamePortWithoutRules, got.Holes)
		}
	}
	for _, somewhere := range []string{
		"location / { proxy_pass $x; }", "location / { if ($a) { proxy_pass http://b; } }", "location / { memcached_pass c; }",
		"content_by_lua_block { ngx.exec('/x') }", "location / { js_content a; }",
	} {
		got = serving(t, nil, "/n.conf", "http { server { listen 80; include "+ours+"; }\n server { listen *:80; "+somewhere+" } }", ours, "")
		if len(got.SamePortWithoutRules) != 1 {
			t.Errorf("%s: without rules %v", somewhere, got.SamePortWithoutRules)
		}
	}
	got = serving(t, nil, "/n.conf", "http { server { listen 443 ssl; include "+ours+"; }\n server { include /etc/nginx/cs/sites/north.conf; listen 443; } }",
		ours, "", "/etc/nginx/cs/sites/north.conf", "")
	if len(got.SamePort) != 1 || got.SamePortWithoutRules != nil {
		t.Errorf("another site of ours: on the same port %v, without rules %v", got.SamePort, got.SamePortWithoutRules)
	}
}

func TestDumpsThatAreNone(t *testing.T) {
	for _, text := range []string{
		"", "http {}", "# configuration file /a:\nhttp {", "# configuration file /a:\nhttp }", "# configuration file /a:\nroot \"/a",
		"# configuration file /a:\nroot", "# configuration file /a:\n;", "# configuration file /a:\ninclude /a;",
		"# configuration file /a:\nhttp { }\n# configuration file /b:\nserver { }", "# configuration file /a:\ninclude [[:digit:]].conf;\n# configuration file /1.conf:\nuser a;",
		"# configuration file /a:\n" + strings.Repeat("a {", 100), "# configuration file /a:\nx ${y;",
	} {
		if _, err := ReadConfig([]byte(text)); !errors.Is(err, errSyntax) {
			t.Errorf("%q is read: %v", text, err)
		}
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add("http { server { listen 80; location / { proxy_pass http://a; } } }")
	f.Add("a \"b\\\"c\" 'd' ${e}f; # g\n h_by_lua_block { {} }")
	f.Add("c_by_lua_block { '\\'}' [=[ } ]=] --[[ } ]] -- }\n \"}\" }")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ReadConfig(dump("/etc/nginx/nginx.conf", text, ours, ""))
		if err != nil {
			if !errors.Is(err, errSyntax) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		c.Serving(ours, known, []string{"127.0.0.1:8000"})
	})
}

func TestServingSaysWhenNginxEndsOldWorkers(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "worker_shutdown_timeout 10s;": 10 * time.Second, "worker_shutdown_timeout 240;": 4 * time.Minute, "worker_shutdown_timeout 500ms;": 500 * time.Millisecond,
		`worker_shutdown_timeout "1m 30s";`: 90 * time.Second, "worker_shutdown_timeout 0;": 0, "worker_shutdown_timeout 1d;": 0, "worker_shutdown_timeout;": 0,
	} {
		if got := serving(t, nil, "/etc/nginx/nginx.conf", text+" http { }").ShutdownTimeout; got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
