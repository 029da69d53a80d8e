package rig

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// relayEnv has a test binary that calls Main relay connections between the pairs of addresses that it names.
const relayEnv = "CONFORMA_STATUS_RIG_RELAY"

// Join has the application behind an address of the machine, as nginx there knows it, be the app of this process. It
// returns the address at which this process reaches one of the machine's. A Machine has a network of its own; what both
// have is files.
func (m *Machine) Join(tb testing.TB, app *App, upstream, site string) string {
	tb.Helper()
	dir := Dir(tb)
	appSocket, siteSocket := "unix "+filepath.Join(dir, "app"), "unix "+filepath.Join(dir, "site")
	self, err := os.Executable()
	if err != nil {
		tb.Fatalf("rig: join a machine's network: %v", err)
	}
	pairs := "tcp " + upstream + "=" + appSocket + "," + siteSocket + "=tcp " + site
	argv := rootly("nsenter", "-t", strconv.Itoa(m.init), "-n", "env", relayEnv+"="+pairs, self)
	inside := startProcess(tb, exec.Command(argv[0], argv[1:]...))
	WaitFor(tb, "the relay", func() bool {
		if inside.hasExited() {
			tb.Fatalf("rig: join a machine's network:\n%s", inside.output(tb))
		}
		return inside.output(tb) == "ready\n"
	})
	here := Loopback(Port(tb))
	for _, pair := range []string{appSocket + "=tcp " + Loopback(app.Port), "tcp " + here + "=" + siteSocket} {
		stop, err := relay(pair)
		if err != nil {
			tb.Fatalf("rig: join a machine's network: %v", err)
		}
		tb.Cleanup(stop)
	}
	return here
}

// runRelay is what Main does for relayEnv, until it is ended.
func runRelay(pairs string) error {
	for pair := range strings.SplitSeq(pairs, ",") {
		if _, err := relay(pair); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	select {}
}

// relay listens at the first address of "NETWORK ADDRESS=NETWORK ADDRESS" and hands each connection on to the second.
// stop returns when all of them are closed.
func relay(pair string) (stop func(), err error) {
	from, to, _ := strings.Cut(pair, "=")
	network, address, _ := strings.Cut(from, " ")
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	if network == "unix" {
		if err := os.Chmod(address, 0o666); err != nil { // the other end may be another user
			return nil, errors.Join(err, l.Close())
		}
	}
	r := &relayed{open: map[net.Conn]bool{}}
	r.wait.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			network, address, _ := strings.Cut(to, " ")
			r.wait.Go(func() { r.join(conn, network, address) })
		}
	})
	return func() {
		l.Close()
		r.closeAll()
		r.wait.Wait()
	}, nil
}

// relayed are the connections of a relay.
type relayed struct {
	wait   sync.WaitGroup
	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

// join carries what comes to a connection to a new one, and back, until one of them breaks or both have ended.
func (r *relayed) join(conn net.Conn, network, address string) {
	other, err := net.Dial(network, address)
	if err != nil {
		conn.Close()
		return
	}
	if !r.keep(conn, other) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{conn, other}, {other, conn}} {
		both.Go(func() {
			if _, err := io.Copy(way[0], way[1]); err != nil {
				conn.Close()
				other.Close()
				return
			}
			_ = way[0].(interface{ CloseWrite() error }).CloseWrite() // it may be gone
		})
	}
	both.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range []net.Conn{conn, other} {
		c.Close()
		delete(r.open, c)
	}
}

// keep notes connections, or closes them and returns false where the relay is closed.
func (r *relayed) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		if r.closed {
			c.Close()
		} else {
			r.open[c] = true
		}
	}
	return !r.closed
}

func (r *relayed) closeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for c := range r.open {
		c.Close()
	}
}
