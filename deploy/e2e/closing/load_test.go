package closing

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// load is traffic that goes on until it is stopped, one goroutine for each of its clients.
type load struct {
	host *testHost
	ctx  context.Context
	stop func()
	wait sync.WaitGroup

	done    atomic.Int64 // requests that the application answered, and messages that it sent back
	mu      sync.Mutex
	failed  []string // what didn't get the application's answer
	runners []*runner
}

// runner is one thing that a client does again and again.
type runner struct {
	admin bool         // with a token
	tries atomic.Int64 // that have come to their end, whatever that was
}

// newLoad ends with tb at the latest.
func newLoad(tb testing.TB, h *testHost) *load {
	l := &load{host: h}
	l.ctx, l.stop = context.WithCancel(context.Background())
	tb.Cleanup(l.end)
	return l
}

// end stops all clients and returns when they are gone.
func (l *load) end() {
	l.stop()
	l.wait.Wait()
}

// failures returns what didn't get the application's answer.
func (l *load) failures() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *load) fail(format string, args ...any) {
	if l.ctx.Err() != nil {
		return // the end of the load is no failure
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// client is one visitor's browser at a site: its connections are kept.
type client struct {
	*load
	site  *testSite
	token string // "" for none
	http  http.Client
}

func (l *load) client(s *testSite, proto string, admin bool) *client {
	c := &client{load: l, site: s}
	if admin {
		c.token = rig.AdminToken(testSecret)
	}
	t := &http.Transport{
		TLSClientConfig: l.host.roots.Clone(),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", dialledAt(s))
		},
		Protocols: new(http.Protocols),
	}
	t.TLSClientConfig.CurvePreferences = []tls.CurveID{tls.X25519}
	t.Protocols.SetHTTP1(proto == "HTTP/1.1")
	t.Protocols.SetHTTP2(proto == "HTTP/2")
	c.http = http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c
}

// run has the client do one thing again and again, with a pause in between.
func (c *client) run(pause time.Duration, once func()) {
	r := &runner{admin: c.token != ""}
	c.mu.Lock()
	c.runners = append(c.runners, r)
	c.mu.Unlock()
	c.wait.Go(func() {
		defer c.http.CloseIdleConnections()
		for c.ctx.Err() == nil {
			once()
			r.tries.Add(1)
			select {
			case <-time.After(pause):
			case <-c.ctx.Done():
			}
		}
	})
}

// goesOn waits until all that runs has been tried again so many times, each from beginning to end; what comes with a
// token only where admins is set.
func (l *load) goesOn(tb testing.TB, times int64, admins bool) {
	tb.Helper()
	l.mu.Lock()
	until := map[*runner]int64{}
	for _, r := range l.runners {
		if admins || !r.admin {
			until[r] = r.tries.Load() + 1 + times // one is under way
		}
	}
	l.mu.Unlock()
	rig.WaitFor(tb, "the traffic to go on", func() bool {
		for r, tries := range until {
			if r.tries.Load() < tries {
				return false
			}
		}
		return true
	})
}

// ask sends a request and reports whether the application answered. A connection that was kept and turns out to be
// closed is tried once more on another one, as browsers do: nginx closes those that are idle at every reload.
func (c *client) ask(method, path string, body func() io.Reader) bool {
	for again := false; ; again = true {
		reused := false
		ctx := httptrace.WithClientTrace(c.ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
		req, err := http.NewRequestWithContext(ctx, method, c.site.url()+path, body())
		if err != nil {
			panic(err) // our own spelling
		}
		if c.token != "" {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := c.http.Do(req)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		switch {
		case err == nil && resp.StatusCode == http.StatusOK:
			c.done.Add(1)
			return true
		case err == nil:
			c.fail("%s %s%s: %s", method, c.site.name, path, resp.Status)
			return false
		case !reused || again:
			c.fail("%s %s%s: %v", method, c.site.name, path, err)
			return false
		}
	}
}

func (c *client) post() bool {
	return c.ask(http.MethodPost, postPath, func() io.Reader {
		return bytes.NewReader([]byte(`{"query":"mutation { updateApplication(id: 1) { id } }"}`))
	})
}

// hold asks for something that the application works on until it is released.
func (c *client) hold() bool {
	return c.ask(http.MethodGet, heldPath, func() io.Reader { return nil })
}

// linger asks for something that the application works on for that long.
func (c *client) linger(d time.Duration) {
	c.ask(http.MethodGet, fmt.Sprintf("%s?ms=%d", slowPath, d.Milliseconds()), func() io.Reader { return nil })
}

// upload sends a body in so many parts with pauses between them.
func (c *client) upload(path string, parts int, pause time.Duration) {
	c.ask(http.MethodPost, path, func() io.Reader { return &trickle{ctx: c.ctx, parts: parts, pause: pause} })
}

// trickle is a body that takes its time.
type trickle struct {
	ctx   context.Context
	parts int // -1 for no end
	pause time.Duration
	// complete ends the body when it is closed; nil for one that only ends with its parts.
	complete chan struct{}
}

func (t *trickle) Read(p []byte) (int, error) {
	if t.parts == 0 {
		return 0, io.EOF
	}
	t.parts--
	select {
	case <-time.After(t.pause):
	case <-t.complete:
		return 0, io.EOF
	case <-t.ctx.Done():
		return 0, t.ctx.Err()
	}
	return copy(p, bytes.Repeat([]byte("u"), 1<<10)), nil
}

// dialSocket opens a WebSocket.
func (c *client) dialSocket() (*websocket.Conn, error) {
	header := http.Header{}
	if c.token != "" {
		header.Set("Authorization", "Bearer "+c.token)
	}
	ctx, cancel := context.WithTimeout(c.ctx, rig.Patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, c.site.url()+socketPath, &websocket.DialOptions{HTTPClient: &c.http, HTTPHeader: header})
	return conn, err
}

// chat opens a WebSocket and sends on it, with a pause after each message that came back, until it breaks.
func (c *client) chat(pause time.Duration) {
	conn, err := c.dialSocket()
	if err != nil {
		c.fail("open a WebSocket at %s: %v", c.site.name, err)
		return
	}
	defer conn.CloseNow()
	for c.ctx.Err() == nil {
		if err := exchange(c.ctx, conn); err != nil {
			c.fail("WebSocket at %s: %v", c.site.name, err)
			return
		}
		c.done.Add(1)
		select {
		case <-time.After(pause):
		case <-c.ctx.Done():
		}
	}
}

// exchange sends a message and waits until it comes back.
func exchange(ctx context.Context, conn *websocket.Conn) error {
	if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		return err
	}
	_, data, err := conn.Read(ctx)
	if err == nil && string(data) != "hello" {
		err = errors.New("something else came back")
	}
	return err
}

// sendEverything sends all kinds of traffic at once, with tokens and without.
func (l *load) sendEverything(s *testSite) {
	for i := range 3 {
		c := l.client(s, "HTTP/1.1", i == 0)
		c.run(5*time.Millisecond, func() { c.post() })
	}
	for _, admin := range []bool{true, false} {
		h2 := l.client(s, "HTTP/2", admin)
		for range 2 { // on one connection
			h2.run(5*time.Millisecond, func() { h2.post() })
		}
		socket := l.client(s, "HTTP/1.1", admin)
		socket.run(10*time.Millisecond, func() { socket.chat(5 * time.Millisecond) })
		buffered := l.client(s, "HTTP/1.1", admin)
		buffered.run(10*time.Millisecond, func() { buffered.upload(uploadPath, 20, 15*time.Millisecond) })
		streamed := l.client(s, "HTTP/2", admin)
		streamed.run(10*time.Millisecond, func() { streamed.upload(streamPath, 20, 15*time.Millisecond) })
		slow := l.client(s, "HTTP/1.1", admin)
		slow.run(10*time.Millisecond, func() { slow.linger(400 * time.Millisecond) })
	}
}

// sendAsBystander sends traffic at a site that nobody switches. No part of it must fail.
func (l *load) sendAsBystander(s *testSite, sockets bool) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2"} {
		c := l.client(s, proto, false)
		c.run(10*time.Millisecond, func() { c.post() })
	}
	slow := l.client(s, "HTTP/1.1", false)
	slow.run(10*time.Millisecond, func() { slow.linger(150 * time.Millisecond) })
	up := l.client(s, "HTTP/1.1", false)
	up.run(10*time.Millisecond, func() { up.upload(uploadPath, 10, 10*time.Millisecond) })
	if sockets {
		socket := l.client(s, "HTTP/1.1", false)
		socket.run(10*time.Millisecond, func() { socket.chat(10 * time.Millisecond) })
	}
}
