package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		{"over gRPC", "server { listen 127.0.0.1:%[1]d http2;\n location / { grpc_pass grpc://127.0.0.1:%[2]d; } }"},
	}
	s := &yardSite{name: "demo"}
	y := newYard(t, s)
	y.render(t)
	file := filepath.Join(y.Nginx.Dir, "elsewhere.conf")
	rig.WriteFile(t, file, "")
	y.Nginx.Configure(t, y.nginxConf(true)+"include "+file+";\n")
	y.Nginx.Start(t)
	rules, err := os.ReadFile(y.SiteFile("demo"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			rig.WriteFile(t, file, fmt.Sprintf(tt.lines, rig.Port(t), s.app.port)+"\n")
			r := y.CLI(t, "set", "offline").Want(t, 1)
			if !strings.Contains(r.Stderr, file+":") || !strings.Contains(r.Stderr, "hint: ") {
				t.Errorf("the place isn't named: %s", r.Stderr)
			}
			if now, err := os.ReadFile(y.SiteFile("demo")); err != nil || string(now) != string(rules) {
				t.Errorf("the rules were changed (%v)", err)
			}
			if _, err := os.Stat(filepath.Join(y.State, "sites", "demo", "closed")); err == nil {
				t.Error("the site was shut")
			}
			if r := y.dialer(s).Get(t, "/"); r.Status != 200 {
				t.Errorf("the site answers %d", r.Status)
			}
			got := pumpReceiptOf(t, y.CLI(t, "set", "offline", "--force", "--dry-run", "--json").Want(t, 0))
			if !got.warns(file + ":") {
				t.Errorf("forced, it doesn't warn: %v", got.Warnings)
			}
		})
	}
	t.Run("forced", func(t *testing.T) {
		got := pumpReceiptOf(t, y.CLI(t, "set", "offline", "--force", "--json").Want(t, 0))
		if !got.warns(file + ":") {
			t.Errorf("forced, it doesn't warn: %v", got.Warnings)
		}
		if r := y.dialer(s).Get(t, "/"); r.Status != 503 {
			t.Errorf("the site answers %d", r.Status)
		}
	})
}

// TestAHoleBelowHTTP has somebody hand on TCP to the application of a site, in a stream {} block.
func TestAHoleBelowHTTP(t *testing.T) {
	t.Parallel()
	s := &yardSite{name: "demo", plain: true}
	y := newYard(t, s)
	y.render(t)
	conf, err := os.ReadFile(y.Nginx.Conf)
	if err != nil {
		t.Fatal(err)
	}
	port := rig.Port(t)
	with := func(stream string) {
		rig.WriteFile(t, y.Nginx.Conf, "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"+string(conf)+"stream {\n"+stream+"}\n")
	}
	leads := fmt.Sprintf("server { listen 127.0.0.1:%d;\n proxy_pass %%s; }\n", port)
	with(fmt.Sprintf(leads, rig.Loopback(rig.Port(t))))
	y.Nginx.Start(t)
	y.CLI(t, "set", "offline").Want(t, 0)
	y.CLI(t, "set", "online").Want(t, 0)
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
			y.CLI(t, "set", "offline").Want(t, 0)
			y.CLI(t, "set", "online").Want(t, 0)
			continue
		}
		r := y.CLI(t, "set", "offline").Want(t, 1)
		if want := fmt.Sprintf("leads to 127.0.0.1:%d (%s:%d)", s.app.port, y.Nginx.Conf, lines+row.line); !strings.Contains(r.Stderr, want) {
			t.Errorf("%s: want %q, got:\n%s", name, want, r.Stderr)
		}
	}
}
