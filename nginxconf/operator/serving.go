package operator

import (
	"net"
	"path/filepath"
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
	// WorkersMustEnd is set where requests come in or go out by sockets that can't be told from another site's, see
	// Scope.
	WorkersMustEnd bool
	// RequestsInvisible is set where they come in and go out by such sockets: not even whether the application is
	// at work on one can be seen then.
	RequestsInvisible bool
	// ShutdownTimeout is after how long nginx ends what an old worker still has; 0 for never.
	ShutdownTimeout time.Duration
	// VariablePasses are passes of other servers that lead to a variable: where to, nobody can say.
	VariablePasses []Place
	// Holes are places that lead to the site's upstreams past its rules.
	Holes []Hole
	// BeforeInclude are directives of the rewrite module that stand before the include and may keep its rules from
	// running.
	BeforeInclude []Place
	// Bypasses are directives that hand requests on whatever the rules say.
	Bypasses []Place
	// Ungated are places of the site's servers that its gate in admin mode doesn't cover.
	Ungated []Ungated
	// SamePort are other servers on a port of the site: their old connections can't be told from the site's.
	SamePort []Place
	// Credulous are the places where nginx's realip module believes anybody about their address: by an address, nobody
	// can be told from anybody there.
	Credulous []Place
	// NeedClientCert are the site's servers where there is nowhere to ask: they talk to nobody without a certificate.
	NeedClientCert []Place
	// NoTCPListener are the site's servers where none of them listens at an address of TCP: there is nowhere to ask
	// either.
	NoTCPListener []Place
	// SamePortWithoutRules are those of SamePort that include the rules of no site at all, and hand requests on.
	SamePortWithoutRules []Place
	// Spares are servers of the site's upstream {} that the given upstreams don't name: nginx sends on to them what the
	// kernel refuses. It is empty if no upstreams are given: all servers are the site's then.
	Spares []Spare
	// ErrorPages are the site's error_page directives that lead a 502, which a refusal is, to another application or
	// have it answered as something else.
	ErrorPages []Place
}

// Spare is a server of an upstream {} that stands in for another one.
type Spare struct {
	At   Place
	Addr string // "host:port" or "unix:/path"
}

// Hole is a server that leads to an upstream of a site without including its rules.
type Hole struct {
	Server   Place  // its server {}
	Pass     Place  // the directive that hands requests on
	Upstream string // where it leads to
	// Site is the site whose rules its server {} includes, "" for none.
	Site string
}

// Serving finds out how the site of that name is served. file is the path of its rules; known are its target
// and the upstreams that the operator's configuration of conforma-status names.
func (c *Config) Serving(file string, known Target, upstreams []string) Serving {
	own, others := c.divide(file)
	out := Serving{ShutdownTimeout: c.shutdownTimeout, Credulous: c.credulous}
	for _, s := range own {
		out.addOwn(s, known)
	}
	if len(out.Listens) == 0 {
		for _, s := range own {
			out.NoTCPListener = append(out.NoTCPListener, s.At)
		}
	}
	ways := c.waysOf(own, upstreams)
	out.Upstreams = ways.upstreams
	unseen := slices.ContainsFunc(own, func(s siteServer) bool {
		return slices.ContainsFunc(s.Listens, func(l listen) bool { return l.NotTCP })
	})
	out.WorkersMustEnd, out.RequestsInvisible = unseen || ways.unseen, unseen && ways.unseen
	c.addDetours(&out, own, ways, upstreams)
	for _, s := range others {
		ours := func(name string) bool { return filepath.Dir(name) == filepath.Dir(file) }
		site := ""
		if i := slices.IndexFunc(s.Files, ours); i >= 0 {
			site = strings.TrimSuffix(filepath.Base(s.Files[i]), filepath.Ext(s.Files[i]))
		}
		out.addOther(s, c, ways, site)
		if slices.ContainsFunc(s.Listens, func(l listen) bool { return samePort(l, own) }) {
			out.SamePort = append(out.SamePort, s.At)
			if s.Leads && site == "" {
				out.SamePortWithoutRules = append(out.SamePortWithoutRules, s.At)
			}
		}
	}
	return out
}

// siteServer is a server that includes the rules of the site.
type siteServer struct {
	*server
	include int // of its Files, which one the rules are
}

// divide tells the servers of a site from others.
func (c *Config) divide(file string) (own []siteServer, others []*server) {
	for _, s := range c.servers {
		i := slices.IndexFunc(s.Files, func(name string) bool { return sameFile(name, file) })
		if i < 0 {
			others = append(others, s)
		} else {
			own = append(own, siteServer{s, i})
		}
	}
	return own, others
}

// addOwn adds what a server of the site's says by itself.
func (v *Serving) addOwn(s siteServer, known Target) {
	v.BeforeInclude = append(v.BeforeInclude, s.inTheWay(s.Rewrites)...)
	v.Bypasses = append(v.Bypasses, s.inTheWay(s.Bypasses)...)
	v.Ungated = append(v.Ungated, s.Ungated...)
	for _, l := range s.Listens {
		if !l.NotTCP {
			v.Listens = append(v.Listens, l.Addr)
		}
	}
	targets := s.targets(known)
	v.Targets = append(v.Targets, targets...)
	if len(targets) == 0 && s.NeedsClientCert {
		v.NeedClientCert = append(v.NeedClientCert, s.At)
	}
}

// inTheWay are those of the obstacles that stand before the rules, or hold wherever they stand.
func (s siteServer) inTheWay(obstacles []obstacle) []Place {
	var out []Place
	for _, o := range obstacles {
		if o.After <= s.include {
			out = append(out, o.At)
		}
	}
	return out
}

// ways are where a site leads to.
type ways struct {
	upstreams []string // "host:port", sorted
	machine   machine
	ends      map[string]bool // the canonical addresses of all, unix sockets too
	unseen    bool            // some lead where sockets can't be told from another site's
}

func (c *Config) waysOf(own []siteServer, upstreams []string) ways {
	w := ways{machine: thisMachine(), ends: map[string]bool{}}
	for _, u := range upstreams {
		w.add(u)
	}
	for _, s := range own {
		for _, p := range s.Passes {
			// Where to, only the operator can say; where they don't, nobody knows which of the workers' sockets are
			// the site's.
			w.unseen = w.unseen || strings.Contains(p.To, "$") && len(upstreams) == 0
			for _, end := range c.ends(p.To) {
				w.add(end)
			}
		}
	}
	slices.Sort(w.upstreams)
	return w
}

func (w *ways) add(to string) {
	w.ends[w.machine.canonical(to)] = true
	if strings.HasPrefix(to, "unix:") {
		w.unseen = true
	} else if !slices.Contains(w.upstreams, to) {
		w.upstreams = append(w.upstreams, to)
	}
}

// addOther adds where another server, which includes the rules of a site or none (""), leads to the site's upstreams.
func (v *Serving) addOther(s *server, c *Config, to ways, site string) {
	for _, p := range s.Passes {
		if strings.Contains(p.To, "$") {
			v.VariablePasses = append(v.VariablePasses, p.At)
		}
		for _, end := range c.ends(p.To) {
			if end := to.machine.canonical(end); to.ends[end] {
				v.Holes = append(v.Holes, Hole{s.At, p.At, end, site})
			}
		}
	}
}

func samePort(l listen, own []siteServer) bool {
	_, port, _ := net.SplitHostPort(l.Addr)
	for _, s := range own {
		for _, o := range s.Listens {
			if _, p, _ := net.SplitHostPort(o.Addr); p == port {
				return true
			}
		}
	}
	return false
}
