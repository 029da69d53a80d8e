//go:build soak

package modes

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakOverHTTP3 has a site whose visitors come over QUIC as well, with an upload that is under way when it closes,
// and a connection that is idle.
func TestSoakOverHTTP3(t *testing.T) {
	t.Parallel()
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
	connect := func() *http3.Transport {
		return &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: certificate.Roots, ServerName: rig.Hostname}}
	}
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	send := func(c *http3.Transport, method, path string, body io.Reader, header ...string) *http.Response {
		req, err := http.NewRequestWithContext(ctx, method, "https://"+addr+path, body)
		rig.Check(t, err)
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			req.Header.Set(name, value)
		}
		res, err := c.RoundTrip(req)
		if err != nil {
			t.Errorf("%s %s: %v", method, path, err)
			return &http.Response{}
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return res
	}

	for _, mode := range []string{"offline", "admin", "online"} {
		before := s.App.Count()
		c := connect()
		reader, writer := io.Pipe()
		uploaded := make(chan *http.Response, 1)
		if mode != "online" {
			s.CLI(t, "set", "online").Want(t, 0)
			go func() { uploaded <- send(c, "POST", "/server/api/upload", reader, "Content-Length: 200000") }()
			_, err := io.WriteString(writer, strings.Repeat("u", 100_000))
			rig.Check(t, err)
			time.Sleep(300 * time.Millisecond) // nginx, which holds it back, shows nobody what it has
		}
		idle := connect() // holds nothing up
		send(idle, "GET", "/.conforma-status/status.json", nil)
		began := time.Now()
		set := s.Start(t, rig.Call{Args: []string{"set", mode, "--drain", "1m"}})
		if mode != "online" {
			rig.WaitFor(t, "the site to be shut", func() bool { return rig.ClosedFileIsThere(s) })
			_, err := io.WriteString(writer, strings.Repeat("u", 100_000))
			rig.Check(t, err)
			writer.Close()
			if res := <-uploaded; res.StatusCode != 200 {
				t.Errorf("%s: an upload from before gets %d", mode, res.StatusCode)
			}
		}
		c.Close()
		set.Wait(t).Want(t, 0)
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s: it took %v, with a connection that is idle", mode, took)
		}
		idle.Close()
		whole := 0
		for _, r := range s.App.Since(before) {
			if r.Body == 200_000 {
				whole++
			}
		}
		if mode != "online" && whole != 1 {
			t.Errorf("%s: %d of 1 uploads reached the application", mode, whole)
		}
		c = connect()
		sofar := s.App.Count()
		want := map[string]int{"a page": 302, "an upload": 503, "a call": 503}
		if mode == "online" {
			want = map[string]int{"a page": 200, "an upload": 200, "a call": 200}
		}
		for what, got := range map[string]*http.Response{
			"a page":    send(c, "GET", "/application/1", nil, "Accept: text/html,application/xhtml+xml", "Sec-Fetch-Mode: navigate"),
			"an upload": send(c, "POST", "/server/api/upload", strings.NewReader(strings.Repeat("u", 1<<20))),
			"a call":    send(c, "POST", "/server/graphql", strings.NewReader("{}"), "Sec-Fetch-Mode: cors"),
		} {
			if got.StatusCode != want[what] || want[what] != 200 && got.Header.Get("X-Conforma-Status") != mode {
				t.Errorf("%s: %s gets %d", mode, what, got.StatusCode)
			}
		}
		if got := send(c, "GET", "/.conforma-status/status.json", nil); got.StatusCode != 200 {
			t.Errorf("%s: status.json: %d", mode, got.StatusCode)
		}
		if n := s.App.Count() - sofar; mode != "online" && n != 0 {
			t.Errorf("%s: %d requests reached the application", mode, n)
		}
		c.Close()
	}
}
