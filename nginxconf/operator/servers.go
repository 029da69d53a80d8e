// Package operator reads the operator's nginx configuration: its servers, where they lead, and what keeps our rules from holding.
package operator

import (
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf"
)

// Config is the operator's configuration as nginx reads it, as far as it matters here. Its fields are for encoding/json.
type Config struct {
	Servers []*server `json:"servers"`
	// Upstreams maps the name of an upstream {}, after streamPrefix for one of stream {}, to its servers, as "host:port" or
	// "unix:/path".
	Upstreams map[string][]string `json:"upstreams"`
	// ShutdownTimeout is how long nginx lets an old worker serve out its connections before it ends them; 0 for as long as they take.
	ShutdownTimeout time.Duration `json:"shutdownTimeout"`
}

// streamPrefix keeps the names of stream {} from those of http {}, which are others.
const streamPrefix = "stream "

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
	// NeedsClientCert is set where TLS is for visitors with a certificate of their own only.
	NeedsClientCert bool
}

type listen struct {
	Addr string // host:port
	TLS  bool
	// NotTCP is set where clients come by other sockets than TCP's, which can't be told from another site's.
	NotTCP bool
}

// obstacle is a directive that may keep the rules of a file included after it from running, or hand requests on beside them.
type obstacle struct {
	At    Place
	After int // how many files had been included before it; always where that doesn't matter
}

const always = -1

type pass struct {
	To string // "host:port", "unix:/path" or the name of an upstream, likewise after streamPrefix
	At Place
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
	return configOf(ds), nil
}

func configOf(ds []*directive) *Config {
	c := &Config{Upstreams: map[string][]string{}}
	for _, d := range ds {
		if d.name == "worker_shutdown_timeout" && len(d.args) == 1 {
			c.ShutdownTimeout = readTime(d.args[0])
		}
		if d.name == "http" || d.name == "stream" {
			o := inherited{stream: d.name == "stream", values: map[string][]string{}}
			for _, in := range d.block {
				switch in.name {
				case "ssl_verify_client":
					o.needsClientCert = slices.Contains(in.args, "on")
				case "mirror", "post_action":
					o.bypasses = append(o.bypasses, in)
				case "map":
					if len(in.args) == 2 {
						for _, entry := range in.block {
							o.values[in.args[1]] = append(o.values[in.args[1]], entry.args...)
						}
					}
				}
			}
			for _, in := range d.block {
				c.read(in, o)
			}
		}
	}
	return c
}

// readTime reads a time as nginx does (https://nginx.org/en/docs/syntax.html): seconds where there is no unit. It is 0 where there are days
// or more in it: nothing here waits that long.
func readTime(text string) time.Duration {
	if strings.Trim(text, "0123456789") == "" {
		text += "s"
	}
	d, err := time.ParseDuration(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		return 0
	}
	return d
}

// inherited is what of an http {} or stream {} holds for its servers.
type inherited struct {
	stream          bool
	needsClientCert bool
	bypasses        []*directive
	values          map[string][]string // of variables, by name with the dollar sign: what a map or set may make of them
}

// plainToTLS is another: it is often led to https, which is left to do so.
const plainToTLS = "497"

// readBypass notes a directive that hands requests on beside the rules.
func (s *server) readBypass(d *directive) {
	switch d.name {
	case "mirror", "post_action":
		if !slices.Contains(d.args, "off") {
			s.Bypasses = append(s.Bypasses, obstacle{Place{d.file, d.line}, always})
		}
	case "error_page":
		if n := len(d.args); n == 0 || !strings.HasPrefix(d.args[n-1], "@") {
			return
		}
		if slices.Contains(d.args, plainToTLS) {
			s.Bypasses = append(s.Bypasses, obstacle{Place{d.file, d.line}, always})
		} else if slices.ContainsFunc(d.args, func(code string) bool { return slices.Contains(nginxconf.EarlyErrors, code) }) {
			s.Bypasses = append(s.Bypasses, obstacle{Place{d.file, d.line}, len(s.Files)})
			s.ungate(d, "")
		}
	}
}

func (c *Config) read(d *directive, o inherited) {
	switch {
	case d.name == "upstream" && len(d.args) == 1:
		for _, in := range d.block {
			if in.name == "server" && len(in.args) > 0 {
				name := strings.ToLower(d.args[0]) // nginx compares names without case
				if o.stream {
					name = streamPrefix + name
				}
				c.Upstreams[name] = append(c.Upstreams[name], withPort(in.args[0], "80"))
			}
		}
	case d.name == "server" && d.block != nil:
		s := &server{At: Place{d.file, d.line}, NeedsClientCert: o.needsClientCert}
		for _, in := range o.bypasses {
			if !slices.ContainsFunc(d.block, func(own *directive) bool { return own.name == in.name }) {
				s.readBypass(in)
			}
		}
		for _, in := range d.block {
			switch in.name {
			case "mirror", "post_action", "error_page":
				s.readBypass(in)
			case "listen":
				s.Listens = append(s.Listens, readListen(in.args)...)
			case "ssl_verify_client":
				s.NeedsClientCert = slices.Contains(in.args, "on")
			case "server_name":
				s.Names = append(s.Names, in.args...)
			case "include":
				s.Files = append(s.Files, in.args...)
			case "auth_request", "satisfy":
				if !slices.Contains(in.args, authPath) && !slices.Contains(in.args, "all") {
					s.ungate(in, "")
				}
			case "location":
				s.ungateLocation(in)
			case "return": // answers before the gate is asked; before the include, before all rules
				s.ungate(in, "")
				s.Rewrites = append(s.Rewrites, obstacle{Place{in.file, in.line}, len(s.Files)})
			case "rewrite", "if", "break":
				s.Rewrites = append(s.Rewrites, obstacle{Place{in.file, in.line}, len(s.Files)})
			}
		}
		if len(s.Listens) == 0 && !o.stream {
			s.Listens = []listen{{Addr: "*:80"}} // nginx's default, for root
		}
		o.values = maps.Clone(o.values)
		collectValues(o.values, d.block)
		s.collectPasses(d.block, o)
		c.Servers = append(c.Servers, s)
	}
}

// Ungated is a directive that keeps the gate of admin mode out of a part of a site.
type Ungated struct {
	At        Place
	Directive string // its name and first argument: "auth_request off", "return 403"; what follows may be a secret
	Location  string // the location's arguments, "" for the server as a whole
}

func (s *server) ungate(d *directive, location string) {
	text := strings.Join(append([]string{d.name}, d.args[:min(1, len(d.args))]...), " ")
	s.Ungated = append(s.Ungated, Ungated{Place{d.file, d.line}, text, location})
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
		case "location":
			s.ungateLocation(&directive{name: d.name, args: append([]string{name}, d.args...), block: d.block})
		case "if", "limit_except": // what it asks for may be a secret
			s.ungateLocation(&directive{name: d.name, args: []string{name, d.name}, block: d.block})
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

// collectValues adds what "set" makes of variables.
func collectValues(values map[string][]string, ds []*directive) {
	for _, d := range ds {
		if d.name == "set" && len(d.args) == 2 {
			values[d.args[0]] = append(slices.Clip(values[d.args[0]]), d.args[1])
		}
		collectValues(values, d.block)
	}
}

// leadingVariable is a variable that says where a pass leads.
var leadingVariable = regexp.MustCompile(`^([a-z]+://)?\$\{?(\w+)\}?(.*)$`)

// resolved are the addresses that a pass may mean, with the values that its first variable may have.
func (o inherited) resolved(to string) []string {
	m := leadingVariable.FindStringSubmatch(to)
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

// addressOfPass is where the address ends in what a pass leads to: before a path, a query, or a variable that holds these.
var addressOfPass = regexp.MustCompile(`^([^/?$]+)(?:[/?]|\$\{?(?:request_uri|document_uri|uri|is_args|args)\b)`)

func (s *server) collectPasses(ds []*directive, o inherited) {
	for _, d := range ds {
		if port, ok := passDirectives[d.name]; ok && len(d.args) > 0 && !strings.HasPrefix(d.args[0], gatePass) {
			for _, to := range o.resolved(d.args[0]) {
				s.Passes = append(s.Passes, pass{readPass(to, port, o.stream), Place{d.file, d.line}})
			}
		}
		s.collectPasses(d.block, o)
	}
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
	if m := addressOfPass.FindStringSubmatch(to); m != nil {
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

// readListen reads a listen directive: a range of ports (since nginx 1.15.10) is one address for each.
func readListen(args []string) []listen {
	if len(args) == 0 {
		return nil
	}
	if strings.HasPrefix(args[0], "unix:") {
		return []listen{{Addr: args[0], NotTCP: true}}
	}
	l := listen{Addr: args[0], NotTCP: slices.Contains(args[1:], "quic"), TLS: slices.Contains(args[1:], "ssl") || slices.Contains(args[1:], "quic")}
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
