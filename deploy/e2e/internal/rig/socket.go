package rig

import (
	"fmt"
	"net"
	"slices"
	"syscall"
	"testing"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// States of TCP sockets in /proc/net/tcp (linux/include/net/tcp_states.h).
const (
	established = 1
	listening   = 10
)

// Taken waits until the server has read all that was sent on the connection, which is one of IPv4.
func (c *Conn) Taken(tb testing.TB) {
	tb.Helper()
	WaitFor(tb, "the server to read what was sent", func() bool {
		_, read := c.serverSide(tb)
		return read
	})
}

// Alive reports whether the server still has the connection, which is one of IPv4, open in both directions.
func (c *Conn) Alive(tb testing.TB) bool {
	tb.Helper()
	alive, _ := c.serverSide(tb)
	return alive
}

// serverSide reports whether the server has the connection, and has read all that was sent on it.
func (c *Conn) serverSide(tb testing.TB) (alive, read bool) {
	tb.Helper()
	client, server := c.LocalAddr().(*net.TCPAddr), c.RemoteAddr().(*net.TCPAddr)
	for _, s := range tcpSockets(tb) {
		if s.St == established && s.LocalPort == uint64(server.Port) && s.RemPort == uint64(client.Port) && s.LocalAddr.Equal(server.IP) {
			return true, s.Inode != 0 && s.RxQueue == 0 // one that waits to be accepted has no inode
		}
	}
	return false, false
}

// Listens reports whether the process listens at a TCP port of IPv4.
func Listens(tb testing.TB, pid, port int) bool {
	tb.Helper()
	return sockets(tb, pid, port, listening) > 0
}

// Clients is how many connections to a TCP port of IPv4 the process has accepted and still has.
func Clients(tb testing.TB, pid, port int) int {
	tb.Helper()
	return sockets(tb, pid, port, established)
}

// sockets counts those of the process at a local port that are in the state.
func sockets(tb testing.TB, pid, port int, state uint64) (n int) {
	tb.Helper()
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return 0 // it has ended
	}
	held, err := proc.FileDescriptorTargets()
	if err != nil {
		return 0
	}
	for _, s := range tcpSockets(tb) {
		if s.St == state && s.LocalPort == uint64(port) && slices.Contains(held, fmt.Sprintf("socket:[%d]", s.Inode)) {
			n++
		}
	}
	return n
}

func tcpSockets(tb testing.TB) procfs.NetTCP {
	tb.Helper()
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		tb.Fatalf("rig: look at the sockets: %v", err)
	}
	//lint:ignore SA1019 tests look at few sockets, which /proc lists well enough
	sockets, err := fs.NetTCP()
	if err != nil {
		tb.Fatalf("rig: look at the sockets: %v", err)
	}
	return sockets
}

// DialUnix connects to the unix socket at path.
func DialUnix(tb testing.TB, path string) *UnixConn {
	tb.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		tb.Fatalf("rig: %v", err)
	}
	return &UnixConn{conn.(*net.UnixConn)}
}

// UnixConn is a connection to a unix socket.
type UnixConn struct{ *net.UnixConn }

// Taken waits until the server has read all that was sent on the connection.
func (c *UnixConn) Taken(tb testing.TB) {
	tb.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		tb.Fatalf("rig: %v", err)
	}
	WaitFor(tb, "the server to read what was sent", func() bool {
		var unread int
		var failed error
		if err := raw.Control(func(fd uintptr) { unread, failed = unix.IoctlGetInt(int(fd), syscall.TIOCOUTQ) }); err != nil || failed != nil {
			tb.Fatalf("rig: look at the unix socket: %v, %v", err, failed)
		}
		return unread == 0
	})
}
