package operator

import (
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/msupply-foundation/conforma-status/nginxconf"
)

// server is one server {}, of http or of stream.
type server struct {
	At       Place
	Listens  []listen
	Names    []string
	Files    []string // included at its top level, in their order
	Rewrites []obstacle
	Bypasses []obstacle
	Passes   []pass
	Ungated  []Ungated
	// Leads is set where requests may be handed on, to wherever: else they get files, redirects and errors of nginx's own.
	Leads bool
	// NeedsClientCert is set where TLS is for visitors with a certificate of their own only.
	NeedsClientCert bool
	// Address is where it leads those who speak plain HTTP to a port of TLS, as "https://host:port"; "" for nowhere,
	// and where variables say so.
	Address   string
	Locations []location
	// ErrorPages are those for a 502, which is what nginx makes of a connection that is refused.
	ErrorPages []errorPage
	// TLS is what it proves itself by.
	TLS tlsFiles
	// Stream is whether it is one of stream {}.
	Stream bool
}

// listen is where a server listens, as host:port; the host may be "*".
type listen struct {
	nginxconf.StandbyListen
	// NotTCP is set where clients come by other sockets than TCP's, which can't be told from another site's.
	NotTCP bool
	// Both is whether it is of IPv6 and takes clients by IPv4 as well.
	Both bool
}

// obstacle is a directive that may keep the rules of a file included after it from running, or hand requests on
// beside them.
type obstacle struct {
	At    Place
	After int // how many files had been included before it; always where that doesn't matter
}

const always = -1

// inherited is what of an http {} or stream {} holds for its servers.
type inherited struct {
	stream          bool
	needsClientCert bool
	bypasses        []*directive
	errorPages      []*directive
	tls             tlsFiles
	proxied         proxied
	values          map[string][]string // what a map or set may make of a variable, by its name with the dollar sign
}

func readServer(block *directive, above inherited) *server {
	s := &server{At: block.at(), NeedsClientCert: above.needsClientCert, Leads: leads(block.block), Stream: above.stream}
	s.TLS = above.tls.within(block.block)
	for _, d := range above.bypasses {
		if !slices.ContainsFunc(block.block, func(own *directive) bool { return own.name == d.name }) {
			s.readBypass(d)
		}
	}
	for i, d := range block.block {
		if !isOurSatisfy(block.block[i:]) {
			s.read(d)
		}
	}
	if len(s.Listens) == 0 && !above.stream {
		s.Listens = readListen([]string{"80"}) // nginx's default, for root
	}
	above.values = maps.Clone(above.values)
	collectValues(above.values, block.block)
	s.collectPasses(block.block, above)
	s.collectLocations(block.block, above.proxied.within(block.block))
	s.collectErrorPages(block.block, above)
	return s
}

// read takes note of a directive at the top level of a server {}.
func (s *server) read(d *directive) {
	switch d.name {
	case "mirror", "post_action":
		s.readBypass(d)
	case "error_page":
		s.readBypass(d)
		if to := d.args[max(0, len(d.args)-1):]; slices.Contains(d.args, plainToTLS) && len(to) > 0 {
			if m := writtenOut().FindStringSubmatch(to[0]); m != nil {
				s.Address = m[1]
			}
		}
	case "listen":
		s.Listens = append(s.Listens, readListen(d.args)...)
	case "ssl_verify_client":
		s.NeedsClientCert = slices.Contains(d.args, "on")
	case "server_name":
		s.Names = append(s.Names, d.args...)
	case "include":
		s.Files = append(s.Files, d.args...)
	case "auth_request", "satisfy":
		if !slices.Contains(d.args, authPath) {
			s.ungate(d, "") // nginx refuses "satisfy all" beside ours, too
		}
	case "location":
		s.ungateLocation(d)
	case "return": // answers before the gate is asked; before the include, before all rules
		s.ungate(d, "")
		s.Rewrites = append(s.Rewrites, obstacle{d.at(), len(s.Files)})
	case "rewrite", "if", "break":
		s.Rewrites = append(s.Rewrites, obstacle{d.at(), len(s.Files)})
	}
}

// plainToTLS is what nginx answers to plain HTTP on a port of TLS, early too (nginxconf.EarlyErrors). It is often led
// to https: that is left to do so.
const plainToTLS = "497"

// writtenOut is an address that an error_page names without variables, but for what was asked for there.
var writtenOut = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(https?://[A-Za-z0-9.-]+(?::[0-9]+)?)(?:/|\$request_uri)*$`)
})

// readBypass notes a directive that hands requests on beside the rules.
func (s *server) readBypass(d *directive) {
	switch d.name {
	case "mirror", "post_action":
		if !slices.Contains(d.args, "off") {
			s.Bypasses = append(s.Bypasses, obstacle{d.at(), always})
		}
	case "error_page":
		if n := len(d.args); n == 0 || !strings.HasPrefix(d.args[n-1], "@") {
			return
		}
		if slices.Contains(d.args, plainToTLS) {
			s.Bypasses = append(s.Bypasses, obstacle{d.at(), always})
		} else if slices.ContainsFunc(d.args, isEarlyError) {
			s.Bypasses = append(s.Bypasses, obstacle{d.at(), len(s.Files)})
			s.ungate(d, "")
		}
	}
}

func isEarlyError(code string) bool { return slices.Contains(nginxconf.EarlyErrors, code) }

// readListen reads a listen directive: a range of ports (since nginx 1.15.10) is one address for each.
func readListen(args []string) []listen {
	if len(args) == 0 {
		return nil
	}
	var l listen
	if l.Addr = args[0]; strings.HasPrefix(l.Addr, "unix:") {
		l.NotTCP = true
		return []listen{l}
	}
	for _, arg := range args[1:] {
		switch arg {
		case "quic":
			l.NotTCP, l.TLS = true, true
		case "ssl":
			l.TLS = true
		case "proxy_protocol":
			l.ProxyProtocol = true
		case "default_server", "default":
			l.Default = true
		case "ipv6only=off":
			l.Both = true
		}
	}
	switch _, _, err := net.SplitHostPort(l.Addr); {
	case err == nil:
	case strings.Trim(l.Addr, "0123456789-") == "":
		l.Addr = "*:" + l.Addr
	default:
		l.Addr = net.JoinHostPort(strings.Trim(l.Addr, "[]"), "80")
	}
	host, ports, _ := net.SplitHostPort(l.Addr)
	first, last, _ := strings.Cut(ports, "-")
	from, err := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	if err != nil || err2 != nil || to < from {
		return []listen{l}
	}
	var out []listen
	for port := from; port <= to; port++ {
		l.Addr = net.JoinHostPort(host, strconv.FormatUint(port, 10))
		out = append(out, l)
	}
	return out
}
