// Package barrier tries what nginx leads to the application of a site that is closed, with the kernel barrier and
// without.
package barrier

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// host is one site, with a neighbour that nobody closes behind the same nginx.
type host struct {
	*rig.Single
	beside     *rig.App
	besidePort int
	// wild and both are further addresses of the site's application: it listens there on all addresses, and on both
	// of loopback.
	wild, both int
}

// slowPath is where the application works for a while, whether or not somebody still waits for it: ?ms=.
const slowPath = "/slow"

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{Single: rig.NewSingle(t), beside: rig.NewApp(t, "beside"), besidePort: rig.Port(t), wild: rig.Port(t), both: rig.Port(t)}
	h.App.Handle = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == slowPath {
			ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
			time.Sleep(time.Duration(ms) * time.Millisecond)
		}
		return r.URL.Path == slowPath
	}
	h.alsoAt(t, fmt.Sprintf("[::]:%d", h.wild))
	h.alsoAt(t, fmt.Sprintf("127.0.0.1:%d", h.both))
	h.alsoAt(t, fmt.Sprintf("[::1]:%d", h.both))
	h.settings(t, rig.Settings{})
	rig.WriteFile(t, h.Enabled("beside.conf"), fmt.Sprintf(`server { listen %s; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
 location / { proxy_pass http://%s; } }
`, rig.Loopback(h.besidePort), rig.Loopback(h.beside.Port)))
	rig.WriteFile(t, h.Enabled("shape.conf"), "")
	return h
}

// alsoAt has the application listen at another address.
func (h *host) alsoAt(t *testing.T, addr string) {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(addr, "127.") {
		network = "tcp4"
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatalf("have the application listen at %s: %v", addr, err)
	}
	rig.Serve(t, l, &http.Server{Handler: h.App.Handler()})
}

// settings writes config.toml, with all addresses of the application.
func (h *host) settings(t *testing.T, c rig.Settings) {
	t.Helper()
	h.Configure(t, c)
	at := fmt.Sprintf("upstreams = [%q", rig.Loopback(h.App.Port))
	h.EditConfig(t, at, fmt.Sprintf("%s, %q, %q", at, rig.Loopback(h.wild), rig.Loopback(h.both)))
}

// words fills in the ports of a piece of nginx's configuration: APP, WILD and BOTH are the application's.
func (h *host) words(text string) string {
	return strings.NewReplacer("APP", fmt.Sprint(h.App.Port), "WILD", fmt.Sprint(h.wild), "BOTH", fmt.Sprint(h.both),
		"SITE", rig.Loopback(h.Blocks[0].Port), "BESIDE", fmt.Sprint(h.beside.Port), "DIR", h.Nginx.Dir).Replace(text)
}

// receipt is what these tests read of one.
type receipt struct {
	Outcome            string
	SafeSince          *time.Time
	Drained, Cut, Left int
	Vouched, Barrier   bool
	NoBarrier          string
	Tried              *struct{ Nginx, Outside int }
	Warnings           []string
	Error              string
}

func (r receipt) warns(of string) bool {
	return slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, of) })
}

func receiptOf(t testing.TB, r rig.Result) receipt { return receiptsOf(t, r)[0] }

// receiptsOf reads the receipts of a command with --json, in the order of its sites.
func receiptsOf(t testing.TB, r rig.Result) []receipt {
	t.Helper()
	var doc struct{ Sites []receipt }
	if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil || len(doc.Sites) == 0 {
		t.Fatalf("not receipts (%v), exit code %d: %s\n%s", err, r.Code, r.Stdout, r.Stderr)
	}
	return doc.Sites
}

// talk opens a WebSocket to the neighbour, and returns what fails the test where it was cut meanwhile.
func (h *host) talk(t *testing.T) (still func()) {
	t.Helper()
	addr := rig.Loopback(h.besidePort)
	return h.talkAt(t, rig.Client{Addr: addr, Host: addr})
}

func (h *host) talkAt(t *testing.T, c rig.Client) (still func()) {
	t.Helper()
	conn, err := c.WebSocket(t, "/websocket/")
	if err != nil {
		t.Fatal(err)
	}
	say := func() error {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
			return err
		}
		_, _, err := conn.Read(t.Context())
		return err
	}
	if err := say(); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := say(); err != nil {
			t.Errorf("a neighbour was cut: %v", err)
		}
		conn.CloseNow()
	}
}

// answers asks the site ten times, and fails the test where the application doesn't answer once.
func (h *host) answers(t *testing.T, path string) {
	t.Helper()
	for range 10 {
		if r := h.Client().Get(t, path); r.Status != 200 || r.Header.Get("X-App") == "" {
			t.Errorf("after it opened it answers %d %.60q", r.Status, r.Body)
		}
	}
}
