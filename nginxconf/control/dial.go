package control

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// Dial connects to host:port as nginx's own machine does: in a container behind a bridge that is its network
// namespace, where it alone takes us for local. Names are looked up here. The error wraps workers.ErrCantEnter where
// this process may not enter the namespace.
func (n Nginx) Dial(ctx context.Context, addr string) (net.Conn, error) {
	network := n.network()
	// Where nginx is another user's, who mayn't be looked at, it is taken to be where we are.
	if ours, err := network.IsOurs(); ours || err != nil {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	addrs := []netip.Addr{}
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, a)
	} else if addrs, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, err
	}
	var failed []error
	for _, a := range addrs {
		conn, err := dialIn(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// dialIn connects to an address in a network namespace. With an address there is one attempt, which net makes by the
// thread that it was called by.
func dialIn(ctx context.Context, network workers.Network, addr string) (net.Conn, error) {
	dialed := make(chan net.Conn, 1)
	err := network.Within(ctx, func() { close(dialed) }, func() error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			dialed <- conn
		}
		return err
	})
	if err != nil {
		go func() { // one that comes about after all is nobody's
			if conn := <-dialed; conn != nil {
				conn.Close()
			}
		}()
		return nil, err
	}
	return <-dialed, nil
}
