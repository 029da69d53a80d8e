package setup

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// address is a site's as visitors type it, and where that was read.
type address struct {
	url  string // "https://host:port", without the scheme's usual port
	from string // for the comment; "" where nothing here says how visitors type it
}

func (a address) host() string {
	u, err := url.Parse(a.url)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// address is the site's address: where nginx redirects plain HTTP on its port to, or Conforma's WEB_HOST, or name and
// port of the server. A server that has names is known by one of them.
func (s Site) address() address {
	var candidates []address
	for _, f := range s.servers {
		candidates = append(candidates, address{f.Address, "error_page 497"})
	}
	for _, a := range append(candidates, address{s.env.webHost, "WEB_HOST in " + s.env.path}) {
		if a.url = withoutUsualPort(a.url); a.url != "" && (len(s.Names) == 0 || slices.Contains(s.Names, a.host())) {
			return a
		}
	}
	if len(s.Names) > 0 {
		return address{s.urlAt(s.Names[0]), "server_name and listen"}
	}
	host, _, _ := net.SplitHostPort(s.Listen) // Guess has seen that it can be split
	if ip, err := netip.ParseAddr(host); host == "*" || host == "" || err == nil && ip.IsUnspecified() {
		return address{s.urlAt("localhost"), ""}
	}
	return address{s.urlAt(host), "listen"}
}

// withoutUsualPort is a web address that other machines may reach, without a path and without its scheme's usual port;
// "" for any other address.
func withoutUsualPort(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return ""
	}
	if ip, err := netip.ParseAddr(u.Hostname()); u.Hostname() == "localhost" || err == nil && ip.IsLoopback() {
		return ""
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return ""
	case u.Scheme == "http" && u.Port() == "80", u.Scheme == "https" && u.Port() == "443":
		u.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}

// urlAt is the site's address at a host.
func (s Site) urlAt(host string) string {
	scheme, usual := "http", "80"
	if s.TLS {
		scheme, usual = "https", "443"
	}
	if port := s.port(); port != usual {
		return scheme + "://" + net.JoinHostPort(host, port)
	}
	return scheme + "://" + strings.TrimSuffix(net.JoinHostPort(host, ""), ":")
}
