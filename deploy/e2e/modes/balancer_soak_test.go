//go:build soak

package modes

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// balancers is the handbook's section on them.
const balancers = "Behind a load balancer"

// TestSoakBehindALoadBalancer has HAProxy and nginx, as the handbook configures them, stand before a host.
func TestSoakBehindALoadBalancer(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.CLI(t, "render").Want(t, 0)
	s.WriteNginx(t)
	host, other := strings.TrimPrefix(s.URL, "http://"), rig.Loopback(rig.Port(t)) // where nobody listens
	address := regexp.MustCompile(`192[.]0[.]2[.]11:443`)
	tls := regexp.MustCompile(` ssl verify .* check inter 2s`)

	haproxy := rig.Port(t)
	backend := tls.ReplaceAllString(address.ReplaceAllString(rig.HandbookBlock(t, balancers, "haproxy"), host), " check inter 50ms")
	conf := fmt.Sprintf("defaults\n    mode http\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n"+
		"frontend all\n    bind %s\n    default_backend demo\n%s", rig.Loopback(haproxy), backend)

	nginx := rig.Port(t)
	own := strings.NewReplacer("192.0.2.12:443", other, "443 ssl", fmt.Sprintf("127.0.0.1:%d", nginx), "https://", "http://").
		Replace(address.ReplaceAllString(rig.HandbookBlock(t, balancers, "nginx"), host))
	rig.WriteFile(t, s.Enabled("balancer.conf"), regexp.MustCompile(`(?m)^ *(proxy_ssl|ssl_certificate).*\n`).ReplaceAllString(own, ""))

	s.Nginx.Start(t)
	s.CLI(t, "publish").Want(t, 0)
	rig.StartHAProxy(t, conf, rig.Loopback(haproxy))
	behind := map[string]rig.Client{
		"HAProxy": {Addr: rig.Loopback(haproxy), Host: "demo.example.org"}, "nginx": {Addr: rig.Loopback(nginx), Host: "demo.example.org"},
	}
	for _, mode := range []string{"online", "offline", "admin", "online"} {
		s.CLI(t, "set", mode).Want(t, 0)
		for name, c := range behind {
			got := c.Do(t, rig.Navigation("/application/1"))
			switch shown := got.Header.Get("X-Conforma-Status"); {
			case mode == "online" && (got.Status != 200 || shown != ""), mode != "online" && (got.Status != 302 || shown != mode):
				t.Errorf("%s: behind %s visitors get %d, being %q", mode, name, got.Status, shown)
			}
			if got := c.Do(t, rig.Fetch("/server/api/x", s.URL)); mode != "online" && (got.Status != 503 || got.Header.Get("X-Conforma-Status") != mode) {
				t.Errorf("%s: behind %s scripts get %s", mode, name, got.Stable())
			}
		}
	}
	// Shut while it is told to be open: HAProxy has another one answer, here nobody.
	rig.WriteFile(t, s.ClosedFile(), "")
	rig.WaitFor(t, "HAProxy to send nobody there", func() bool {
		got := behind["HAProxy"].Do(t, rig.Navigation("/"))
		return got.Status == 503 && got.Header.Get("X-Conforma-Status") == ""
	})
	rig.Check(t, os.Remove(s.ClosedFile()))
	rig.WaitFor(t, "HAProxy to send visitors there", func() bool { return behind["HAProxy"].Do(t, rig.Navigation("/")).Status == 200 })
}
