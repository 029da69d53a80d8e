package commands

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestScripts runs the scripts in scripts/, and TestSoakScripts those in scripts/soak, each in a directory of its own
// ($WORK) with the binary on the PATH as conforma-status, free ports in $PORT1 to $PORT4, a time ahead in $LATER, a day
// and ten minutes after it in $LATER_PLUS, and these commands beside testscript's own:
//
//	exit CODE PROGRAM [ARG]...      runs the program, which has to exit with exactly this code
//	host [install]                  puts up the Conforma-shaped host of package rig, with nginx started; with
//	                                "install" after rendering and adding the include lines. $CONFORMA_STATUS_CONFIG
//	                                is its configuration, $URL_demo and so on are its blocks, $PAGE_URL its pages,
//	                                $CONF_DIR, $STATE and $STORE its directories
//	nginx-start [FILE]              starts the host's nginx, or one with the file as its http block, after
//	                                expanding $NAME in it; a second one replaces the first
//	nginx-stop                      stops it
//	http [-H LINE]... [-d BODY] METHOD URL [STATUS]
//	                                sends a request; its status, header and body are what stdout looks at next
//	requests BLOCK N                the application behind the block has seen exactly N requests so far
func TestScripts(t *testing.T) { runScripts(t, "scripts") }

func runScripts(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Setup:               setupScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exit":        scriptExit,
			"host":        scriptHost,
			"nginx-start": scriptNginxStart,
			"nginx-stop":  scriptNginxStop,
			"http":        scriptHTTP,
			"requests":    scriptRequests,

			// See scripts_refuse_test.go.
			"refuses":      scriptRefuses,
			"answers":      scriptAnswers,
			"one-document": scriptOneDocument,
			"secret":       scriptSecret,
		},
	})
}

// scriptState is what the commands of one script share.
type scriptState struct {
	tb    testing.TB
	host  *rig.Host  // nil until "host"
	nginx *rig.Nginx // nil until "host" or "nginx-start"

	secrets []string
}

type stateKey struct{}

func state(ts *testscript.TestScript) *scriptState { return ts.Value(stateKey{}).(*scriptState) }

func setupScript(env *testscript.Env) error {
	tb, ok := env.T().(testing.TB)
	if !ok {
		return errors.New("the scripts don't run under go test")
	}
	env.Values[stateKey{}] = &scriptState{tb: tb}
	env.Setenv("PATH", filepath.Dir(rig.Binary(tb))+":"+env.Getenv("PATH"))
	logrotate, err := filepath.Abs("../../logrotate/conforma-status")
	if err != nil {
		return err
	}
	env.Setenv("LOGROTATE", logrotate)
	env.Setenv("LATER_PLUS", time.Now().Add(90*time.Minute+24*time.Hour+10*time.Minute).UTC().Format("2006-01-02T15:04"))
	env.Setenv("LATER", time.Now().Add(90*time.Minute).UTC().Format(time.RFC3339))
	for i := range 4 {
		env.Setenv("PORT"+strconv.Itoa(i+1), strconv.Itoa(rig.Port(tb)))
	}
	return nil
}

func scriptExit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit CODE PROGRAM [ARG]...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func scriptHost(ts *testscript.TestScript, neg bool, args []string) {
	s := state(ts)
	install := len(args) == 1 && args[0] == "install"
	if neg || s.nginx != nil || (len(args) > 0 && !install) {
		ts.Fatalf("usage: host [install], once")
	}
	s.host = rig.NewHost(s.tb)
	s.nginx = s.host.Nginx
	for _, pair := range s.host.Env() {
		if key, value, _ := strings.Cut(pair, "="); key != "PATH" {
			ts.Setenv(key, value)
		}
	}
	for _, b := range s.host.Blocks {
		ts.Setenv("URL_"+b.Name, b.Origin())
	}
	ts.Setenv("PAGE_URL", s.host.PageURL)
	ts.Setenv("CONF_DIR", s.host.ConfDir)
	ts.Setenv("STATE", s.host.State)
	ts.Setenv("STORE", s.host.Store)
	if install {
		s.host.Install(s.tb)
	} else {
		s.nginx.Start(s.tb)
	}
}

func scriptNginxStart(ts *testscript.TestScript, neg bool, args []string) {
	s := state(ts)
	switch {
	case !neg && len(args) == 0 && s.nginx != nil:
	case !neg && len(args) == 1 && s.host == nil:
		if s.nginx == nil {
			s.nginx = rig.NewNginx(s.tb)
		} else {
			s.nginx.Stop(s.tb)
		}
		s.nginx.Configure(s.tb, expandPorts(ts, ts.ReadFile(args[0])))
	default:
		ts.Fatalf("usage: nginx-start FILE, or nginx-start after it was stopped")
	}
	s.nginx.Start(s.tb)
}

// expandPorts fills in $PORT1 and so on, and leaves nginx its own variables.
func expandPorts(ts *testscript.TestScript, conf string) string {
	for i := range 4 {
		name := "PORT" + strconv.Itoa(i+1)
		conf = strings.ReplaceAll(conf, "$"+name, ts.Getenv(name))
	}
	return conf
}

func scriptNginxStop(ts *testscript.TestScript, neg bool, args []string) {
	s := state(ts)
	if neg || len(args) != 0 || s.nginx == nil {
		ts.Fatalf("usage: nginx-stop, after host or nginx-start")
	}
	s.nginx.Stop(s.tb)
}

func scriptHTTP(ts *testscript.TestScript, neg bool, args []string) {
	s := state(ts)
	var m rig.Message
	for len(args) >= 2 && (args[0] == "-H" || args[0] == "-d") {
		if args[0] == "-H" {
			m.Header = append(m.Header, args[1])
		} else {
			m.Body = args[1]
		}
		args = args[2:]
	}
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: http [-H LINE]... [-d BODY] METHOD URL [STATUS]")
	}
	m.Method = args[0]
	client, target := s.client(ts, args[1])
	m.Target = target
	r := client.Do(s.tb, m)
	fmt.Fprintf(ts.Stdout(), "%s %d\n", r.Proto, r.Status)
	_ = r.Header.Write(ts.Stdout()) // a buffer
	fmt.Fprintf(ts.Stdout(), "\n%s", r.Body)
	if len(args) == 3 && args[2] != strconv.Itoa(r.Status) {
		ts.Fatalf("%s %s: got %d, want %s", m.Method, args[1], r.Status, args[2])
	}
}

// client returns a client for the URL's server and the request target, cut off the URL unread.
func (s *scriptState) client(ts *testscript.TestScript, raw string) (rig.Client, string) {
	u, err := url.Parse(raw)
	ts.Check(err)
	origin := u.Scheme + "://" + u.Host
	target := strings.TrimPrefix(raw, origin)
	if s.host != nil {
		for _, b := range s.host.Blocks {
			if b.Origin() == origin {
				return s.host.Client(s.tb, b.Name), target
			}
		}
	}
	c := rig.Client{Addr: u.Host, Host: u.Host}
	if u.Scheme == "https" {
		c.TLS = &tls.Config{ServerName: u.Hostname()}
	}
	return c, target
}

func scriptRequests(ts *testscript.TestScript, neg bool, args []string) {
	s := state(ts)
	if neg || len(args) != 2 || s.host == nil {
		ts.Fatalf("usage: requests BLOCK N, after host")
	}
	app := s.host.Block(s.tb, args[0]).App
	if got := strconv.Itoa(app.Count()); got != args[1] {
		ts.Fatalf("%s has seen %s requests, want %s: %v", args[0], got, args[1], app.Requests())
	}
}
