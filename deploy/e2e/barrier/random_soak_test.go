//go:build soak

package barrier

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// rounds is how often a host is made up, and inRound how many servers each has.
const (
	rounds  = 4
	inRound = 120
)

// TestSoakRandomHoles makes up servers that lead to an application, by ways that nginx's grammar has, and closes its
// site. Nothing arrives, whatever the reading of the configuration makes of them.
func TestSoakRandomHoles(t *testing.T) {
	rig.NeedBarrier(t)
	chance := rig.NewChance(t)
	h := newHost(t)
	at, opened := listener(t)
	h.EditConfig(t, "upstreams = [", fmt.Sprintf("upstreams = [%q, ", rig.Loopback(at)))
	h.CLI(t, "render").Want(t, 0)
	for round := range rounds {
		first := rig.Ports(t, inRound)
		var all []*madeUp
		var http, servers strings.Builder
		for i := range inRound {
			m := &madeUp{chance: chance, id: fmt.Sprintf("%d_%d", round, i), at: at, port: first + i, dir: h.Nginx.Dir}
			m.write()
			http.WriteString(m.http.String())
			servers.WriteString(m.text + "\n")
			all = append(all, m)
		}
		h.Nginx.Stop(t)
		rig.WriteFile(t, h.Enabled("shape.conf"), "variables_hash_max_size 8192; split_clients $remote_addr $all { 100% 127.0.0.1; }\n"+http.String()+servers.String())
		h.WriteNginx(t)
		h.Nginx.Start(t)
		leads := 0
		for _, m := range all {
			if m.arrives(opened) {
				leads++
			}
		}
		if leads < inRound/2 {
			t.Errorf("of %d made up servers only %d lead to the application", inRound, leads)
		}
		t.Logf("round %d: %d of %d servers lead to the application while it is open", round, leads, inRound)
		got := receiptOf(t, h.CLI(t, "set", "offline", "--drain", "1s", "--json").Want(t, 0))
		if !got.Barrier {
			t.Fatalf("there is no barrier: %+v", got)
		}
		before := opened.Load()
		for _, m := range all {
			if m.arrives(opened) {
				t.Errorf("closed, and it gets through:\n%s%s\nby %s", m.http.String(), m.text, m.path)
			}
		}
		if n := opened.Load() - before; n > 0 {
			t.Errorf("%d connections in all reached the application of a closed site", n)
		}
		got = receiptOf(t, h.CLI(t, "set", "online", "--json").Want(t, 0))
		if got.Tried == nil || got.Tried.Nginx < leads {
			t.Errorf("%d servers led there, and the opening says that nginx tried %+v", leads, got.Tried)
		}
	}
}

// listener is an application that ends each connection, and counts them: it needn't understand what is said.
func listener(t *testing.T) (port int, opened *atomic.Int64) {
	t.Helper()
	port, opened = rig.Port(t), new(atomic.Int64)
	l, err := net.Listen("tcp", fmt.Sprintf("[::]:%d", port))
	rig.Check(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			opened.Add(1)
			c.Close()
		}
	}()
	return port, opened
}

// madeUp is a server by chance.
type madeUp struct {
	chance   *rig.Chance
	id, dir  string
	at, port int // the application's, and its own

	http   strings.Builder // what it needs of http {}
	server strings.Builder
	vars   int
	query  []string
	header http.Header
	text   string
	path   string
}

func (m *madeUp) write() {
	m.header = http.Header{}
	addr := m.one("127.0.0.1", "127.0.0.1", "127.0.0.3", "127.9.8.7", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]")
	port := fmt.Sprint(m.at)
	var to string
	switch m.chance.IntN(4) {
	case 0:
		to = m.way(addr + ":" + port)
	case 1:
		to = m.way(addr) + ":" + m.way(port)
	case 2:
		fmt.Fprintf(&m.http, "upstream up_%s { server %s:%s%s; }\n", m.id, m.one("127.0.0.1", "0x7f000001", "2130706433", "127.1", "017700000001", "localhost"), port, m.one("", " weight=3", " max_fails=0"))
		to = m.way("up_" + m.id)
	default:
		to = addr + ":" + m.way(port)
	}
	m.place(to)
	m.text = fmt.Sprintf("server { listen %s; %s }", rig.Loopback(m.port), m.server.String())
	if m.path += "?" + strings.Join(m.query, "&"); len(m.query) == 0 {
		m.path = strings.TrimSuffix(m.path, "?")
	}
}

func (m *madeUp) one(of ...string) string { return of[m.chance.IntN(len(of))] }

// variable is a name for another one.
func (m *madeUp) variable() string {
	m.vars++
	return fmt.Sprintf("v_%s_%d", m.id, m.vars)
}

// way writes what it takes to come by the value, and returns what stands for it.
func (m *madeUp) way(value string) string {
	v, w := m.variable(), m.variable()
	cut := m.chance.IntN(len(value))
	switch m.chance.IntN(11) {
	case 0:
		return value
	case 1:
		fmt.Fprintf(&m.server, "set $%s %q; ", v, value)
	case 2:
		fmt.Fprintf(&m.server, "set $%s %q; set $%s \"${%[1]s}%[4]s\"; ", w, value[:cut], v, value[cut:])
	case 3:
		fmt.Fprintf(&m.http, "map $host $%s { default %q; }\n", v, value)
	case 4:
		fmt.Fprintf(&m.http, "map $request_uri $%s { \"~^/(?<%s>.)\" %q; default nowhere; }\n", v, w, value)
		m.path = "/x"
	case 5:
		fmt.Fprintf(&m.http, "map $host $%s { default %q; } map $%[1]s $%[3]s { default \"${%[1]s}%[4]s\"; }\n", w, value[:cut], v, value[cut:])
	case 6:
		fmt.Fprintf(&m.http, "geo $%s { default %q; 10.0.0.0/8 nowhere; }\n", v, value)
	case 7:
		fmt.Fprintf(&m.http, "split_clients $request_id $%s { 50%% %q; * %[2]q; }\n", v, value)
	case 8:
		m.query = append(m.query, v+"="+value)
		return "$arg_" + v
	case 9:
		m.header.Set(strings.ReplaceAll("X-"+v, "_", "-"), value)
		return "$http_x_" + v
	default:
		fmt.Fprintf(&m.server, "if ($request_method = GET) { set $%s %q; } ", v, value)
	}
	return "$" + v
}

// place writes where in the server that is.
func (m *madeUp) place(to string) {
	if m.path == "" {
		m.path = "/"
	}
	text := m.one(
		"location / { PASS }",
		"location / { if ($request_method = GET) { proxy_pass http://TO; } }",
		"location / { location /x { PASS } location / { PASS } }",
		"location / { limit_except POST { proxy_pass http://TO; } }",
		"location ~ ^/(?<rest>.*)$ { PASS }",
		"error_page 418 = @to; location / { return 418; } location @to { PASS }",
		"error_page 404 = @to; location / { root DIR/none; } location @to { PASS }",
		"location / { root DIR/none; try_files $uri @to; } location @to { PASS }",
		"location / { rewrite ^ /in last; } location /in { internal; PASS }",
		"location / { error_page 502 504 = @to; proxy_pass http://127.0.0.1:1; } location @to { PASS }",
		"location / { auth_request /ask; return 204; } location = /ask { internal; PASS }",
		"location / { mirror /copy; root DIR; index none; } location = /copy { internal; PASS }",
	)
	pass := m.one("proxy_pass http://TO;", "proxy_pass http://TO;", "fastcgi_pass TO;", "uwsgi_pass TO;", "scgi_pass TO;", "grpc_pass grpc://TO;")
	text = strings.NewReplacer("PASS", pass, "DIR", m.dir).Replace(text)
	m.server.WriteString(strings.ReplaceAll(text, "TO", to))
}

// arrives tries to get through.
func (m *madeUp) arrives(opened *atomic.Int64) bool {
	before := opened.Load()
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+rig.Loopback(m.port)+m.path, nil)
	if err != nil {
		panic(err) // our own spelling
	}
	req.Header, req.Close = m.header.Clone(), true
	if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
		resp.Body.Close()
	}
	for range 3 { // what is sent besides may come a moment later
		if opened.Load() > before {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}
