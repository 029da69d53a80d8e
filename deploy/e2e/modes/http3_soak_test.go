//go:build soak

package modes

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// overQUIC is a host whose visitors come over HTTP/3 as well.
type overQUIC struct {
	*rig.Single
	addr  string
	roots *tls.Config
}

func newOverQUIC(t *testing.T) *overQUIC {
	t.Helper()
	s := rig.NewSingle(t)
	binary, err := os.ReadFile(s.Nginx.Binary())
	rig.Check(t, err)
	if !bytes.Contains(binary, []byte("http3_stream_buffer_size\x00")) {
		t.Skip("this nginx has no HTTP/3: TestSoakModesOnEveryNginx has others")
	}
	dir := filepath.Join(s.Nginx.Dir, "cert")
	certificate := rig.NewCertificate(t, dir, rig.Hostname)
	s.CLI(t, "render").Want(t, 0)
	s.WriteNginx(t)
	at := rig.Loopback(s.Blocks[0].Port)
	addr := fmt.Sprintf("127.0.0.2:%d", s.Blocks[0].Port) // the port of UDP at the other is the mark that it is taken
	rig.Edit(t, s.Nginx.Conf, "listen "+at+";", fmt.Sprintf(
		"listen %s ssl; listen %s quic reuseport; ssl_certificate %s/fullchain.pem; ssl_certificate_key %[3]s/privkey.pem;", at, addr, dir))
	s.Nginx.Start(t)
	s.StartGate(t)
	return &overQUIC{s, addr, &tls.Config{RootCAs: certificate.Roots, ServerName: rig.Hostname}}
}

// connect is a client with a connection of its own.
func (s *overQUIC) connect() *http3.Transport {
	return &http3.Transport{TLSClientConfig: s.roots.Clone()}
}

// ask sends a request and reads the answer whole.
func (s *overQUIC) ask(ctx context.Context, c *http3.Transport, method, path string, body io.Reader, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://"+s.addr+path, body)
	if err != nil {
		return nil, err
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	res, err := c.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res, err
}

// send is ask where an answer has to come.
func (s *overQUIC) send(t *testing.T, c *http3.Transport, method, path string, body io.Reader, header ...string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	res, err := s.ask(ctx, c, method, path, body, header...)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return &http.Response{}
	}
	return res
}

// stays has a client that asks again and again until stop is called. Old workers end its connections, and may not hear
// that it has ended them: of who sends to the socket that all share, each hears a part.
func (s *overQUIC) stays(t *testing.T) (stop func()) {
	ctx, leave := context.WithCancel(t.Context())
	c, left := s.connect(), make(chan struct{})
	go func() {
		defer close(left)
		for ctx.Err() == nil {
			_, _ = s.ask(ctx, c, "GET", "/.conforma-status/status.json", nil)
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return func() { leave(); <-left; c.Close() }
}

// longDrain is said when workers have been waited for longer than without a request in a file.
var longDrain = regexp.MustCompile(`draining: \d+ old workers?, ([6-9]|\d\d) s of 60 s`)

// TestSoakOverHTTP3 has a site whose visitors come over QUIC as well, with an upload that is under way when it
// closes, a connection that is idle, and a client that stays and goes on asking.
func TestSoakOverHTTP3(t *testing.T) {
	t.Parallel()
	s := newOverQUIC(t)
	for _, mode := range []string{"offline", "online", "admin", "online"} {
		before := s.App.Count()
		c, idle := s.connect(), s.connect()
		reader, writer := io.Pipe()
		uploaded := make(chan *http.Response, 1)
		if mode != "online" {
			go func() {
				uploaded <- s.send(t, c, "POST", "/server/api/upload", reader, "Content-Length: 200000")
			}()
			_, err := io.WriteString(writer, strings.Repeat("u", 199_000))
			rig.Check(t, err)
			time.Sleep(300 * time.Millisecond) // nginx, which holds it back, shows nobody what it has
		}
		s.send(t, idle, "GET", "/.conforma-status/status.json", nil)
		leave := s.stays(t)
		set := s.Start(t, rig.Call{Args: []string{"set", mode, "--drain", "1m"}})
		if mode != "online" {
			rig.WaitFor(t, "the upload to be waited for", func() bool {
				said := set.Said(t).Stderr // in admin mode it is waited for in any case
				return set.Ended() || longDrain.MatchString(said) || mode == "admin" && strings.Contains(said, "draining: ")
			})
			_, err := io.WriteString(writer, strings.Repeat("u", 1_000))
			rig.Check(t, err)
			writer.Close()
			if res := <-uploaded; res.StatusCode != 200 {
				t.Errorf("%s: an upload from before gets %d", mode, res.StatusCode)
			}
		}
		c.Close()
		began := time.Now()
		set.Wait(t).Want(t, 0)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: it took %v, with a connection that is idle and one that isn't", mode, took)
		}
		idle.Close()
		leave()
		whole := 0
		for _, r := range s.App.Since(before) {
			if r.Body == 200_000 {
				whole++
			}
		}
		if mode != "online" && whole != 1 {
			t.Errorf("%s: %d of 1 uploads reached the application", mode, whole)
		}
		s.sees(t, mode)
	}
}

// sees tries what visitors get. Nginx starts anew before: while a worker is left from before a reload, it and the new
// ones each hear a part of what comes, and whoever has just come waits for long.
func (s *overQUIC) sees(t *testing.T, mode string) {
	t.Helper()
	s.Nginx.Stop(t)
	s.Nginx.Start(t)
	c := s.connect()
	defer c.Close()
	sofar := s.App.Count()
	want := map[string]int{"a page": 302, "an upload": 503, "a call": 503}
	if mode == "online" {
		want = map[string]int{"a page": 200, "an upload": 200, "a call": 200}
	}
	for what, got := range map[string]*http.Response{
		"a page":    s.send(t, c, "GET", "/application/1", nil, "Accept: text/html,application/xhtml+xml", "Sec-Fetch-Mode: navigate"),
		"an upload": s.send(t, c, "POST", "/server/api/upload", strings.NewReader(strings.Repeat("u", 1<<20))),
		"a call":    s.send(t, c, "POST", "/server/graphql", strings.NewReader("{}"), "Sec-Fetch-Mode: cors"),
	} {
		if got.StatusCode != want[what] || want[what] != 200 && got.Header.Get("X-Conforma-Status") != mode {
			t.Errorf("%s: %s gets %d", mode, what, got.StatusCode)
		}
	}
	if got := s.send(t, c, "GET", "/.conforma-status/status.json", nil); got.StatusCode != 200 {
		t.Errorf("%s: status.json: %d", mode, got.StatusCode)
	}
	if n := s.App.Count() - sofar; mode != "online" && n != 0 {
		t.Errorf("%s: %d requests reached the application", mode, n)
	}
}

// TestSoakResetOverHTTP3 has clients reset, while the site closes, a request that the application is at work on, and
// an upload that nginx hasn't got whole. The one is waited for, of the other nothing comes.
func TestSoakResetOverHTTP3(t *testing.T) {
	t.Parallel()
	s := newOverQUIC(t)
	release := make(chan struct{})
	s.App.Handle = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == rig.HeldPath {
			<-release
		}
		return r.URL.Path == rig.HeldPath
	}
	for _, mode := range []string{"offline", "online", "admin", "online"} {
		if mode == "online" {
			s.CLI(t, "set", mode).Want(t, 0)
			s.sees(t, mode)
			continue
		}
		before := s.App.Count()
		ctx, reset := context.WithCancel(t.Context())
		reader, writer := io.Pipe()
		var ended []chan error
		for path, body := range map[string]io.Reader{rig.HeldPath: strings.NewReader("{}"), "/server/api/upload": reader} {
			c, end := s.connect(), make(chan error, 1)
			defer c.Close()
			go func() {
				_, err := s.ask(ctx, c, "POST", path, body)
				end <- err
			}()
			ended = append(ended, end)
		}
		_, err := io.WriteString(writer, strings.Repeat("u", 1_000)) // too little for a file
		rig.Check(t, err)
		rig.WaitFor(t, "the request to arrive", func() bool { return len(s.App.Open()) == 1 })
		set := s.Start(t, rig.Call{Args: []string{"set", mode, "--drain", "1m"}})
		set.Says(t, "draining: ")
		reset()
		for _, end := range ended {
			if err := <-end; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: a request that was reset ends with %v", mode, err)
			}
		}
		writer.Close()
		time.Sleep(300 * time.Millisecond) // no signal says that something doesn't end
		if set.Ended() {
			t.Errorf("%s: the command doesn't wait for what the application is at work on", mode)
		}
		release <- struct{}{}
		set.Wait(t).Want(t, 0)
		if n := s.App.Count() - before; n != 1 || len(s.App.Open()) != 0 {
			t.Errorf("%s: %d requests reached the application, which is at work on %d", mode, n, len(s.App.Open()))
		}
		s.sees(t, mode)
	}
}
