package operator

import (
	"net"
	"slices"
	"strings"
)

// ServerBlock is a server {} that hands requests on.
type ServerBlock struct {
	At        Place
	Listen    string   // host:port of its first TCP listen, of IPv4 where there is one; the host may be "*"
	TLS       bool     // on that one
	Address   string   // where it leads plain HTTP to, as "https://host:port"; "" where it doesn't say
	Names     []string // without wildcards and patterns; may be empty
	Upstreams []string // "host:port" or "unix:/path", in the order of the passes, each once
	Files     []string // that it includes
}

// Proxies are the servers of http {} that hand requests on and listen at an address of TCP, in their order.
func (c *Config) Proxies() []ServerBlock {
	var out []ServerBlock
	for _, s := range c.servers {
		l, ok := s.firstListen()
		if len(s.Passes) == 0 || !ok || strings.HasPrefix(s.Passes[0].To, streamPrefix) {
			continue
		}
		b := ServerBlock{At: s.At, Listen: l.Addr, TLS: l.TLS, Address: s.Address, Files: s.Files}
		for _, name := range s.Names {
			if name != "" && name != "_" && !strings.ContainsAny(name, "*~$") && !strings.HasPrefix(name, ".") {
				b.Names = append(b.Names, name)
			}
		}
		for _, p := range s.Passes {
			for _, end := range c.ends(p.To) {
				if _, _, err := net.SplitHostPort(end); err != nil && !strings.HasPrefix(end, "unix:") {
					continue
				}
				if !slices.Contains(b.Upstreams, end) {
					b.Upstreams = append(b.Upstreams, end)
				}
			}
		}
		out = append(out, b)
	}
	return out
}

// firstListen is a server's first listen of TCP, of IPv4 before IPv6; ok is false where there is none.
func (s *server) firstListen() (first listen, ok bool) {
	for _, l := range s.Listens {
		switch {
		case l.NotTCP:
		case !strings.HasPrefix(l.Addr, "["):
			return l, true
		case !ok:
			first, ok = l, true
		}
	}
	return first, ok
}
