package gate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestUngatedIsRefused has an operator's configuration keep the gate of admin mode out of a part of the site, in each
// way that nginx has. The way is named with file and line, nothing is changed, and --force says that it is known.
func TestUngatedIsRefused(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	s.StartGate(t)
	extra := filepath.Join(s.Nginx.Dir, "extra.conf") // what stands in server {} beside the include
	app := rig.Loopback(s.App.Port)
	write := func(t *testing.T, before, server, http string) {
		t.Helper()
		s.Server = "include " + extra + ";"
		rig.WriteFile(t, extra, "\n"+server+"\n")
		s.WriteNginx(t)
		if before != "" {
			rig.Edit(t, filepath.Join(s.Nginx.Dir, "nginx.conf"), "    server {\n        include ", "    server {\n"+before+"\n        include ")
		}
		rig.WriteFile(t, s.Enabled("other.conf"), "\n"+http+"\n")
	}
	main := filepath.Join(s.Nginx.Dir, "nginx.conf")
	for _, tt := range []struct {
		name, before, server, http string
		file                       string // that is named
		line                       int    // 0 is any
		unforced                   bool   // nginx itself takes it for a fault, so there is nothing to force
	}{
		{name: "auth_request off", server: "location /x { auth_request off; proxy_pass http://" + app + "; }", file: extra, line: 2},
		{name: "satisfy any", server: "location /x {\n satisfy any;\n allow all; proxy_pass http://" + app + "; }", file: extra, line: 3},
		{name: "satisfy any in a nested location", server: "location /x { location /x/y {\n satisfy any; } }", file: extra, line: 3},
		{name: "a return of its own", server: "location = /x { return 200 secret; }", file: extra, line: 2},
		{name: "a return in an if", server: "location /x {\n if ($arg_a) {\n return 200 secret; } }", file: extra, line: 4},
		{name: "a return of the server", server: "return 200 secret;", file: extra, line: 2},
		{name: "an error_page of its own", server: "location /x { proxy_pass http://" + app + ";\n error_page 502 /sorry; }", file: extra, line: 3},
		{name: "another auth_request in a location", server: "location /x {\n\n auth_request /mine; }", file: extra, line: 4},
		{name: "another auth_request beside ours", server: "auth_request /mine;", file: extra, line: 2},
		{name: "satisfy any beside ours", server: "satisfy any;", file: extra, line: 2},
		{name: "open_file_cache beside ours", server: "open_file_cache max=10;", file: extra, line: 2, unforced: true},
		{name: "a rewrite before the include", before: "rewrite ^/x /y break;", file: main},
		{name: "an if before the include", before: "if ($arg_a) { return 200 secret; }", file: main},
		{name: "another server on the port", http: "server { listen " + rig.Loopback(s.Blocks[0].Port) + "; server_name other.example.org; location / { proxy_pass http://127.0.0.1:9; } }", file: s.Enabled("other.conf"), line: 2},
		{name: "another server that leads to the application", http: "server { listen " + rig.Loopback(rig.Port(t)) + ";\n location / { proxy_pass http://" + app + "; } }", file: s.Enabled("other.conf"), line: 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			write(t, tt.before, tt.server, tt.http)
			rules, err := os.ReadFile(s.SiteFile(rig.SingleSite))
			if err != nil {
				t.Fatal(err)
			}
			place := tt.file + ":"
			if tt.line > 0 {
				place = fmt.Sprintf("%s:%d", tt.file, tt.line)
			}
			r := s.CLI(t, "set", "admin").Want(t, 1)
			if !strings.Contains(r.Stderr, place) {
				t.Errorf("doesn't name %s: %s", place, r.Stderr)
			}
			if now, err := os.ReadFile(s.SiteFile(rig.SingleSite)); err != nil || string(now) != string(rules) {
				t.Errorf("the rules were changed (%v)", err)
			}
			if !strings.Contains(r.Stderr, "--force") {
				t.Errorf("no hint: %s", r.Stderr)
			}
			if r := s.Client().Get(t, "/login"); r.Status != 200 {
				t.Errorf("the site answers %d", r.Status)
			}
			if tt.unforced {
				return
			}
			if got := s.CLI(t, "set", "admin", "--force", "--dry-run").Want(t, 0); !strings.Contains(got.Stdout+got.Stderr, place) {
				t.Errorf("forced, it doesn't warn of %s: %s%s", place, got.Stdout, got.Stderr)
			}
		})
	}
	t.Run("nothing of the kind", func(t *testing.T) {
		write(t, "set $a 1;", "location /x { proxy_pass http://"+app+"; add_header X-A 1; satisfy all; }\n error_page 497 301 =307 https://$host$request_uri;", "server { listen "+rig.Loopback(rig.Port(t))+"; return 200 other; }")
		s.CLI(t, "set", "admin").Want(t, 0)
	})
}

// TestServersThatLeadNowhere has what certbot leaves behind, and files of another name's, on the site's port: no way
// leads through them to an application.
func TestServersThatLeadNowhere(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Server = "server_name 127.0.0.1;"
	at := rig.Loopback(s.Blocks[0].Port)
	rig.WriteFile(t, s.Enabled("other.conf"), fmt.Sprintf(`
server {
    if ($host = www.demo.example.org) {
        return 301 https://$host$request_uri;
    } # managed by Certbot
    listen %s;
    server_name www.demo.example.org;
    return 404; # managed by Certbot
}
server { listen %[1]s; server_name static.example.org; root %s/www; location / { try_files $uri =404; } }
`, at, s.Nginx.Dir))
	rig.WriteFile(t, filepath.Join(s.Nginx.Dir, "www", "a.txt"), "a file\n")
	s.Install(t)
	s.StartGate(t)
	for _, mode := range []string{"offline", "admin", "online", "admin", "offline", "online"} {
		if r := s.CLI(t, "set", mode).Want(t, 0); strings.Contains(r.Stderr, "--force") {
			t.Errorf("%s: %s", mode, r.Stderr)
		}
		for host, want := range map[string]string{"www.demo.example.org": "301", "static.example.org": "200 a file"} {
			res := rig.Client{Addr: at, Host: host}.Get(t, "/a.txt")
			if got := fmt.Sprintf("%d %s", res.Status, res.Body); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s answers %s", mode, host, got)
			}
		}
	}
	for line := range strings.Lines(s.CLI(t, "doctor").Stdout) {
		if strings.HasPrefix(line, "fault") && strings.Contains(line, "other.conf") || strings.HasPrefix(line, "warning  admin mode") {
			t.Errorf("the doctor finds fault with them: %s", line)
		}
	}
}
