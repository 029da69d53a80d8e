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
	m := matcher{anywhere: sc.Anywhere}
	for _, l := range sc.Listens {
		ends, err := endpoints(l)
		if err != nil {
			return matcher{}, fmt.Errorf("read the address %q: %w", l, err)
		}
		m.listens = append(m.listens, ends...)
	}
	for _, u := range sc.Upstreams {
		ends, err := endpoints(u)
		if err != nil {
			return matcher{}, fmt.Errorf("read the address %q: %w", u, err)
		}
		m.upstreams = append(m.upstreams, ends...)
	}
	return m, nil
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
	anyAddress := []netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, uint16(port))}
	if host == "" || host == "*" {
		return anyAddress, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.IsUnspecified() {
			return anyAddress, nil
		}
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), uint16(port))}, nil
	}
	if !strings.EqualFold(host, "localhost") {
		return anyAddress, nil
	}
	return []netip.AddrPort{
		netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)),
		netip.AddrPortFrom(netip.IPv6Loopback(), uint16(port)),
	}, nil
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
