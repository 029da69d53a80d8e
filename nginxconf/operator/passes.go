package operator

import (
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
)

type pass struct {
	To string // "host:port", "unix:/path" or the name of an upstream, likewise after streamPrefix
	At Place
}

// passDirectives hand a request on; the number is the default port of an address without one.
var passDirectives = map[string]string{
	"proxy_pass": "80", "grpc_pass": "80", "fastcgi_pass": "", "uwsgi_pass": "", "scgi_pass": "",
}

// leads reports whether any of these directives, or of those in their blocks, hands requests on, or has a program
// decide what becomes of them: nginx's own modules call theirs NAME_pass.
func leads(ds []*directive) bool {
	return slices.ContainsFunc(ds, func(d *directive) bool {
		return strings.HasSuffix(d.name, "_pass") || strings.Contains(d.name, "_by_lua") || d.name == "perl" ||
			d.name == "js_content" || leads(d.block)
	})
}

// gatePass is what our own rules ask: it leads to no application.
const gatePass = "http://conforma_status_gate/"

// collectValues adds what "set" makes of variables.
func collectValues(values map[string][]string, ds []*directive) {
	each(ds, func(d *directive) {
		if d.name == "set" && len(d.args) == 2 {
			values[d.args[0]] = append(slices.Clip(values[d.args[0]]), d.args[1])
		}
	})
}

// leadingVariable is a variable that says where a pass leads.
var leadingVariable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([a-z]+://)?\$\{?(\w+)\}?(.*)$`) })

// resolved are the addresses that a pass may mean, with the values that its first variable may have.
func (o inherited) resolved(to string) []string {
	m := leadingVariable().FindStringSubmatch(to)
	if m == nil {
		return []string{to}
	}
	var out []string
	for _, value := range o.values["$"+m[2]] {
		if value == "" { // until another is set
			continue
		}
		if !strings.Contains(value, "://") {
			value = m[1] + value
		}
		out = append(out, value+m[3])
	}
	if len(out) == 0 {
		return []string{to}
	}
	return out
}

// addressOfPass is where the address ends in what a pass leads to: before a path, a query, or a variable that holds
// these.
var addressOfPass = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([^/?$]+)(?:[/?]|\$\{?(?:request_uri|document_uri|uri|is_args|args)\b)`)
})

func (s *server) collectPasses(ds []*directive, o inherited) {
	each(ds, func(d *directive) {
		if port, ok := passDirectives[d.name]; ok && len(d.args) > 0 && !strings.HasPrefix(d.args[0], gatePass) {
			for _, to := range o.resolved(d.args[0]) {
				s.Passes = append(s.Passes, pass{readPass(to, port, o.stream), d.at()})
			}
		}
	})
}

func readPass(to, port string, stream bool) string {
	if scheme, rest, ok := strings.Cut(to, "://"); ok && !stream {
		if scheme == "https" || scheme == "grpcs" {
			port = "443"
		}
		to = rest
	}
	if strings.HasPrefix(to, "unix:") {
		to, _, _ = strings.Cut(to[len("unix:"):], ":")
		return "unix:" + to
	}
	if m := addressOfPass().FindStringSubmatch(to); m != nil {
		to = m[1]
	}
	if to = withPort(to, port); stream {
		to = streamPrefix + to
	}
	return to
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

// ends are the addresses that a pass leads to. One with a variable in it leads who knows where: none.
func (c *Config) ends(to string) []string {
	if members := c.members(to); len(members) > 0 {
		var out []string
		for _, m := range members {
			out = append(out, m.Addr)
		}
		return out
	}
	to = strings.TrimPrefix(to, streamPrefix)
	if strings.Contains(to, "$") {
		return nil
	}
	return []string{to}
}

// members are the servers of the upstream {} that a pass leads to, empty where it leads to none.
func (c *Config) members(to string) []member {
	name, _, err := net.SplitHostPort(to)
	if err != nil {
		name = to
	}
	return c.upstreams[strings.ToLower(name)]
}
