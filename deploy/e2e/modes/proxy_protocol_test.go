package modes

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestBehindTheProxyProtocol has sites at addresses where nginx talks to nobody who doesn't say first who the client
// is, as behind a load balancer: it is asked there all the same.
func TestBehindTheProxyProtocol(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string]string{
		"alone":               "",
		"with real addresses": "set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := rig.NewSingle(t)
			s.Server = lines
			s.CLI(t, "render").Want(t, 0)
			s.WriteNginx(t)
			listen := "listen " + rig.Loopback(s.Blocks[0].Port)
			rig.Edit(t, s.Nginx.Conf, listen+";", listen+" proxy_protocol;")
			s.Nginx.Start(t)
			comes := func(from, target string) *http.Response {
				t.Helper()
				conn := s.Client().Dial(t)
				defer conn.Close()
				fmt.Fprintf(conn, "PROXY TCP4 %s 192.0.2.1 4711 443\r\nGET %s HTTP/1.0\r\nHost: x\r\n\r\n", from, target)
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				return res
			}
			for mode, want := range map[string]int{"offline": 503, "admin": 503, "online": 200} {
				s.CLI(t, "set", mode).Want(t, 0)
				if got := comes("203.0.113.7", "/").StatusCode; got != want {
					t.Errorf("%s: a visitor gets %d, want %d", mode, got, want)
				}
				s.CLI(t, "get").Want(t, 0)
				if r := s.CLI(t, "reconcile").Want(t, 0); strings.Contains(r.Stderr, rig.SingleSite) {
					t.Errorf("%s: reconcile did something where all is well: %s", mode, r.Stderr)
				}
			}
			for _, from := range []string{"203.0.113.7", "127.0.0.1"} {
				if got := comes(from, "/.conforma-status/probe").StatusCode; got != 404 {
					t.Errorf("a visitor from %s is told %d by the probe", from, got)
				}
			}
		})
	}
}
