//go:build linux

package barrier

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// street is a machine with its neighbours: a visitor and a server of somebody else's on its network cards, and three
// containers, two of them on one bridge.
type street struct {
	*host
	visitor, server *host
	app, sibling    *host // on br-app: 172.18.0.2 and 172.18.0.3
	stranger        *host // on br-other: 172.19.0.2
}

func newStreet(t *testing.T) street {
	s := street{newHost(t), newHost(t), newHost(t), newHost(t), newHost(t), newHost(t)}
	s.sysctl("net/ipv4/ip_forward", "1")
	s.sysctl("net/ipv6/conf/all/forwarding", "1")
	s.sysctl("net/ipv4/conf/all/route_localnet", "1")
	s.wire("eth0", s.visitor, "eth0")
	s.wire("eth1", s.server, "eth0")
	s.ip("addr add 10.1.0.1/24 dev eth0", "addr add 10.2.0.1/24 dev eth1", "addr add fd01::1/64 dev eth0 nodad")
	s.visitor.ip("addr add 10.1.0.2/24 dev eth0", "route add default via 10.1.0.1", "addr add fd01::2/64 dev eth0 nodad", "route add fd18::/64 via fd01::1")
	s.server.ip("addr add 10.2.0.2/24 dev eth0", "route add default via 10.2.0.1")
	for _, bridge := range []struct {
		name, net4, net6 string
		members          []*host
	}{{"br-app", "172.18.0.", "fd18::", []*host{s.app, s.sibling}}, {"br-other", "172.19.0.", "fd19::", []*host{s.stranger}}} {
		s.ip("link add "+bridge.name+" type bridge", "link set "+bridge.name+" up", "addr add "+bridge.net4+"1/24 dev "+bridge.name,
			"addr add "+bridge.net6+"1/64 dev "+bridge.name+" nodad")
		for i, m := range bridge.members {
			number := string(rune('2' + i))
			card := bridge.name + "." + number
			s.wire(card, m, "eth0")
			s.ip("link set " + card + " master " + bridge.name)
			m.ip("addr add "+bridge.net4+number+"/24 dev eth0", "route add default via "+bridge.net4+"1",
				"addr add "+bridge.net6+number+"/64 dev eth0 nodad", "route add default via "+bridge.net6+"1")
		}
	}
	s.sysctl("net/bridge/bridge-nf-call-iptables", "1")
	s.sysctl("net/bridge/bridge-nf-call-ip6tables", "1")
	return s
}

// firewall changes the packet filter of a host.
func (h *host) firewall(f func(*nftables.Conn)) {
	h.t.Helper()
	h.must(h.do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		f(c)
		return c.Flush()
	}))
}

func port(n uint16) []expr.Any {
	return append(isTCP(),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(n)})
}

func toThisMachine() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: 1, ResultADDRTYPE: true, FlagDADDR: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
}

// docker publishes ports as Docker does by iptables-nft: chains at the priority of DNAT, targets of xtables.
func docker(c *nftables.Conn, bridge string, ports map[uint16]string) {
	nat := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "nat"})
	to := c.AddChain(&nftables.Chain{Table: nat, Name: "DOCKER"})
	for _, hook := range []struct {
		name string
		at   *nftables.ChainHook
	}{{"PREROUTING", nftables.ChainHookPrerouting}, {"OUTPUT", nftables.ChainHookOutput}} {
		ch := c.AddChain(&nftables.Chain{Table: nat, Name: hook.name, Type: nftables.ChainTypeNAT, Hooknum: hook.at, Priority: nftables.ChainPriorityNATDest})
		c.AddRule(&nftables.Rule{Table: nat, Chain: ch, Exprs: append([]expr.Any{
			&expr.Match{Name: "addrtype", Rev: 1, Info: &xt.AddrTypeV1{Dest: 1 << unix.RTN_LOCAL}},
		}, verdict(expr.VerdictJump, "DOCKER")...)})
	}
	post := c.AddChain(&nftables.Chain{Table: nat, Name: "POSTROUTING", Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	c.AddRule(&nftables.Rule{Table: nat, Chain: post, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte(ifname(bridge))}, &expr.Masq{},
	}})
	for at, leads := range ports {
		end := netip.MustParseAddrPort(leads)
		exprs := slices.Concat(
			[]expr.Any{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte(ifname(bridge))}},
			isTCP(),
			[]expr.Any{
				&expr.Match{Name: "tcp", Info: &xt.Tcp{SrcPorts: [2]uint16{0, 65535}, DstPorts: [2]uint16{at, at}}},
				&expr.Target{Name: "DNAT", Rev: 2, Info: &xt.NatRange2{NatRange: xt.NatRange{
					Flags: uint(xt.NatRangeMapIPs | xt.NatRangeProtoSpecified),
					MinIP: end.Addr().AsSlice(), MaxIP: end.Addr().AsSlice(), MinPort: end.Port(), MaxPort: end.Port(),
				}}},
			})
		c.AddRule(&nftables.Rule{Table: nat, Chain: to, Exprs: exprs})
	}
}

// netavark publishes a port as Podman does: a table and rules of nf_tables' own.
func netavark(c *nftables.Conn, at uint16, leads string) {
	end := netip.MustParseAddrPort(leads)
	t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "netavark"})
	for _, hook := range []struct {
		name string
		at   *nftables.ChainHook
	}{{"PREROUTING", nftables.ChainHookPrerouting}, {"OUTPUT", nftables.ChainHookOutput}} {
		ch := c.AddChain(&nftables.Chain{Table: t, Name: hook.name, Type: nftables.ChainTypeNAT, Hooknum: hook.at, Priority: nftables.ChainPriorityNATDest})
		c.AddRule(&nftables.Rule{Table: t, Chain: ch, Exprs: slices.Concat(
			meta(expr.MetaKeyNFPROTO, expr.CmpOpEq, []byte{unix.NFPROTO_IPV4}), toThisMachine(), port(at),
			[]expr.Any{
				&expr.Immediate{Register: 1, Data: end.Addr().AsSlice()},
				&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(end.Port())},
				&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2},
			})})
	}
}

// TestPublishedPort closes an application in a container, whose port is published: by what is written in the
// configuration, and from wherever it is tried.
func TestPublishedPort(t *testing.T) {
	needUsers(t)
	for name, publish := range map[string]func(*nftables.Conn){
		"as Docker does": func(c *nftables.Conn) {
			docker(c, "br-app", map[uint16]string{8000: "172.18.0.2:3000", 9999: "172.18.0.2:3000", 8001: "172.18.0.3:3000"})
		},
		"as Podman does": func(c *nftables.Conn) {
			netavark(c, 8000, "172.18.0.2:3000")
			netavark(c, 9999, "172.18.0.2:3000")
			netavark(c, 8001, "172.18.0.3:3000")
		},
	} {
		for _, upstream := range []string{"127.0.0.1:8000", "172.18.0.2:3000"} {
			t.Run(name+", "+upstream, func(t *testing.T) {
				s := newStreet(t)
				s.app.listen("0.0.0.0:3000")
				sibling := s.sibling.listen("0.0.0.0:3000")
				s.server.listen("0.0.0.0:8000")
				s.server.listen("0.0.0.0:3000")
				s.firewall(publish)
				everywhere := func(nginx, outside func(*host, uint32, string)) {
					for _, address := range []string{"10.1.0.1:8000", "172.18.0.2:3000", "10.1.0.1:9999"} {
						nginx(s.host, www, address)
					}
					for _, address := range []string{"10.1.0.1:8000", "172.18.0.2:3000", "10.1.0.1:9999"} {
						outside(s.visitor, www, address)
					}
					outside(s.stranger, root, "172.19.0.1:8000")
					outside(s.stranger, root, "172.18.0.2:3000")
				}
				everywhere((*host).passes, (*host).passes)
				r := s.closed(upstream)
				s.load(r)
				everywhere((*host).refused, (*host).refused)
				// Whoever is on the application's own network is no stranger, and neither is what goes elsewhere.
				s.sibling.passes(root, "172.18.0.2:3000")
				s.passes(root, "172.18.0.2:3000")
				s.passes(root, "10.1.0.1:8000")
				s.passes(www, "10.1.0.1:8001")
				s.passes(www, "10.2.0.2:8000")
				s.visitor.passes(root, "10.2.0.2:8000")
				s.visitor.passes(root, "10.2.0.2:3000")
				s.visitor.passes(root, "10.1.0.1:8001")
				s.stranger.passes(root, "172.18.0.3:3000")
				if sibling.got.Load() != 3 {
					t.Errorf("the sibling got %d connections", sibling.got.Load())
				}
				site := r.Sites[0]
				if got := s.read().Nginx(site); got.Refused != 3 || got.Passed() != 0 {
					t.Errorf("from nginx: %+v", got)
				}
				if got := s.read().Outside(site); got.Refused != 5 || got.Passed() != 0 {
					t.Errorf("from outside: %+v", got)
				}
				if err := s.table().Prove(t.Context(), r, users); err != nil {
					t.Error(err)
				}
				// Admin: nginx gets through, the outside doesn't.
				r.Sites[0].Nginx = Leave
				s.load(r)
				everywhere((*host).passes, (*host).refused)
				s.must(s.table().Remove(t.Context()))
				everywhere((*host).passes, (*host).passes)
			})
		}
	}
}

var users = []User{{ID: www, Here: www, Group: www}, {ID: nobody, Here: nobody, Group: nobody}}

// TestForwarded closes an application of this machine and sees that what passes through it to others isn't touched.
func TestForwarded(t *testing.T) {
	s := newStreet(t)
	s.server.listen("0.0.0.0:8000")
	s.sibling.listen("0.0.0.0:8000")
	for _, listen := range []string{"0.0.0.0:8000", "127.0.0.1:8000", "10.1.0.1:8000"} {
		t.Run(listen, func(t *testing.T) {
			a := s.listen(listen)
			defer a.Close()
			upstream := listen
			if listen == "0.0.0.0:8000" {
				upstream = "127.0.0.1:8000"
			}
			s.load(s.closed(upstream))
			s.visitor.passes(root, "10.2.0.2:8000")
			s.stranger.passes(root, "10.2.0.2:8000")
			s.app.passes(root, "172.18.0.3:8000")
			s.visitor.refused(root, "10.1.0.1:8000")
			s.app.refused(root, "172.18.0.1:8000") // whoever is in a container is outside
			if got := a.got.Load(); got != 0 {
				t.Errorf("%d got through", got)
			}
		})
	}
}

// TestAddressOfAnother has two applications at one port, on addresses of their own: only one is closed.
func TestAddressOfAnother(t *testing.T) {
	needUsers(t)
	s := newStreet(t)
	s.listen("127.0.0.1:8000")
	s.listen("10.1.0.1:8000")
	r := s.closed("127.0.0.1:8000")
	s.load(r)
	s.refused(www, "127.0.0.1:8000")
	s.passes(www, "10.1.0.1:8000")
	s.visitor.passes(root, "10.1.0.1:8000")
	// Open beside it.
	r.Sites = append(r.Sites, Site{Name: "neighbour", Ends: s.ends("10.1.0.1:8000")})
	s.load(r)
	s.passes(www, "10.1.0.1:8000")
	// Were it the same application, no table could do it.
	var shared *SharedError
	same := Rules{Users: r.Users, Sites: []Site{
		{Name: "demo", Nginx: Refuse, Outside: Refuse, Ends: []End{{Addr: netip.MustParseAddrPort("127.0.0.1:8000"), Local: true, Anywhere: true}}},
		r.Sites[1],
	}}
	if err := s.table().Load(t.Context(), same); !errors.As(err, &shared) || shared.A != "demo" || shared.B != "neighbour" {
		t.Errorf("loaded: %v", err)
	}
	s.follows(r)
}

// TestOtherWays leads the outside to the application by rules of somebody else's, from a port that nothing is known
// of.
func TestOtherWays(t *testing.T) {
	s := newStreet(t)
	a := s.listen("0.0.0.0:8000")
	s.app.listen("0.0.0.0:3000")
	s.firewall(func(c *nftables.Conn) {
		nat := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "nat"})
		ch := c.AddChain(&nftables.Chain{Table: nat, Name: "PREROUTING", Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest})
		c.AddRule(&nftables.Rule{Table: nat, Chain: ch, Exprs: append(port(80),
			&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(8000)}, &expr.Redir{RegisterProtoMin: 1})})
	})
	s.visitor.passes(root, "10.1.0.1:80")
	r := s.closed("127.0.0.1:8000", "172.18.0.2:3000")
	s.load(r)
	before := a.got.Load()
	s.visitor.refused(root, "10.1.0.1:80")
	if a.got.Load() != before {
		t.Error("got through by a redirection")
	}
}

// TestFragments sends the first packet of a connection in pieces, none of which tells where it goes.
func TestFragments(t *testing.T) {
	s := newStreet(t)
	s.listen("0.0.0.0:8000")
	answered := func() (flags byte, any bool) {
		var got []byte
		s.must(s.visitor.do(func() (err error) {
			got, err = sendInPieces(netip.MustParseAddrPort("10.1.0.2:40000"), netip.MustParseAddrPort("10.1.0.1:8000"))
			return err
		}))
		if len(got) < 14 {
			return 0, false
		}
		return got[13], true
	}
	const syn, rst, ack = 0x02, 0x04, 0x10
	if flags, any := answered(); !any || flags&(syn|ack) != syn|ack {
		t.Fatalf("answered by %#x (%v): the pieces don't make a connection", flags, any)
	}
	s.load(s.closed("127.0.0.1:8000"))
	if flags, any := answered(); any && flags&rst == 0 {
		t.Errorf("answered by %#x", flags)
	}
}

// sendInPieces sends SYN in fragments of 8 bytes (RFC 791, 3.2), and returns the TCP header that comes back, nil if
// none does.
func sendInPieces(from, to netip.AddrPort) ([]byte, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_HDRINCL, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patient),
	); err != nil {
		return nil, err
	}
	tcp := make([]byte, 20)
	binary.BigEndian.PutUint16(tcp[0:], from.Port())
	binary.BigEndian.PutUint16(tcp[2:], to.Port())
	binary.BigEndian.PutUint32(tcp[4:], 12345)
	tcp[12], tcp[13] = 5<<4, 0x02
	binary.BigEndian.PutUint16(tcp[14:], 65535)
	src, dst := from.Addr().As4(), to.Addr().As4()
	binary.BigEndian.PutUint16(tcp[16:], checksum(slices.Concat(src[:], dst[:], []byte{0, unix.IPPROTO_TCP, 0, 20}, tcp)))
	for at := 0; at < len(tcp); at += 8 {
		piece := tcp[at:min(at+8, len(tcp))]
		ip := make([]byte, 20)
		ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_TCP
		binary.BigEndian.PutUint16(ip[2:], uint16(20+len(piece)))
		binary.BigEndian.PutUint16(ip[4:], 4711)
		more := uint16(0x2000)
		if at+8 >= len(tcp) {
			more = 0
		}
		binary.BigEndian.PutUint16(ip[6:], more|uint16(at/8))
		copy(ip[12:], src[:])
		copy(ip[16:], dst[:])
		if err := unix.Sendto(fd, append(ip, piece...), 0, &unix.SockaddrInet4{Addr: dst}); err != nil {
			return nil, err
		}
	}
	for {
		buf := make([]byte, 1500)
		var n int
		err := uninterrupted(func() (err error) {
			n, _, err = unix.Recvfrom(fd, buf, 0)
			return err
		})
		if errors.Is(err, unix.EAGAIN) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if n >= 40 && binary.BigEndian.Uint16(buf[20:]) == to.Port() {
			return buf[20:n], nil
		}
	}
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
