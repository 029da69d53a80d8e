//go:build linux

package barrier

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sync/errgroup"
)

// published is a port of this machine that leads elsewhere, as a container's does that is published.
type published struct {
	at netip.AddrPort // the address isn't valid where any address of this machine will do
	to netip.AddrPort
}

// published lists the ports that lead elsewhere in the namespace: by the rules of nf_tables, which are those of
// iptables-nft too, and by Docker's proxies. Rules of iptables-legacy are not seen.
func (r Resolver) published(ctx context.Context) ([]published, error) {
	var out, proxies []published
	var beside errgroup.Group // each process of the machine is looked at, and a site that closes is open until then
	beside.Go(func() (err error) {
		proxies, err = r.proxies()
		return err
	})
	err := Table{Network: r.Network}.do(ctx, func(c *link) error {
		chains, err := c.ListChains()
		if err != nil {
			return explained(err)
		}
		translates := map[string]bool{} // tables
		for _, ch := range chains {
			if ch.Type == nftables.ChainTypeNAT {
				translates[tableOf(ch)] = true
			}
		}
		for _, ch := range chains {
			if !translates[tableOf(ch)] {
				continue
			}
			rules, err := c.GetRules(ch.Table, ch)
			if err != nil {
				continue // somebody's rule that the library can't read is none that it knows to translate addresses
			}
			for _, one := range rules {
				if p, is := translation(one.Exprs); is {
					out = append(out, p)
				}
			}
		}
		return nil
	})
	if err = cmp.Or(err, beside.Wait()); err != nil {
		return nil, err
	}
	return append(out, proxies...), nil
}

// tableOf names the table of a chain: each family has names of its own.
func tableOf(ch *nftables.Chain) string { return fmt.Sprint(ch.Table.Family, ch.Table.Name) }

// translation reads a rule that leads a port elsewhere.
func translation(exprs []expr.Any) (p published, is bool) {
	var loaded struct{ port, addr bool }
	registers := map[uint32][]byte{}
	var port uint16
	var addr netip.Addr
	for _, e := range exprs {
		switch e := e.(type) {
		case *expr.Payload:
			loaded.port = e.Base == expr.PayloadBaseTransportHeader && e.Offset == 2 && e.Len == 2
			loaded.addr = e.Base == expr.PayloadBaseNetworkHeader && (e.Offset == v4.at && e.Len == v4.size || e.Offset == v6.at && e.Len == v6.size)
		case *expr.Cmp:
			if e.Op == expr.CmpOpEq && loaded.port && len(e.Data) == 2 {
				port = binary.BigEndian.Uint16(e.Data)
			}
			if e.Op == expr.CmpOpEq && loaded.addr {
				addr, _ = netip.AddrFromSlice(e.Data)
			}
			loaded.port, loaded.addr = false, false
		case *expr.Match:
			if tcp, ok := e.Info.(*xt.Tcp); ok && tcp.DstPorts[0] == tcp.DstPorts[1] && tcp.InvFlags == 0 {
				port = tcp.DstPorts[0]
			}
		case *expr.Immediate:
			registers[e.Register] = e.Data
		case *expr.NAT:
			if e.Type == expr.NATTypeDestNAT {
				p.to = destination(registers[e.RegAddrMin], registers[e.RegProtoMin], port)
			}
		case *expr.Target:
			if e.Name != "DNAT" {
				continue
			}
			switch to := e.Info.(type) {
			case *xt.NatRange:
				p.to = rangeStart(*to, port)
			case *xt.NatRange2:
				p.to = rangeStart(to.NatRange, port)
			}
		}
	}
	p.at = netip.AddrPortFrom(addr, port)
	return p, port != 0 && p.to.IsValid()
}

// destination is where addresses are translated to; without a port that stays as it is.
func destination(addr, port []byte, given uint16) netip.AddrPort {
	a, _ := netip.AddrFromSlice(addr)
	if len(port) == 2 {
		given = binary.BigEndian.Uint16(port)
	}
	return netip.AddrPortFrom(a.Unmap(), given)
}

func rangeStart(r xt.NatRange, given uint16) netip.AddrPort {
	if xt.NatRangeFlags(r.Flags)&xt.NatRangeProtoSpecified != 0 {
		given = r.MinPort
	}
	a, _ := netip.AddrFromSlice(r.MinIP)
	return netip.AddrPortFrom(a.Unmap(), given)
}

// proxies lists what Docker's proxies lead to: processes in the namespace that say it in their command lines.
func (r Resolver) proxies() ([]published, error) {
	procs, err := r.Sockets.Named("docker-proxy")
	if err != nil {
		return nil, err
	}
	there, err := os.Readlink(r.Network.File())
	if err != nil {
		return nil, err
	}
	var out []published
	for _, p := range procs {
		if network, err := os.Readlink("/proc/" + strconv.Itoa(p.PID) + "/ns/net"); err != nil || network != there {
			continue
		}
		words, err := p.CmdLine()
		if err != nil {
			continue
		}
		if one, is := proxied(words); is {
			out = append(out, one)
		}
	}
	return out, nil
}

// proxied reads the command line of docker-proxy.
func proxied(words []string) (published, bool) {
	option := func(name string) string {
		if i := slices.Index(words, "-"+name); i >= 0 && i+1 < len(words) {
			return words[i+1]
		}
		return ""
	}
	end := func(ip, port string) (netip.AddrPort, bool) {
		a, err := netip.ParseAddr(option(ip))
		n, wrong := strconv.ParseUint(option(port), 10, 16)
		if a.IsUnspecified() {
			a = netip.Addr{}
		}
		return netip.AddrPortFrom(a.Unmap(), uint16(n)), err == nil && wrong == nil && n != 0
	}
	at, ok := end("host-ip", "host-port")
	to, too := end("container-ip", "container-port")
	return published{at, to}, ok && too && to.Addr().IsValid() && option("proto") == "tcp"
}

// follow adds to ends where published ports lead from them, and from which ones others lead to them.
func follow(ends *[]End, ports []published, wayTo func(netip.Addr) (way, error)) error {
	for i := 0; i < len(*ends); i++ { // what is added is followed too
		for _, p := range ports {
			e := &(*ends)[i]
			switch {
			case p.leadsFrom(*e):
				w, err := wayTo(p.to.Addr())
				if err != nil {
					return err
				}
				if !p.at.Addr().IsValid() {
					e.Anywhere = true
				}
				e.Inside = outer(w)
				addEnd(ends, End{Addr: p.to, Local: w.local, Inside: outer(w)})
			case !e.Anywhere && p.to == e.Addr:
				addEnd(ends, p.end(e.Inside))
			}
		}
	}
	return nil
}

func (p published) leadsFrom(e End) bool {
	return e.Local && e.Addr.Port() == p.at.Port() && (e.Anywhere || !p.at.Addr().IsValid() || p.at.Addr() == e.Addr.Addr())
}

// end is the published port, which leads to what is on the other side of an interface.
func (p published) end(inside string) End {
	if p.at.Addr().IsValid() {
		return End{Addr: p.at, Local: true, Inside: inside}
	}
	host := loopback4
	if p.to.Addr().Is6() {
		host = loopback6
	}
	return End{Addr: netip.AddrPortFrom(host, p.at.Port()), Local: true, Anywhere: true, Inside: inside}
}

// outer is the interface whose other side isn't outside, "" where the address is this machine's own.
func outer(w way) string {
	if w.local {
		return ""
	}
	return w.iface
}

func addEnd(ends *[]End, e End) {
	if !slices.ContainsFunc(*ends, func(o End) bool { return o.Addr == e.Addr && (o.Anywhere || !e.Anywhere) }) {
		*ends = append(*ends, e)
	}
}
