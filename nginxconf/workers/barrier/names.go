package barrier

import (
	"context"
	"net"
	"net/netip"
)

// Lookup returns the addresses of a host's name, as programs in the namespace find them.
func (n Network) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
