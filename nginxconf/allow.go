package nginxconf

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// ParseAllowed reads an address ("203.0.113.7", "2001:db8::1") or a network of them ("10.0.0.0/8") that a site lets in
// while it is in admin mode. The error says what is wrong with it.
func ParseAllowed(text string) (netip.Prefix, error) {
	address, mask, isNetwork := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(address)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is not an address", text)
	case addr.Zone() != "":
		return netip.Prefix{}, fmt.Errorf("%q names a network card of this machine", text)
	case addr.Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is an IPv4 address: write %s", text, addr.Unmap())
	case !isNetwork:
		return checkAllowed(text, netip.PrefixFrom(addr, addr.BitLen()))
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q has no mask from 1 to %d behind its slash: %q", text, addr.BitLen(), mask)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits beyond its mask: write %s for the network, %s for the one address", text, p.Masked(), addr)
	}
	return checkAllowed(text, p)
}

// unreadable is what nginx takes a client for whose address is none, that of a unix socket (ngx_http_geo_module).
var unreadable = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func checkAllowed(text string, p netip.Prefix) (netip.Prefix, error) {
	switch {
	case p.Bits() == 0:
		return netip.Prefix{}, fmt.Errorf("%q lets everybody in", text)
	case p.Contains(unreadable):
		return netip.Prefix{}, fmt.Errorf("%q has 255.255.255.255 in it, which stands for whoever has no address", text)
	}
	return p, nil
}

// CheckOverlaps returns an error that names each of a site's networks that another one of them has in it.
func CheckOverlaps(allowed []netip.Prefix) error {
	var errs []error
	for i, p := range allowed {
		for j, q := range allowed {
			if i != j && q.Overlaps(p) && (q.Bits() < p.Bits() || q == p && j < i) {
				errs = append(errs, fmt.Errorf("%s is in %s already", shown(p), shown(q)))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// shown is a network as somebody wrote it: one address without its mask.
func shown(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// nobodyAllowed is for an nginx that may be without its geo module, which it needs for nothing else.
const nobodyAllowed = "map \"\" $conforma_allowed { default \"\"; }\n"

// allowedLines are the lines of nginx's geo. geo gives an address only the value of the narrowest network that it is
// in: so each line also names the sites of the networks around it.
func allowedLines(allowed map[string][]netip.Prefix) string {
	var networks []netip.Prefix
	for _, of := range allowed {
		networks = append(networks, of...)
	}
	if len(networks) == 0 {
		return nobodyAllowed
	}
	slices.SortFunc(networks, netip.Prefix.Compare)
	var b strings.Builder
	b.WriteString("geo $conforma_allowed {\n  default \"\";\n")
	for _, p := range slices.Compact(networks) {
		fmt.Fprintf(&b, "  %s \",", p)
		for _, site := range slices.Sorted(maps.Keys(allowed)) {
			if slices.ContainsFunc(allowed[site], func(q netip.Prefix) bool { return q.Overlaps(p) && q.Bits() <= p.Bits() }) {
				fmt.Fprintf(&b, "%s,", site)
			}
		}
		b.WriteString("\";\n")
	}
	return b.String() + "}\n"
}
