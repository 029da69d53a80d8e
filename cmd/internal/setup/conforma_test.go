package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// conformaHost is what nginx -T prints where Conforma's demo server runs: ten servers in one file, none of which has a
// name. Each listens by IPv6 first, and its address stands where plain HTTP is led to.
func conformaHost(t *testing.T) *operator.Config {
	t.Helper()
	var b strings.Builder
	b.WriteString("# configuration file /etc/nginx/nginx.conf:\npid /run/nginx.pid;\nhttp {\n    include /etc/nginx/sites-enabled/*;\n}\n" +
		"# configuration file /etc/nginx/sites-enabled/default:\n")
	for i := range 10 {
		fmt.Fprintf(&b, `server {
    gzip_types text/plain application/xml text/css application/javascript;

    listen [::]:%[1]d ssl ipv6only=on; # managed by Certbot
    listen %[1]d ssl; # managed by Certbot

    error_page 497 301 =307 https://conforma-demo.example.org:%[1]d$request_uri;

    location / {
        proxy_pass http://127.0.0.1:%[2]d/;
    }
}
`, 50000+i, 8000+i)
	}
	conf, err := operator.ReadConfig([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

// TestConforma: on Conforma's own host each server is a site at its own address, with the database of its container.
func TestConforma(t *testing.T) {
	conf := conformaHost(t)
	var envs []EnvFile
	for i := range 8 { // the other two are Grafanas
		envs = append(envs, readEnv(fmt.Sprintf("/home/ubuntu/demo_server/env_files/demo%d.env", i), fmt.Sprintf("PORT=%d\nWEB_HOST=http://localhost:%d\n", 8000+i, 8000+i)))
	}
	found := Guess(conf, envs)
	var asked []string
	var mu sync.Mutex
	FindDatabases(context.Background(), found, func(_ context.Context, argv []string) error {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, strings.Join(argv, " "))
		if strings.Contains(asked[len(asked)-1], "demo7") {
			return errors.New("no such container")
		}
		return nil
	})
	if want := "docker exec -i conforma-demo0-on-8000-app-1 psql -U postgres tmf_app_manager -X -w -q -c SELECT 1"; len(asked) != 8 || !slices.Contains(asked, want) {
		t.Errorf("asked %q, want %q among them", asked, want)
	}
	draft := NewDraft(conf, found, Container{})
	c, faults := config.Parse("config.toml", []byte(draft.Text))
	if len(faults) > 0 {
		t.Fatalf("it would be refused: %v\n%s", faults, draft.Text)
	}
	if len(c.Sites) != 8 || draft.Sites != 8 || len(draft.Lines) != 9 {
		t.Fatalf("%d sites, %d lines\n%s", len(c.Sites), len(draft.Lines), draft.Text)
	}
	for i, s := range c.Sites {
		url, listen := fmt.Sprintf("https://conforma-demo.example.org:%d", 50000+i), fmt.Sprintf("127.0.0.1:%d", 50000+i)
		settled := []string{settledScript, "docker", "exec", "-i", fmt.Sprintf("conforma-demo%d-on-%d-app-1", i, 8000+i), "psql", "-U", "postgres", "tmf_app_manager"}
		if i == 7 {
			settled = nil
		}
		if s.Name != fmt.Sprintf("demo%d", i) || s.AppURL != url || s.Listen != listen || !slices.Equal(s.Settled, settled) {
			t.Errorf("%+v", s)
		}
	}
	if !strings.Contains(draft.Text, "# CHANGE: the database didn't answer") {
		t.Errorf("it doesn't say which database didn't answer:\n%s", draft.Text)
	}

	// Another name, and a server that isn't a site yet: the lines are those of the configuration that is there.
	text := strings.Replace(draft.Text, `"demo3"`, `"angola"`, 1) + "\n[[site]]\nname = \"late\"\napp_url = \"https://conforma-demo.example.org:50009\"\nupstreams = [\"localhost:8009\"]\n"
	c, faults = config.Parse("config.toml", []byte(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	lines := Complete(conf, c, Container{}).Lines
	if len(lines) != 10 || !strings.Contains(fmt.Sprint(lines), "sites/angola.conf") || !strings.Contains(lines[9].String(), ":109: include /etc/nginx/conforma-status/sites/late.conf;") {
		t.Errorf("got %v", lines)
	}
}

// TestAddress is read where it stands, and what would be refused is no site.
func TestAddress(t *testing.T) {
	const errorPage = "error_page 497 301 =307 "
	env := []EnvFile{{"/e/demo.env", "8000", "https://mail.example.org:50000"}}
	for _, c := range []struct {
		server string
		envs   []EnvFile
		want   string // address, from; "!" before it where it can't be a site
	}{
		{"listen 443 ssl; " + errorPage + "https://a.example.org$request_uri;", nil, "https://a.example.org error_page 497"},
		{"listen [::]:50000 ssl ipv6only=on; listen 50000 ssl; " + errorPage + "https://a.example.org:50000$request_uri;", env, "https://a.example.org:50000 error_page 497"},
		{"listen 50000 ssl; " + errorPage + "https://$host:50000$request_uri;", env, "https://mail.example.org:50000 WEB_HOST in /e/demo.env"},
		{"listen 50000 ssl; " + errorPage + "https://<host-domain>:50000$request_uri;", nil, "https://localhost:50000 "},
		{"listen [::]:50000 ssl;", nil, "https://localhost:50000 "},
		{"listen 50000 ssl; server_name a.example.org;", env, "https://a.example.org:50000 server_name and listen"},
		{"listen 50000 ssl; server_name mail.example.org;", env, "https://mail.example.org:50000 WEB_HOST in /e/demo.env"},
		{"listen 50000;", []EnvFile{{"/e/demo.env", "8000", "http://localhost:8000"}}, "http://localhost:50000 "},
		{"listen 443 ssl;", []EnvFile{{"/e/demo.env", "8000", "https://a.example.org:443/"}}, "https://a.example.org WEB_HOST in /e/demo.env"},
		{"listen 443 ssl;", []EnvFile{{"/e/demo.env", "8000", "https://user:word@a.example.org"}}, "https://localhost "},
		{"listen [2001:db8::1]:443 ssl;", nil, "https://[2001:db8::1] listen"},
		{"listen 192.0.2.1:81;", nil, "http://192.0.2.1:81 listen"},
		{`listen 80; server_name "a\.b";`, nil, `!http://a\.b server_name and listen`},
	} {
		conf, err := operator.ReadConfig([]byte("# configuration file /etc/nginx/nginx.conf:\nhttp { server { " + c.server + " location / { proxy_pass http://127.0.0.1:8000; } } }\n"))
		if err != nil {
			t.Fatal(err)
		}
		found := fit(conf, Guess(conf, c.envs))
		got := found[0].appURL.url + " " + found[0].appURL.from
		if found[0].unfit != "" {
			got = "!" + got
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q (%s)", c.server, got, c.want, found[0].unfit)
		}
		if _, faults := config.Parse("", []byte(configuration(conf, found, Container{}))); found[0].chosen && len(faults) > 0 {
			t.Errorf("%s: the configuration would be refused: %v", c.server, faults)
		}
	}
}

func TestRemove(t *testing.T) {
	const line = "include /etc/nginx/conforma-status/sites/a.conf;"
	was := "server { # x\r\n listen 80; }\r\nserver {\n\n}\n"
	text, err := insert(was, []Line{{At: operator.Place{File: "f", Line: 1}, Text: line}, {At: operator.Place{File: "f", Line: 3}, Text: line}})
	if err != nil || text == was {
		t.Fatalf("%q (%v)", text, err)
	}
	if got := remove(text, line); got != was {
		t.Errorf("got %q, want %q", got, was)
	}
	edited := "server {\n\t" + line + "\n\n listen 80;\n}\nserver { " + line + " }\n"
	if got, want := remove(edited, line), "server {\n\n listen 80;\n}\nserver { "+line+" }\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
