//go:build soak

package host

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// conformaHostname is what nginx's file of Conforma's demo server names, where it leads plain HTTP to TLS, and nowhere
// else.
const conformaHostname = "conforma-demo.example.test"

// conformaServers is that file.
func conformaServers() string {
	var servers []rig.ConformaServer
	for i := range 10 {
		servers = append(servers, rig.ConformaServer{Port: 50000 + i, App: 8000 + i})
	}
	return rig.ConformaServers("/etc/letsencrypt", conformaHostname, servers)
}

// conformaApp is an application of Conforma's kind, in what Debian's minimum has: its pages come with Last-Modified and
// no Cache-Control, and a WebSocket stays open until somebody ends it.
const conformaApp = `use strict; use IO::Socket::INET; $SIG{CHLD} = "IGNORE";
my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[0], Listen => 50, ReuseAddr => 1) or die;
while (my $c = $l->accept) {
  next if fork;
  my $head = ""; while (my $line = <$c>) { last if $line =~ /^\r?\n$/; $head .= $line }
  if ($head =~ /^Upgrade: *websocket/mi) {
    print $c "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"; $c->flush; sleep 3600;
  } else {
    my $body = "<!doctype html><title>Conforma</title>the application\n";
    print $c "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nLast-Modified: Sun, 22 Nov 2026 12:00:00 GMT\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
  }
  exit;
}
`

// conformaDocker stands in for docker: it has the containers by the names that Compose gives them, and in there a psql
// to which PostgreSQL says that it is idle (deploy/e2e/conforma asks a real one).
const conformaDocker = `#!/bin/sh
[ "$1 $2" = "exec -i" ] || exit 64
case $3 in conforma-demo-on-8000-app-1 | conforma-angola-on-8001-app-1) ;; *) echo "Error response from daemon: No such container: $3" >&2; exit 1 ;; esac
[ "$4 $5 $6 $7" = "psql -U postgres tmf_app_manager" ] || exit 64
case "$*" in *"SELECT 1") echo 1 ;; *) printf 'again\nasked\n' ;; esac
`

// handbookCommands are the commands of a section of the handbook, in their order, without sudo.
func handbookCommands(t *testing.T, section string) []string {
	t.Helper()
	_, rest, found := strings.Cut(rig.ReadFile(t, rig.Source("deploy", "OPERATIONS.md")), "\n## "+section+"\n")
	if !found {
		t.Fatalf("the handbook has no section %q", section)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	var commands []string
	for _, block := range regexp.MustCompile("(?ms)^```sh(?: [a-z ]+)?\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(block[1]) {
			command, _, _ := strings.Cut(strings.TrimSpace(line), " #")
			commands = append(commands, strings.ReplaceAll(strings.TrimSpace(command), "sudo ", ""))
		}
	}
	return commands
}

// TestSoakConforma goes from apt install to a rehearsed window, and back to before, on a host as Conforma's is, by the
// handbook alone. A tab is open all the while, whose WebSocket has to be cut: no closing ends in exit code 4.
func TestSoakConforma(t *testing.T) {
	t.Parallel()
	servers := conformaServers()
	m := newPackaged(t, servers, buildPackages(t, "1.0.0"))
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		rig.WriteFile(t, m.Path(path), text)
		rig.Check(t, os.Chmod(m.Path(path), mode))
	}
	live := "/etc/letsencrypt/live/" + conformaHostname
	made := rig.Dir(t) // good for as long as Let's Encrypt's are
	if out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90", "-subj", "/CN="+conformaHostname,
		"-addext", "subjectAltName=DNS:"+conformaHostname, "-keyout", made+"/privkey.pem", "-out", made+"/fullchain.pem").CombinedOutput(); err != nil {
		t.Fatalf("make a certificate: %v\n%s", err, out)
	}
	for _, name := range []string{"/fullchain.pem", "/privkey.pem"} {
		write(live+name, rig.ReadFile(t, made+name), 0o600)
	}
	write("/etc/letsencrypt/options-ssl-nginx.conf", "ssl_protocols TLSv1.2 TLSv1.3;\n", 0o644)
	write("/usr/local/bin/docker", conformaDocker, 0o755)
	write("/root/app.pl", conformaApp, 0o644)
	write("/etc/hosts", "127.0.0.1 localhost "+conformaHostname+"\n", 0o644)
	// The other machine, with what deploy/webserver has it send.
	write("/etc/nginx/sites-enabled/pages.conf", "server { listen 127.0.0.1:9000; root /srv/pages; add_header Access-Control-Allow-Origin * always; add_header Cache-Control no-cache; }\n", 0o644)
	const angolaEnv = "/home/ubuntu/demo_server/env_files/angola.env"
	write(angolaEnv, "PORT=8001\nWEB_HOST=http://localhost:8001\n", 0o600)
	m.PowerOn(t)
	for _, port := range []string{"8000", "8001"} {
		m.do(0, "systemd-run -q perl /root/app.pl "+port)
	}
	m.do(0, "nginx -t && systemctl restart nginx && cp /root/1.0.0.deb /root/conforma-status_1.0.0_amd64.deb && mkdir -p /srv/pages")
	const curl = "curl -sk --max-time 20 "
	const site = "https://" + conformaHostname + ":50000"

	const configuration = "/etc/conforma-status/config.toml"
	fit := func(command string) string {
		switch several := !strings.Contains(command, "--all"); { // "With several sites, add --site NAME, or --all"
		case several && (strings.HasPrefix(command, "conforma-status set ") || strings.HasPrefix(command, "conforma-status extend ") || command == "conforma-status pass"):
			return command + " --site demo"
		case several && strings.HasPrefix(command, "conforma-status secret init"):
			return command + " --all"
		case strings.HasPrefix(command, "apt "):
			return "cd /root && " + command + " -y"
		case strings.HasPrefix(command, "sudoedit "): // what is marked CHANGE
			return `sed -i 's,^store .*,store = "dir:/srv/pages",; s,^page_url .*,page_url = "http://127.0.0.1:9000",' ` + configuration
		}
		return command
	}
	warned := ""
	for _, command := range handbookCommands(t, "Install") {
		warned = m.do(0, fit(command))
		if strings.HasPrefix(command, "sudoedit") {
			m.want("what is left to change", m.do(0, "grep -c '^[^#].*CHANGE' "+configuration+" || true"), "0\n")
		}
	}
	found := m.do(0, "cat "+configuration)
	for _, text := range []string{`app_url   = "` + site + `"    # GUESSED from error_page 497`, `listen    = "127.0.0.1:50000"`, `"conforma-demo-on-8000-app-1", "psql", "-U", "postgres", "tmf_app_manager"]    # its database answered`} {
		if !strings.Contains(found, text) {
			t.Errorf("it isn't found: %s\n%s", text, found)
		}
	}
	for _, warning := range []string{"hands on no WebSocket", "without asking nginx"} {
		if !strings.Contains(warned, warning) {
			t.Errorf("the doctor doesn't warn: %q\n%s", warning, warned)
		}
	}
	// What the doctor warns of, by the handbook's lines.
	expire := rig.HandbookLines(t, "Pages that browsers keep")
	socket := rig.HandbookLines(t, "WebSockets that aren't handed on")
	m.do(0, "cat >/etc/nginx/conf.d/pages-expire.conf <<'EOF'\n"+expire[0]+"EOF\n")
	const conf = "/etc/nginx/sites-enabled/conforma.conf"
	m.do(0, "cat >/root/lines <<'EOF'\n"+expire[1]+socket[0]+"EOF\nsed -i '/^    error_page 497 301 =307 .*:50000/r /root/lines' "+conf+" && nginx -t && systemctl reload nginx")
	m.eventually("nginx to take that up", "for i in 1 2 3 4 5; do "+curl+"-o /dev/null -D - "+site+"/ | tr -d '\\r' | grep -qx 'Cache-Control: no-cache' || exit; done")
	if said := m.do(0, "conforma-status doctor --site demo"); regexp.MustCompile(`(?m)^(warning|fault)`).MatchString(said) {
		t.Errorf("the doctor isn't content:\n%s", said)
	}

	// The rehearsal, with a tab open whose WebSocket stays, opened anew whenever the site lets it.
	m.do(0, "systemd-run -q sh -c 'while :; do "+curl+"--max-time 3600 --http1.1 -N -o /dev/null -H \"Connection: Upgrade\" -H \"Upgrade: websocket\" -H \"Sec-WebSocket-Version: 13\" -H \"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\" "+site+"/websocket/server-status; sleep 0.2; done'")
	m.eventually("the open tab's WebSocket", "grep -q ' 0100007F:1F40 [0-9A-F:]* 01 ' /proc/net/tcp")
	secret := regexp.MustCompile(`JWT_SECRET='?([^'\n]*)`).FindStringSubmatch(m.do(0, "cat "+envFile))
	for _, command := range handbookCommands(t, "Rehearse the first window") {
		said := m.do(0, fit(command))
		visitor := func(token string) string {
			return strings.TrimSpace(m.do(0, curl+"-o /dev/null -w '%{http_code}' -H 'Authorization: Bearer "+token+"' "+site+"/server/graphql"))
		}
		switch {
		case strings.HasSuffix(command, "--dry-run"):
			m.want("a visitor of a site that isn't closed yet", visitor(""), "200")
		case strings.HasPrefix(command, "conforma-status set offline"):
			for _, words := range []string{"safe to take a snapshot since", "30 s of 30 s"} {
				if !strings.Contains(said, words) {
					t.Errorf("%s: it doesn't say %q\n%s", command, words, said)
				}
			}
			m.want("a visitor", visitor(""), "503")
			m.want("an administrator", visitor(rig.AdminToken(secret[1])), "503")
			m.want("the neighbour", m.do(0, curl+"-o /dev/null -w '%{http_code}' https://"+conformaHostname+":50001/"), "200")
			m.want("a Grafana's place", m.do(0, curl+"-o /dev/null -w '%{http_code}' https://"+conformaHostname+":50005/"), "502")
			to := m.do(0, curl+"-o /dev/null -w '%{redirect_url}' -H 'Sec-Fetch-Mode: navigate' '"+site+"/application/7?tab=2'")
			m.want("a page", to, "http://127.0.0.1:9000/demo/#at=/application/7?tab=2")
		case command == "conforma-status set admin":
			m.want("an administrator", visitor(rig.AdminToken(secret[1])), "200")
			m.want("a user", visitor(rig.UserToken(secret[1])), "503")
		case command == "conforma-status set online":
			m.want("a visitor", visitor(""), "200")
		}
	}
	if history := m.do(0, "conforma-status history --json"); strings.Contains(history, `"outcome": "unsafe"`) {
		t.Errorf("a closing wasn't safe:\n%s", history)
	}
	m.noneFailed()

	// And back to before it came.
	for _, command := range handbookCommands(t, "Uninstall") {
		m.do(0, fit(command))
	}
	m.do(0, "grep -vxFf /root/lines "+conf+" >/root/left; grep -vxFf /root/lines >/root/was <<'EOF'\n"+servers+"EOF\ncmp /root/left /root/was")
}
