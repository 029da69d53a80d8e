package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
)

// Ports below this range may belong to somebody, ports above it are Linux's own choice for outgoing
// connections (ip_local_port_range): a port from between stays free until it is taken by name.
const firstPort, lastPort = 18000, 31999

// Port returns a TCP port that is free on 127.0.0.1 and that no other test takes until tb ends, not even
// one in another process: as long as tb runs, the UDP port of the same number stays bound as the mark
// that this one is spoken for.
func Port(tb testing.TB) int {
	tb.Helper()
	return Ports(tb, 1)
}

// Ports is Port for so many ports in a row. It returns the first of them.
func Ports(tb testing.TB, n int) int {
	tb.Helper()
	for range 1000 {
		first := firstPort + rand.IntN(lastPort-firstPort+2-n)
		var marks []net.PacketConn
		for port := first; port < first+n; port++ {
			mark, err := net.ListenPacket("udp4", Loopback(port))
			if err != nil {
				break
			}
			marks = append(marks, mark)
			if !free(port) {
				break
			}
		}
		release := func() {
			for _, mark := range marks {
				mark.Close()
			}
		}
		if len(marks) == n && free(first+n-1) {
			tb.Cleanup(release)
			return first
		}
		release()
	}
	tb.Fatal("rig: no free port found")
	return 0
}

// free reports whether nobody listens on the port. It only binds: a process that is being started at this moment has a
// copy of every socket of ours until it becomes another program, and one that listened would keep the port from who
// takes it next.
func free(port int) bool {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer syscall.Close(fd)
	return syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) == nil &&
		syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}) == nil
}

// Loopback returns "127.0.0.1:port".
func Loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
