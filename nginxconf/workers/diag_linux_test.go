package workers

import (
	"net"
	"os"
	"testing"
)

// TestKernelAndProcAgree lists sockets of every kind both ways.
func TestKernelAndProcAgree(t *testing.T) {
	if _, err := listDiag(); err != nil {
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
		asked, err := Sockets{}.sockets(scope, os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		read, err := Sockets{proc: "/proc"}.sockets(scope, os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
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
