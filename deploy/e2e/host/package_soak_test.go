//go:build soak

package host

import (
	"crypto/rand"
	"debug/macho"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/source"
)

const (
	operatorsNginx = `# Two applications behind one nginx, as certbot and an operator left it.
server {
    listen 50000; # managed by Certbot
    server_name demo.example.test;
    location / { proxy_pass http://127.0.0.1:8000/; }
}
server { listen 127.0.0.1:8000; return 200 "the application\n"; }
`
	envFile = "/home/ubuntu/demo_server/env_files/demo.env"
)

// packaged is a machine with an application behind its nginx.
type packaged struct {
	*rig.Machine
	t      *testing.T
	worked time.Duration // of the processor's time, by all that was done
}

// newPackaged makes one with the operator's nginx configuration and, in /root, the packages of a directory. It is not
// started yet.
func newPackaged(t *testing.T, nginx, packages string) *packaged {
	t.Helper()
	m := &packaged{Machine: rig.NewMachine(t), t: t}
	rig.WriteFile(t, m.Path("/etc/nginx/sites-enabled/conforma.conf"), nginx)
	rig.WriteFile(t, m.Path(envFile), "PORT='8000'\n")
	debs, err := filepath.Glob(filepath.Join(packages, "*.deb"))
	if err != nil || len(debs) == 0 {
		t.Fatalf("no packages (%v)", err)
	}
	for _, deb := range debs {
		data, err := os.ReadFile(deb)
		if err != nil {
			t.Fatal(err)
		}
		rig.WriteFile(t, m.Path("/root/"+strings.Split(filepath.Base(deb), "_")[1]+".deb"), string(data))
	}
	return m
}

// do runs a script that has to exit with the code and to say all of that, on standard output or error.
func (m *packaged) do(code int, script string, says ...string) string {
	m.t.Helper()
	r := m.Run(m.t, script)
	m.worked += r.Worked
	said := r.Stdout + r.Stderr
	if r.Code != code {
		m.t.Fatalf("%s: exit code %d, want %d\n%s", script, r.Code, code, said)
	}
	for _, text := range says {
		if !strings.Contains(said, text) {
			m.t.Errorf("%s: it doesn't say %q:\n%s", script, text, said)
		}
	}
	return said
}

// visit is the status of what a visitor gets, with an Authorization header or none.
func (m *packaged) visit(token string) string {
	m.t.Helper()
	return strings.TrimSpace(m.do(0, "curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer "+token+"' http://127.0.0.1:50000/server/graphql"))
}

func (m *packaged) want(what, got, want string) {
	m.t.Helper()
	if got != want {
		m.t.Fatalf("%s: got %q, want %q\n%s", what, got, want, m.Run(m.t, "journalctl --no-pager -u 'conforma*' -n 60").Stdout)
	}
}

// eventually waits until a script exits with 0.
func (m *packaged) eventually(what, script string) {
	m.t.Helper()
	defer func() {
		if m.t.Failed() {
			m.t.Log(m.Run(m.t, "journalctl --no-pager -n 60").Stdout)
		}
	}()
	m.Await(m.t, what, script)
}

// noneFailed fails the test where a unit of ours has.
func (m *packaged) noneFailed() {
	m.t.Helper()
	if failed := m.do(0, "systemctl list-units --failed --plain --no-legend 'conforma*'"); failed != "" {
		m.t.Fatalf("units have failed:\n%s%s", failed, m.Run(m.t, "journalctl --no-pager -u 'conforma*' -n 60").Stdout)
	}
}

// admitted is a script that exits with 0 where an administrator, with a token of that secret, is let in.
func admitted(secret string) string {
	return "test $(curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer " + rig.AdminToken(secret) + "' http://127.0.0.1:50000/server/graphql) = 200"
}

func newSecret() string {
	secret := make([]byte, 32)
	rand.Read(secret)
	return hex.EncodeToString(secret)
}

// byHand is the line of what the package said, indented as a command, that begins like that.
func byHand(t *testing.T, said, begins string) string {
	t.Helper()
	for line := range strings.Lines(said) {
		if command, indented := strings.CutPrefix(line, "    "); indented && strings.HasPrefix(command, begins) {
			return strings.TrimSpace(command)
		}
	}
	t.Fatalf("it names no command %q:\n%s", begins, said)
	return ""
}

// TestSoakPackage takes the Debian package through its life on a machine where systemd is process 1: installed, set
// up, used, upgraded, through a power cut, removed and purged.
func TestSoakPackage(t *testing.T) {
	t.Parallel()
	m := newPackaged(t, operatorsNginx, buildPackages(t, "1.0.0", "1.1.0"))
	m.PowerOn(t)
	master := m.do(0, "cat /run/nginx.pid")

	// Half installed, the program says what is missing.
	m.do(0, "dpkg --unpack /root/1.0.0.deb")
	m.do(2, "conforma-status get", "there is no configuration at /etc/conforma-status/config.toml", "hint: the package is half installed; finish that: sudo dpkg --configure -a")
	m.do(0, "nginx -t")

	// Installed, it does nothing before it is told to.
	m.do(0, "dpkg --configure -a", "nothing is configured yet; next: sudo conforma-status init")
	m.do(0, "conforma-status --version", "conforma-status version 1.0.0 (commit 0123456789ab, go")
	m.do(0, "nginx -t && systemctl reload nginx && systemctl is-active conforma-status-gate.socket conforma-status-gate-restart.path conforma-status-reconcile.timer")
	m.do(0, "systemctl start conforma-status-reconcile.service") // skipped
	m.do(0, "systemctl is-enabled conforma-status-gate.socket conforma-status-gate-restart.path conforma-status-reconcile.timer conforma-status-reconcile.service")
	m.do(3, "systemctl is-active conforma-status-gate.service")
	m.do(2, "conforma-status set offline", "hint: ", "conforma-status init guesses them")
	m.noneFailed()
	m.want("a visitor", m.visit(""), "200")
	m.do(0, "man -w conforma-status-set && bash -c '. /usr/share/bash-completion/bash_completion; . /usr/share/bash-completion/completions/conforma-status; complete -p conforma-status'")
	m.do(0, "zsh -n /usr/share/zsh/vendor-completions/_conforma-status && fish -n /usr/share/fish/vendor_completions.d/conforma-status.fish && fish -c 'complete -C \"conforma-status rec\"'", "reconcile")

	// Set up from what nginx serves.
	m.do(0, "conforma-status init --write", "wrote /etc/conforma-status/config.toml", "conforma.conf:2: include /etc/nginx/conforma-status/sites/demo.conf;")
	if strings.Contains(m.do(0, "nginx -T 2>&1 | grep -c 'include /etc/nginx/conforma-status/http' "), "2") {
		t.Error("http.conf is included twice")
	}
	const configure = `sed -i 's,^store .*,store = "dir:/srv/pages",; s,^page_url .*,page_url = "http://127.0.0.1:50001",' /etc/conforma-status/config.toml`
	m.do(0, "mkdir /srv/pages && "+configure)
	m.do(0, "conforma-status secret init", "wrote a new secret to "+envFile)
	m.want("the env file", m.do(0, "stat -c '%a %U' "+envFile), "600 root\n")
	m.do(0, "systemctl reload nginx && conforma-status store init && conforma-status publish")
	m.eventually("the secret to be handed to the gate", "systemctl cat conforma-status-gate.service | grep -q LoadCredential=demo")

	// Used: the gate is started by the first who asks, is nobody else, and knows the secret all the same.
	secret := func() string {
		match := regexp.MustCompile(`JWT_SECRET='(.*)'`).FindStringSubmatch(m.do(0, "cat "+envFile))
		if match == nil {
			t.Fatal("there is no secret in the env file")
		}
		return match[1]
	}
	first := secret()
	m.do(0, "conforma-status set offline --eta 30m", "safe to take a snapshot since")
	m.want("a visitor", m.visit(""), "503")
	m.do(3, "systemctl is-active conforma-status-gate.service")
	m.do(0, "conforma-status set admin")
	m.want("an administrator", m.visit(rig.AdminToken(first)), "200")
	m.want("a user", m.visit(rig.UserToken(first)), "503")
	m.want("the gate", m.do(0, "systemctl is-active conforma-status-gate.service"), "active\n")
	gate := strings.TrimSpace(m.do(0, "systemctl show -P MainPID conforma-status-gate.service"))
	user := strings.TrimSpace(m.do(0, "stat -c %u /proc/"+gate))
	m.do(0, "test "+user+" -ge 61184 -a "+user+" -le 65519") // DynamicUser= in systemd.exec(5)
	m.do(1, "setpriv --reuid "+user+" --regid "+user+" --clear-groups cat "+envFile, "Permission denied")
	if said := m.do(0, "tr '\\0' '\\n' </proc/"+gate+"/environ; cat /proc/"+gate+"/cmdline; journalctl --no-pager -u 'conforma*'"); strings.Contains(said, first) {
		t.Error("the secret is in the gate's environment, command line or log")
	}

	// A secret that is replaced holds by itself.
	second := newSecret()
	m.do(0, "printf \"PORT='8000'\\nJWT_SECRET='"+second+"'\\n\" >"+envFile)
	m.eventually("the gate to take the new secret", admitted(second))
	m.want("an administrator with a token of the old secret", m.visit(rig.AdminToken(first)), "503")

	// So does one that was bad for a while, and a gate that hangs is replaced.
	m.do(0, "printf 'JWT_SECRET=devsecret\\n' >"+envFile)
	m.eventually("the gate to refuse the default secret", "journalctl --no-pager -u conforma-status-gate.service | grep -q 'the secret is the default one'")
	m.want("an administrator while there is no good secret", m.visit(rig.AdminToken("devsecret")), "503")
	m.do(0, "printf \"JWT_SECRET='"+second+"'\\n\" >"+envFile)
	m.eventually("the gate to come back", admitted(second))
	m.do(0, "mkdir -p /run/systemd/system/conforma-status-gate.service.d && printf '[Service]\\nWatchdogSec=5\\n' >/run/systemd/system/conforma-status-gate.service.d/test.conf && systemctl daemon-reload && systemctl restart conforma-status-gate.service")
	m.do(0, "kill -STOP $(systemctl show -P MainPID conforma-status-gate.service)")
	m.eventually("the watchdog", "journalctl --no-pager -u conforma-status-gate.service | grep -q 'Watchdog timeout'")
	m.eventually("the gate to come back", admitted(second))
	m.do(0, "rm -r /run/systemd/system/conforma-status-gate.service.d && systemctl daemon-reload")

	// What somebody breaks is mended by the timer's service, which its unit lets do all that this takes; what it
	// starts goes on.
	m.do(0, `sed -i '1i on_change = ["sh", "-c", "sleep 1; touch /var/lib/conforma-status/told"]' /etc/conforma-status/config.toml && sed -i 1i\\audit_log=\"/var/log/conforma-status/audit.jsonl\" /etc/conforma-status/config.toml`)
	m.do(0, "echo '# gone' >/etc/nginx/conforma-status/sites/demo.conf && nginx -s reload")
	m.eventually("the site to be open by mistake", "curl -s http://127.0.0.1:50000/ | grep -q 'the application'")
	m.do(0, "systemctl start conforma-status-reconcile.service && conforma-status get && grep -q reconcile /var/log/conforma-status/audit.jsonl")
	m.want("a visitor", m.visit(""), "503")
	m.eventually("on_change to end", "test -e /var/lib/conforma-status/told")
	m.eventually("the gate to come back", admitted(second))

	// Upgraded, all goes on as it was: the mode, nginx, the operator's configuration; the gate is the new one.
	configuration := m.do(0, "sha256sum /etc/conforma-status/config.toml")
	gate = m.do(0, "systemctl show -P MainPID conforma-status-gate.service")
	m.do(0, "dpkg -i /root/1.1.0.deb")
	m.do(0, "conforma-status --version", "version 1.1.0")
	m.want("the configuration", m.do(0, "sha256sum /etc/conforma-status/config.toml"), configuration)
	m.want("nginx's master", m.do(0, "cat /run/nginx.pid"), master)
	m.want("an administrator", m.visit(rig.AdminToken(second)), "200")
	m.want("a visitor", m.visit(""), "503")
	if m.do(0, "systemctl show -P MainPID conforma-status-gate.service") == gate {
		t.Error("the old gate still runs")
	}
	m.do(0, "conforma-status get")
	m.noneFailed()

	// A window begins by itself, to the second, and outlives a boot before it.
	m.do(0, "conforma-status set online")
	m.do(0, "conforma-status schedule offline --from 3h --for 1h")
	m.do(0, "systemctl is-active conforma-status-window.timer")
	m.do(0, "systemctl stop conforma-status-window.timer && rm /run/systemd/system/conforma-status-window.timer && systemctl start conforma-status-reconcile.service")
	m.do(0, "systemctl is-active conforma-status-window.timer") // it was lost
	m.do(0, `conforma-status schedule cancel $(conforma-status schedule list | grep -om1 '^  [a-z0-9]*')`)
	m.do(3, "systemctl is-active conforma-status-window.timer")
	m.do(0, "conforma-status schedule offline --from 15s --for 1h --reason 'release 2.4'")
	// The history has it before the record does.
	m.eventually("the window to begin", "conforma-status history | grep -q 'online -> offline.*release 2.4' && conforma-status get")
	m.do(0, "conforma-status get", "offline since")
	m.want("a visitor", m.visit(""), "503")
	m.do(0, `grep -q '"safeSince": "' /var/lib/conforma-status/records/demo.json && conforma-status schedule list | grep -q 'in progress'`)
	began := regexp.MustCompile(`"from":"([^"]+)"`).FindAllStringSubmatch(m.do(0, "cat /srv/pages/demo/schedule.json"), -1)
	announced, err := time.Parse(time.RFC3339, began[0][1])
	rig.Check(t, err)
	// When systemd began with it: how long a busy machine takes to start the program doesn't count.
	started := strings.TrimSpace(m.do(0, "date -u +%FT%TZ -d \"$(systemctl show -P InactiveExitTimestamp conforma-status-reconcile.service)\""))
	at, err := time.Parse(time.RFC3339, started)
	rig.Check(t, err)
	t.Logf("it began at %v, announced was %v", at, announced)
	if late := at.Sub(announced); late < -5*time.Second || late > 2*time.Second { // whole seconds; a run of just before waits for it
		t.Errorf("it began %v after %v", late, announced)
	}
	m.noneFailed()
	m.do(0, "conforma-status set admin")

	// A power cut, and somebody has restored nginx's directory from before the closing: it comes up shut, and is
	// mended.
	m.do(0, "cp -a /etc/nginx /root/nginx-of-admin")
	m.do(0, "conforma-status set offline && sync")
	m.do(0, "rm -rf /etc/nginx && mv /root/nginx-of-admin /etc/nginx && rm /var/lib/conforma-status/sites/demo/closed && sync")
	m.PowerOff(t)
	m.PowerOn(t)
	m.want("an administrator after the boot", m.visit(rig.AdminToken(second)), "503")
	when := func(unit, what string) (at int64) {
		if _, err := fmt.Sscan(m.do(0, "systemctl show -P "+what+" "+unit), &at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	if done, began := when("conforma-status-reconcile.service", "ExecMainExitTimestampMonotonic"), when("nginx.service", "InactiveExitTimestampMonotonic"); done == 0 || done > began {
		t.Errorf("reconcile ended %d µs after the boot, nginx began at %d", done, began)
	}
	m.do(0, "systemctl start conforma-status-reconcile.service && conforma-status get")
	m.noneFailed()
	m.do(0, "conforma-status set admin")
	m.want("an administrator", m.visit(rig.AdminToken(second)), "200")

	nothingLeft := func() {
		t.Helper()
		if left := m.do(0, "find / -xdev -name '*conforma-status*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/srv/pages/*'; getent passwd conforma-status || true"); left != "" {
			t.Errorf("purged, it leaves\n%s", left)
		}
	}

	// Removed while it is closed, it stays closed; installed again, it knows.
	m.do(0, "conforma-status set offline")
	m.do(0, "dpkg -r conforma-status", "these sites are closed, and stay so: demo")
	m.do(0, "nginx -t && systemctl restart nginx")
	m.want("a visitor", m.visit(""), "503")
	m.do(0, "dpkg -i /root/1.1.0.deb && conforma-status get", "offline since")

	// Purged while it is closed, nginx goes on as it was; it can be installed again, and what is left can be deleted
	// as it says.
	m.do(0, "cp /etc/conforma-status/config.toml /etc/nginx/sites-enabled/conforma.conf /root")
	const answer = "curl -s -D - http://127.0.0.1:50000/server/graphql | grep -v '^Date'; sha256sum /etc/nginx/conf.d/conforma-status.conf"
	closed := m.do(0, answer)
	m.do(0, "dpkg -P conforma-status", "these sites are closed, and stay so: demo")
	m.want("the closed site after the purge", m.do(0, answer), closed)
	m.do(0, "nginx -t && systemctl restart nginx")
	m.want("the closed site after the restart", m.do(0, answer), closed)
	m.do(0, "dpkg -i /root/1.1.0.deb </dev/null && conforma-status init --write", "wrote /etc/conforma-status/config.toml")
	m.do(0, configure)
	m.do(0, "conforma-status reconcile && conforma-status get", "offline since")
	m.want("the closed site", m.visit(""), "503")
	m.do(0, "conforma-status set online")
	m.want("a visitor", m.visit(""), "200")
	m.do(0, "conforma-status set offline")
	purged := m.do(0, "dpkg -P conforma-status")
	m.do(0, "nginx -t && systemctl restart nginx")
	m.want("a visitor", m.visit(""), "503")
	found := m.do(0, byHand(t, purged, "grep "))
	if want := "/etc/nginx/sites-enabled/conforma.conf:3:    include /etc/nginx/conforma-status/sites/demo.conf;"; !strings.HasPrefix(found, want) {
		t.Errorf("the include lines are found as\n%s", found)
	}
	m.do(0, "sed -i '/conforma-status/d' /etc/nginx/sites-enabled/conforma.conf && nginx -s reload")
	m.eventually("the site to open", "curl -s http://127.0.0.1:50000/ | grep -q 'the application'")
	m.do(0, byHand(t, purged, "rm -r "))
	m.do(0, byHand(t, purged, "nginx -t ")+" && systemctl restart nginx")
	nothingLeft()
	m.do(0, "dpkg -i /root/1.1.0.deb && cp /root/config.toml /etc/conforma-status && conforma-status render && cp /root/conforma.conf /etc/nginx/sites-enabled && nginx -t && nginx -s reload")
	m.want("a visitor", m.visit(""), "200")

	// Removed while it is open, it leaves files that do nothing as long as nginx includes them, but for what ends a
	// service worker, and then nothing.
	m.do(0, "dpkg -r conforma-status", "nginx still includes these files, which do nothing any more: /etc/nginx/conforma-status/sites/demo.conf")
	m.want("the files", m.do(0, "cat /etc/nginx/conforma-status/http.conf; grep -c 'location =' /etc/nginx/conforma-status/sites/demo.conf"), "1\n")
	m.do(0, "nginx -t && systemctl restart nginx")
	m.do(0, "curl -s http://127.0.0.1:50000/.conforma-status/sw.js | grep -F 'registration.unregister()'")
	m.want("a visitor", m.visit(""), "200")
	m.do(1, "pgrep -x conforma-status")
	m.do(0, "dpkg -P conforma-status", "nginx still includes these files")
	m.do(0, "nginx -t && systemctl restart nginx")
	m.do(0, "dpkg -i /root/1.1.0.deb && sed -i '/conforma-status/d' /etc/nginx/sites-enabled/conforma.conf && dpkg -P conforma-status")
	m.do(0, "nginx -t && systemctl restart nginx")
	m.want("a visitor", m.visit(""), "200")
	nothingLeft()
	m.want("the operator's nginx", m.do(0, "cat /etc/nginx/sites-enabled/conforma.conf"), operatorsNginx)
}

// workTree is a copy of this source tree, as it is here.
func workTree(t *testing.T) string {
	t.Helper()
	source := rig.Dir(t)
	list, err := exec.Command("git", "-C", "../../..", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join("../../..", name))
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		rig.WriteFile(t, filepath.Join(source, name), string(data))
		info, err := os.Stat(filepath.Join("../../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(source, name), info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	return source
}

// TestSoakRelease builds the same source in two places: what comes out is the same, and runs.
func TestSoakRelease(t *testing.T) {
	t.Parallel()
	var sums []string
	var dist string
	for range 2 {
		source := workTree(t)
		cmd := exec.Command("make", "-C", source, "release", "VERSION=v1.2.3", "COMMIT=0123456789ab", "SOURCE_DATE_EPOCH=1790000000")
		cmd.Env = append(os.Environ(), "TZ=Asia/Kathmandu", "LANG=pt_PT.UTF-8")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make release: %v\n%s", err, out)
		}
		dist = filepath.Join(source, "dist")
		data, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, string(data))
		check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
		check.Dir = dist
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("the checksums: %v\n%s", err, out)
		}
	}
	if sums[0] != sums[1] || strings.Count(sums[0], "\n") != 6 {
		t.Errorf("two builds differ:\n%s\n%s", sums[0], sums[1])
	}
	arch, err := exec.Command("go", "env", "GOHOSTARCH").Output()
	if err != nil {
		t.Fatal(err)
	}
	unpack := func(platform string) (name string) {
		t.Helper()
		name = "conforma-status_v1.2.3_" + platform
		if out, err := exec.Command("tar", "-xzf", filepath.Join(dist, name+".tar.gz"), "-C", dist).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return name
	}
	for platform, cpu := range map[string]macho.Cpu{"darwin_amd64": macho.CpuAmd64, "darwin_arm64": macho.CpuArm64} {
		program := filepath.Join(dist, unpack(platform), "conforma-status")
		f, err := macho.Open(program)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := os.Stat(program)
		if err != nil || info.Mode().Perm() != 0o755 || f.Type != macho.TypeExec || f.Cpu != cpu {
			t.Errorf("%s: %v, %v, %v, %v", program, info, err, f.Type, f.Cpu)
		}
	}
	name := unpack("linux_" + strings.TrimSpace(string(arch)))
	if source.CheckLinks(t, filepath.Join(dist, name, "doc", "README.md"))+source.CheckLinks(t, filepath.Join(dist, name, "doc", "OPERATIONS.md")) < 10 {
		t.Error("the documents have hardly a link")
	}
	out, err := exec.Command(filepath.Join(dist, name, "conforma-status"), "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "conforma-status version v1.2.3 (commit 0123456789ab, go") {
		t.Errorf("--version: %s (%v)", out, err)
	}
}
