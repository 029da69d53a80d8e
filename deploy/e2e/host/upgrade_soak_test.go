//go:build soak

package host

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"golang.org/x/tools/txtar"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// applicationsNginx is an operator's, with an application behind it that isn't nginx.
const applicationsNginx = `map $http_upgrade $connection_upgrade { default upgrade; '' close; }
server {
    listen 50000;
    server_name demo.example.test;
    location / {
        proxy_pass http://127.0.0.1:8000;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
    }
}
`

// upgraded is a machine on which the package of the first release is replaced.
type upgraded struct {
	*packaged
	app    *rig.App
	url    string // the site's, from here
	secret string
	held   *websocket.Conn // of a visitor who came before the site closed, nil where there is none
}

// upgrades are the states in which a machine is upgraded, by the names that they have in releases: what the saved data
// of the state is for where the first release can't be built.
var upgrades = map[string]func(m *upgraded){
	"online": func(m *upgraded) {
		m.do(0, "conforma-status set offline && conforma-status set online")
	},
	"offline": func(m *upgraded) {
		m.do(0, "conforma-status set offline --eta 30m --message 'We are upgrading.'")
	},
	"offline-unpublished": func(m *upgraded) {
		m.stopTimer()
		m.do(0, "mv /srv/pages /srv/away")
		m.do(3, "conforma-status set offline")
		m.do(0, "mv /srv/away /srv/pages")
	},
	"admin": func(m *upgraded) {
		m.do(0, "conforma-status set offline && conforma-status set admin")
	},
	"admin-remembered": func(m *upgraded) {
		m.do(0, `sed -i '1i gate.remember = "`+verdicts+`"' /etc/conforma-status/config.toml && conforma-status render && conforma-status set admin`)
		m.do(0, admitted(m.secret)+` && find `+verdicts+` -type f | grep -q .`)
	},
	"admin-held": func(m *upgraded) {
		m.held = talkTo(m.t, m.url, "")
		m.do(4, "conforma-status set admin --no-cut --drain 1s")
	},
	"closing-installed": func(m *upgraded) {
		m.stopTimer()
		held := talkTo(m.t, m.url, "")
		pid := m.do(0, "conforma-status set offline --drain 1m >/root/said 2>&1 & echo $!")
		m.eventually("the closing to drain", `grep -q '"step":"drain","event":"begin"' /var/lib/conforma-status/journal`)
		m.do(0, "kill -9 "+pid)
		held.CloseNow()
	},
}

// verdicts is where nginx keeps what the gate has said, by a key that this release no longer has.
const verdicts = "/run/verdicts"

// stopTimer has nothing be mended until the upgrade, which starts the timer again.
func (m *upgraded) stopTimer() { m.do(0, "systemctl stop conforma-status-reconcile.timer") }

// TestSoakUpgrade replaces the package of the first release by this one's, and that by one whose rules are others, on
// a machine whose application is in use: nothing opens, nothing is cut, get agrees, and the site can be closed and
// opened.
func TestSoakUpgrade(t *testing.T) {
	t.Parallel()
	packages := buildPackages(t, "2.0.0")
	next := workTree(t)
	head := filepath.Join(next, "nginxconf", "rules", "head.conf")
	rig.WriteFile(t, head, rig.ReadFile(t, head)+"# A later release says more.\n")
	buildPackage(t, next, "3.0.0", packages)
	first := releasedSource(t)
	if first != "" {
		buildPackage(t, first, "1.0.0", packages)
	} else {
		t.Logf("the repository has no commit %s: what it keeps on disk is taken from testdata", firstRelease)
	}
	for name, leave := range upgrades {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := releasedAs(t, name)
			m := &upgraded{packaged: newPackaged(t, applicationsNginx, packages), app: rig.NewApp(t, "demo")}
			if first == "" {
				m.lay(r)
			}
			m.PowerOn(t)
			m.url = "http://" + m.Join(t, m.app, "127.0.0.1:8000", "127.0.0.1:50000")
			if first != "" {
				m.setUp()
				leave(m)
			}
			m.upgrade(r, first == "")
		})
	}
}

// TestSoakUpgradeOfRarerStates has the rest of the table.
func TestSoakUpgradeOfRarerStates(t *testing.T) { upgrade(t, rig.Without(usualReleases...)) }

// TestSoakUpgradeInAHurry sets a mode before anything else of this release has run.
func TestSoakUpgradeInAHurry(t *testing.T) {
	t.Parallel()
	for _, r := range releases {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.defaults()
			for _, mode := range []status.Mode{offline, online} {
				h := r.host(t)
				h.CLI(t, "set", string(mode)).Want(t, r.closes(mode))
				rig.Agreed(t, h, mode)
				h.Nginx.Stop(t)
			}
		})
	}
}

func releasedAs(t *testing.T, name string) *released {
	t.Helper()
	for _, r := range releases {
		if r.name == name {
			r.defaults()
			return &r
		}
	}
	t.Fatalf("there is no state %s", name)
	return nil
}

// setUp installs the first release and does what its handbook says.
func (m *upgraded) setUp() {
	m.t.Helper()
	m.do(0, "dpkg -i /root/1.0.0.deb && conforma-status init --write")
	m.do(0, `mkdir /srv/pages && sed -i 's,^store .*,store = "dir:/srv/pages",; s,^page_url .*,page_url = "http://127.0.0.1:50001",' /etc/conforma-status/config.toml`)
	m.do(0, "conforma-status secret init && systemctl reload nginx && conforma-status store init && conforma-status publish")
	m.eventually("the secret to be handed to the gate", "systemctl cat conforma-status-gate.service | grep -q LoadCredential=demo")
	m.secret = regexp.MustCompile(`JWT_SECRET='(.*)'`).FindStringSubmatch(m.do(0, "cat "+envFile))[1]
	m.do(0, "conforma-status set online")
}

// lay puts onto a machine that is off what the first release has left in a state.
func (m *upgraded) lay(r *released) {
	m.t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "upgrade", r.name+".txtar"))
	if err != nil {
		m.t.Fatal(err)
	}
	places := map[string]string{
		"NGINX_TEST": `"nginx", "-t"`, "NGINX_RELOAD": `"nginx", "-s", "reload"`, "PID_FILE": "/run/nginx.pid", "PAGE_URL": "http://127.0.0.1:50001",
		"APP_URL": "http://127.0.0.1:50000", "LISTEN": "127.0.0.1:50000", "UPSTREAM": "127.0.0.1:8000", "CONF_DIR": "/etc/nginx/conforma-status",
		"STATE_DIR": "/var/lib/conforma-status", "STORE": "/srv/pages", "SOCKET": "/run/conforma-status/gate.sock", "ENV_FILE": envFile,
		"VERDICTS": verdicts,
	}
	roots := map[string]string{"conf_dir": places["CONF_DIR"], "state_dir": places["STATE_DIR"], "store": places["STORE"], "config.toml": "/etc/conforma-status/config.toml"}
	for _, f := range archive.Files {
		text := string(f.Data)
		for word, here := range places {
			text = strings.ReplaceAll(text, "@"+word+"@", here)
		}
		kind, path, _ := strings.Cut(f.Name, "/")
		rig.WriteFile(m.t, m.Path(filepath.Join(roots[kind], path)), text)
	}
	m.secret = newSecret()
	rig.WriteSecret(m.t, m.Path(envFile), "JWT_SECRET='"+m.secret+"'\n")
	include, err := os.ReadFile(filepath.Join(rig.Source("deploy", "package"), "nginx.conf"))
	if err != nil {
		m.t.Fatal(err)
	}
	rig.WriteFile(m.t, m.Path("/etc/nginx/conf.d/conforma-status.conf"), string(include))
	rig.WriteFile(m.t, m.Path("/etc/nginx/sites-enabled/conforma.conf"), strings.Replace(applicationsNginx, "listen 50000;", "include /etc/nginx/conforma-status/sites/demo.conf;\n    listen 50000;", 1))
}

// upgrade replaces the package twice while the site is in use.
func (m *upgraded) upgrade(r *released, laid bool) {
	m.t.Helper()
	token := rig.AdminToken(m.secret)
	var talks []*websocket.Conn
	if m.held != nil {
		talks = append(talks, m.held)
	}
	if r.lets == online {
		talks = append(talks, talkTo(m.t, m.url, ""))
	}
	if r.lets != offline && !laid { // there is no gate yet
		talks = append(talks, talkTo(m.t, m.url, token))
	}
	says := []string{}
	if r.name == "admin-remembered" {
		says = append(says, "gate.remember: is no longer used")
	}
	if laid {
		m.do(0, "dpkg -i --force-confold /root/2.0.0.deb", says...)
	}
	visitors, admins := pour(m.t, m.url, ""), pour(m.t, m.url, token)
	goOn := func() {
		visitors.goesOn(m.t)
		admins.goesOn(m.t)
	}
	goOn()
	master := m.do(0, "cat /run/nginx.pid")
	m.do(0, "dpkg -i /root/2.0.0.deb", says...)
	m.agrees(r, "version 2.0.0", goOn)
	m.do(0, `test -z "$(find `+verdicts+` -type f 2>/dev/null)"`)

	// The next one is unpacked long before it is configured, as apt does it with many packages.
	m.do(0, "dpkg --unpack /root/3.0.0.deb")
	m.do(3, "systemctl is-active conforma-status-reconcile.timer")
	goOn()
	m.do(0, "dpkg --configure -a")
	m.do(0, "systemctl is-active conforma-status-reconcile.timer")
	m.agrees(r, "version 3.0.0", goOn)
	m.want("nginx's master", m.do(0, "cat /run/nginx.pid"), master)
	m.do(0, "grep -q 'A later release' /etc/nginx/conforma-status/sites/demo.conf && nginx -t")

	for _, conn := range talks {
		exchangeOn(m.t, conn)
		conn.CloseNow()
	}
	// By the rules of the first release, which nginx follows until its next reload, the request that comes to the
	// gate in the very moment in which that is started anew is refused: one of those that are poured, which come one
	// after the other.
	refused := int64(0)
	if r.lets == admin {
		refused = 3
	}
	r.judge(m.t, visitors, admins, refused)
	m.do(0, "conforma-status set offline")
	m.want("a visitor", m.visit(""), "503")
	m.do(0, "conforma-status set online && conforma-status get")
	m.want("a visitor", m.visit(""), "200")
	m.do(0, "conforma-status set admin && conforma-status get")
	m.want("a visitor", m.visit(""), "503")
	m.want("an administrator", m.visit(token), "200")
	m.restartsGate(token)
	m.noneFailed()
}

// restartsGate starts the gate anew again and again: by the rules of today nobody notices.
func (m *upgraded) restartsGate(token string) {
	m.t.Helper()
	admins := pour(m.t, m.url, token)
	for range 20 {
		admins.goesOn(m.t)
		m.do(0, "systemctl restart conforma-status-gate.service")
	}
	admins.goesOn(m.t)
	if in, out := admins.end(); out > 0 {
		m.t.Errorf("while the gate was started anew, %d requests of administrators were let in and %d were not\n%s", in, out,
			m.do(0, "grep -v notice /var/log/nginx/error.log | tail -n 8; journalctl --no-pager -u conforma-status-gate | tail -n 8"))
	}
}

// agrees looks whether all is as it was, with the version at work.
func (m *upgraded) agrees(r *released, version string, goOn func()) {
	m.t.Helper()
	m.do(0, "conforma-status --version", version)
	if !r.unfinished && !r.unpublished {
		m.do(0, "conforma-status get")
	}
	goOn()
	m.do(0, "systemctl start conforma-status-reconcile.service || { journalctl --no-pager -n 40; exit 1; }")
	m.do(0, "conforma-status get")
	goOn()
	m.noneFailed()
}
