package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
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
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		addr := Loopback(port)
		mark, err := net.ListenPacket("udp4", addr)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp4", addr)
		if err != nil {
			mark.Close()
			continue
		}
		l.Close()
		tb.Cleanup(func() { mark.Close() })
		return port
	}
	tb.Fatal("rig: no free port found")
	return 0
}

// Loopback returns "127.0.0.1:port".
func Loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
