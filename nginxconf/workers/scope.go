package workers

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Scope is where the requests of a site come in and go out: which sockets are the site's.
type Scope struct {
	Listens   []string // host:port that nginx listens at; a host that means "every address" stands for all
	Upstreams []string // host:port of the application
	// Anywhere are ports of the application that are meant at any address of this machine.
	Anywhere []uint16
	// WorkersMustEnd is set where the site has sockets that can't be told from others, such as unix sockets: the
	// old workers themselves have to be gone.
	WorkersMustEnd bool
}

// matcher tells the site's sockets from others. An address that isn't valid stands for any.
type matcher struct {
	listens, upstreams []netip.AddrPort
	anywhere           []uint16
}

func (sc Scope) matcher() (matcher, error) {
	listens, err := endpointsOf(sc.Listens)
	if err != nil {
		return matcher{}, err
	}
	upstreams, err := endpointsOf(sc.Upstreams)
	return matcher{listens, upstreams, sc.Anywhere}, err
}

// matchers are those of several sites, in their order.
func matchers(scopes []Scope) (out []matcher, err error) {
	for _, scope := range scopes {
		m, err := scope.matcher()
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// appPorts are the ports of the applications of those sites. They aren't nil.
func appPorts(sites []matcher) []uint16 {
	out := []uint16{}
	for _, m := range sites {
		out = append(out, m.anywhere...)
		for _, u := range m.upstreams {
			out = append(out, u.Port())
		}
	}
	return out
}

// endpointsOf are the endpoints of all of those.
func endpointsOf(hostports []string) (out []netip.AddrPort, err error) {
	for _, at := range hostports {
		ends, err := endpoints(at)
		if err != nil {
			return nil, fmt.Errorf("read the address %q: %w", at, err)
		}
		out = append(out, ends...)
	}
	return out, nil
}

// endpoints are the addresses that host:port may mean. A name that can't be looked up stands for any address: its
// port alone decides then, which errs towards waiting.
func endpoints(hostport string) ([]netip.AddrPort, error) {
	host, p, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return nil, err
	}
	at := func(ip netip.Addr) netip.AddrPort { return netip.AddrPortFrom(ip, uint16(port)) }
	ip, err := netip.ParseAddr(host)
	switch {
	case err == nil && !ip.IsUnspecified():
		return []netip.AddrPort{at(ip.Unmap())}, nil
	case strings.EqualFold(host, "localhost"):
		return []netip.AddrPort{at(netip.AddrFrom4([4]byte{127, 0, 0, 1})), at(netip.IPv6Loopback())}, nil
	}
	return []netip.AddrPort{at(netip.Addr{})}, nil
}

// isListen reports whether nginx is reached by the socket, or waits to be.
func (m matcher) isListen(s tcpSocket) bool {
	for _, l := range m.listens {
		if s.local.Port() != l.Port() {
			continue
		}
		if !l.Addr().IsValid() || s.local.Addr() == l.Addr() || s.listening() && s.local.Addr().IsUnspecified() {
			return true
		}
	}
	return false
}

// leadsToApp reports whether the socket leads to an upstream. One to an address of this machine comes from there.
func (m matcher) leadsToApp(s tcpSocket) bool {
	here := s.remote.Addr().IsLoopback() || s.remote.Addr() == s.local.Addr()
	return !s.listening() && (m.isApp(s.remote) || here && slices.Contains(m.anywhere, s.remote.Port()))
}

// isApp reports whether the address is an upstream's.
func (m matcher) isApp(a netip.AddrPort) bool {
	return slices.ContainsFunc(m.upstreams, func(u netip.AddrPort) bool {
		return a.Port() == u.Port() && (!u.Addr().IsValid() || a.Addr() == u.Addr())
	})
}
