package closing

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

func TestClientsOfAUnixSocketAreWaitedFor(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.NoBarrier(t)
	s.Server = "listen unix:" + filepath.Join(s.Nginx.Dir, "site.sock") + ";"
	s.Install(t)
	conn := rig.DialUnix(t, filepath.Join(s.Nginx.Dir, "site.sock"))
	defer conn.Close()
	if _, err := conn.Write([]byte("POST /server/graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{}")); err != nil {
		t.Fatal(err)
	}
	conn.Taken(t)
	r := s.CLI(t, "set", "offline", "--drain", "300ms", "--no-cut").Want(t, 4)
	if !strings.Contains(r.Stdout, "left") {
		t.Errorf("doesn't say that something is left: %s", r.Stdout)
	}
	before := s.App.Count()
	s.CLI(t, "set", "offline", "--drain", "300ms").Want(t, 0) // the worker is ended: nothing of the request was with the application
	_, _ = conn.Write([]byte("x"))
	if s.App.Count() != before {
		t.Error("an upload over the unix socket reached the application")
	}
}

// TestNothingIsSeenOfUnixSocketsOnBothSides has a request that came by one unix socket and went to the application by
// another: when the worker that holds it is ended, nobody knows what the application makes of it.
func TestNothingIsSeenOfUnixSocketsOnBothSides(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	in, out := filepath.Join(s.Nginx.Dir, "site.sock"), filepath.Join(s.Nginx.Dir, "app.sock")
	app, err := net.Listen("unix", out) // it takes a request and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	if err := os.Chmod(out, 0o777); err != nil {
		t.Fatal(err)
	}
	s.EditConfig(t, `upstreams = ["`+rig.Loopback(s.App.Port)+`"]`, `upstreams = ["unix:`+out+`"]`)
	s.Server = "listen unix:" + in + ";"
	s.CLI(t, "render").Want(t, 0)
	s.WriteNginx(t)
	rig.Edit(t, s.Nginx.Conf, "proxy_pass http://"+rig.Loopback(s.App.Port)+";", "proxy_pass http://unix:"+out+":;")
	s.Nginx.Start(t)
	s.CLI(t, "set", "offline").Want(t, 0) // nothing is there
	s.CLI(t, "set", "online").Want(t, 0)
	conn := rig.DialUnix(t, in)
	defer conn.Close()
	if _, err := conn.Write([]byte("POST /server/graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := app.Accept(); err != nil {
		t.Fatal(err)
	}
	rig.Says(t, s.CLI(t, "set", "offline", "--drain", "300ms").Want(t, 4), "NOT SAFE: something was cut")
}
