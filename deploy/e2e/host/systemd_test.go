package host

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// exposed is how much systemd-analyze security may find that a service is exposed, from 0 to 10. The gate is what
// strangers' tokens get to; reconcile is root, and runs the operator's own commands.
var exposed = map[string]float64{
	"conforma-status-gate.service":         2.0,
	"conforma-status-gate-restart.service": 2.0,
	"conforma-status-reconcile.service":    3.5,
	"conforma-status-follow.service":       3.5,
}

// TestUnitsAreHardened has systemd's own tools judge the units, with the drop-ins of a configuration beside them.
func TestUnitsAreHardened(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	dir := rig.Dir(t)
	sources, err := filepath.Glob("../../systemd/conforma-status-*.*")
	if err != nil || len(sources) != 7 {
		t.Fatalf("units %v (%v)", sources, err)
	}
	var units []string
	for _, source := range sources {
		data, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		units = append(units, filepath.Join(dir, filepath.Base(source)))
		rig.WriteFile(t, units[len(units)-1], strings.ReplaceAll(string(data), "/usr/bin/conforma-status", rig.Binary(t)))
	}
	h.CLI(t, "units", dir).Want(t, 0)
	out, err := exec.Command("systemd-analyze", append([]string{"verify", "--man=no"}, units...)...).CombinedOutput()
	for line := range strings.Lines(string(out)) { // it also looks at other units of this machine
		if strings.Contains(line, "conforma-status") {
			t.Errorf("systemd-analyze verify: %s", line)
		}
	}
	if err != nil {
		t.Errorf("systemd-analyze verify: %v", err)
	}
	for unit, most := range exposed {
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", filepath.Join(dir, unit)).Output()
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
		if m == nil {
			t.Fatalf("systemd-analyze security: %s", out)
		}
		if level, err := strconv.ParseFloat(string(m[1]), 64); err != nil || level > most {
			t.Errorf("%s: exposure %s, at most %v", unit, m[1], most)
		}
	}
}

// systemdStub hears what a service tells systemd (sd_notify(3)).
type systemdStub struct {
	path string
	mu   sync.Mutex
	said []string
}

func newSystemdStub(t *testing.T) *systemdStub {
	t.Helper()
	s := &systemdStub{path: filepath.Join(rig.Dir(t), "notify")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.said = append(s.said, string(buf[:n]))
			s.mu.Unlock()
		}
	}()
	return s
}

// heard is how often it was told this.
func (s *systemdStub) heard(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, said := range s.said {
		if said == what {
			n++
		}
	}
	return n
}

// TestGateUnderSystemd starts the gate by the first request, with copies of secrets that it couldn't read itself, as
// its unit does.
func TestGateUnderSystemd(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	h.Install(t)
	credentials := filepath.Join(rig.Dir(t), "credentials")
	for _, b := range h.Blocks {
		if b.Site {
			rig.WriteSecret(t, filepath.Join(credentials, b.Name), "PORT=8000\nJWT_SECRET='"+b.Secret+"'\n")
			rig.WriteSecret(t, h.EnvFile(b.Name), "PORT=8000\nJWT_SECRET='"+strings.Repeat("not the one ", 4)+"'\n")
		}
	}
	if err := os.Mkdir(filepath.Dir(h.Socket()), 0o755); err != nil {
		t.Fatal(err)
	}
	systemd := newSystemdStub(t)
	a := h.SocketActivate(t, "CREDENTIALS_DIRECTORY="+credentials, "NOTIFY_SOCKET="+systemd.path, "WATCHDOG_USEC=300000")
	if err := os.Chmod(h.Socket(), 0o666); err != nil { // SocketMode=
		t.Fatal(err)
	}
	if systemd.heard("READY=1") > 0 {
		t.Error("it runs before anybody asks")
	}
	h.CLI(t, "set", "admin", "--site", "demo").Want(t, 0)
	m := rig.Program(rig.GraphQL(h.Block(t, "demo").Origin()))
	admin := m.With("Authorization: Bearer " + rig.AdminToken(h.Block(t, "demo").Secret))
	if r := h.Client(t, "demo").Do(t, admin); r.Status != 200 {
		t.Errorf("an administrator gets %d\n%s", r.Status, a.Output(t))
	}
	if r := h.Client(t, "demo").Do(t, m.With("Authorization: Bearer "+rig.UserToken(h.Block(t, "demo").Secret))); r.Status != 503 {
		t.Errorf("a user gets %d", r.Status)
	}
	rig.WaitFor(t, "READY", func() bool { return systemd.heard("READY=1") == 1 })
	rig.WaitFor(t, "the watchdog to be told", func() bool { return systemd.heard("WATCHDOG=1") > 3 })

	a.Terminate(t)
	rig.WaitFor(t, "STOPPING", func() bool { return systemd.heard("STOPPING=1") == 1 })
	if _, err := os.Stat(h.Socket()); err != nil {
		t.Errorf("systemd's socket is gone with the gate: %v", err)
	}
	if strings.Contains(a.Output(t), h.Block(t, "demo").Secret) {
		t.Error("a secret is in the log")
	}
}

// TestGateCredentialFaults: what is wrong with a copy is said of the file that it is a copy of.
func TestGateCredentialFaults(t *testing.T) {
	t.Parallel()
	h := rig.NewSingle(t)
	credentials := filepath.Join(rig.Dir(t), "credentials")
	rig.WriteSecret(t, filepath.Join(credentials, rig.SingleSite), "JWT_SECRET=devsecret\n")
	r := h.Call(t, rig.Call{Args: []string{"gate"}, Env: []string{"CREDENTIALS_DIRECTORY=" + credentials}}).Want(t, 2)
	if !strings.Contains(r.Stderr, "hint: put a line JWT_SECRET='…' of 32 or more random bytes into "+h.EnvFile(rig.SingleSite)) || strings.Contains(r.Stderr, credentials) {
		t.Errorf("it says\n%s", r.Stderr)
	}
}

// TestGateIsGivenAnotherSocket than the configuration names: nginx would ask at one where nobody answers.
func TestGateIsGivenAnotherSocket(t *testing.T) {
	t.Parallel()
	h := rig.NewSingle(t)
	a := h.SocketActivateAt(t, filepath.Join(rig.Dir(t), "other.sock"))
	conn, err := net.Dial("unix", a.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rig.WaitFor(t, "the gate to refuse", func() bool {
		return strings.Contains(a.Output(t), "systemd hands over another socket than "+h.Socket()) && strings.Contains(a.Output(t), "hint: systemctl daemon-reload")
	})
}

// TestReconcileBeforeNginx is the boot: the files are put right while nginx is down, and what was interrupted is
// finished when it runs.
func TestReconcileBeforeNginx(t *testing.T) {
	t.Parallel()
	h := rig.OnlineSingle(t)
	h.CLI(t, "set", "offline").Want(t, 0)
	h.Nginx.Stop(t)
	for _, path := range []string{h.SiteFile(rig.SingleSite), filepath.Join(h.ConfDir, "http.conf"), h.ClosedFile()} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if r := h.CLI(t, "reconcile").Want(t, 0); r.Stderr != "" {
		t.Errorf("it says %s", r.Stderr)
	}
	h.Nginx.Start(t)
	if got := rig.Lets(t, h); got != "offline" {
		t.Errorf("it comes up %s", got)
	}
	h.CLI(t, "reconcile").Want(t, 0)
	rig.Agreed(t, h, "offline")

	// The machine dies in the middle of an opening: it comes up shut, and is opened once nginx runs.
	r := h.Call(t, rig.Call{Binary: rig.CrashBinary(t), Args: []string{"set", "online"}, Env: []string{"CONFORMA_STATUS_CRASH=before:open"}})
	if r.Code == 0 {
		t.Fatal("it was not killed")
	}
	h.Nginx.Kill(t)
	if err := os.Remove(h.Nginx.PIDFile()); err != nil && !errors.Is(err, os.ErrNotExist) { // /run is empty after a boot
		t.Fatal(err)
	}
	r = h.CLI(t, "reconcile").Want(t, 4)
	for _, text := range []string{"nginx is not running", "the interrupted change is finished once nginx runs", "hint: start nginx"} {
		if !strings.Contains(r.Stderr, text) {
			t.Errorf("it doesn't say %q:\n%s", text, r.Stderr)
		}
	}
	h.Nginx.Start(t)
	if got := rig.Lets(t, h); got != "offline" {
		t.Errorf("it comes up %s in the middle of an opening", got)
	}
	h.CLI(t, "reconcile").Want(t, 0)
	rig.Agreed(t, h, "online")
}

// TestUnitFiles: the drop-ins that the generator makes.
func TestUnitFiles(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	h.EditConfig(t, h.EnvFile("north"), "/home/100%/a b.env")
	h.EditConfig(t, fmt.Sprintf("[site.jwt]\nsecret_env_file = %q\n", h.EnvFile("archive")), "")
	dir := rig.Dir(t)
	h.CLI(t, "units", dir).Want(t, 0)
	read := func(unit string) []string {
		data, err := os.ReadFile(filepath.Join(dir, unit+".d", "configuration.conf"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(string(data), "\n")
	}
	for unit, lines := range map[string][]string{
		"conforma-status-gate.service": {"[Service]", "LoadCredential=demo:" + h.EnvFile("demo"), "LoadCredential=north:/home/100%%/a b.env",
			"LoadCredential=archive:" + h.State + "/keys/archive", "SetCredential=archive:none"},
		"conforma-status-gate-restart.path": {"[Path]", "PathChanged=" + h.EnvFile("demo"), "PathChanged=/home/100%%/a b.env", "PathChanged=" + h.State + "/keys/archive"},
		"conforma-status-gate.socket":       {"[Socket]", "ListenStream=", "ListenStream=" + h.Socket()},
		"conforma-status-reconcile.service": {`RequiresMountsFor="` + h.State + `"`, `ReadWritePaths=-"` + h.Store + `"`, `ReadWritePaths=-"` + h.ConfDir + `"`},
	} {
		got := read(unit)
		for _, line := range lines {
			if !slices.Contains(got, line) {
				t.Errorf("%s has no line %s:\n%s", unit, line, strings.Join(got, "\n"))
			}
		}
	}
	h.EditConfig(t, "/home/100%/a b.env", `/home/x\n[Service]\nExecStart=/bin/evil`)
	h.CLI(t, "units", dir).Want(t, 0)
	for _, line := range read("conforma-status-gate.service") {
		if strings.HasPrefix(line, "ExecStart=") || strings.Contains(line, "north") {
			t.Errorf("a path became a line of its own: %s", line)
		}
	}
	h.EditConfig(t, `/home/x\n[Service]\nExecStart=/bin/evil`, `/home/x\\`)
	if r := h.CLI(t, "units", dir).Want(t, 2); !strings.Contains(r.Stderr, "hint: give the file another name") {
		t.Errorf("a path that would continue the line: %s", r.Stderr)
	}
	for _, text := range []string{"", "# Nothing yet.\n"} {
		rig.WriteFile(t, h.Config, text)
		none := rig.Dir(t)
		h.CLI(t, "units", none).Want(t, 0)
		if entries, err := os.ReadDir(none); err != nil || len(entries) > 0 {
			t.Errorf("nothing is configured, and there are %v (%v)", entries, err)
		}
	}
	rig.WriteFile(t, h.Config, fmt.Sprintf("nonsense = %q\n", "x"))
	h.CLI(t, "units", dir).Want(t, 2)
}
