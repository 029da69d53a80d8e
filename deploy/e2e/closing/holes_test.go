package closing

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestHolesAreFound has somebody's other server {} lead to the application of a site.
func TestHolesAreFound(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name  string
		lines string // of http {}; %[1]d is a free port, %[2]d the application's
	}{
		{"the same address", "server { listen 127.0.0.1:%[1]d;\n location / { proxy_pass http://127.0.0.1:%[2]d/; } }"},
		{"localhost", "server { listen 127.0.0.1:%[1]d;\n location /x/ { proxy_pass http://LOCALHOST:%[2]d/y/; } }"},
		{"another address of this machine", "server { listen 127.0.0.1:%[1]d;\n location / { proxy_pass http://127.1.2.3:%[2]d; } }"},
		{"by way of an upstream", "upstream conforma { server 127.0.0.1:%[2]d weight=5; }\n server { listen 127.0.0.1:%[1]d;\n location / { proxy_pass http://conforma; } }"},
		{"in a nested location", "server { listen 127.0.0.1:%[1]d;\n location /a/ { location /a/b/ { if ($arg_x) { proxy_pass http://127.0.0.1:%[2]d; } } } }"},
		{"by a short name of this machine", "server { listen 127.0.0.1:%[1]d;\n location / { proxy_pass http://127.1:%[2]d; } }"},
		{"with the request's own path", "server { listen 127.0.0.1:%[1]d;\n location / { proxy_pass http://127.0.0.1:%[2]d$request_uri; } }"},
		{"by way of an upstream, with a path", "upstream conforma { server 127.0.0.1:%[2]d; }\n server { listen 127.0.0.1:%[1]d;\n location / { proxy_pass http://conforma${uri}$is_args$args; } }"},
		{"with a query", "server { listen 127.0.0.1:%[1]d;\n location = /a { proxy_pass http://127.0.0.1:%[2]d?a=1; } }"},
		{"by a variable", "server { listen 127.0.0.1:%[1]d;\n location / { set $app 127.0.0.1:%[2]d; proxy_pass http://$app; } }"},
		{"by a variable of a map", "map $host $app { default http://127.0.0.1:9; x.example.test http://127.0.0.1:%[2]d; }\n server { listen 127.0.0.1:%[1]d;\n location / { proxy_pass $app/x; } }"},
		{"over gRPC", "server { listen 127.0.0.1:%[1]d http2;\n location / { grpc_pass grpc://127.0.0.1:%[2]d; } }"},
	}
	s := &testSite{name: "demo"}
	h := newTestHost(t, s)
	h.NoBarrier(t)
	h.render(t)
	file := filepath.Join(h.Nginx.Dir, "elsewhere.conf")
	rig.WriteFile(t, file, "")
	h.Nginx.Configure(t, h.nginxConf(true)+"include "+file+";\n")
	h.Nginx.Start(t)
	rules, err := os.ReadFile(h.SiteFile("demo"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			rig.WriteFile(t, file, fmt.Sprintf(tt.lines, rig.Port(t), s.app.port)+"\n")
			r := h.CLI(t, "set", "offline").Want(t, 1)
			if !strings.Contains(r.Stderr, file+":") || !strings.Contains(r.Stderr, "hint: ") {
				t.Errorf("the place isn't named: %s", r.Stderr)
			}
			if now, err := os.ReadFile(h.SiteFile("demo")); err != nil || string(now) != string(rules) {
				t.Errorf("the rules were changed (%v)", err)
			}
			if _, err := os.Stat(filepath.Join(h.State, "sites", "demo", "closed")); err == nil {
				t.Error("the site was shut")
			}
			if r := h.dialer(s).Get(t, "/"); r.Status != 200 {
				t.Errorf("the site answers %d", r.Status)
			}
			got := receiptOf(t, h.CLI(t, "set", "offline", "--force", "--dry-run", "--json").Want(t, 0))
			if !got.warns(file + ":") {
				t.Errorf("forced, it doesn't warn: %v", got.Warnings)
			}
		})
	}
	t.Run("forced", func(t *testing.T) {
		got := receiptOf(t, h.CLI(t, "set", "offline", "--force", "--json").Want(t, 0))
		if !got.warns(file + ":") {
			t.Errorf("forced, it doesn't warn: %v", got.Warnings)
		}
		if r := h.dialer(s).Get(t, "/"); r.Status != 503 {
			t.Errorf("the site answers %d", r.Status)
		}
	})
}

// TestAHoleBelowHTTP has somebody hand on TCP to the application of a site, in a stream {} block.
func TestAHoleBelowHTTP(t *testing.T) {
	t.Parallel()
	s := &testSite{name: "demo", plain: true}
	h := newTestHost(t, s)
	h.NoBarrier(t)
	h.render(t)
	conf, err := os.ReadFile(h.Nginx.Conf)
	if err != nil {
		t.Fatal(err)
	}
	port := rig.Port(t)
	with := func(stream string) {
		rig.WriteFile(t, h.Nginx.Conf, "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"+string(conf)+"stream {\n"+stream+"}\n")
	}
	leads := fmt.Sprintf("server { listen 127.0.0.1:%d;\n proxy_pass %%s; }\n", port)
	with(fmt.Sprintf(leads, rig.Loopback(rig.Port(t))))
	h.Nginx.Start(t)
	h.CLI(t, "set", "offline").Want(t, 0)
	h.CLI(t, "set", "online").Want(t, 0)
	lines := strings.Count(string(conf), "\n")
	for name, row := range map[string]struct {
		stream string
		line   int // after those of the rest
	}{
		"straight":               {fmt.Sprintf(leads, fmt.Sprintf("localhost:%d", s.app.port)), 4},
		"by way of an upstream":  {fmt.Sprintf("upstream app { server 127.0.0.1:%d; }\n", s.app.port) + fmt.Sprintf(leads, "app"), 5},
		"to the site's own port": {fmt.Sprintf(leads, rig.Loopback(s.port)), 0},
	} {
		with(row.stream)
		if row.line == 0 { // that is no hole: it meets the rules
			h.CLI(t, "set", "offline").Want(t, 0)
			h.CLI(t, "set", "online").Want(t, 0)
			continue
		}
		r := h.CLI(t, "set", "offline").Want(t, 1)
		if want := fmt.Sprintf("leads to 127.0.0.1:%d (%s:%d)", s.app.port, h.Nginx.Conf, lines+row.line); !strings.Contains(r.Stderr, want) {
			t.Errorf("%s: want %q, got:\n%s", name, want, r.Stderr)
		}
	}
}

// TestErrorsBeforeTheRules has nginx lead to the application what it answers before it comes to the rules of a server.
func TestErrorsBeforeTheRules(t *testing.T) {
	t.Parallel()
	const post, end = "POST /graphql HTTP/1.1\r\nConnection: close\r\n", "\r\n{}"
	requests := map[string]string{
		"two hosts":                   post + "Host: a\r\nHost: b\r\nContent-Length: 2\r\n" + end,
		"no host":                     post + "Content-Length: 2\r\n" + end,
		"a method that nginx has not": "TRACE /graphql HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"two lengths":                 post + "Host: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n" + end,
		"an unknown encoding":         post + "Host: a\r\nTransfer-Encoding: gzip\r\n" + end,
		"a large header":              post + "Host: a\r\nX: " + strings.Repeat("x", 40000) + "\r\n" + end,
		"a long address":              "POST /" + strings.Repeat("x", 40000) + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + end,
	}
	const errors = "error_page 400 405 408 411 413 414 421 494 500 501 505 = @app;"
	for name, lines := range map[string]struct {
		http, server string
		admin        int // exit code
	}{
		"of the server": {"", errors, 1},
		"of http":       {errors, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &testSite{name: "demo", plain: true, app: newRecordingApp(t)}
			s.extra = "        " + lines.server + "\n" + fmt.Sprintf("        location @app { proxy_pass http://127.0.0.1:%d; }\n", s.app.port)
			h := newTestHost(t, s)
			h.render(t)
			h.Nginx.Configure(t, lines.http+"\n"+h.nginxConf(true))
			h.Nginx.Start(t)
			h.StartGate(t)
			send := func(request string) string {
				conn, err := net.Dial("tcp", dialledAt(s))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(rig.Patience))
				_, _ = io.WriteString(conn, request) // nginx may have answered and closed before it has all
				answer, _ := io.ReadAll(conn)
				return string(answer)
			}
			reaches := func(mode string) (reached int) {
				for name, request := range requests {
					began := time.Now()
					answer := send(request)
					if len(s.app.between(began, time.Now(), true)) > 0 {
						reached++
						if mode != "online" {
							t.Errorf("%s: %s reaches the application: %.80q", mode, name, answer)
						}
					}
				}
				return reached
			}
			if n := reaches("online"); n < 4 {
				t.Errorf("online, %d of them reach the application", n)
			}
			h.CLI(t, "set", "offline").Want(t, 0)
			reaches("offline")
			r := h.CLI(t, "set", "admin").Want(t, lines.admin)
			if lines.admin != 0 && !strings.Contains(r.Stderr, `"error_page 400" keeps the gate of admin mode out of the server`) {
				t.Errorf("admin is refused for another reason: %s", r.Stderr)
			}
			reaches("admin")
		})
	}
}

// TestWhatGoesBesideTheRules has nginx do more with a request than to answer it.
func TestWhatGoesBesideTheRules(t *testing.T) {
	t.Parallel()
	s := &testSite{name: "demo", plain: true}
	h := newTestHost(t, s)
	h.NoBarrier(t)
	h.render(t)
	for _, line := range []string{"post_action @aside;", "mirror /aside;", "error_page 497 = @aside;"} {
		aside := fmt.Sprintf("location @aside { proxy_pass http://127.0.0.1:%[1]d; } location /aside { proxy_pass http://127.0.0.1:%[1]d; }", s.app.port)
		h.Nginx.Configure(t, strings.Replace(h.nginxConf(true), "        listen ", "        "+line+" "+aside+"\n        listen ", 1))
		h.Nginx.Start(t)
		for _, mode := range []string{"offline", "admin"} {
			if r := h.CLI(t, "set", mode).Want(t, 1); !strings.Contains(r.Stderr, "hands requests on beside the rules of "+h.SiteFile("demo")) {
				t.Errorf("%s, %s: %s", mode, line, r.Stderr)
			}
		}
		h.Nginx.Stop(t)
	}
}
