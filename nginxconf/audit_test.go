package nginxconf

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
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
	}
	if !reflect.DeepEqual(got.Targets, want) {
		t.Errorf("asks at %q, want %q", got.Targets, want)
	}
	if !got.Whole {
		t.Error("doesn't see that a unix socket leads to the application")
	}
	if got.Holes != nil || got.Early != nil || got.Shared != nil || got.Ungated != nil {
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
		"include cs/sites/demo.conf; rewrite ^ /x break;":                                    "",
		"set $a 1; root /x; location /a { rewrite ^ /x break; } include cs/sites/demo.conf;": "",
		"rewrite ^ /x break; include cs/sites/demo.conf;":                                    "early 1",
		"\nif ($host = a) { return 301 /; }\n include cs/sites/demo.conf;":                   "early 2",
		"include cs/sites/demo.conf; location /a { auth_request off; }":                      `"auth_request off" in /a`,
		"include cs/sites/demo.conf; location ~ ^/a { satisfy any; }":                        `"satisfy any" in ~ ^/a`,
		"include cs/sites/demo.conf; location /a { satisfy all; }":                           "",
		"include cs/sites/demo.conf; location = /a { return 200 ok; }":                       `"return 200 ok" in = /a`,
		"include cs/sites/demo.conf; location /a { location /a/b { error_page 401 /x; } }":   `"error_page 401 /x" in /a /a/b`,
		"include cs/sites/demo.conf; location /a { if ($x) { return 403; } }":                `"return 403" in /a ($x)`,
		"include cs/sites/demo.conf; auth_request /mine;":                                    `"auth_request /mine" in `,
		"include cs/sites/demo.conf; return 200 ok;":                                         `"return 200 ok" in `,
		"return 200 ok; include cs/sites/demo.conf;":                                         `early 1"return 200 ok" in `,
		"include cs/sites/demo.conf; satisfy any;":                                           `"satisfy any" in `,
		"include cs/sites/demo.conf; location /a { location /b { auth_request /b; } }":       `"auth_request /b" in /a /b`,
		"include cs/sites/demo.conf; error_page 497 301 =307 https://$host$request_uri;":     "",
	} {
		got := serving(t, nil, "/etc/nginx/nginx.conf", "http { server {"+server+" } }",
			ours, "auth_request /.conforma-status/auth; location = /.conforma-status/nav { return 302 /; } location @conforma_503 { return 503; }")
		text := ""
		for _, e := range got.Early {
			text += fmt.Sprintf("early %d", e.Line)
		}
		for _, u := range got.Ungated {
			text += fmt.Sprintf("%q in %s", u.Directive, u.Location)
		}
		if text != want {
			t.Errorf("%s\nfinds %q, want %q", server, text, want)
		}
	}
}

func TestServersOnTheSamePortAreNamed(t *testing.T) {
	got := serving(t, nil, "/n.conf", "http { server { listen 443 ssl; include "+ours+"; }\n server { listen *:443 ssl; }\n server { listen 444; } }", ours, "")
	if want := []Place{{"/n.conf", 2}}; !reflect.DeepEqual(got.Shared, want) || !reflect.DeepEqual(got.Strangers, want) {
		t.Errorf("shared with %v, strangers %v, want %v", got.Shared, got.Strangers, want)
	}
	got = serving(t, nil, "/n.conf", "http { server { listen 443 ssl; include "+ours+"; }\n server { include /etc/nginx/cs/sites/north.conf; listen 443; } }",
		ours, "", "/etc/nginx/cs/sites/north.conf", "")
	if len(got.Shared) != 1 || got.Strangers != nil {
		t.Errorf("another site of ours: shared with %v, strangers %v", got.Shared, got.Strangers)
	}
}

func TestDumpsThatAreNone(t *testing.T) {
	for _, text := range []string{
		"", "http {}", "# configuration file /a:\nhttp {", "# configuration file /a:\nhttp }", "# configuration file /a:\nroot \"/a",
		"# configuration file /a:\nroot", "# configuration file /a:\n;", "# configuration file /a:\ninclude /a;",
		"# configuration file /a:\n" + strings.Repeat("a {", 100), "# configuration file /a:\nx ${y;",
	} {
		if _, err := ReadConfig([]byte(text)); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q is read: %v", text, err)
		}
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add("http { server { listen 80; location / { proxy_pass http://a; } } }")
	f.Add("a \"b\\\"c\" 'd' ${e}f; # g\n h_by_lua_block { {} }")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ReadConfig(dump("/etc/nginx/nginx.conf", text, ours, ""))
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		c.Serving(ours, known, []string{"127.0.0.1:8000"})
	})
}
