//go:build linux

package barrier

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// Resolver finds out where upstreams are reached from a network namespace.
type Resolver struct {
	Network workers.Network
	Sockets workers.Sockets
	// Lookup returns the addresses of a host's name, as programs there find them. nil: Lookup there.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Resolve returns an Upstream for each of the given ones (host:port, or unix:/path), in their order. Names may have
// other addresses later, and applications listen elsewhere: so ask anew from time to time.
//
// An upstream has an end for each address of its name, ::1 beside 127.0.0.1, and one for each place where published
// ports of containers lead to or come from. Where an application listens at every address, or nobody listens, the
// port is meant anywhere on the machine.
//
// An error is one that keeps all of them from being looked at: those of Table, or what keeps /proc from being read.
func (r Resolver) Resolve(ctx context.Context, upstreams []string) ([]Upstream, error) {
	listeners, ports, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Upstream, len(upstreams))
	addrs := make([][]netip.AddrPort, len(upstreams))
	for i, given := range upstreams {
		out[i].Given = given
		addrs[i], out[i].Err = r.addresses(ctx, given)
	}
	found, err := r.ends(ctx, addrs, listeners, ports)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Ends = found[i]
	}
	return out, nil
}

// look finds what listens in the namespace, and what ports lead elsewhere.
func (r Resolver) look(ctx context.Context) ([]workers.Listener, []published, error) {
	listeners, err := r.Sockets.Listeners(r.Network.Process())
	if err != nil {
		return nil, nil, err
	}
	ports, err := r.published(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("find where published ports lead: %w", err)
	}
	return listeners, ports, nil
}

// addresses are those of an upstream, each once.
func (r Resolver) addresses(ctx context.Context, given string) ([]netip.AddrPort, error) {
	if strings.HasPrefix(given, "unix:") {
		return nil, fmt.Errorf("%s: %w", given, ErrUnixSocket)
	}
	host, number, err := net.SplitHostPort(given)
	if err != nil {
		return nil, fmt.Errorf("%s %w: %w", given, ErrNoAddress, err)
	}
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("%s %w: %q is no port", given, ErrNoAddress, number)
	}
	addrs, err := r.hosts(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("%s %w: %w", given, ErrNoAddress, err)
	}
	var out []netip.AddrPort
	add := func(a netip.Addr) {
		if at := netip.AddrPortFrom(a.Unmap().WithZone(""), uint16(port)); !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
	for _, a := range addrs {
		if a = a.Unmap(); a.IsUnspecified() { // to connect to it is to connect to loopback
			a = loopback4
		}
		add(a)
		// Whoever listens on localhost often does on both.
		switch a {
		case loopback4:
			add(loopback6)
		case loopback6:
			add(loopback4)
		}
	}
	return out, nil
}

var loopback4, loopback6 = netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()

// hosts are the addresses of a host: of an address in any spelling that getaddrinfo(3) takes, or of a name.
func (r Resolver) hosts(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if a, is := number(host); is {
		return []netip.Addr{a}, nil
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return []netip.Addr{loopback4}, nil
	}
	lookup := r.Lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) { return Lookup(ctx, r.Network, host) }
	}
	addrs, err := lookup(ctx, host)
	if err == nil && len(addrs) == 0 {
		err = fmt.Errorf("the name %s has no address", host)
	}
	return addrs, err
}

// number reads an address as inet_aton(3) does, and getaddrinfo(3) with it: one to four numbers, decimal, octal or
// hexadecimal, of which the last fills what is left of the address.
func number(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var addr uint64
	for i, p := range parts {
		base := 10
		switch {
		case strings.HasPrefix(p, "0x"), strings.HasPrefix(p, "0X"):
			p, base = p[2:], 16
		case len(p) > 1 && p[0] == '0':
			base = 8
		}
		n, err := strconv.ParseUint(p, base, 32)
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (4 - i)
		}
		if err != nil || strings.HasPrefix(p, "+") || n >= 1<<bits {
			return netip.Addr{}, false
		}
		addr = addr<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)}), true
}

// ends are where each of those lists of addresses is reached.
func (r Resolver) ends(ctx context.Context, addrs [][]netip.AddrPort, listeners []workers.Listener, ports []published) ([][]End, error) {
	byPort := map[uint16][]workers.Listener{} // hundreds of sites ask, and each has a listener
	for _, l := range listeners {
		byPort[l.Addr.Port()] = append(byPort[l.Addr.Port()], l)
	}
	out := make([][]End, len(addrs))
	err := r.Network.Within(ctx, func() {}, func() error {
		way := remembered(wayTo)
		for i := range addrs {
			for _, a := range addrs[i] {
				w, err := way(a.Addr())
				if err != nil {
					return fmt.Errorf("find the way to %s: %w", a, err)
				}
				out[i] = append(out[i], endAt(a, w, byPort[a.Port()]))
			}
			if err := follow(&out[i], ports, way); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// endAt is the end at an address that is reached that way, where those listen at its port.
func endAt(a netip.AddrPort, w way, listeners []workers.Listener) End {
	if w.local || a.Addr().IsLoopback() {
		return End{Addr: a, Local: true, Anywhere: anywhere(a, listeners)}
	}
	return End{Addr: a, Inside: w.iface}
}

// anywhere reports whether what answers at an address of this machine does so at every other one: it listens at all
// of them, or nobody listens at that port at all, so that it isn't known.
func anywhere(a netip.AddrPort, listeners []workers.Listener) bool {
	taken := false
	for _, l := range listeners {
		if l.Addr.Port() != a.Port() {
			continue
		}
		if l.Addr == a {
			return false
		}
		taken = taken || !l.Addr.Addr().IsUnspecified()
	}
	for _, l := range listeners {
		if l.Addr.Port() == a.Port() && l.Addr.Addr().IsUnspecified() && (a.Addr().Is6() == l.Addr.Addr().Is6() || a.Addr().Is4()) {
			return true
		}
	}
	return !taken
}
