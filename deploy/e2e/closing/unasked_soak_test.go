//go:build soak

package closing

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// What nginx doesn't answer is asked for twice ten seconds.

// TestSoakSiteAtAUnixSocketOnly can't be asked: what is missing is said, of a closing and of an opening. With it the
// site, which is shut, opens again.
func TestSoakSiteAtAUnixSocketOnly(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.CLI(t, "render").Want(t, 0)
	s.WriteNginx(t)
	rig.Edit(t, s.Nginx.Conf, "listen "+rig.Loopback(s.Blocks[0].Port)+";", "listen unix:"+filepath.Join(s.Nginx.Dir, "site.sock")+";")
	s.Nginx.Start(t)
	for _, mode := range []string{"offline", "online"} {
		r := s.CLI(t, "set", mode).Want(t, 1)
		rig.Says(t, r, "listens at no address of TCP, so that nginx can't be asked whether it is closed", "listen 127.0.0.1:PORT;")
		if strings.Contains(r.Stderr, "no server {} includes") {
			t.Errorf("says that the rules are not included: %s", r.Stderr)
		}
		if !rig.ClosedFileIsThere(s) {
			t.Errorf("after set %s it isn't shut", mode)
		}
	}
	rig.Edit(t, s.Nginx.Conf, "listen unix:", "listen "+rig.Loopback(s.Blocks[0].Port)+"; listen unix:")
	s.CLI(t, "set", "online").Want(t, 0)
	if r := s.Client().Get(t, "/"); r.Status != 200 || rig.ClosedFileIsThere(s) {
		t.Errorf("open again, the site answers %d", r.Status)
	}
}

// TestSoakVisitorsWithCertificates has a site that talks to nobody without a certificate: it can't be asked there which
// rules it follows, and that is said. It can at another address.
func TestSoakVisitorsWithCertificates(t *testing.T) {
	t.Parallel()
	s := &testSite{name: "demo"}
	h := newTestHost(t, s)
	s.extra = "        ssl_verify_client on;\n        ssl_client_certificate " + h.Nginx.Dir + "/tls/fullchain.pem;\n"
	h.start(t)
	rig.Says(t, h.CLI(t, "set", "offline").Want(t, 1), "talks to nobody without a certificate (ssl_verify_client)", "listen 127.0.0.1:PORT;")
	rig.Says(t, h.CLI(t, "get").Want(t, 5), "it wants a certificate of its visitors (ssl_verify_client)")
	inside := rig.Port(t)
	s.extra += fmt.Sprintf("        listen 127.0.0.1:%d;\n", inside)
	h.Nginx.Configure(t, h.nginxConf(true))
	h.EditConfig(t, fmt.Sprintf("listen = %q", rig.Loopback(s.port)), fmt.Sprintf("listen = %q", rig.Loopback(inside)))
	h.Nginx.Stop(t)
	h.Nginx.Start(t)
	h.CLI(t, "set", "offline").Want(t, 0)
	if r := (rig.Client{Addr: rig.Loopback(inside), Host: rig.Hostname}).Get(t, "/"); r.Status != 503 {
		t.Errorf("the site answers %d", r.Status)
	}
}
