package workers

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/prometheus/procfs"
)

// pair is a connection to a listener of this process, by both of its ends.
func pair(t *testing.T) (client, server *net.TCPConn, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	client, server = dialled.(*net.TCPConn), accepted.(*net.TCPConn)
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server, l.Addr().String()
}

// soon waits until something is so.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so after a minute: %s", what)
		}
	}
}

// glanceAtSelf looks at this process as if it were nginx.
func glanceAtSelf(t *testing.T, s Sockets, scope Scope) (*glance, *scoped) {
	t.Helper()
	m, err := scope.matcher()
	if err != nil {
		t.Fatal(err)
	}
	g, err := s.glance(Snapshot{master: os.Getpid(), program: "nginx"}, []matcher{m})
	if err != nil {
		t.Fatal(err)
	}
	return g, g.scoped(m)
}

// TestGivenUp has nginx's side of a connection closed, and the application's not: it may be at work on it.
func TestGivenUp(t *testing.T) {
	client, server, address := pair(t)
	givenUp := func() int {
		for _, scope := range []Scope{{Upstreams: []string{address}}, {Anywhere: []uint16{server.LocalAddr().(*net.TCPAddr).AddrPort().Port()}}} {
			_, found := glanceAtSelf(t, Sockets{}, scope)
			if len(found.givenUp) > 0 {
				return len(found.givenUp)
			}
		}
		return 0
	}
	if n := givenUp(); n != 0 {
		t.Errorf("%d before it is closed", n)
	}
	client.Close()
	soon(t, "both ends are seen to be given up", func() bool { return givenUp() == 2 })
	server.Close()
	soon(t, "nothing is given up any more", func() bool { return givenUp() == 0 })
}

// TestLost has a process hold a socket whose peer has reset it: it is in no table any more.
func TestLost(t *testing.T) {
	client, server, address := pair(t)
	lost := func() bool {
		g, found := glanceAtSelf(t, Sockets{}, Scope{Upstreams: []string{address}})
		self := Process{PID: os.Getpid()}
		held, err := g.held(self, found)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.findClients(&held, self, found); err != nil {
			t.Fatal(err)
		}
		return held.loses
	}
	if lost() {
		t.Error("a socket is lost before anything was reset")
	}
	if err := server.SetLinger(0); err != nil { // close(2) resets then: socket(7)
		t.Fatal(err)
	}
	server.Close()
	soon(t, "the reset socket is in no table", lost)
	client.Close()
	soon(t, "it is gone", func() bool { return !lost() })
}

// TestWhoCanBeLost: a worker of another nginx whose master was killed, or one that ends while it is looked at, holds no
// request of the site's.
func TestWhoCanBeLost(t *testing.T) {
	const master = 1000
	proc, err := procfs.Self()
	if err != nil {
		t.Fatal(err)
	}
	stat, err := proc.Stat()
	if err != nil {
		t.Fatal(err)
	}
	lives := Process{PID: proc.PID, Start: stat.Starttime}
	ended := Process{PID: proc.PID, Start: stat.Starttime - 1}
	g := &glance{before: Snapshot{master: master}}
	for name, c := range map[string]struct {
		is   process
		want bool
	}{
		"an old worker":                       {process{Process: lives, parent: master}, true},
		"one that is leaving":                 {process{Process: lives, parent: master, shuttingDown: true}, true},
		"one that has ended":                  {process{Process: ended, parent: master, shuttingDown: true}, false},
		"its master is gone":                  {process{Process: lives, parent: 1}, false},
		"its master is gone, and it leaves":   {process{Process: lives, parent: 1, shuttingDown: true}, true},
		"its master is gone, as it is by now": {process{Process: ended, parent: 1, shuttingDown: true}, false},
	} {
		if got, err := g.isLost(c.is); got != c.want || err != nil {
			t.Errorf("%s: %v (%v), want %v", name, got, err, c.want)
		}
	}
}
