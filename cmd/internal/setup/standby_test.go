package setup

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// standbyOf is what a standby of these sites would be, where nginx has this in its http {}.
func standbyOf(t *testing.T, http string, sites ...string) (nginxconf.Standby, error) {
	t.Helper()
	dump := "# configuration file /etc/nginx/nginx.conf:\nuser www-data web;\nhttp {\n" + http + "\n}\n"
	c := &config.Config{Nginx: config.Nginx{ConfDir: "/etc/nginx/cs"}}
	for _, s := range sites {
		if strings.Contains(http, "/"+s+".conf;") { // nginx -T shows what is included
			dump += "# configuration file /etc/nginx/cs/sites/" + s + ".conf:\n"
		}
		c.Sites = append(c.Sites, config.Site{Name: s, AppURL: "https://" + s, PageURL: "https://m.example.org/" + s + "/"})
	}
	conf, err := operator.ReadConfig([]byte(dump))
	if err != nil {
		t.Fatal(err)
	}
	return Standby(conf, c, "/srv/standby")
}

// shown is what a standby serves, a server on each line.
func shown(s nginxconf.Standby) string {
	var b strings.Builder
	write := func(who string, server nginxconf.StandbyServer) {
		fmt.Fprintf(&b, "%s: %s at", who, strings.Join(server.Names, " "))
		for _, l := range server.Listens {
			b.WriteString(" " + l.Addr)
			for _, m := range []struct {
				word string
				on   bool
			}{{"tls", l.TLS}, {"proxy", l.ProxyProtocol}, {"default", l.Default}} {
				if m.on {
					b.WriteString("+" + m.word)
				}
			}
		}
		for _, c := range server.Certificates {
			fmt.Fprintf(&b, " by %s %s", c.File, c.Key)
		}
		if server.Secure != "" {
			b.WriteString(" to " + server.Secure)
		}
		b.WriteString("\n")
	}
	for _, site := range s.Sites {
		for _, server := range site.Servers {
			write(site.Name, server)
		}
	}
	for _, server := range s.Others {
		write("others", server)
	}
	return b.String()
}

func TestStandby(t *testing.T) {
	const tls = " ssl_certificate live/c.pem; ssl_certificate_key /k.pem;"
	const demo = "include cs/sites/demo.conf; location / { proxy_pass http://127.0.0.1:8000; } "
	const north = "include cs/sites/north.conf; location / { proxy_pass http://127.0.0.1:8001; } "
	for name, c := range map[string]struct {
		http, want string
		sites      []string
	}{
		"as certbot leaves it": {
			"server { " + demo + "server_name demo www.demo; listen [::]:443 ssl ipv6only=on; listen 443 ssl http2;" + tls + " }\n" +
				"server { if ($host = demo) { return 301 https://$host$request_uri; } listen 80; listen [::]:80; server_name demo www.demo; return 404; }",
			"demo: demo www.demo at [::]:443+tls+default 443+tls+default by /etc/nginx/live/c.pem /k.pem\ndemo: demo www.demo at 80+default [::]:80+default\n",
			[]string{"demo"},
		},
		"sites told by their ports, as Conforma's": {
			"server { " + demo + "listen 50000 ssl; server_name h; error_page 497 =307 https://h:50000$request_uri;" + tls + " }\n" +
				"server { " + north + "listen 192.0.2.1:50001 ssl;" + tls + " }\nserver { listen 50002 ssl;" + tls + " location / { proxy_pass http://127.0.0.1:3000; } }",
			"demo: h at 50000+tls+default by /etc/nginx/live/c.pem /k.pem to https://h:50000\nnorth:  at 50001+tls+default by /etc/nginx/live/c.pem /k.pem\n",
			[]string{"demo", "north"},
		},
		"sites told by their names, beside another's, with one redirect for all": {
			"ssl_certificate /c; ssl_certificate_key /k;\nserver { listen 443 ssl; server_name grafana; location / { proxy_pass http://127.0.0.1:3000; } }\n" +
				"server { " + demo + "listen 443; server_name demo; }\nserver { " + north + "listen 443; server_name north; }\n" +
				"server { listen 80 default_server; return 301 https://$host$request_uri; }",
			"demo: demo at 443+tls by /c /k\ndemo: demo at 80+default\nnorth: north at 443+tls by /c /k\nnorth: north at 80\n" +
				"others: _ at 443+tls+default by /c /k\n",
			[]string{"demo", "north"},
		},
		"behind a proxy, on loopback, and on both families by one": {
			"server { " + demo + "listen 127.0.0.1:8443 proxy_protocol; listen [::1]:8443; listen localhost:81; listen [::]:82 ipv6only=off; listen unix:/x; listen 443 quic;" + tls + " }",
			"demo:  at 127.0.0.1:8443+proxy+default [::1]:8443+default localhost:81+default [::]:82+default 82+default\n",
			[]string{"demo"},
		},
		"two addresses, one name": {
			"server { " + demo + "listen 192.0.2.1:80; server_name demo; }\nserver { " + demo + "listen 192.0.2.2:80; server_name demo other; }",
			"demo: demo at 80+default\ndemo: demo other at 80\n",
			[]string{"demo"},
		},
		"ssl by its own directive": {
			"server { " + demo + "listen 443; ssl on; server_name demo;" + tls + " }",
			"demo: demo at 443+tls+default by /etc/nginx/live/c.pem /k.pem\n",
			[]string{"demo"},
		},
	} {
		got, err := standbyOf(t, c.http, c.sites...)
		if err != nil || shown(got) != c.want || got.User != "www-data web" {
			t.Errorf("%s: %v, user %q\n%swant:\n%s", name, err, got.User, shown(got), c.want)
		}
		if _, err := got.Files(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		http string
		want []string
	}{
		"no include":             {"server { listen 80; location / { proxy_pass http://127.0.0.1:8000; } }", []string{"demo: no server that", "north: no server that"}},
		"no certificate":         {"server { " + demo + "listen 443 ssl; } server { " + north + "listen 80; }", []string{"demo: the server at /etc/nginx/nginx.conf:3 has no ssl_certificate"}},
		"a variable":             {"server { " + demo + "listen 443 ssl; ssl_certificate /$ssl_server_name.pem; ssl_certificate_key /k; } server { " + north + "listen 80; }", []string{"a certificate that a variable names (/$ssl_server_name.pem)"}},
		"a unix socket and more": {"server { " + demo + "listen unix:/x; } server { " + north + "listen 443 ssl; ssl_certificate /c; }", []string{"demo: no server that", "north: the server at"}},
	} {
		_, err := standbyOf(t, c.http, "demo", "north")
		if !errors.Is(err, ErrStandby) || slices.ContainsFunc(c.want, func(w string) bool { return !strings.Contains(err.Error(), w) }) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
