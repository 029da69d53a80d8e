package workers

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestDestroyInAnotherNamespace has a worker in a network namespace of its own, as in a container: what is looked
// for there can't be found here, and isn't gone for that.
func TestDestroyInAnotherNamespace(t *testing.T) {
	own := "-rn"
	if os.Geteuid() == 0 {
		own = "-n" // a root that was confined to a directory may make no user namespace
	}
	cmd := exec.Command("unshare", own, "sh", "-c", "echo; read line")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer in.Close()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort("127.0.0.1:1")
	for pid, is := range map[int]error{cmd.Process.Pid: ErrCantDestroy, os.Getpid(): nil} {
		err := Sockets{}.Destroy(Connection{Local: at, Remote: at, Process: Process{PID: pid}})
		if !errors.Is(err, is) && !(is == nil && errors.Is(err, ErrCantDestroy)) {
			t.Errorf("destroy what is not there: %v, want %v", err, is)
		}
	}
}

// TestDestroyLeavesTheListenerAlone destroys a connection that is there, and one that has gone: whoever listens at
// its address goes on.
func TestDestroyLeavesTheListenerAlone(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		t.Run(address, func(t *testing.T) {
			var plain net.ListenConfig
			plain.SetMultipathTCP(false) // as nginx has it
			l, err := plain.Listen(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			host := "127.0.0.1"
			if address == "[::1]:0" {
				host = "::1"
			}
			connect := func() (server net.Conn, c Connection) {
				t.Helper()
				client, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), 10*time.Second)
				if err != nil {
					t.Fatalf("nobody listens any more: %v", err)
				}
				t.Cleanup(func() { client.Close() })
				if server, err = l.Accept(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { server.Close() })
				return server, Connection{
					Local:  client.RemoteAddr().(*net.TCPAddr).AddrPort(),
					Remote: client.LocalAddr().(*net.TCPAddr).AddrPort(),
				}
			}
			server, there := connect()
			err = Sockets{}.Destroy(there)
			switch {
			case err == nil:
				if _, err := server.Write([]byte("x")); err == nil {
					t.Error("the connection is still there")
				}
			case !errors.Is(err, ErrCantDestroy):
				t.Fatal(err)
			}
			server.Close()
			for range 3 { // the address that is looked for now has no connection
				if err := (Sockets{}).Destroy(there); err != nil && !errors.Is(err, ErrCantDestroy) {
					t.Errorf("destroy what has gone: %v", err)
				}
			}
			connect()
		})
	}
}
