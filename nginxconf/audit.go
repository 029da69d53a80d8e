package nginxconf

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// Config is the operator's configuration as nginx reads it, as far as it matters here.
type Config struct {
	servers []*server
	// upstreams maps the name of an upstream {} to its servers, as "host:port" or "unix:/path".
	upstreams map[string][]string
}

// server is one server {}, of http or of stream.
type server struct {
	at      Place
	listens []listen
	names   []string
	files   []string // included at its top level, in their order
	early   []early
	passes  []pass
	ungated []Ungated
}

type listen struct {
	addr  string // host:port
	tls   bool
	proxy bool // wants the PROXY protocol, which the probe doesn't speak
	// unseen is set where clients come by other sockets than TCP's, which can't be told from another site's.
	unseen bool
}

// early is a directive that may keep the rules of a file included after it from running.
type early struct {
	at    Place
	files int // how many files had been included before it
}

type pass struct {
	to string // "host:port", "unix:/path" or the name of an upstream
	at Place
}

// Place is where something stands in nginx's configuration.
type Place struct {
	File string
	Line int // 1-based
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// ReadConfig reads what nginx -T printed. The error wraps ErrSyntax.
func ReadConfig(dump []byte) (*Config, error) {
	ds, err := parseDump(dump)
	if err != nil {
		return nil, err
	}
	c := &Config{upstreams: map[string][]string{}}
	for _, d := range ds {
		if d.name == "http" || d.name == "stream" {
			for _, in := range d.block {
				c.read(in, d.name == "stream")
			}
		}
	}
	return c, nil
}

func (c *Config) read(d *directive, stream bool) {
	switch {
	case d.name == "upstream" && len(d.args) == 1:
		for _, in := range d.block {
			if in.name == "server" && len(in.args) > 0 {
				name := strings.ToLower(d.args[0]) // nginx compares names without case
				c.upstreams[name] = append(c.upstreams[name], withPort(in.args[0], "80"))
			}
		}
	case d.name == "server" && d.block != nil:
		s := &server{at: Place{d.file, d.line}}
		for _, in := range d.block {
			switch in.name {
			case "listen":
				if l, ok := readListen(in.args); ok {
					s.listens = append(s.listens, l)
				}
			case "server_name":
				s.names = append(s.names, in.args...)
			case "include":
				s.files = append(s.files, in.args...)
			case "auth_request", "satisfy":
				if !slices.Contains(in.args, authPath) && !slices.Contains(in.args, "all") {
					s.ungate(in, "")
				}
			case "location":
				s.ungateLocation(in)
			case "return": // answers before the gate is asked; before the include, before all rules
				s.ungate(in, "")
				s.early = append(s.early, early{Place{in.file, in.line}, len(s.files)})
			case "rewrite", "if", "break":
				s.early = append(s.early, early{Place{in.file, in.line}, len(s.files)})
			}
		}
		if len(s.listens) == 0 && !stream {
			s.listens = []listen{{addr: "*:80"}} // nginx's default, for root
		}
		s.collectPasses(d.block, stream)
		c.servers = append(c.servers, s)
	}
}

// Ungated is a directive that keeps the gate of admin mode out of a part of a site.
type Ungated struct {
	At        Place
	Directive string // as it stands there: "auth_request off"
	Location  string // the location's arguments, "" for the server as a whole
}

func (s *server) ungate(d *directive, location string) {
	text := strings.Join(append([]string{d.name}, d.args...), " ")
	s.ungated = append(s.ungated, Ungated{Place{d.file, d.line}, text, location})
}

// ungateLocation looks for what a location has of its own in place of what it would inherit: auth_request and error_page
// are not inherited where there are any (ngx_http_auth_request_module, ngx_http_core_module), "satisfy any" lets
// another check overrule the gate, and return answers before any check.
func (s *server) ungateLocation(location *directive) {
	if len(location.args) > 0 && (strings.HasPrefix(location.args[len(location.args)-1], "/.conforma-status/") ||
		strings.HasPrefix(location.args[0], "@conforma_")) {
		return // our own
	}
	name := strings.Join(location.args, " ")
	for _, d := range location.block {
		switch d.name {
		case "auth_request", "error_page", "return":
			s.ungate(d, name)
		case "satisfy":
			if slices.Contains(d.args, "any") {
				s.ungate(d, name)
			}
		case "location", "if", "limit_except":
			s.ungateLocation(&directive{name: d.name, args: append([]string{name}, d.args...), block: d.block})
		}
	}
}

// passDirectives hand a request on; the number is the default port of an address without one.
var passDirectives = map[string]string{
	"proxy_pass": "80", "grpc_pass": "80", "fastcgi_pass": "", "uwsgi_pass": "", "scgi_pass": "",
}

// authPath is what our own rules ask the gate by.
const authPath = "/.conforma-status/auth"

// gatePass is what our own rules ask: it leads to no application.
const gatePass = "http://conforma_status_gate/"

func (s *server) collectPasses(ds []*directive, stream bool) {
	for _, d := range ds {
		if port, ok := passDirectives[d.name]; ok && len(d.args) > 0 && !strings.HasPrefix(d.args[0], gatePass) {
			to := d.args[0]
			if scheme, rest, ok := strings.Cut(to, "://"); ok && !stream {
				if scheme == "https" || scheme == "grpcs" {
					port = "443"
				}
				to = rest
			}
			if strings.HasPrefix(to, "unix:") {
				to, _, _ = strings.Cut(to[len("unix:"):], ":")
				to = "unix:" + to
			} else {
				to, _, _ = strings.Cut(to, "/")
				to = withPort(to, port)
			}
			s.passes = append(s.passes, pass{to, Place{d.file, d.line}})
		}
		s.collectPasses(d.block, stream)
	}
}

// withPort adds a port to an address that has none; a name that could be an upstream's stays recognisable by it.
func withPort(addr, port string) string {
	if strings.HasPrefix(addr, "unix:") || port == "" {
		return addr
	}
	if _, _, err := net.SplitHostPort(addr); err == nil {
		return addr
	}
	return net.JoinHostPort(strings.Trim(addr, "[]"), port)
}

func readListen(args []string) (listen, bool) {
	if len(args) == 0 {
		return listen{}, false
	}
	if strings.HasPrefix(args[0], "unix:") {
		return listen{addr: args[0], unseen: true}, true
	}
	l := listen{addr: args[0], unseen: slices.Contains(args[1:], "quic"), proxy: slices.Contains(args[1:], "proxy_protocol"), tls: slices.Contains(args[1:], "ssl") || slices.Contains(args[1:], "quic")}
	switch _, _, err := net.SplitHostPort(l.addr); {
	case err == nil:
	case strings.Trim(l.addr, "0123456789") == "":
		l.addr = "*:" + l.addr
	default:
		l.addr = net.JoinHostPort(strings.Trim(l.addr, "[]"), "80")
	}
	return l, true
}

// Serving is how nginx's configuration serves one site.
type Serving struct {
	// Targets are the places to ask, one for each address, port and server name; empty when no server includes
	// the site's rules.
	Targets []Target
	// Upstreams are the addresses, as "host:port" or "unix:/path", to which the site's servers hand requests on.
	Upstreams []string
	// Listens are all addresses of the site's servers, as host:port; "*" stands for every address.
	Listens []string
	// Whole is set where requests come in or go out by sockets that can't be told from another site's, see Scope.
	Whole bool
	// Unclear are passes of other servers that lead to a variable: where to, nobody can say.
	Unclear []Place
	// Holes are places that lead to the site's upstreams past its rules.
	Holes []Hole
	// Early are directives of the rewrite module that stand before the include and may keep its rules from running.
	Early []Place
	// Ungated are places of the site's servers that its gate in admin mode doesn't cover.
	Ungated []Ungated
	// Shared are other servers on a port of the site: their old connections can't be told from the site's.
	Shared []Place
	// Strangers are those of Shared that include the rules of no site at all.
	Strangers []Place
}

// Hole is a server that leads to an upstream of a site without including its rules.
type Hole struct {
	Server   Place  // its server {}
	Pass     Place  // the directive that hands requests on
	Upstream string // where it leads to
}

// Serving finds out how the site of that name is served. file is the path of its rules; known are its target
// and the upstreams that the operator's configuration of conforma-status names.
func (c *Config) Serving(file string, known Target, upstreams []string) Serving {
	var out Serving
	var own, others []*server
	for _, s := range c.servers {
		i := slices.IndexFunc(s.files, func(name string) bool { return sameFile(name, file) })
		if i < 0 {
			others = append(others, s)
			continue
		}
		own = append(own, s)
		for _, e := range s.early {
			if e.files <= i {
				out.Early = append(out.Early, e.at)
			}
		}
		out.Ungated = append(out.Ungated, s.ungated...)
		for _, l := range s.listens {
			if l.unseen {
				out.Whole = true
			} else {
				out.Listens = append(out.Listens, l.addr)
			}
		}
	}
	ends := map[string]bool{}
	lead := func(to string) {
		ends[canonical(to)] = true
		if strings.HasPrefix(to, "unix:") {
			out.Whole = true
		} else if !slices.Contains(out.Upstreams, to) {
			out.Upstreams = append(out.Upstreams, to)
		}
	}
	for _, u := range upstreams {
		lead(u)
	}
	for _, s := range own {
		out.Targets = append(out.Targets, s.targets(known)...)
		for _, p := range s.passes {
			for _, end := range c.ends(p.to) {
				lead(end)
			}
		}
	}
	slices.Sort(out.Upstreams)
	for _, s := range others {
		for _, p := range s.passes {
			if strings.Contains(p.to, "$") {
				out.Unclear = append(out.Unclear, p.at)
			}
			for _, end := range c.ends(p.to) {
				if ends[canonical(end)] {
					out.Holes = append(out.Holes, Hole{s.at, p.at, canonical(end)})
				}
			}
		}
		if slices.ContainsFunc(s.listens, func(l listen) bool { return samePort(l, own) }) {
			out.Shared = append(out.Shared, s.at)
			if !slices.ContainsFunc(s.files, func(name string) bool { return filepath.Dir(name) == filepath.Dir(file) }) {
				out.Strangers = append(out.Strangers, s.at)
			}
		}
	}
	return out
}

// sameFile reports whether both names lead to one file, by way of symbolic links too.
func sameFile(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	x, err := filepath.EvalSymlinks(a)
	if err != nil {
		return false
	}
	y, err := filepath.EvalSymlinks(b)
	return err == nil && x == y
}

func samePort(l listen, own []*server) bool {
	for _, s := range own {
		for _, o := range s.listens {
			_, p, _ := net.SplitHostPort(l.addr)
			if _, q, _ := net.SplitHostPort(o.addr); p == q {
				return true
			}
		}
	}
	return false
}

// ends are the addresses that a pass leads to. One with a variable in it leads who knows where: none.
func (c *Config) ends(to string) []string {
	name, _, err := net.SplitHostPort(to)
	if err != nil {
		name = to
	}
	if members, ok := c.upstreams[strings.ToLower(name)]; ok {
		return members
	}
	if strings.Contains(to, "$") {
		return nil
	}
	return []string{to}
}

// canonical makes spellings of one address equal: the names of this machine are its loopback address.
func canonical(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	switch ip, err := netip.ParseAddr(host); {
	case strings.EqualFold(host, "localhost"), err == nil && (ip.IsUnspecified() || ip.IsLoopback()):
		host = "127.0.0.1"
	case err == nil:
		host = ip.String()
	}
	return net.JoinHostPort(strings.ToLower(host), port)
}

// targets are the places to ask for a server's rules: each address with each of its names.
func (s *server) targets(known Target) []Target {
	u, err := url.Parse(known.URL)
	if err != nil {
		return nil
	}
	var hosts []string
	for _, name := range s.names {
		// A wildcard or pattern has no one name to ask for; what it matches is served by the same rules.
		if name != "" && name != "_" && !strings.ContainsAny(name, "*~$") && !strings.HasPrefix(name, ".") {
			hosts = append(hosts, name)
		}
	}
	if len(hosts) == 0 {
		hosts = []string{u.Hostname()}
	}
	var out []Target
	for _, l := range s.listens {
		if l.proxy || l.unseen {
			continue
		}
		for _, host := range hosts {
			scheme := "http"
			if l.tls {
				scheme = "https"
			}
			addr := l.addr
			at, port, _ := net.SplitHostPort(addr)
			// Another server may listen at the same port of the loopback address alone: the operator's listen says where
			// this site answers.
			if _, p, err := net.SplitHostPort(known.Addr); err == nil && p == port && (at == "*" || at == "0.0.0.0") {
				addr = known.Addr
			}
			out = append(out, Target{Site: known.Site, Addr: addr, URL: scheme + "://" + net.JoinHostPort(host, port)})
		}
	}
	return out
}
