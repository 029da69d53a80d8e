//go:build soak

package modes

import (
	"crypto/tls"
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
	http2  bool                          // visitors come over TLS, and HTTP/2 as well
	h2c    bool                          // they come over HTTP/2 without TLS, and nothing else is spoken
	first  string                        // what they say before all else
	accel  string                        // the application has nginx answer with this, by X-Accel-Redirect
	shares bool                          // the neighbour is at the site's own port, by another name
	ipv6   bool                          // nginx listens at [::], and visitors come to ::1
	user   string                        // and password, which is needed while it is open; empty for nobody's
	apart  bool                          // the neighbour has an nginx of its own
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
	{name: "a password", server: "auth_basic own; auth_basic_user_file users;", pass: "proxy_pass http://%s;", user: "visitor:secret"},
	{name: "a password, or another machine", server: "satisfy any; allow 192.0.2.1; deny all; auth_basic own; auth_basic_user_file users;", pass: "proxy_pass http://%s;", user: "visitor:secret", admin: 1},
	{name: "basic auth for all but this machine", server: "allow 127.0.0.1; deny all;", pass: "proxy_pass http://%s;"},
	{name: "error_page to a named location", server: "error_page 502 503 504 = @other; location @other { return 502; }", pass: "proxy_pass http://%s;", admin: 1},
	{name: "reuseport", listen: " reuseport", pass: "proxy_pass http://%s;"},
	{name: "realip", server: "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;", pass: "proxy_pass http://%s;"},
	{name: "8 workers", edit: [2]string{"worker_processes 2;", "worker_processes 8;"}, pass: "proxy_pass http://%s;"},
	{name: "IPv6", ipv6: true, pass: "proxy_pass http://%s;"},
	{name: "a neighbour with an nginx of its own", apart: true, pass: "proxy_pass http://%s;"},
	{name: "X-Accel-Redirect", accel: "/kept", server: "location = /kept { internal; empty_gif; }", pass: "proxy_pass http://%s;"},
	{name: "the PROXY protocol", listen: " proxy_protocol", first: "PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n", pass: "proxy_pass http://%s;"},
	{name: "two sites on a port", shares: true, server: "server_name 127.0.0.1;", pass: "proxy_pass http://%s;"},
	{name: "multi_accept", edit: [2]string{"events { ", "events { multi_accept on; "}, pass: "proxy_pass http://%s;"},
}

// overHTTP2 are those whose visitors have many requests under way on one connection.
var overHTTP2 = []shape{
	{name: "HTTP/2", http2: true, pass: "proxy_pass http://%s;"},
	{name: "gRPC over TLS", http2: true, pass: "grpc_pass grpcs://%s;"},
	{name: "gRPC without TLS", h2c: true, listen: " http2", pass: "grpc_pass grpc://%s;"},
}

// heldPath is where counting works until it is released.
const heldPath = "/conforma.Applications/Hold"

// counting is an application that counts what comes, and what it has done of that.
type counting struct {
	came, done, held atomic.Int64
	release          chan struct{} // takes one for each request that is held
	accel            string        // its X-Accel-Redirect, "" for none
}

func (c *counting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.came.Add(1)
	_, _ = io.Copy(io.Discard, r.Body)
	if r.URL.Path == heldPath {
		c.held.Add(1)
		<-c.release
		c.held.Add(-1)
	}
	c.done.Add(1) // before its client hears of it
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	if c.accel != "" {
		w.Header().Set("X-Accel-Redirect", c.accel)
	}
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
				c.done.Add(1)
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
func TestSoakShapesOfHosts(t *testing.T) { tryShapes(t, shapes) }

// TestSoakStreams is the same where nginx has many requests of one connection under way when the site closes.
func TestSoakStreams(t *testing.T) { tryShapes(t, overHTTP2) }

func tryShapes(t *testing.T, shapes []shape) {
	t.Parallel()
	for _, row := range shapes {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, app, visitor, neighbour := row.build(t)
			var kept *rig.Conn // to an nginx that no command of ours is to touch
			if row.apart {
				kept = neighbour.Dial(t)
				defer kept.Close()
			}
			stop, failures := make(chan struct{}), make(chan string, 1)
			var asked, refused atomic.Int64
			pumping := make(chan struct{}, 2)
			pump := func(c rig.Client, ok func(*http.Response) bool) {
				defer func() { pumping <- struct{}{} }()
				transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: c.TLS.Clone(), Protocols: new(http.Protocols)}
				transport.Protocols.SetHTTP1(!row.h2c || c == neighbour)
				transport.Protocols.SetUnencryptedHTTP2(row.h2c && c != neighbour)
				if c.First != "" {
					transport.DialContext = c.DialContext
				}
				client := &http.Client{Transport: transport}
				at := "http://" + c.Addr + "/x"
				if c.TLS != nil {
					at = "https://" + c.Addr + "/x"
				}
				for {
					select {
					case <-stop:
						return
					case <-time.After(5 * time.Millisecond):
					}
					req, err := http.NewRequest("POST", at, nil)
					if err != nil {
						panic(err) // our own spelling
					}
					req.Host = c.Host
					if name, password, needed := strings.Cut(row.user, ":"); needed {
						req.SetBasicAuth(name, password)
					}
					res, err := client.Do(req)
					if err != nil && strings.Contains(err.Error(), "client conn could not be established") {
						res, err = client.Do(req) // seen when nginx 1.30 is reloaded: no request was sent yet, and clients ask again
					}
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
			go pump(visitor, func(res *http.Response) bool {
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
				if (row.http2 || row.h2c) && mode != "online" {
					setMeanwhile(t, s, app, visitor, mode)
				} else {
					args := []string{"set", mode}
					if row.shares { // another name on the site's port, which the gate doesn't keep
						args = append(args, "--force")
					}
					s.CLI(t, args...).Want(t, code)
				}
				if kept != nil {
					if got := kept.Do(t, rig.Message{}).Status; got != 200 {
						t.Errorf("%s: the neighbour answers %d", mode, got)
					}
				}
				if code != 0 {
					continue
				}
				came, committed, no := app.came.Load(), app.done.Load(), refused.Load()
				if mode == "online" {
					rig.WaitFor(t, "visitors to get in again", func() bool { return app.came.Load() > came })
					if row.user != "" {
						if got := visitor.Get(t, "/page").Status; got != 401 {
							t.Errorf("without a password it answers %d", got)
						}
					}
					continue
				}
				rig.WaitFor(t, "visitors to be refused", func() bool { return refused.Load() > no+20 })
				for who, v := range visitors {
					m := rig.Message{Target: "/page", Header: v.header}
					var got []rig.Response
					if !row.h2c {
						got = append(got, visitor.Do(t, m))
					}
					if row.http2 || row.h2c {
						got = append(got, visitor.DoHTTP2(t, m))
					}
					for _, r := range got {
						if r.Status != v.want || r.Header.Get("X-Conforma-Status") != mode {
							t.Errorf("%s: %s gets %s %d", mode, who, r.Proto, r.Status)
						}
					}
				}
				if n, done := app.came.Load()-came, app.done.Load()-committed; n != 0 || done != 0 {
					t.Errorf("%s: %d requests reached the application after it returned, which did %d", mode, n, done)
				}
				s.CLI(t, "get").Want(t, 0)
			}
		})
	}
}

// build puts the host up, with a neighbour on another port, and returns clients of both.
func (row shape) build(t *testing.T) (s *rig.Single, app *counting, visitor, neighbour rig.Client) {
	t.Helper()
	s, app = rig.NewSingle(t), &counting{release: make(chan struct{}), accel: row.accel}
	certificate := rig.NewCertificate(t, filepath.Join(s.Nginx.Dir, "cert"), rig.Hostname)
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
		serve = func(l net.Listener, c *counting) {
			server := &http.Server{Handler: c, Protocols: new(http.Protocols)}
			server.Protocols.SetHTTP1(true)
			server.Protocols.SetHTTP2(true)
			server.Protocols.SetUnencryptedHTTP2(true)
			if strings.Contains(row.pass, "grpcs:") {
				_ = server.ServeTLS(l, certificate.Fullchain, certificate.Privkey)
			} else {
				_ = server.Serve(l)
			}
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); serve(l, app) }()
	t.Cleanup(func() { l.Close(); <-done })

	with := func(text string) string { return strings.ReplaceAll(text, "%s", addr) }
	rig.Edit(t, s.Config, fmt.Sprintf("%q", rig.Loopback(s.App.Port)), fmt.Sprintf("%q", upstream))
	rig.WriteFile(t, filepath.Join(s.Nginx.Dir, "users"), strings.ReplaceAll(row.user, ":", ":{PLAIN}")+"\n")
	visitor, neighbour = s.Client(), rig.Client{Addr: rig.Loopback(rig.Port(t)), Host: "neighbour.example.org"}
	visitor.First = row.first
	if row.shares {
		neighbour.Addr = visitor.Addr
	}
	beside := fmt.Sprintf("server { listen %s; server_name %s; location / { proxy_pass http://%s; } }\n", neighbour.Addr, neighbour.Host, rig.Loopback(s.App.Port))
	if row.apart {
		other := rig.NewNginx(t)
		other.Configure(t, beside)
		other.Start(t)
		beside = ""
	}
	rig.WriteFile(t, s.Enabled("neighbour.conf"), with(row.http)+"\n"+beside)
	s.Server = row.server
	at, listen := "listen "+visitor.Addr, "listen "+visitor.Addr+row.listen
	if row.ipv6 {
		visitor.Addr = fmt.Sprintf("[::1]:%d", s.Blocks[0].Port)
		visitor.Host, listen = visitor.Addr, fmt.Sprintf("listen [::]:%d", s.Blocks[0].Port)
		rig.Edit(t, s.Config, fmt.Sprintf("listen    = %q", rig.Loopback(s.Blocks[0].Port)), fmt.Sprintf("listen    = %q", visitor.Addr))
	}
	if row.http2 {
		visitor.TLS = &tls.Config{RootCAs: certificate.Roots, ServerName: rig.Hostname}
		listen = fmt.Sprintf("ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate %s; ssl_certificate_key %s; %s ssl http2", certificate.Fullchain, certificate.Privkey, listen)
	}
	s.CLI(t, "render").Want(t, 0)
	s.WriteNginx(t)
	rig.Edit(t, s.Nginx.Conf, "proxy_pass http://"+rig.Loopback(s.App.Port)+";", with(row.pass))
	rig.Edit(t, s.Nginx.Conf, at+";", listen+";")
	if row.edit[0] != "" {
		rig.Edit(t, s.Nginx.Conf, row.edit[0], row.edit[1])
	}
	s.Nginx.Start(t)
	s.StartGate(t)
	return s, app, visitor, neighbour
}
