package workers

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKernelAndProcAgree lists sockets of every kind both ways.
func TestKernelAndProcAgree(t *testing.T) {
	if _, err := listDiag(Network{}, inUse, nil); err != nil {
		t.Logf("the kernel can't be asked (%v): /proc is compared with itself", err)
	}
	var plain net.ListenConfig
	plain.SetMultipathTCP(false)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		l, err := plain.Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		hosts := []string{"127.0.0.1", "::1"}
		if address != "[::]:0" {
			host, _, _ := net.SplitHostPort(address)
			hosts = []string{host}
		}
		for _, host := range hosts {
			client, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
		}
		scope := Scope{Listens: []string{"*:" + port}, Upstreams: []string{"*:" + port}}
		_, asked := glanceAtSelf(t, Sockets{}, scope)
		_, read := glanceAtSelf(t, Sockets{proc: "/proc"}, scope)
		if len(asked.site) != len(read.site) || len(asked.site) != 1+2*len(hosts) {
			t.Errorf("%s: the kernel says %v, /proc %v", address, asked.site, read.site)
		}
		for inode, sock := range read.site {
			if asked.site[inode] != sock {
				t.Errorf("%s: socket %d is %v, by /proc %v", address, inode, asked.site[inode], sock)
			}
		}
	}
}

// TestAnotherNamespace lists and destroys a connection in a network namespace of its own, as in a container: from
// here it can't be seen, and one at the same addresses here stays.
func TestAnotherNamespace(t *testing.T) {
	type place struct {
		Network
		client net.Conn
		server Connection
	}
	connect := func(l net.Listener) (place, error) {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return place{}, err
		}
		server, err := l.Accept()
		if err != nil {
			return place{}, err
		}
		t.Cleanup(func() { client.Close(); server.Close(); l.Close() })
		return place{client: client, server: Connection{
			Local: client.RemoteAddr().(*net.TCPAddr).AddrPort(), Remote: client.LocalAddr().(*net.TCPAddr).AddrPort(), Process: Process{PID: unix.Gettid()},
		}}, nil
	}
	listen := func(address string) (net.Listener, error) {
		var plain net.ListenConfig
		plain.SetMultipathTCP(false)
		return plain.Listen(t.Context(), "tcp4", address)
	}
	made, leave := make(chan error), make(chan struct{})
	defer close(leave)
	var there place
	OnThread(func() {
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			if err = exec.Command("ip", "link", "set", "lo", "up").Run(); err == nil {
				var l net.Listener
				if l, err = listen("127.0.0.1:0"); err == nil {
					there, err = connect(l)
				}
			}
		}
		there.Network = Of(unix.Gettid())
		made <- err
		<-leave // the namespace goes with the thread
	})
	if err := <-made; errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
		t.Skip("LEFT OUT: only root can make a network namespace")
	} else if err != nil {
		t.Fatal(err)
	}
	if ours, err := there.IsOurs(); ours || err != nil {
		t.Fatalf("it is ours: %v (%v)", ours, err)
	}
	is := func(s diagSocket) bool { return s.local == there.server.Local && s.remote == there.server.Remote }
	if all, err := (Sockets{}).list(there.Process(), inUse, nil); err != nil || !slices.ContainsFunc(all, is) {
		t.Errorf("the connection there isn't seen: %v (%v)", all, err)
	}
	if all, err := (Sockets{}).list(os.Getpid(), inUse, nil); err != nil || slices.ContainsFunc(all, is) {
		t.Errorf("the connection there is seen here (%v)", err)
	}
	soon(t, "a listener and both ends of a connection are held there", func() bool { // orphans elsewhere count for a while
		n, err := (Sockets{}).Held(Snapshot{master: there.Process()})
		return n == 3 && err == nil
	})
	app := there.server.Local.String()
	for _, row := range []struct {
		name   string
		master int
		scopes []Scope
		want   bool
	}{
		{"the application's address", there.Process(), []Scope{{}, {Upstreams: []string{app}}}, true},
		{"another", there.Process(), []Scope{{Upstreams: []string{"127.0.0.1:1"}}}, false},
		{"sockets that can't be told apart", there.Process(), []Scope{{WorkersMustEnd: true}}, true},
		{"the same address here", os.Getpid(), []Scope{{Upstreams: []string{app}}}, false},
	} {
		if busy, err := (Sockets{}).Busy(Snapshot{master: row.master}, row.scopes); busy != row.want || err != nil {
			t.Errorf("%s is busy: %v (%v)", row.name, busy, err)
		}
	}
	elsewhere := there.server
	elsewhere.Process.PID = os.Getpid()
	for _, c := range []Connection{elsewhere, there.server} {
		if err := (Sockets{}).Destroy(c); errors.Is(err, ErrCantDestroy) {
			t.Skip("LEFT OUT: ", err)
		} else if err != nil {
			t.Fatal(err)
		}
		if c == elsewhere {
			if _, err := there.client.Write([]byte("hello")); err != nil {
				t.Errorf("the wrong one was destroyed: %v", err)
			}
		}
	}
	if _, err := there.client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("it wasn't destroyed: %v", err)
	}
}

// TestNamespaceThatIsGone: a process that has ended has no sockets to list, and that is said.
func TestNamespaceThatIsGone(t *testing.T) {
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := (Sockets{}).Listeners(gone.Process.Pid); !errors.Is(err, ErrNoNamespace) {
		t.Errorf("the sockets of a process that has ended: %v", err)
	}
}
