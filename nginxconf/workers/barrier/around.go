//go:build linux

package barrier

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// around finds out, where nginx has a network namespace of its own, how places that it knows are reached from this
// process's: who comes from outside the machine does so by there.
func (b Barrier) around(ctx context.Context, nginx workers.Network, places map[string]Place) error {
	if ours, err := nginx.IsOurs(); ours || err != nil {
		return err
	}
	here := Resolver{Sockets: b.Sockets}
	listeners, ports, err := here.look(ctx)
	if err != nil {
		return err
	}
	ways, err := waysTo(ctx, nginx)
	if err != nil {
		return fmt.Errorf("find the way to nginx: %w", err)
	}
	sites := slices.Sorted(maps.Keys(places))
	addrs := make([][]netip.AddrPort, len(sites))
	for i, site := range sites {
		for _, e := range places[site].Ends {
			if !e.Local { // else it is in nginx's own container
				addrs[i] = append(addrs[i], e.Addr)
			}
		}
	}
	found, err := here.ends(ctx, addrs, listeners, ports)
	if err != nil {
		return err
	}
	for i, site := range sites {
		place := places[site]
		if place.Around = found[i]; len(place.Around) > 0 {
			place.Ways = ways
		}
		places[site] = place
	}
	return nil
}

// waysTo are the network interfaces of this process's namespace that lead to another one, and not to the rest of the
// world.
func waysTo(ctx context.Context, there workers.Network) (out []string, err error) {
	var addrs []net.Addr
	err = there.Within(ctx, func() {}, func() (err error) {
		addrs, err = net.InterfaceAddrs()
		return err
	})
	if err != nil {
		return nil, err
	}
	err = workers.Network{}.Within(ctx, func() {}, func() error {
		world := map[string]bool{"": true, "lo": true}
		for _, documented := range []string{"192.0.2.0", "2001:db8::"} { // RFC 5737, RFC 3849: nobody's
			w, err := wayTo(netip.MustParseAddr(documented))
			if err != nil {
				return err
			}
			world[w.iface] = true
		}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil || prefix.Addr().IsLoopback() || prefix.Addr().IsLinkLocalUnicast() {
				continue
			}
			w, err := wayTo(prefix.Addr().Unmap())
			if err != nil {
				return err
			}
			if !w.local && !world[w.iface] && !slices.Contains(out, w.iface) {
				out = append(out, w.iface)
			}
		}
		return nil
	})
	return out, err
}
