package closing

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// testHost is a host for trying what a closing holds back: sites behind one nginx, each with an application that writes
// down all that reaches it.
type testHost struct {
	*rig.Host
	sites []*testSite
	roots *tls.Config
	// drain is a time in which all ends that is about to when a site closes: five times what it takes this machine to
	// render the rules. What is left or cut after that is what a test holds.
	drain string
}

// testSite is one site of a testHost. What isn't given is filled in by newTestHost.
type testSite struct {
	name    string
	settled bool     // whether its application is asked if it is idle
	listen  []string // what stands after listen in nginx's configuration
	names   string   // server_name
	plain   bool     // without TLS and HTTP/2
	noRules bool     // a server without our include, which the configuration doesn't know
	app     *recordingApp
	port    int
	extra   string // further lines of its server {}
}

const testSecret = "secret-of-all-sites-that-is-long-enough-for-hs256"

// settledScript asks an application on loopback whether it is idle, with nothing but bash.
const settledScript = `exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET /idle HTTP/1.0\r\n\r\n' >&3 && read -r _ code _ <&3 && [ "$code" = 200 ]
`

// newYard puts up the sites with TLS and HTTP/2, and starts nothing but the applications.
func newTestHost(tb testing.TB, sites ...*testSite) *testHost {
	tb.Helper()
	n := rig.NewNginx(tb)
	dir := n.Dir
	h := &testHost{Host: &rig.Host{
		Nginx: n, Config: filepath.Join(dir, "config.toml"), ConfDir: filepath.Join(dir, "conforma-status"),
		State: filepath.Join(dir, "state"), Store: filepath.Join(dir, "store"), PageURL: "https://maintenance.example.test",
	}, sites: sites}
	cert := rig.NewCertificate(tb, filepath.Join(dir, "tls"), rig.Hostname)
	rig.RemoveBarrier(tb, h.State)
	h.roots = &tls.Config{RootCAs: cert.Roots, ServerName: rig.Hostname}
	for _, d := range []string{h.Store, h.State} {
		if err := os.Mkdir(d, 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	rig.WriteFile(tb, filepath.Join(dir, "settled.sh"), settledScript)
	rig.WriteSecret(tb, filepath.Join(dir, "jwt.env"), "JWT_SECRET="+testSecret+"\n")
	for _, s := range sites {
		if s.app == nil {
			s.app = newRecordingApp(tb)
		}
		if s.port == 0 {
			s.port = rig.Port(tb)
		}
		if s.names == "" {
			s.names = rig.Hostname
		}
		if len(s.listen) == 0 {
			s.listen = []string{rig.Loopback(s.port)}
		}
	}
	rig.WriteFile(tb, h.Config, h.toml())
	return h
}

func (h *testHost) toml() string {
	var b strings.Builder
	quoted := func(args []string) string {
		text, _ := json.Marshal(args) // strings can't fail, and these are strings in TOML too
		return string(text)
	}
	fmt.Fprintf(&b, "store = \"dir:%s\"\npage_url = %q\nstate_dir = %q\n\n[nginx]\nconf_dir = %q\ntest = %s\nreload = %s\npid_file = %q\n\n[gate]\nsocket = %q\n",
		h.Store, h.PageURL, h.State, h.ConfDir, quoted(h.Nginx.Args("-t")), quoted(h.Nginx.Args("-s", "reload")), h.Nginx.PIDFile(), h.Socket())
	for _, s := range h.sites {
		if s.noRules {
			continue
		}
		settled := []string{}
		if s.settled {
			settled = []string{"bash", filepath.Join(h.Nginx.Dir, "settled.sh"), fmt.Sprint(s.app.port)}
		}
		fmt.Fprintf(&b, "\n[[site]]\nname = %q\napp_url = %q\nlisten = %q\nupstreams = [%q]\npreset = \"conforma\"\ngrace = \"0s\"\nsettled = %s\n\n[site.jwt]\nsecret_env_file = %q\n",
			s.name, s.url(), dialledAt(s), rig.Loopback(s.app.port), quoted(settled), filepath.Join(h.Nginx.Dir, "jwt.env"))
	}
	return b.String()
}

// dialledAt is the first address of a site.
func dialledAt(s *testSite) string {
	host, _, _ := net.SplitHostPort(strings.Fields(s.listen[0])[0])
	return net.JoinHostPort(host, fmt.Sprint(s.port))
}

func (s *testSite) url() string {
	if s.plain {
		return fmt.Sprintf("http://%s:%d", strings.Fields(s.names)[0], s.port)
	}
	return fmt.Sprintf("https://%s:%d", strings.Fields(s.names)[0], s.port)
}

// nginxConf is the content of http {}.
func (h *testHost) nginxConf(includes bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "    map $http_upgrade $connection_upgrade { default upgrade; '' close; }\n    ssl_certificate %[1]s/tls/fullchain.pem;\n    ssl_certificate_key %[1]s/tls/privkey.pem;\n    ssl_protocols TLSv1.2 TLSv1.3;\n", h.Nginx.Dir)
	if includes {
		fmt.Fprintf(&b, "    include %s/http.conf;\n", h.ConfDir)
	}
	for _, s := range h.sites {
		b.WriteString("    server {\n")
		if includes && !s.noRules {
			fmt.Fprintf(&b, "        include %s;\n", h.SiteFile(s.name))
		}
		for _, l := range s.listen {
			if !s.plain {
				l += " ssl http2"
			}
			fmt.Fprintf(&b, "        listen %s;\n", l)
		}
		fmt.Fprintf(&b, `        server_name %s;
        client_max_body_size 100M;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        location / { proxy_pass http://127.0.0.1:%[2]d; }
        location /unbuffered/ { proxy_pass http://127.0.0.1:%[2]d; proxy_request_buffering off; }
%[3]s    }
`, s.names, s.app.port, s.extra)
	}
	return b.String()
}

// start renders the rules, includes them, and starts nginx.
func (h *testHost) start(tb testing.TB) {
	tb.Helper()
	h.render(tb)
	h.Nginx.Start(tb)
}

func (h *testHost) render(tb testing.TB) {
	tb.Helper()
	began := time.Now()
	h.CLI(tb, "render").Want(tb, 0)
	h.drain = max(100*time.Millisecond, 5*time.Since(began)).String()
	h.Nginx.Configure(tb, h.nginxConf(true))
}

// dialer talks to a site byte for byte.
func (h *testHost) dialer(s *testSite) rig.Client {
	_, host, _ := strings.Cut(s.url(), "://")
	c := rig.Client{Addr: dialledAt(s), Host: host, TLS: h.roots}
	if s.plain {
		c.TLS = nil
	}
	return c
}

// receipt is the part of a receipt that an operator goes by.
type receipt struct {
	Site, Mode, Previous, Outcome string
	ClosedAt, SafeSince           *time.Time
	Drained, Cut, Left            *int // null would be a fault
	Published                     bool
	Steps                         []struct {
		Step string
		MS   float64
	}
	Warnings []string
	Error    string
}

func (r receipt) took(step string) float64 {
	ms := 0.0
	for _, s := range r.Steps {
		if s.Step == step {
			ms += s.MS
		}
	}
	return ms
}

func (r receipt) warns(of string) bool {
	return slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, of) })
}

// receiptOf reads the one receipt that a command with --json printed.
func receiptOf(tb testing.TB, r rig.Result) receipt {
	tb.Helper()
	var doc struct {
		Version int
		Sites   []receipt
	}
	if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil || doc.Version != 1 || len(doc.Sites) != 1 {
		tb.Fatalf("not the document of one site: %v\n%s\n%s", err, r.Stdout, r.Stderr)
	}
	got := doc.Sites[0]
	if got.Drained == nil || got.Cut == nil || got.Left == nil {
		tb.Fatalf("the receipt doesn't count: %s", r.Stdout)
	}
	return got
}

// counts fails the test unless the receipt counts exactly so many connections. What has drained is at least what is
// given: connections that are just being closed may be seen.
func (r receipt) counts(tb testing.TB, drained, cut, left int) {
	tb.Helper()
	if *r.Drained < drained || *r.Cut != cut || *r.Left != left {
		tb.Errorf("drained %d, cut %d, left %d, want at least %d, %d, %d", *r.Drained, *r.Cut, *r.Left, drained, cut, left)
	}
}

// closed fails the test unless the receipt says when the site was shut, between two moments, and since when it is safe:
// not at all, or between that and the second moment.
func (r receipt) closed(tb testing.TB, from, to time.Time, safe bool) {
	tb.Helper()
	from = from.Add(-time.Millisecond) // the receipt has milliseconds
	if r.ClosedAt == nil || r.ClosedAt.Before(from) || r.ClosedAt.After(to) {
		tb.Errorf("closedAt is %v, want from %v to %v", r.ClosedAt, from, to)
	}
	switch {
	case !safe && r.SafeSince != nil:
		tb.Errorf("safe since %v, want not safe", r.SafeSince)
	case safe && (r.SafeSince == nil || r.SafeSince.Before(*r.ClosedAt) || r.SafeSince.After(to)):
		tb.Errorf("safe since %v, want from %v to %v", r.SafeSince, r.ClosedAt, to)
	}
}

// canDestroy reports whether the kernel destroys sockets for us, by a connection that is there for it.
func canDestroy(tb testing.TB) bool {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	err = workers.Sockets{}.Destroy(workers.Connection{
		Local:  conn.LocalAddr().(*net.TCPAddr).AddrPort(),
		Remote: conn.RemoteAddr().(*net.TCPAddr).AddrPort(),
	})
	if err != nil {
		return false
	}
	if _, err := conn.Write([]byte("x")); err == nil {
		tb.Fatal("a connection that was destroyed can be written to")
	}
	return true
}
