//go:build soak

package host

import (
	"fmt"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// pagesNginx serves the maintenance site, which lies on another machine otherwise.
const pagesNginx = `server {
    listen 127.0.0.1:50001;
    root /srv/pages;
    types { text/html html; text/javascript js; application/json json; }
    charset utf-8;
    charset_types text/javascript application/json;
    add_header Cache-Control no-cache always;
    add_header Access-Control-Allow-Origin * always;
    add_header Access-Control-Expose-Headers "Date, Age, ETag" always;
    location / { try_files $uri $uri/ =404; }
}
`

// phpNginx is a PHP application, as Debian's packages and their users write it.
const phpNginx = `server {
    listen 80;
    server_name shop.example.test;
    root /srv/shop;
    index index.php;
    location / { try_files $uri /index.php?$query_string; }
    location ~ [.]php$ {
        include fastcgi_params;
        fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
        fastcgi_pass 127.0.0.1:9000;
    }
}
`

// certbotNginx is one site of several on a shared port, with the server that redirects to it, as certbot leaves them.
func certbotNginx(name string, upstream string) string {
	return strings.NewReplacer("NAME", name, "UPSTREAM", upstream).Replace(`server {
    server_name NAME.example.test;
    location / {
        proxy_pass http://UPSTREAM;
        proxy_set_header Host $host;
    }

    listen 443 ssl; # managed by Certbot
    ssl_certificate /etc/letsencrypt/live/NAME.example.test/fullchain.pem; # managed by Certbot
    ssl_certificate_key /etc/letsencrypt/live/NAME.example.test/privkey.pem; # managed by Certbot
}
server {
    if ($host = NAME.example.test) {
        return 301 https://$host$request_uri;
    } # managed by Certbot

    listen 80;
    server_name NAME.example.test;
    return 404; # managed by Certbot
}
`)
}

// newcomer is a machine on which somebody does what the handbook says, and nothing else.
type newcomer struct {
	*packaged
	sites []string // the addresses of the sites
	edits string   // what they do in the editor
}

// newNewcomer makes one with the package under the name under which it was downloaded.
func newNewcomer(t *testing.T, nginx, packages, edits string, sites ...string) *newcomer {
	t.Helper()
	m := &newcomer{newPackaged(t, nginx, packages), sites, edits}
	debs, err := filepath.Glob(filepath.Join(packages, "*.deb"))
	rig.Check(t, err)
	data, err := os.ReadFile(debs[0])
	rig.Check(t, err)
	rig.WriteFile(t, m.Path("/root/"+filepath.Base(debs[0])), string(data))
	rig.Check(t, os.RemoveAll(m.Path("/home")))
	rig.WriteFile(t, m.Path("/etc/nginx/conf.d/maintenance.conf"), pagesNginx)
	hosts := "127.0.0.1 localhost\n"
	for _, site := range sites {
		hosts += "127.0.0.1 " + regexp.MustCompile(`^https?://`).ReplaceAllString(site, "") + "\n"
	}
	rig.WriteFile(t, m.Path("/etc/hosts"), hosts)
	return m
}

// follow does what a section of the handbook says, to the letter: each command has to exit with 0. It returns what
// each said, in order, and how many there were.
func (m *newcomer) follow(section string) map[string]string {
	m.t.Helper()
	said := map[string]string{}
	for _, command := range handbookCommands(m.t, section) {
		script := command
		if strings.HasPrefix(command, "sudoedit ") {
			script = m.edits
		}
		if len(m.sites) > 1 && regexp.MustCompile(`^conforma-status (secret init|set|extend|pass)`).MatchString(script) {
			script += " --all" // as the handbook says of several
		}
		said[command] = m.do(0, "exec 2>&1; cd /root && "+script)
	}
	return said
}

// TestSoakHandbook takes a newcomer from nothing to a rehearsed window by the handbook, and by nothing else.
func TestSoakHandbook(t *testing.T) {
	t.Parallel()
	packages := buildPackages(t, "1.0.0")
	const published = `sed -i 's,^store .*,store = "dir:/srv/pages",; s,^page_url .*,page_url = "http://127.0.0.1:50001",' /etc/conforma-status/config.toml`
	t.Run("a PHP site without JWT", func(t *testing.T) {
		t.Parallel()
		m := newNewcomer(t, phpNginx, packages, published, "http://shop.example.test")
		rig.WriteFile(t, m.Path("/srv/shop/index.php"), "<?php // answered by the test\n")
		m.PowerOn(t)
		m.Join(t, &rig.App{Port: fastCGI(t)}, "127.0.0.1:9000", "127.0.0.1:80")
		m.rehearse(nil)
	})
	t.Run("two sites on a port, with certbot's redirects", func(t *testing.T) {
		t.Parallel()
		m := newNewcomer(t, certbotNginx("shop", "127.0.0.1:3000")+certbotNginx("wiki", "127.0.0.1:3001"), packages, published,
			"https://shop.example.test", "https://wiki.example.test")
		trusted := ""
		for _, name := range []string{"shop", "wiki"} {
			dir := filepath.Join("/etc/letsencrypt/live", name+".example.test")
			rig.Check(t, os.MkdirAll(m.Path(dir), 0o755))
			c := rig.NewCertificate(t, m.Path(dir), name+".example.test")
			trusted += rig.ReadFile(t, c.Fullchain)
		}
		rig.WriteFile(t, m.Path("/etc/ssl/certs/ca-certificates.crt"), trusted)
		m.PowerOn(t)
		m.Join(t, rig.NewApp(t, "shop"), "127.0.0.1:3000", "127.0.0.1:443")
		m.Join(t, rig.NewApp(t, "wiki"), "127.0.0.1:3001", "127.0.0.1:443")
		m.rehearse([]string{"http://shop.example.test", "http://wiki.example.test"})
	})
}

// rehearse installs and rehearses. Each of redirects has to lead to a site all the while.
func (m *newcomer) rehearse(redirects []string) {
	m.t.Helper()
	t := m.t
	status := func(url string) string {
		t.Helper()
		return strings.TrimSpace(m.do(0, "curl -sk -o /dev/null -w '%{http_code}' "+url+"/"))
	}
	every := func(when, want string) {
		t.Helper()
		for _, url := range m.sites {
			m.want(when+": "+url, status(url), want)
		}
		for _, url := range redirects {
			m.want(when+": "+url, status(url), "301")
		}
	}
	lastLine := func(said map[string]string, command, want string) {
		t.Helper()
		lines := strings.Split(strings.TrimSpace(said[command]), "\n")
		if !regexp.MustCompile(want).MatchString(lines[len(lines)-1]) {
			t.Errorf("%s ends with %q, want %s:\n%s", command, lines[len(lines)-1], want, said[command])
		}
	}
	m.do(0, "nginx -t && systemctl reload nginx")
	every("before", "200")

	before := m.worked // other tests may have the processors
	said := m.follow("Install")
	if took := m.worked - before; took > time.Minute {
		t.Errorf("from apt install to the doctor it took %v", took)
	}
	lastLine(said, "conforma-status doctor", `^[0-9]+ checks: 0 faults, `)
	steps := 0
	for _, command := range handbookCommands(t, "Install") {
		if steps++; command == "conforma-status doctor" {
			break
		}
	}
	if steps > 8 {
		t.Errorf("from apt install to the doctor there are %d commands", steps)
	}
	every("installed", "200")

	said = m.follow("Rehearse the first window")
	const closes = `conforma-status set offline --eta 15m --message "A rehearsal, please ignore." --reason "rehearsal"`
	lastLine(said, closes, "^safe to take a snapshot since ")
	lastLine(said, closes+" --dry-run", "A rehearsal, please ignore[.]$")
	lastLine(said, "conforma-status set admin", "is admin since ")
	if !regexp.MustCompile(fmt.Sprintf(`(?m)^%s/.conforma-status/pass#`, m.sites[0])).MatchString(said["conforma-status pass"]) {
		t.Errorf("pass prints no link:\n%s", said["conforma-status pass"])
	}
	lastLine(said, "conforma-status set online", " is online$")
	lastLine(said, "conforma-status doctor", `^[0-9]+ checks: 0 faults, `)
	every("rehearsed", "200")
	m.noneFailed()

	// The link that pass prints lets its holder in, by a gate that systemd has handed the key; an address that is let
	// in needs none.
	m.do(0, `printf '\n[site.admin]\nallow = ["127.0.0.5"]\n' >>/etc/conforma-status/config.toml`)
	name, url := "shop", m.sites[0]
	if len(m.sites) > 1 {
		name, url = "wiki", m.sites[1] // the last one in the file
		// Without the key of one site the gate serves the others.
		m.do(0, "rm /var/lib/conforma-status/keys/shop && systemctl daemon-reload && systemctl restart conforma-status-gate.service")
		m.eventually("the gate to be started anew for the configuration, too", "systemctl is-active conforma-status-gate.service")
	}
	m.do(0, "conforma-status set admin --site "+name)
	link := m.do(0, "conforma-status pass --site "+name)
	_, secret, _ := strings.Cut(strings.TrimSpace(strings.Split(link, "\n")[0]), "#")
	m.eventually("the pass to be taken", "test $(curl -sk -c /root/jar -o /dev/null -w '%{http_code}' -H 'Sec-Fetch-Site: same-origin' -H 'Content-Type: text/plain;charset=UTF-8' --data '"+
		secret+"' "+url+"/.conforma-status/pass) = 204")
	m.want("with the pass", m.do(0, "curl -sk -b /root/jar -o /dev/null -w '%{http_code}' "+url+"/"), "200")
	m.want("without it", m.do(0, "curl -sk -o /dev/null -w '%{http_code}' "+url+"/"), "503")
	m.want("from the address", m.do(0, "curl -sk --interface 127.0.0.5 -o /dev/null -w '%{http_code}' "+url+"/"), "200")
	m.want("from another", m.do(0, "curl -sk --interface 127.0.0.6 -o /dev/null -w '%{http_code}' "+url+"/"), "503")
	m.do(0, "conforma-status set online --site "+name)
	m.noneFailed()

	// What the handbook says was done is what visitors found.
	all := ""
	if len(m.sites) > 1 {
		all = " --all"
	}
	m.do(0, "conforma-status set offline"+all)
	every("closed", "503")
	m.do(0, "conforma-status set online"+all)
	every("open", "200")
}

// fastCGI is an application that speaks FastCGI, like PHP-FPM, at a port of this machine.
func fastCGI(t *testing.T) int {
	t.Helper()
	port := rig.Port(t)
	l, err := net.Listen("tcp", rig.Loopback(port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		_ = fcgi.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "the shop") })) // ends with the listener
	}()
	return port
}
