package operator

import (
	"net"
	"net/url"
	"strings"
)

// Target is one place where nginx serves a site.
type Target struct {
	Site string // its name
	Addr string // host:port to connect to; a host that means "every address" stands for loopback
	// URL is the site's address as visitors type it: it gives the Host header, the TLS server name, and
	// whether TLS is tried first.
	URL string
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
			// Another server may listen at the same port of the loopback address alone: the operator's listen says
			// where this site answers.
			if _, p, err := net.SplitHostPort(known.Addr); err == nil && p == port && (at == "*" || at == "0.0.0.0") {
				addr = known.Addr
			}
			out = append(out, Target{Site: known.Site, Addr: addr, URL: scheme + "://" + net.JoinHostPort(host, port)})
		}
	}
	return out
}

// hosts are the names to ask a server under: those without a wildcard. If all have one
// (https://nginx.org/en/docs/http/server_names.html), and none matches the host of app_url, they are names that fit the
// wildcards. What a regular expression matches is not known: such a server is asked under the host of app_url.
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
