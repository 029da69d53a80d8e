package closing

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// aWebSocket is how many connections one WebSocket is to nginx: that of the client and that to the application.
const aWebSocket = 2

// aRequest is how many it is where the kernel barrier keeps the client from the application: the latter's only.
const aRequest = 1

// openSocket opens a WebSocket at the site and uses it once. It ends with tb.
func openSocket(tb testing.TB, l *load, s *testSite) *websocket.Conn {
	tb.Helper()
	conn, err := l.client(s, "HTTP/1.1", false).dialSocket()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.CloseNow() })
	if err := exchange(l.ctx, conn); err != nil {
		tb.Fatal(err)
	}
	return conn
}

// oneSite is a host with one site, whose nginx runs.
func oneSite(tb testing.TB, settled bool) (*testHost, *testSite, *load) {
	tb.Helper()
	s := &testSite{name: "demo", settled: settled}
	h := newTestHost(tb, s)
	h.start(tb)
	return h, s, newLoad(tb, h)
}

func TestClientsThatLeaveByThemselvesAreNotCut(t *testing.T) {
	t.Parallel()
	h, s, l := oneSite(t, false)
	tab := openSocket(t, l, s)
	ahead := rig.Client{Addr: dialledAt(s)}.Dial(t) // as a browser does; nobody waits for what may never be sent
	defer ahead.Close()
	ahead.Taken(t)
	for _, proto := range []string{"HTTP/1.1", "HTTP/2"} {
		c := l.client(s, proto, false)
		c.wait.Go(func() {
			for c.post() { // until the first 503
			}
			c.http.CloseIdleConnections()
		})
	}
	began := time.Now()
	c := h.Start(t, rig.Call{Args: []string{"set", "offline", "--drain", rig.Patience.String(), "--json"}})
	c.Says(t, "draining: ")
	if err := exchange(l.ctx, tab); err != nil {
		t.Errorf("the tab was cut: %v", err)
	}
	tab.CloseNow()
	r := c.Wait(t).Want(t, 0)
	returned := time.Now()
	got := receiptOf(t, r)
	got.counts(t, aWebSocket, 0, 0)
	got.closed(t, began, returned, true)
	if strings.Contains(r.Stderr, "warning:") {
		t.Errorf("a warning without need:\n%s", r.Stderr)
	}
	if !ahead.Alive(t) {
		t.Error("a client that had sent nothing was cut")
	}
	if returned.Sub(began) >= rig.Patience {
		t.Error("a client that had sent nothing was waited for")
	}
	for _, f := range l.failures() {
		if !strings.Contains(f, "503") {
			t.Errorf("a client met something else than a 503: %s", f)
		}
	}
	s.app.untouchedSince(t, got.SafeSince.Add(time.Millisecond))
}

func TestWhatIsCutHasToBeVouchedFor(t *testing.T) {
	t.Parallel()
	h, s, l := oneSite(t, false)
	tab := openSocket(t, l, s)
	began := time.Now()
	r := h.CLI(t, "set", "offline", "--drain", h.drain, "--json").Want(t, 4)
	returned := time.Now()
	got := receiptOf(t, r)
	got.counts(t, 0, aRequest, 0)
	got.closed(t, began, returned, false)
	if err := exchange(l.ctx, tab); err == nil {
		t.Error("the tab can still be used")
	}
	if !strings.Contains(r.Stderr, "NOT SAFE: something was cut") {
		t.Errorf("stderr: %s", r.Stderr)
	}
	// Asking again doesn't make it safe: nobody knows what became of what was cut.
	got = receiptOf(t, h.CLI(t, "set", "offline", "--drain", h.drain, "--json").Want(t, 4))
	got.counts(t, 0, 0, 0)
	got.closed(t, began, returned, false)
}

func TestApplicationIsAskedWhetherItIsIdle(t *testing.T) {
	t.Parallel()
	h, s, l := oneSite(t, true)
	c := l.client(s, "HTTP/1.1", false)
	c.wait.Go(func() { c.hold() })
	rig.WaitFor(t, "the long request to arrive", func() bool { return s.app.count("request", heldPath) == 1 })
	set := h.Start(t, rig.Call{Args: []string{"set", "offline", "--drain", h.drain, "--json"}})
	rig.WaitFor(t, "the application to be asked", func() bool { return s.app.wasAsked() > 0 })
	if set.Ended() {
		t.Error("it returned with the application at work")
	}
	s.app.release()
	got := receiptOf(t, set.Wait(t).Want(t, 0))
	if n := s.app.count("commit", heldPath); n != 1 {
		t.Fatalf("it returned with %d of 1 long requests dealt with", n)
	}
	got.counts(t, 0, aRequest, 0)
	s.app.untouchedSince(t, got.SafeSince.Add(time.Millisecond))
}

// TestUploadThatIsLetInCountsUntilItHasArrived has an upload that nginx hands on only when it is complete, long after
// the site is shut.
func TestUploadThatIsLetInCountsUntilItHasArrived(t *testing.T) {
	t.Parallel()
	for _, path := range []string{uploadPath, streamPath} {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			t.Parallel()
			s := &testSite{name: "demo", extra: "        client_body_buffer_size 1k;\n"} // the rest of a body goes to a file
			h := newTestHost(t, s)
			h.start(t)
			l := newLoad(t, h)
			c := l.client(s, "HTTP/1.1", false)
			complete := make(chan struct{})
			c.wait.Go(func() {
				c.ask(http.MethodPost, path, func() io.Reader {
					return &trickle{ctx: c.ctx, parts: -1, pause: 20 * time.Millisecond, complete: complete}
				})
			})
			if path == streamPath {
				rig.WaitFor(t, "the upload to begin", func() bool { return s.app.count("body", path) > 0 })
			} else {
				rig.WaitFor(t, "the upload to begin", func() bool {
					return strings.Contains(h.Nginx.ErrorLog(t), "request body is buffered to a temporary file")
				})
			}
			set := h.Start(t, rig.Call{Args: []string{"set", "offline", "--drain", "5m", "--json"}})
			set.Says(t, "draining: ")
			close(complete)
			got := receiptOf(t, set.Wait(t).Want(t, 0))
			got.counts(t, 1, 0, 0)
			l.wait.Wait()
			if len(l.failures()) > 0 || l.done.Load() != 1 {
				t.Errorf("the upload didn't get through: %v", l.failures())
			}
			s.app.untouchedSince(t, got.SafeSince.Add(time.Millisecond))
		})
	}
}

func TestNoCutCutsNothing(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"offline", "admin"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h, s, l := oneSite(t, true)
			h.StartGate(t)
			tab := openSocket(t, l, s)
			began := time.Now()
			got := receiptOf(t, h.CLI(t, "set", mode, "--no-cut", "--drain", h.drain, "--json").Want(t, 4))
			got.counts(t, 0, 0, aWebSocket)
			got.closed(t, began, time.Now(), false)
			if err := exchange(l.ctx, tab); err != nil {
				t.Errorf("the tab was cut all the same: %v", err)
			}
			if _, err := os.Stat(filepath.Join(h.State, "sites", "demo", "closed")); err != nil {
				t.Errorf("the closed file: %v", err)
			}
			admin := rig.Message{Method: "POST", Target: postPath, Header: []string{"Authorization: Bearer " + rig.AdminToken(testSecret)}, Body: "{}"}
			if r := h.dialer(s).Do(t, admin); r.Status != http.StatusServiceUnavailable {
				t.Errorf("an administrator is let in with something left of before: %d", r.Status)
			}
			// It is as it was asked to be: neither get nor reconcile finds anything to mend.
			h.CLI(t, "get").Want(t, 0)
			if r := h.CLI(t, "reconcile", "--verbose").Want(t, 0); strings.Contains(r.Stderr, "put the new rules in place") {
				t.Errorf("reconcile did something: %s", r.Stderr)
			}

			got = receiptOf(t, h.CLI(t, "set", mode, "--drain", h.drain, "--json").Want(t, 0))
			returned := time.Now()
			got.counts(t, 0, map[string]int{"offline": aRequest, "admin": aWebSocket}[mode], 0)
			got.closed(t, began, returned, true)
			if err := exchange(l.ctx, tab); err == nil {
				t.Error("the tab can still be used")
			}
			s.app.untouchedSince(t, returned)
			want := map[string]int{"offline": 503, "admin": 200}[mode]
			if r := h.dialer(s).Do(t, admin); r.Status != want {
				t.Errorf("an administrator gets %d, want %d", r.Status, want)
			}
		})
	}
}

func TestDrainingIsShown(t *testing.T) {
	t.Parallel()
	h, s, l := oneSite(t, false)
	openSocket(t, l, s)
	// counts looks at the lines, each of which the pattern begins and ends: a second after the other up to the last, when
	// there are those of the WebSocket.
	counts := func(t *testing.T, text, begin, end string) {
		t.Helper()
		lines := regexp.MustCompile(begin+`draining: (\d+) requests?, (\d+) s of 1 s`+end).FindAllStringSubmatch(text, -1)
		if len(lines) < 2 || len(lines) != strings.Count(text, "draining: ") {
			t.Fatalf("it shows %q", text)
		}
		// In the beginning there may be more: our own probes, and what the workers are just closing. A slow machine may leave
		// a second out.
		for i, line := range lines[1:] {
			if before := lines[i]; line[0] == before[0] || line[2] < before[2] {
				t.Errorf("%q comes after %q", line[0], before[0])
			}
		}
		if first, last := lines[0], lines[len(lines)-1]; first[2] != "0" || last[2] < "1" || last[1] != "1" {
			t.Errorf("it goes from %q to %q", first[0], last[0])
		}
	}
	t.Run("in lines", func(t *testing.T) {
		r := h.CLI(t, "set", "offline", "--no-cut", "--drain", "1100ms").Want(t, 4)
		counts(t, r.Stderr, `(?m)^  `, `$`)
		if strings.ContainsAny(r.Stderr, "\r\x1b") {
			t.Errorf("control characters without a terminal: %q", r.Stderr)
		}
		if !strings.Contains(r.Stdout, "NOT SAFE: 1 request still left") {
			t.Errorf("stdout: %s", r.Stdout)
		}
	})
	t.Run("in one line on a terminal", func(t *testing.T) {
		text, code := h.onTerminal(t, "xterm", "set", "offline", "--no-cut", "--drain", "1100ms", "--verbose")
		if code != 4 {
			t.Errorf("exit code %d", code)
		}
		counts(t, text, `\r\x1b\[K\x1b\[\?7l  `, `\x1b\[\?7h`)
		if over := " s of 1 s\x1b[?7h\r\x1b[K  wait for earlier requests to end"; !strings.Contains(text, over) {
			t.Errorf("no %q in %q", over, text)
		}
	})
	t.Run("in lines on a terminal that knows no more", func(t *testing.T) {
		text, _ := h.onTerminal(t, "dumb", "set", "offline", "--no-cut", "--drain", h.drain)
		if !strings.Contains("\n"+text, "\n  draining: 1 request,") || strings.Contains(text, "\x1b") {
			t.Errorf("it shows %q", text)
		}
	})
}
