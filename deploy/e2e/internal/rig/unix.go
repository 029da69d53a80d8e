package rig

import (
	"net"
	"testing"
)

// DialUnix connects to the unix socket at path.
func DialUnix(tb testing.TB, path string) net.Conn {
	tb.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		tb.Fatalf("rig: %v", err)
	}
	return conn
}
