//go:build soak

package modes

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// shape is how an operator may have an application served.
type shape struct {
	name   string
	serves func(net.Listener, *counting) // the application, nil for one that speaks HTTP
	unix   bool                          // it listens at a socket of its own, and not at a port
	pass   string                        // how nginx hands on to it, with its address as %s
	http   string                        // what else there is in http {}, likewise
	server string                        // and in server {}
	listen string                        // behind the address
	edit   [2]string                     // a change to nginx.conf
	admin  int                           // the exit code of set admin
}

// shapes are those that no other test has.
var shapes = []shape{
	{name: "HTTP", pass: "proxy_pass http://%s;"},
	{name: "FastCGI", serves: func(l net.Listener, c *counting) { _ = fcgi.Serve(l, c) }, pass: "fastcgi_param REQUEST_METHOD $request_method; fastcgi_param SERVER_PROTOCOL $server_protocol; fastcgi_param REQUEST_URI $request_uri; fastcgi_pass %s;"},
	{name: "SCGI", serves: says("Status: 200 OK\r\n"), pass: "scgi_pass %s;"},
	{name: "uwsgi", serves: says("HTTP/1.1 200 OK\r\n"), pass: "uwsgi_pass %s;"},
	{name: "a pool of kept connections", http: "upstream pool { server %s; keepalive 8; }", pass: "proxy_pass http://pool;", edit: [2]string{"Connection $connection_upgrade;", `Connection "";`}},
	{name: "a unix socket", unix: true, pass: "proxy_pass http://unix:%s:;"},
	{name: "another server after an error", http: "upstream pool { server 127.0.0.1:9 max_fails=0; server %s; }", pass: "proxy_next_upstream error timeout non_idempotent; proxy_pass http://pool;"},
	{name: "SSI", pass: "ssi on; ssi_types *; proxy_pass http://%s;"},
	{name: "the operator's auth_request", server: "location = /own { internal; return 204; }", pass: "auth_request /own; proxy_pass http://%s;", admin: 1},
	{name: "satisfy any", pass: "satisfy any; allow all; deny all; proxy_pass http://%s;", admin: 1},
	{name: "basic auth for all but this machine", server: "allow 127.0.0.1; deny all;", pass: "proxy_pass http://%s;"},
	{name: "error_page to a named location", server: "error_page 502 503 504 = @other; location @other { return 502; }", pass: "proxy_pass http://%s;", admin: 1},
	{name: "reuseport", listen: " reuseport", pass: "proxy_pass http://%s;"},
	{name: "realip", server: "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;", pass: "proxy_pass http://%s;"},
	{name: "8 workers", edit: [2]string{"worker_processes 2;", "worker_processes 8;"}, pass: "proxy_pass http://%s;"},
	{name: "multi_accept", edit: [2]string{"events { ", "events { multi_accept on; "}, pass: "proxy_pass http://%s;"},
}

// counting is an application that counts what comes.
type counting struct{ came atomic.Int64 }

func (c *counting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.came.Add(1)
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = io.WriteString(w, "ok")
}

// says is an application that answers each connection with the same words, after these.
func says(first string) func(net.Listener, *counting) {
	return func(l net.Listener, c *counting) {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if n, err := conn.Read(make([]byte, 1<<16)); err != nil || n == 0 {
					return // to see whether somebody is there
				}
				c.came.Add(1)
				_, _ = io.WriteString(conn, first+"Content-Type: text/plain\r\n\r\nok")
			}()
		}
	}
}

// visitors are who asks, and what they get of a closed site.
var visitors = map[string]struct {
	header []string
	want   int
}{
	"a browser":     {[]string{"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Sec-Fetch-Mode: navigate"}, 302},
	"w3m":           {[]string{"Accept: text/html, text/*;q=0.5, image/*, application/*"}, 302},
	"fetch":         {[]string{"Accept: */*", "Sec-Fetch-Mode: cors"}, 503},
	"curl":          {[]string{"Accept: */*", "User-Agent: curl/7.88.1"}, 503},
	"Java":          {[]string{"Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"}, 503},
	"a feed reader": {[]string{"Accept: application/atom+xml, application/rss+xml, text/html;q=0.1"}, 503},
	"a monitor":     {nil, 503},
}

// TestSoakShapesOfHosts closes and opens sites of every shape, by both ways, with visitors that never stop asking, and
// a neighbour whose visitors are to notice nothing.
func TestSoakShapesOfHosts(t *testing.T) {
	t.Parallel()
	for _, row := range shapes {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, app, neighbour := row.build(t)
			stop, failures := make(chan struct{}), make(chan string, 1)
			var asked, refused atomic.Int64
			pumping := make(chan struct{}, 2)
			pump := func(c rig.Client, ok func(*http.Response) bool) {
				defer func() { pumping <- struct{}{} }()
				client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
				for {
					select {
					case <-stop:
						return
					case <-time.After(5 * time.Millisecond):
					}
					res, err := client.Post("http://"+c.Addr+"/x", "text/plain", nil)
					if err == nil {
						_, _ = io.Copy(io.Discard, res.Body)
						res.Body.Close()
						asked.Add(1)
					}
					if err != nil || !ok(res) {
						select {
						case failures <- fmt.Sprintf("%s: %v %v", c.Addr, res, err):
						default:
						}
					}
				}
			}
			go pump(s.Client(), func(res *http.Response) bool {
				if res.StatusCode == 503 {
					refused.Add(1)
				}
				return res.StatusCode == 200 || res.StatusCode == 503 && res.Header.Get("X-Conforma-Status") != ""
			})
			go pump(neighbour, func(res *http.Response) bool { return res.StatusCode == 200 })
			defer func() {
				close(stop)
				<-pumping
				<-pumping
				select {
				case f := <-failures:
					t.Errorf("somebody met something else: %s", f)
				default:
				}
			}()
			for _, mode := range []string{"offline", "online", "admin", "online"} {
				code := 0
				if mode == "admin" {
					code = row.admin
				}
				s.CLI(t, "set", mode).Want(t, code)
				if code != 0 {
					continue
				}
				came, no := app.came.Load(), refused.Load()
				if mode == "online" {
					rig.WaitFor(t, "visitors to get in again", func() bool { return app.came.Load() > came })
					continue
				}
				rig.WaitFor(t, "visitors to be refused", func() bool { return refused.Load() > no+20 })
				for who, v := range visitors {
					r := s.Client().Do(t, rig.Message{Target: "/page", Header: v.header})
					if r.Status != v.want || r.Header.Get("X-Conforma-Status") != mode {
						t.Errorf("%s: %s gets %d", mode, who, r.Status)
					}
				}
				if n := app.came.Load() - came; n != 0 {
					t.Errorf("%s: %d requests reached the application after it returned", mode, n)
				}
				s.CLI(t, "get").Want(t, 0)
			}
		})
	}
}

// build puts the host up, with a neighbour on another port.
func (row shape) build(t *testing.T) (*rig.Single, *counting, rig.Client) {
	t.Helper()
	s, app := rig.NewSingle(t), &counting{}
	network, addr, upstream := "tcp4", rig.Loopback(rig.Port(t)), ""
	if upstream = addr; row.unix {
		network, addr = "unix", filepath.Join(s.Nginx.Dir, "app.sock")
		upstream = "unix:" + addr
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	if row.unix { // for nginx's workers, who are somebody else
		rig.Check(t, os.Chmod(addr, 0o777))
	}
	serve := row.serves
	if serve == nil {
		serve = func(l net.Listener, c *counting) { _ = (&http.Server{Handler: c}).Serve(l) }
	}
	done := make(chan struct{})
	go func() { defer close(done); serve(l, app) }()
	t.Cleanup(func() { l.Close(); <-done })

	with := func(text string) string { return strings.ReplaceAll(text, "%s", addr) }
	rig.Edit(t, s.Config, fmt.Sprintf("%q", rig.Loopback(s.App.Port)), fmt.Sprintf("%q", upstream))
	next := rig.Client{Addr: rig.Loopback(rig.Port(t)), Host: "neighbour.example.org"}
	rig.WriteFile(t, s.Enabled("neighbour.conf"), fmt.Sprintf("%s\nserver { listen %s; location / { proxy_pass http://%s; } }\n", with(row.http), next.Addr, rig.Loopback(s.App.Port)))
	s.Server = row.server
	s.CLI(t, "render").Want(t, 0)
	s.WriteNginx(t)
	rig.Edit(t, s.Nginx.Conf, "proxy_pass http://"+rig.Loopback(s.App.Port)+";", with(row.pass))
	if row.listen != "" {
		at := "listen " + rig.Loopback(s.Blocks[0].Port)
		rig.Edit(t, s.Nginx.Conf, at+";", at+row.listen+";")
	}
	if row.edit[0] != "" {
		rig.Edit(t, s.Nginx.Conf, row.edit[0], row.edit[1])
	}
	s.Nginx.Start(t)
	s.StartGate(t)
	return s, app, next
}
