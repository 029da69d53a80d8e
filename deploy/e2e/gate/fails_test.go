package gate

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestGateFailsClosed has the gate fail in each way that it can. Nobody gets in but to the open paths, and what is
// answered says maintenance.
func TestGateFailsClosed(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	gate := s.StartGate(t)
	s.CLI(t, "set", "admin").Want(t, 0)
	b, c := s.Blocks[0], s.Client()
	bearer := "Authorization: Bearer " + rig.AdminToken(b.Secret)
	query, page := rig.Program(rig.GraphQL(s.URL)).With(bearer), rig.OldNavigation("/application/1").With(bearer)
	in := func() bool { return c.Do(t, query).Status == 200 }
	shut := func(what string) {
		t.Helper()
		n := s.App.Count()
		var wait sync.WaitGroup
		for name, m := range map[string]rig.Message{"a query": query, "a page": page, "a WebSocket": rig.Handshake("/websocket/", s.URL).With(bearer), "a pass": {Method: "POST", Target: passTarget, Body: "x"}, "the pass page": rig.OldNavigation(passTarget)} {
			if what == "without a secret" && strings.Contains(name, "pass") {
				continue // the gate is there, and says that no pass is good
			}
			wait.Go(func() { // some wait for the gate as long as nginx lets them
				r := c.Do(t, m)
				toPage := r.Status == 302 && strings.HasPrefix(r.Header.Get("Location"), s.PageURL)
				if isPage := strings.Contains(name, "page"); isPage != toPage || !isPage && (r.Status != 503 || !strings.Contains(r.Body, `"error":"maintenance"`)) {
					t.Errorf("%s: %s is answered %d %v %s", what, name, r.Status, r.Header, r.Body)
				}
			})
		}
		wait.Wait()
		if s.App.Count() != n {
			t.Errorf("%s: the application was reached", what)
		}
		for _, open := range []string{"/login", "/assets/app.js", "/.conforma-status/status.json"} {
			if r := c.Get(t, open); r.Status != 200 {
				t.Errorf("%s: %s is answered %d", what, open, r.Status)
			}
		}
	}
	back := func(what string) {
		t.Helper()
		rig.WaitFor(t, "administrators to be let in again, after "+what, in)
	}

	t.Run("who brings nothing is refused without a question to the gate", func(t *testing.T) {
		if !in() {
			t.Fatal("an administrator is refused")
		}
		before := checks(t, s.Socket(), b.Name)
		for range 20 {
			for _, m := range []rig.Message{rig.Navigation("/application/1"), rig.OldNavigation("/"), rig.GraphQL(s.URL), rig.Handshake("/websocket/", s.URL), rig.Preflight("/server/graphql", s.URL),
				rig.GraphQL(s.URL).With("Cookie: a=b; x-conforma-status-demo=1"), rig.Navigation("/x").With("Cookie: session=1"), {Target: "/login"}} {
				c.Do(t, m)
			}
		}
		if n := checks(t, s.Socket(), b.Name); n != before {
			t.Errorf("it was asked %d times", n-before)
		}
	})
	t.Run("the secret is gone", func(t *testing.T) {
		file := s.EnvFile(b.Name)
		if err := os.Rename(file, file+".away"); err != nil {
			t.Fatal(err)
		}
		shut("without a secret")
		if err := os.Rename(file+".away", file); err != nil {
			t.Fatal(err)
		}
		back("its return")
	})
	t.Run("stopped in the middle of its work", func(t *testing.T) {
		gate.Halt(t)
		shut("stopped")
		gate.Resume(t)
		back("it went on")
	})
	t.Run("restarted under load", func(t *testing.T) {
		var wait sync.WaitGroup
		var answers atomic.Int64
		done := make(chan struct{})
		for range 4 {
			wait.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					if r := c.Do(t, query); r.Status != 200 && r.Status != 503 {
						t.Errorf("answered %d", r.Status)
						return
					}
					answers.Add(1)
				}
			})
		}
		for range 3 {
			gate.Kill(t)
			gate = s.StartGate(t)
			enough := answers.Load() + 50
			rig.WaitFor(t, "the load to go on", func() bool { return answers.Load() > enough || t.Failed() })
		}
		close(done)
		wait.Wait()
		back("three restarts")
	})
	gate.Kill(t)
	t.Run("killed", func(t *testing.T) { shut("killed") })
	t.Run("something else in its place", func(t *testing.T) {
		if err := os.RemoveAll(s.Socket()); err != nil {
			t.Fatal(err)
		}
		shut("no socket")
		rig.WriteFile(t, s.Socket(), "")
		shut("a file for a socket")
		if err := os.RemoveAll(filepath.Dir(s.Socket())); err != nil {
			t.Fatal(err)
		}
		shut("no directory")
	})
	t.Run("out of file descriptors", func(t *testing.T) {
		few := s.Start(t, rig.Call{Before: []string{"sh", "-c", `ulimit -n 20; exec "$@"`, "sh"}, Args: []string{"gate"}})
		var held []net.Conn
		rig.WaitFor(t, "the gate to listen", func() bool { // which its socket does a moment after it is there
			conn, err := net.Dial("unix", s.Socket())
			if err == nil {
				held = append(held, conn)
			}
			return err == nil
		})
		for range 60 { // the first of these take what it has, the others wait
			conn, err := net.Dial("unix", s.Socket())
			if err != nil {
				break
			}
			held = append(held, conn)
		}
		shut("out of file descriptors")
		if few.Ended() {
			t.Errorf("it ended: %s", few.Said(t).Stderr)
		}
		for _, conn := range held {
			conn.Close()
		}
		back("it has some again")
	})
}

// checks is how often the gate was asked about a site.
func checks(tb testing.TB, socket, site string) int {
	tb.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	r, err := client.Get("http://gate/metrics")
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		tb.Fatal(err)
	}
	sum := 0
	for line := range strings.Lines(string(text)) {
		var n int
		if _, value, ok := strings.Cut(line, fmt.Sprintf("_total{site=%q} ", site)); ok {
			if _, err := fmt.Sscan(value, &n); err != nil {
				tb.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}
