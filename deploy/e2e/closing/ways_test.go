package closing

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// The ways past a closed site that were once found, each with the real nginx. What the operator has in the server
// beside the include is theirs; what is closed is closed all the same, or the command doesn't say that it is.

func TestServersOwnRewriteRulesLeadNowherePastTheRules(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string]string{
		"on a cookie":      `if ($http_cookie ~ beta) { rewrite ^/(.*)$ /beta/$1 last; }`,
		"front controller": `if (!-e $request_filename) { rewrite ^ /index.php last; }`,
		"all of it":        `rewrite ^/(.*)$ /v2/$1 break;`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := rig.NewSingle(t)
			s.Server = rules
			s.Install(t)
			s.StartGate(t)
			s.CLI(t, "set", "offline").Want(t, 0)
			for mode, header := range map[string][]string{"offline": {"Cookie: beta"}, "admin": {"Cookie: beta", "Authorization: Bearer junk"}} {
				s.CLI(t, "set", mode).Want(t, 0)
				before := s.App.Count()
				if r := s.Client().Do(t, rig.Post(header...)); r.Status != 503 || !strings.Contains(r.Body, `"error":"maintenance"`) {
					t.Errorf("%s: a refused request is answered by %d %q", mode, r.Status, r.Body)
				}
				if r := s.Client().Get(t, "/.conforma-status/status.json", header...); r.Status != 200 {
					t.Errorf("%s: the status is answered by %d", mode, r.Status)
				}
				if n := s.App.Count() - before; n != 0 {
					t.Errorf("%s: %d requests reached the application", mode, n)
				}
			}
		})
	}
}

// halfSent opens a connection to the site and sends a request but for its last byte: nginx holds it back from the
// application until it is complete.
func halfSent(t *testing.T, s *rig.Single) *rig.Conn {
	t.Helper()
	conn := s.Client().Dial(t)
	conn.Send(t, rig.Message{Method: "POST", Target: "/server/graphql", Header: []string{"Content-Length: 3"}, Body: "{}"})
	conn.Taken(t)
	return conn
}

func TestNginxUnderAnotherName(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	original, err := os.ReadFile(s.Nginx.Args()[0])
	if err != nil {
		t.Fatal(err)
	}
	s.Nginx.Program = filepath.Join(s.Nginx.Dir, "nginx-debug")
	if err := os.WriteFile(s.Nginx.Program, original, 0o755); err != nil {
		t.Fatal(err)
	}
	s.Configure(t, rig.Settings{})
	s.Install(t)
	master := s.Nginx.PID(t)
	conn := halfSent(t, s)
	defer conn.Close()
	before := s.App.Count()
	r := s.CLI(t, "set", "offline", "--drain", "300ms").Want(t, 4)
	if !strings.Contains(r.Stdout, "NOT SAFE") {
		t.Errorf("says of a cut connection: %s", r.Stdout)
	}
	if syscall.Kill(master, 0) != nil || s.Nginx.PID(t) != master {
		t.Error("the master was ended")
	}
	if s.App.Count() != before {
		t.Error("what was cut reached the application")
	}
}

func TestAProcessThatIsNotNginxProvesNothing(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	other := exec.Command("sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	// The reload reaches nginx by the pid file that its own configuration names.
	s.EditConfig(t, "pid_file = \""+s.Nginx.PIDFile()+"\"", "pid_file = \""+s.Nginx.PIDFile()+".wrong\"")
	rig.WriteFile(t, s.Nginx.PIDFile()+".wrong", fmt.Sprintln(other.Process.Pid))
	r := s.CLI(t, "set", "offline", "--drain", "300ms").Want(t, 4)
	if !strings.Contains(r.Stderr, "not nginx's master process") {
		t.Errorf("doesn't say what is wrong: %s", r.Stderr)
	}
	if r := s.Client().Do(t, rig.Post()); r.Status != 503 {
		t.Errorf("the site is not shut: %d", r.Status)
	}
}

func TestClientsOfAUnixSocketAreWaitedFor(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Server = "listen unix:" + filepath.Join(s.Nginx.Dir, "site.sock") + ";"
	s.Install(t)
	conn := rig.DialUnix(t, filepath.Join(s.Nginx.Dir, "site.sock"))
	defer conn.Close()
	if _, err := conn.Write([]byte("POST /server/graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{}")); err != nil {
		t.Fatal(err)
	}
	conn.Taken(t)
	r := s.CLI(t, "set", "offline", "--drain", "300ms", "--no-cut").Want(t, 4)
	if !strings.Contains(r.Stdout, "left") {
		t.Errorf("doesn't say that something is left: %s", r.Stdout)
	}
	before := s.App.Count()
	s.CLI(t, "set", "offline", "--drain", "300ms").Want(t, 0) // the worker is ended: nothing of the request was with the application
	_, _ = conn.Write([]byte("x"))
	if s.App.Count() != before {
		t.Error("an upload over the unix socket reached the application")
	}
}

// TestNothingIsSeenOfUnixSocketsOnBothSides has a request that came by one unix socket and went to the application by another: when the worker
// that holds it is ended, nobody knows what the application makes of it.
func TestNothingIsSeenOfUnixSocketsOnBothSides(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	in, out := filepath.Join(s.Nginx.Dir, "site.sock"), filepath.Join(s.Nginx.Dir, "app.sock")
	app, err := net.Listen("unix", out) // it takes a request and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	if err := os.Chmod(out, 0o777); err != nil {
		t.Fatal(err)
	}
	s.EditConfig(t, `upstreams = ["`+rig.Loopback(s.App.Port)+`"]`, `upstreams = ["unix:`+out+`"]`)
	s.Server = "listen unix:" + in + ";"
	s.CLI(t, "render").Want(t, 0)
	s.WriteNginx(t)
	rig.Edit(t, s.Nginx.Conf, "proxy_pass http://"+rig.Loopback(s.App.Port)+";", "proxy_pass http://unix:"+out+":;")
	s.Nginx.Start(t)
	s.CLI(t, "set", "offline").Want(t, 0) // nothing is there
	s.CLI(t, "set", "online").Want(t, 0)
	conn := rig.DialUnix(t, in)
	defer conn.Close()
	if _, err := conn.Write([]byte("POST /server/graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := app.Accept(); err != nil {
		t.Fatal(err)
	}
	rig.Says(t, s.CLI(t, "set", "offline", "--drain", "300ms").Want(t, 4), "NOT SAFE to take a snapshot: something was cut")
}

// TestASiteAtAUnixSocketOnly can't be asked: what is missing is said.
func TestASiteAtAUnixSocketOnly(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.CLI(t, "render").Want(t, 0)
	s.WriteNginx(t)
	rig.Edit(t, s.Nginx.Conf, "listen "+rig.Loopback(s.Blocks[0].Port)+";", "listen unix:"+filepath.Join(s.Nginx.Dir, "site.sock")+";")
	s.Nginx.Start(t)
	r := s.CLI(t, "set", "offline").Want(t, 1)
	rig.Says(t, r, "listens at no address of TCP, so that nginx can't be asked whether it is closed", "listen 127.0.0.1:PORT;")
	if strings.Contains(r.Stderr, "no server {} includes") {
		t.Errorf("says that the rules are not included: %s", r.Stderr)
	}
}

func TestAHoleThatWasAddedSince(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	s.CLI(t, "set", "offline").Want(t, 0)
	rig.WriteFile(t, s.Enabled("other.conf"), fmt.Sprintf("server { listen %s; location / { proxy_pass http://%s; } }\n",
		rig.Loopback(rig.Port(t)), rig.Loopback(s.App.Port)))
	if r := s.CLI(t, "set", "offline").Want(t, 1); !strings.Contains(r.Stderr, "other.conf:1") || !strings.Contains(r.Stderr, "hint:") {
		t.Errorf("doesn't name the hole: %s", r.Stderr)
	}
	if r := s.CLI(t, "set", "offline", "--force").Want(t, 0); !strings.Contains(r.Stderr, "other.conf:1") {
		t.Errorf("doesn't warn of the hole: %s", r.Stderr)
	}
}

func TestAServerIsAskedUnderANameOfItsOwn(t *testing.T) {
	t.Parallel()
	for names, host := range map[string]string{"*.demo.test": "north.demo.test", ".demo.test": "demo.test", "_ other.* *.Demo.Test": "a.b.demo.test"} {
		t.Run(names, func(t *testing.T) {
			t.Parallel()
			s := rig.NewSingle(t)
			s.Server = "server_name " + names + ";"
			s.Install(t)
			addr := rig.Loopback(s.Blocks[0].Port)
			rig.WriteFile(t, s.Enabled("other.conf"), "server { listen "+addr+" default_server; return 200 other; }\n")
			s.CLI(t, "set", "offline").Want(t, 0)
			if r := (rig.Client{Addr: addr, Host: host}).Do(t, rig.Post()); r.Status != 503 {
				t.Errorf("the site is not shut: %d", r.Status)
			}
			if r := s.Client().Get(t, "/"); r.Body != "other" { // under the host of app_url
				t.Errorf("the host of app_url is not answered by the other server: %d %q", r.Status, r.Body)
			}
		})
	}
}

func TestAConfigurationThatCantBeLookedThroughIsNotSafe(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	rig.WriteFile(t, s.Enabled("odd.conf"), "# configuration file /etc/nginx/other.conf:\nmap $uri $odd { default 0; }\nserver {\n# configuration file /x:\nlisten "+rig.Loopback(rig.Port(t))+"; }\n")
	r := s.CLI(t, "set", "offline").Want(t, 4)
	if !strings.Contains(r.Stderr, "can't be looked through") {
		t.Errorf("doesn't say why it isn't safe: %s", r.Stderr)
	}
}

func TestSomebodyElsesClosingOutlastsRun(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	other := fmt.Sprintf("%s --config %s set offline --reason 'mine too'", rig.Binary(t), s.Config)
	r := s.CLI(t, "run", "--mode", "offline", "--", "sh", "-c", other).Want(t, 1)
	if !strings.Contains(r.Stderr, "somebody else has set its mode since") || !strings.Contains(r.Stderr, "hint:") {
		t.Errorf("doesn't say why it stays closed: %s", r.Stderr)
	}
	if r := s.Client().Do(t, rig.Post()); r.Status != 503 {
		t.Errorf("the site was opened: %d", r.Status)
	}
}

func TestAClosingOverrulesAnInterruptedOpening(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	s.CLI(t, "set", "offline").Want(t, 0)
	s.Call(t, rig.Call{Binary: rig.CrashBinary(t), Env: []string{"CONFORMA_STATUS_CRASH=before:open"}, Args: []string{"set", "online"}})
	if r := s.CLI(t, "publish"); r.Code != 1 || !strings.Contains(r.Stderr, "interrupted") {
		t.Errorf("publishes in the middle of a change: exit %d, %s", r.Code, r.Stderr)
	}
	before := s.App.Count()
	r := s.CLI(t, "set", "offline").Want(t, 0)
	if strings.Contains(r.Stderr, "let people in") {
		t.Errorf("opened the site first: %s", r.Stderr)
	}
	if r := s.Client().Do(t, rig.Post()); r.Status != 503 || s.App.Count() != before {
		t.Errorf("the site is open: %d", r.Status)
	}
	s.CLI(t, "get").Want(t, 0)
}

func TestAdminAfterAnUnsafeClosingDrainsAgain(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	conn := halfSent(t, s)
	s.CLI(t, "set", "offline", "--no-cut", "--drain", "0").Want(t, 4)
	s.CLI(t, "set", "admin", "--no-cut", "--drain", "0").Want(t, 4)
	before := s.App.Count()
	if r := s.Client().Do(t, rig.Post("Authorization: Bearer junk")); r.Status != 503 {
		t.Errorf("the site is open: %d", r.Status)
	}
	if _, err := os.Stat(s.ClosedFile()); err != nil {
		t.Errorf("the closed file is gone while something of before is left: %v", err)
	}
	// Visitors are told what holds, by the store and by nginx.
	told := func() []byte {
		data, err := os.ReadFile(s.StatusFile())
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if r := s.Client().Get(t, "/.conforma-status/status.json"); !bytes.Contains(told(), []byte(`"mode":"offline"`)) || r.Body != string(told()) {
		t.Errorf("published is %s, nginx says %s", told(), r.Body)
	}
	if r := s.CLI(t, "reconcile", "--drain", "0").Want(t, 0); strings.Contains(r.Stderr, rig.SingleSite) {
		t.Errorf("reconcile did something about what was to be left alone: %s", r.Stderr)
	}
	// What has to be mended is mended, and what was to be left alone still is.
	if err := os.WriteFile(s.Host.SiteFile(rig.SingleSite), []byte("# by hand\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := s.CLI(t, "reconcile", "--drain", "0"); r.Code != 4 || strings.Contains(r.Stderr, "cut 1") {
		t.Errorf("reconcile exited %d: %s", r.Code, r.Stderr)
	}
	if !conn.Alive(t) {
		t.Error("reconcile cut what was to be left alone")
	}
	conn.Close()
	s.CLI(t, "set", "admin", "--drain", "5m").Want(t, 0)
	if s.App.Count() != before {
		t.Error("a request of before reached the application")
	}
	if !bytes.Contains(told(), []byte(`"mode":"admin"`)) {
		t.Errorf("published is %s", told())
	}
}
