package operator

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Serving is how nginx's configuration serves one site.
type Serving struct {
	// Targets are the places to ask, one for each address, port and server name; empty when no server includes
	// the site's rules.
	Targets []Target
	// Upstreams are the addresses, as "host:port" or "unix:/path", to which the site's servers hand requests on.
	Upstreams []string
	// Listens are all addresses of the site's servers, as host:port; "*" stands for every address.
	Listens []string
	// WorkersMustEnd is set where requests come in or go out by sockets that can't be told from another site's, see Scope.
	WorkersMustEnd bool
	// RequestsInvisible is set where they come in and go out by such sockets: not even whether the application is at work on one can be seen then.
	RequestsInvisible bool
	// ShutdownTimeout is after how long nginx ends what an old worker still has, see Config.
	ShutdownTimeout time.Duration
	// VariablePasses are passes of other servers that lead to a variable: where to, nobody can say.
	VariablePasses []Place
	// Holes are places that lead to the site's upstreams past its rules.
	Holes []Hole
	// BeforeInclude are directives of the rewrite module that stand before the include and may keep its rules from running.
	BeforeInclude []Place
	// Bypasses are directives that hand requests on whatever the rules say.
	Bypasses []Place
	// Ungated are places of the site's servers that its gate in admin mode doesn't cover.
	Ungated []Ungated
	// SamePort are other servers on a port of the site: their old connections can't be told from the site's.
	SamePort []Place
	// NeedClientCert are the site's servers where there is nowhere to ask: they talk to nobody without a certificate.
	NeedClientCert []Place
	// NoTCPListener are the site's servers where none of them listens at an address of TCP: there is nowhere to ask either.
	NoTCPListener []Place
	// SamePortWithoutRules are those of SamePort that include the rules of no site at all.
	SamePortWithoutRules []Place
}

// Target is one place where nginx serves a site.
type Target struct {
	Site string // its name
	Addr string // host:port to connect to; a host that means "every address" stands for loopback
	// URL is the site's address as visitors type it: it gives the Host header, the TLS server name, and
	// whether TLS is tried first.
	URL string
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
	out := Serving{ShutdownTimeout: c.ShutdownTimeout}
	var own, others []*server
	unseenIn, unseenOut := false, false
	for _, s := range c.Servers {
		i := slices.IndexFunc(s.Files, func(name string) bool { return sameFile(name, file) })
		if i < 0 {
			others = append(others, s)
			continue
		}
		own = append(own, s)
		for _, e := range s.Rewrites {
			if e.After <= i {
				out.BeforeInclude = append(out.BeforeInclude, e.At)
			}
		}
		for _, e := range s.Bypasses {
			if e.After <= i {
				out.Bypasses = append(out.Bypasses, e.At)
			}
		}
		out.Ungated = append(out.Ungated, s.Ungated...)
		for _, l := range s.Listens {
			if l.NotTCP {
				unseenIn = true
			} else {
				out.Listens = append(out.Listens, l.Addr)
			}
		}
	}
	machine := thisMachine()
	ends := map[string]bool{}
	lead := func(to string) {
		ends[machine.canonical(to)] = true
		if strings.HasPrefix(to, "unix:") {
			unseenOut = true
		} else if !slices.Contains(out.Upstreams, to) {
			out.Upstreams = append(out.Upstreams, to)
		}
	}
	for _, u := range upstreams {
		lead(u)
	}
	for _, s := range own {
		targets := s.targets(known)
		out.Targets = append(out.Targets, targets...)
		if len(targets) == 0 && s.NeedsClientCert {
			out.NeedClientCert = append(out.NeedClientCert, s.At)
		}
		for _, p := range s.Passes {
			// Where to, only the operator can say; where they don't, nobody knows which of the workers' sockets are the site's.
			unseenOut = unseenOut || strings.Contains(p.To, "$") && len(upstreams) == 0
			for _, end := range c.ends(p.To) {
				lead(end)
			}
		}
	}
	out.WorkersMustEnd, out.RequestsInvisible = unseenIn || unseenOut, unseenIn && unseenOut
	if len(out.Listens) == 0 {
		for _, s := range own {
			out.NoTCPListener = append(out.NoTCPListener, s.At)
		}
	}
	slices.Sort(out.Upstreams)
	for _, s := range others {
		for _, p := range s.Passes {
			if strings.Contains(p.To, "$") {
				out.VariablePasses = append(out.VariablePasses, p.At)
			}
			for _, end := range c.ends(p.To) {
				if end := machine.canonical(end); ends[end] {
					out.Holes = append(out.Holes, Hole{s.At, p.At, end})
				}
			}
		}
		if slices.ContainsFunc(s.Listens, func(l listen) bool { return samePort(l, own) }) {
			out.SamePort = append(out.SamePort, s.At)
			if !slices.ContainsFunc(s.Files, func(name string) bool { return filepath.Dir(name) == filepath.Dir(file) }) {
				out.SamePortWithoutRules = append(out.SamePortWithoutRules, s.At)
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
	// One look at each tells most apart; following the links takes one for each part of the names. Two names of one file
	// without links are two files once one of them is replaced.
	i, err := os.Stat(a)
	if err != nil {
		return false
	}
	j, err := os.Stat(b)
	if err != nil || !os.SameFile(i, j) {
		return false
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
		for _, o := range s.Listens {
			_, p, _ := net.SplitHostPort(l.Addr)
			if _, q, _ := net.SplitHostPort(o.Addr); p == q {
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
	if members, ok := c.Upstreams[strings.ToLower(name)]; ok {
		return members
	}
	to = strings.TrimPrefix(to, streamPrefix)
	if strings.Contains(to, "$") {
		return nil
	}
	return []string{to}
}

// machine is what this machine is called: its addresses and names, in lower case.
type machine map[string]bool

// thisMachine looks for the names in hosts(5) only: whom to ask for others, and whether they answer, must not hold up a closing.
func thisMachine() machine {
	m := machine{"localhost": true}
	if name, err := os.Hostname(); err == nil {
		m[strings.ToLower(name)] = true
	}
	addrs, _ := net.InterfaceAddrs() // without them those are left that stand for loopback
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			m[p.Addr().Unmap().String()] = true
		}
	}
	hosts, _ := os.ReadFile("/etc/hosts")
	for line := range strings.Lines(string(hosts)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if ip, err := netip.ParseAddr(fields[0]); err == nil && (ip.IsLoopback() || m[ip.Unmap().String()]) {
			for _, name := range fields[1:] {
				m[strings.ToLower(name)] = true
			}
		}
	}
	return m
}

// shortLoopback are spellings like 127.1 (inet_aton(3)).
var shortLoopback = regexp.MustCompile(`^127[.0-9]*$`)

// canonical makes spellings of one address equal: this machine's are its loopback address.
func (m machine) canonical(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	host = strings.ToLower(host)
	ip, err := netip.ParseAddr(host)
	if err == nil {
		ip = ip.Unmap()
		host = ip.String()
	}
	if m[host] || err == nil && (ip.IsUnspecified() || ip.IsLoopback()) || shortLoopback.MatchString(host) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// targets are the places to ask for a server's rules: each address with each of its names.
func (s *server) targets(known Target) []Target {
	u, err := url.Parse(known.URL)
	if err != nil {
		return nil
	}
	hosts := s.hosts(strings.ToLower(u.Hostname()))
	var out []Target
	for _, l := range s.Listens {
		if l.NotTCP || l.TLS && s.NeedsClientCert {
			continue // we can't ask there
		}
		for _, host := range hosts {
			scheme := "http"
			if l.TLS {
				scheme = "https"
			}
			addr := l.Addr
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

// hosts are the names to ask a server under: those without a wildcard. Where all have one
// (https://nginx.org/en/docs/http/server_names.html) and none matches the host of app_url, which another server may answer then,
// they are names made for the wildcards. What a pattern matches is not known: such a server is asked under the host of app_url.
func (s *server) hosts(app string) []string {
	var plain, made []string
	matches := false
	for _, name := range s.Names {
		first, base, _ := strings.Cut(strings.ToLower(name), ".")
		switch {
		case name == "" || name == "_" || strings.ContainsAny(name, "~$"): // a pattern has no one name to ask for
		case first == "*": // *.example.org
			matches = matches || strings.HasSuffix(app, "."+base)
			made = append(made, "conforma-status."+base)
		case first == "": // .example.org, with and without more before it
			matches = matches || app == base || strings.HasSuffix(app, "."+base)
			made = append(made, base)
		case strings.HasSuffix(name, ".*"): // example.*
			matches = matches || strings.HasPrefix(app, strings.ToLower(strings.TrimSuffix(name, "*")))
		default:
			plain = append(plain, name)
		}
	}
	switch {
	case len(plain) > 0:
		return plain
	case len(made) > 0 && !matches:
		return made
	}
	return []string{app}
}
