package operator

import (
	"net"
	"slices"
	"strings"
)

// ServerBlock is a server {} that hands requests on.
type ServerBlock struct {
	At        Place
	Listen    string   // host:port of its first TCP listen; the host may be "*"
	TLS       bool     // on that one
	Names     []string // without wildcards and patterns; may be empty
	Upstreams []string // "host:port" or "unix:/path", in the order of the passes, each once
	Files     []string // that it includes
}

// Proxies are the servers that hand requests on and listen at an address of TCP, in their order.
func (c *Config) Proxies() []ServerBlock {
	var out []ServerBlock
	for _, s := range c.Servers {
		i := slices.IndexFunc(s.Listens, func(l listen) bool { return !l.NotTCP })
		if len(s.Passes) == 0 || i < 0 {
			continue
		}
		b := ServerBlock{At: s.At, Listen: s.Listens[i].Addr, TLS: s.Listens[i].TLS, Files: s.Files}
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
