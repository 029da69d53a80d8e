package workers

import (
	"errors"
	"net"
	"testing"
	"time"
)

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
