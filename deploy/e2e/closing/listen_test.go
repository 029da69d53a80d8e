package closing

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestEveryKindOfAddressIsDrained has clients that stay at each kind of address that nginx can listen at.
func TestEveryKindOfAddressIsDrained(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, listen, dial string
	}{
		{"IPv6 loopback", "[::1]:%d", "::1"},
		{"every IPv6 address", "[::]:%d ipv6only=on", "::1"},
		{"IPv4 clients of an IPv6 address", "[::]:%d ipv6only=off", "127.0.0.1"},
		{"every IPv4 address", "%d", "127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &testSite{name: "demo", settled: true, port: rig.Port(t)}
			s.listen = []string{fmt.Sprintf(tt.listen, s.port)}
			h := newTestHost(t, s)
			h.NoBarrier(t)
			h.start(t)
			l := newLoad(t, h)
			// The client goes where the row says, whatever the configuration of the site says.
			client := *s
			client.listen = []string{net.JoinHostPort(tt.dial, fmt.Sprint(s.port))}
			tab := openSocket(t, l, &client)
			got := receiptOf(t, h.CLI(t, "set", "offline", "--no-cut", "--drain", h.drain, "--json").Want(t, 4))
			got.counts(t, 0, 0, aWebSocket)
			got = receiptOf(t, h.CLI(t, "set", "offline", "--drain", h.drain, "--json").Want(t, 0))
			returned := time.Now()
			got.counts(t, 0, aWebSocket, 0)
			if err := exchange(l.ctx, tab); err == nil {
				t.Error("the tab can still be used")
			}
			s.app.untouchedSince(t, returned)
			if canDestroy(t) && got.warns("was ended") {
				t.Errorf("workers were ended where sockets can be destroyed: %v", got.Warnings)
			}
		})
	}
}

// TestSitesThatShareAPortAreDrainedTogether has two sites at one port, told apart by their server names: their old
// connections look alike.
func TestSitesThatShareAPortAreDrainedTogether(t *testing.T) {
	t.Parallel()
	port := rig.Port(t)
	demo := &testSite{name: "demo", settled: true, port: port}
	other := &testSite{name: "other", port: port, names: "other.example.test"}
	h := newTestHost(t, demo, other)
	h.NoBarrier(t)
	h.start(t)
	l := newLoad(t, h)
	own, others := openSocket(t, l, demo), openSocket(t, l, other)
	got := receiptOf(t, h.CLI(t, "set", "offline", "--site", "demo", "--no-cut", "--drain", h.drain, "--json").Want(t, 4))
	// The connection to the other's application is none of the site's.
	got.counts(t, 0, 0, aWebSocket+1)
	if !got.warns("shares its port") {
		t.Errorf("no warning: %v", got.Warnings)
	}
	got = receiptOf(t, h.CLI(t, "set", "offline", "--site", "demo", "--drain", h.drain, "--json").Want(t, 0))
	got.counts(t, 0, aWebSocket+1, 0)
	if exchange(l.ctx, own) == nil || exchange(l.ctx, others) == nil {
		t.Error("a tab can still be used")
	}
	c := l.client(other, "HTTP/1.1", false)
	if !c.post() {
		t.Errorf("the other site is not open any more: %v", l.failures())
	}
	if r := h.dialer(demo).Get(t, "/"); r.Status != 503 {
		t.Errorf("the site is not closed: %d", r.Status)
	}
}

// TestARangeOfPortsIsDrained has a client at the last port of a range.
func TestARangeOfPortsIsDrained(t *testing.T) {
	t.Parallel()
	s := &testSite{name: "demo", settled: true, port: rig.Ports(t, 3)}
	s.listen = []string{fmt.Sprintf("127.0.0.1:%d-%d", s.port, s.port+2)}
	h := newTestHost(t, s)
	h.NoBarrier(t)
	h.start(t)
	l := newLoad(t, h)
	client := *s
	client.port, client.listen = s.port+2, []string{rig.Loopback(s.port + 2)}
	openSocket(t, l, &client)
	got := receiptOf(t, h.CLI(t, "set", "offline", "--no-cut", "--drain", h.drain, "--json").Want(t, 4))
	got.counts(t, 0, 0, aWebSocket)
	got = receiptOf(t, h.CLI(t, "set", "offline", "--drain", h.drain, "--json").Want(t, 0))
	got.counts(t, 0, aWebSocket, 0)
	if r := h.dialer(&client).Get(t, "/"); r.Status != 503 {
		t.Errorf("the site answers %d", r.Status)
	}
}
