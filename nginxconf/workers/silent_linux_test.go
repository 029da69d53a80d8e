package workers

import (
	"io"
	"net"
	"testing"
)

// TestSilent has a client send its first byte: it isn't silent any more, whether the byte was read or not.
func TestSilent(t *testing.T) {
	client, server, _ := pair(t)
	as := func(c *net.TCPConn) Connection {
		return Connection{Local: c.LocalAddr().(*net.TCPAddr).AddrPort(), Remote: c.RemoteAddr().(*net.TCPAddr).AddrPort()}
	}
	if !areSilent(Network{}, []Connection{as(server)}) {
		if _, err := listDiag(Network{}, inUse, nil); err != nil {
			t.Skip("LEFT OUT: the kernel can't be asked: ", err)
		}
		t.Error("not silent before anything was sent")
	}
	if _, err := client.Write([]byte("G")); err != nil {
		t.Fatal(err)
	}
	soon(t, "the byte is seen", func() bool { return !areSilent(Network{}, []Connection{as(server)}) })
	if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if areSilent(Network{}, []Connection{as(server)}) {
		t.Error("silent once the byte was read")
	}
	if both := []Connection{as(client), as(server)}; areSilent(Network{}, both) {
		t.Error("one is silent, the other is not: all are said to be")
	}
	gone := as(server)
	if err := client.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	client.Close()
	server.Close()
	if areSilent(Network{}, []Connection{gone}) {
		t.Error("silent though it is gone: only what listens there is left")
	}
}
