package closing

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestRunOpensOnlyAfterSuccess: what becomes of the site by how the command ends.
func TestRunOpensOnlyAfterSuccess(t *testing.T) { runOpens(t, rig.Only(usualRuns...)) }

// usualRuns are those of make test. The others are in the soak tests.
var usualRuns = []string{
	"it succeeds", "it fails", "it succeeds where somebody had closed", "administrators had been let in", "the application answers",
	"the application answers otherwise", "no such command", "not safe",
}

func runOpens(t *testing.T, rows rig.Rows) {
	t.Parallel()
	h := rig.OnlineSingle(t)
	dir := h.Nginx.Dir
	for _, c := range []struct {
		name   string
		found  status.Mode // "" for as the one before has left it
		mode   status.Mode
		site   string // lines of [[site]]
		script string
		code   int
		stdout string
		says   []string
		ends   status.Mode
	}{
		{"it succeeds", "online", "offline", "", "echo out; echo err >&2; cat " + h.ClosedFile(), 0, "out\n", []string{"err\n", "demo is online"}, "online"},
		{"in admin", "online", "admin", "", "echo out", 0, "out\n", nil, "online"},
		{"it fails", "online", "offline", "", "exit 7", 7, "", []string{"sh ended with exit code 7: the site stays offline", "hint: see what it said", "conforma-status set online"}, "offline"},
		{"it fails again", "", "offline", "", "exit 1", 1, "", []string{"the site stays offline"}, "offline"},
		{"it is killed", "online", "admin", "", "kill -9 $$", 137, "", []string{"sh ended with exit code 137: the site stays admin", "hint:"}, "admin"},
		{"it ends itself by a signal", "online", "offline", "", "kill -TERM $$", 143, "", []string{"the site stays offline"}, "offline"},
		{"it succeeds where somebody had closed", "", "offline", "", "true", 0, "", []string{"warning: demo was offline already: it stays so", "demo stays offline, as it was found"}, "offline"},
		{"it opens nothing further", "offline", "admin", "", "true", 0, "", []string{"demo stays offline, as it was found"}, "offline"},
		{"it fails there", "offline", "admin", "", "exit 3", 3, "", []string{"sh ended with exit code 3: the site stays offline"}, "offline"},
		{"administrators had been let in", "admin", "offline", "", "cat " + h.ClosedFile(), 0, "", []string{"warning: demo was admin already", "demo is admin"}, "admin"},
		{"and it fails", "admin", "offline", "", "false", 1, "", []string{"the site stays offline"}, "offline"},
		{"the application answers", "online", "offline", `smoke = "/healthz"`, "true", 0, "", []string{"try the application", "demo is online"}, "online"},
		{"the application answers otherwise", "", "offline", `smoke = "` + rig.BadPath + `"`, "true", 1, "",
			[]string{"the application does not answer as it must: /bad answers 400", "hint: see why the application does not answer, then open the site with: conforma-status set online"}, "offline"},
	} {
		if !rows(c.name) {
			continue
		}
		h.Configure(t, rig.Settings{})
		if c.found != "" {
			h.CLI(t, "set", string(c.found)).Want(t, 0)
		}
		h.Configure(t, rig.Settings{Site: c.site})
		r := h.CLI(t, "run", "--verbose", "--mode", string(c.mode), "--", "sh", "-c", c.script)
		if r.Code != c.code || r.Stdout != c.stdout {
			t.Errorf("%s: exit code %d, want %d\nstdout: %q, want %q\n%s", c.name, r.Code, c.code, r.Stdout, c.stdout, r.Stderr)
		}
		rig.Says(t, r, c.says...)
		rig.Agreed(t, h, c.ends)
	}

	h.Configure(t, rig.Settings{})
	h.CLI(t, "set", "online").Want(t, 0)
	// What comes after the command is the command's own.
	if r := h.CLI(t, "run", "--mode", "offline", "echo", "--json"); r.Code != 0 || r.Stdout != "--json\n" {
		t.Errorf("exit code %d, stdout %q\n%s", r.Code, r.Stdout, r.Stderr)
	}

	mark := filepath.Join(dir, "started")
	for _, c := range []struct {
		name  string
		args  []string
		fault func() (mend func())
		code  int
		ends  status.Mode
		says  string
	}{
		{"no such command", []string{"--mode", "offline", "--", "no-such-command"}, nil, 2, "offline", "run no-such-command: "},
		{"no command", []string{"--mode", "offline"}, nil, 2, "offline", "hint:"},
		{"no mode", []string{"--", "touch", mark}, nil, 2, "offline", "run needs --mode offline or --mode admin"},
		{"to open", []string{"--mode", "online", "--", "touch", mark}, nil, 2, "offline", "run needs --mode"},
		{"not safe", []string{"--mode", "offline", "--", "touch", mark}, func() func() {
			h.CLI(t, "set", "online").Want(t, 0)
			rig.WriteFile(t, h.Enabled("broken.conf"), "somebody_else is_not_done;\n")
			return func() { os.Remove(h.Enabled("broken.conf")) }
		}, 4, "offline", "NOT SAFE"},
		{"something was cut", []string{"--mode", "offline", "--drain", "0", "--", "touch", mark}, func() func() {
			h.CLI(t, "set", "online").Want(t, 0)
			conn, err := h.Client().WebSocket(t, "/websocket/held")
			if err != nil {
				t.Fatal(err)
			}
			return func() { conn.CloseNow() }
		}, 4, "offline", "NOT SAFE"},
	} {
		if !rows(c.name) {
			continue
		}
		h.Configure(t, rig.Settings{})
		if c.fault == nil {
			h.CLI(t, "set", "offline").Want(t, 0)
			c.fault = func() func() { return func() {} }
		}
		mend := c.fault()
		r := h.CLI(t, append([]string{"run"}, c.args...)...)
		if r.Code != c.code {
			t.Errorf("%s: exit code %d, want %d\n%s", c.name, r.Code, c.code, r.Stderr)
		}
		rig.Says(t, r, c.says)
		if _, err := os.Stat(mark); err == nil {
			t.Errorf("%s: it was started", c.name)
		}
		mend()
		h.CLI(t, "reconcile")
		rig.Agreed(t, h, c.ends)
	}
	// Not published is no reason not to start.
	h.CLI(t, "set", "online").Want(t, 0)
	if err := os.Rename(h.Store, h.Store+".away"); err != nil {
		t.Fatal(err)
	}
	r := h.CLI(t, "run", "--mode", "offline", "--", "touch", mark)
	if _, err := os.Stat(mark); err != nil || r.Code != 0 {
		t.Errorf("without the store: exit code %d, started: %v\n%s", r.Code, err, r.Stderr)
	}
	if err := os.Rename(h.Store+".away", h.Store); err != nil {
		t.Fatal(err)
	}
	h.CLI(t, "reconcile").Want(t, 0)
	rig.Agreed(t, h, status.Online)
}

// TestRunLeavesWhatItFound: a nightly backup neither opens a site that somebody has closed, nor tells visitors
// anything else of it. What changes hands meanwhile is not touched, and that is said.
func TestRunLeavesWhatItFound(t *testing.T) {
	t.Parallel()
	h := rig.OnlineSingle(t)
	bin := rig.Binary(t)
	run := func(script string) rig.Result {
		return h.CLI(t, "run", "--mode", "offline", "--eta", "5m", "--message", "The backup.", "--", "sh", "-c", script)
	}
	h.CLI(t, "set", "offline", "--eta", "3h", "--message", "We move.").Want(t, 0)
	before := rig.Agreed(t, h, status.Offline).Published
	run("true").Want(t, 0)
	after := rig.Agreed(t, h, status.Offline).Published
	if after.Seq != before.Seq || !after.ExpectedUntil.Equal(*before.ExpectedUntil) || *after.Message != "We move." {
		t.Errorf("visitors were told %+v, and are told %+v", before, after)
	}
	// Somebody opens it while the command runs: it is not closed again, and not taken for a good backup.
	rig.Says(t, run(bin+" set online >&2").Want(t, 1), "demo was opened meanwhile", "hint: requests reached the application")
	rig.Agreed(t, h, status.Online)
	// So too where the run has closed it itself.
	opened := run(bin+" set online >&2").Want(t, 1)
	rig.Says(t, opened, "demo was opened meanwhile", "hint: requests reached the application")
	if strings.Contains(opened.Stderr, "it stays closed") {
		t.Errorf("a site that is open is said to be closed:\n%s", opened.Stderr)
	}
	rig.Agreed(t, h, status.Online)
	// Somebody closes it while the command runs that closed it first: it is theirs now.
	rig.Says(t, run(bin+" set offline --eta 2h >&2").Want(t, 1), "somebody else has set its mode since", "hint: it stays closed")
	rig.Agreed(t, h, status.Offline)
	// Somebody puts off the ETA of a site that was found closed: it is as closed as it was.
	run(bin+" extend 4h >&2").Want(t, 0)
	rig.Agreed(t, h, status.Offline)
	h.CLI(t, "set", "online").Want(t, 0)
}

// TestRunPassesSignals: what the operator sends to us is for the command to decide about.
func TestRunPassesSignals(t *testing.T) {
	t.Parallel()
	h := rig.OnlineSingle(t)
	for _, c := range []struct {
		signal syscall.Signal
		script string
		code   int
		ends   status.Mode
	}{
		{syscall.SIGTERM, `trap 'echo got it; exit 0' TERM; echo ready; while :; do sleep 0.02; done`, 0, status.Online},
		{syscall.SIGINT, `trap 'echo got it; exit 3' INT; echo ready; while :; do sleep 0.02; done`, 3, status.Offline},
		{syscall.SIGHUP, `trap 'echo got it; exit 4' HUP; echo ready; while :; do sleep 0.02; done`, 4, status.Offline},
		{syscall.SIGUSR1, `trap 'echo got it; exit 5' USR1; echo ready; while :; do sleep 0.02; done`, 5, status.Offline},
	} {
		h.CLI(t, "set", "online").Want(t, 0)
		r := h.Start(t, rig.Call{Args: []string{"run", "--mode", "offline", "--", "sh", "-c", c.script}})
		rig.WaitFor(t, "the command to be ready", func() bool {
			if r.Ended() {
				t.Fatalf("it ended:\n%s", r.Said(t).Stderr)
			}
			return strings.Contains(r.Said(t).Stdout, "ready")
		})
		if got := rig.Lets(t, h); got != status.Offline {
			t.Errorf("while the command runs the site is %s", got)
		}
		r.Signal(c.signal)
		if res := r.Wait(t); res.Code != c.code || res.Stdout != "ready\ngot it\n" {
			t.Errorf("%v: exit code %d, want %d\n%q\n%s", c.signal, res.Code, c.code, res.Stdout, res.Stderr)
		}
		rig.Agreed(t, h, c.ends)
	}
}

// TestRunIsInterruptedBeforeItsCommand: what is stopped while the site is only just being closed starts nothing.
func TestRunIsInterruptedBeforeItsCommand(t *testing.T) {
	t.Parallel()
	h := rig.OnlineSingle(t)
	mute, err := net.Listen("tcp", rig.Loopback(rig.Port(t))) // a store that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	if err := os.Rename(h.Store, h.Store+".away"); err != nil {
		t.Fatal(err)
	}
	h.CLI(t, "set", "offline").Want(t, 3)
	h.Configure(t, rig.Settings{Store: "s3://bucket", S3: fmt.Sprintf("endpoint = \"http://%s\"\npath_style = true\n", mute.Addr())})
	mark := filepath.Join(h.Nginx.Dir, "started")
	r := h.Start(t, rig.Call{Args: []string{"run", "--mode", "offline", "--", "touch", mark}, Env: []string{"AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"}})
	conn, err := mute.Accept() // the site is closed, which is to be told
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r.Signal(syscall.SIGINT)
	rig.Says(t, r.Wait(t).Want(t, 1), "run touch: interrupted before it was started", "hint: the site stays as it was")
	if _, err := os.Stat(mark); err == nil {
		t.Error("the command was started")
	}
}

// TestNobodyElsePassesTheDoor: while the application is tried through the door, nobody else gets in, whatever word
// they say.
func TestNobodyElsePassesTheDoor(t *testing.T) {
	t.Parallel()
	h := rig.NewSingle(t)
	// The application takes its time for the path, so that there is something to see: until it may answer, or nobody
	// waits any more.
	const path = "/tried"
	var answer atomic.Pointer[chan struct{}]
	h.App.Handle = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == path {
			select {
			case <-*answer.Load():
			case <-r.Context().Done():
			}
		}
		return false
	}
	rig.SetOnline(t, h)
	h.Configure(t, rig.Settings{Site: fmt.Sprintf("smoke = %q", path)})
	type try struct{ word, target string }
	var tries []try
	for _, word := range []string{"", "x", "1", "1|", "|", "$conforma_knock", `"`, strings.Repeat("A", 26)} {
		for _, target := range []string{"/", "/login", "/server/graphql", path} {
			tries = append(tries, try{word, target})
		}
	}
	for _, to := range []string{"online", "admin"} {
		var seen []rig.Request
		// The application is waited for two seconds. Where that doesn't do for all, it is tried again.
		for left := tries; len(left) > 0 || seen == nil; {
			may := make(chan struct{})
			answer.Store(&may)
			h.CLI(t, "set", "offline").Want(t, 0)
			before := h.App.Count()
			r := h.Start(t, rig.Call{Args: []string{"set", to}})
			rig.WaitFor(t, "the application to be tried", func() bool { return h.App.Count() > before })
			w := rig.Watch(h, rig.WatchRules{})
			for len(left) > 0 {
				res := h.Client().Do(t, rig.Navigation(left[0].target).With("X-Conforma-Door: "+left[0].word))
				if len(h.App.Open()) == 0 {
					break // it was over
				}
				if res.Status != 302 || res.Header.Get("X-App") != "" {
					t.Errorf("on the way to %s the word %q gets %d at %s", to, left[0].word, res.Status, left[0].target)
				}
				left = left[1:]
			}
			saw, faults := h.App.Since(before), w.End()
			close(may)
			if r.Wait(t).Code == 0 {
				seen = saw
			}
			for _, f := range faults {
				t.Error(f)
			}
			if len(saw) != 1 || saw[0].URI != path || saw[0].Header.Get("X-Conforma-Door") == "" {
				t.Fatalf("on the way to %s the application saw %v", to, saw)
			}
		}
		rig.Agreed(t, h, status.Mode(to))
		// Once the site is open or admin, the word of before opens nothing.
		word := seen[0].Header.Get("X-Conforma-Door")
		if to == "admin" {
			if res := h.Client().Do(t, rig.Navigation("/application").With("X-Conforma-Door: "+word)); res.Header.Get("X-App") != "" {
				t.Errorf("in admin the word gets %d", res.Status)
			}
		}
	}
}

// TestApplicationThatIsDown has nothing behind nginx: that is a warning for one who opens the site, and a failure for
// run, which leaves it closed.
func TestApplicationThatIsDown(t *testing.T) {
	t.Parallel()
	s := &testSite{name: "demo", plain: true, app: &recordingApp{port: rig.Port(t)}} // only its port
	h := newTestHost(t, s)
	h.start(t)
	finds := func(status int) {
		t.Helper()
		if r := h.dialer(s).Get(t, "/"); r.Status != status {
			t.Errorf("visitors get %d, want %d", r.Status, status)
		}
	}
	h.CLI(t, "set", "offline").Want(t, 0)
	finds(503)
	rig.Says(t, h.CLI(t, "set", "online").Want(t, 0), "but the application behind demo answers 502", "demo is online")
	finds(502)
	for range 2 {
		h.CLI(t, "set", "online").Want(t, 0)
		rig.Says(t, h.CLI(t, "run", "--mode", "offline", "--", "true").Want(t, 1), "try demo before it opens", "the application does not answer as it must: / answers 502", "hint: see why the application does not answer")
		finds(503)
	}
	rig.Says(t, h.CLI(t, "set", "online").Want(t, 0), "but the application behind demo answers 502")
}
