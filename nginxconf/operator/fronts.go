package operator

import (
	"net"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/nginxconf"
)

// Front is what a server {} of http {} shows to its visitors: where it listens, under which names, and what it proves
// itself by.
type Front struct {
	At    Place
	Files []string // included at its top level, in their order
	// StandbyServer has the addresses of TCP, as host:port; the host may be "*". Paths are absolute.
	nginxconf.StandbyServer
	// Leads is set where requests may be handed on to an application: else it has files, redirects and errors of
	// nginx's own.
	Leads bool
}

// Fronts are the servers of http {} that listen at an address of TCP, in their order.
func (c *Config) Fronts() []Front {
	var out []Front
	for _, s := range c.servers {
		f := Front{At: s.At, Files: s.Files, Leads: s.Leads}
		f.Names, f.Secure, f.PasswordFile = s.Names, s.Address, c.path(s.TLS.passwords)
		for i := range min(len(s.TLS.certificates), len(s.TLS.keys)) {
			f.Certificates = append(f.Certificates, nginxconf.Certificate{File: c.path(s.TLS.certificates[i]), Key: c.path(s.TLS.keys[i])})
		}
		for _, l := range s.Listens {
			l.TLS = l.TLS || s.TLS.on
			if !l.NotTCP {
				f.Listens = append(f.Listens, l.StandbyListen)
			}
			if _, port, err := net.SplitHostPort(l.Addr); l.Both && err == nil {
				l.Addr = "*:" + port
				f.Listens = append(f.Listens, l.StandbyListen)
			}
		}
		if len(f.Listens) > 0 && !s.Stream {
			out = append(out, f)
		}
	}
	return out
}

// Includes reports whether the server includes the file, by way of symbolic links too.
func (f Front) Includes(file string) bool {
	return slices.ContainsFunc(f.Files, func(name string) bool { return sameFile(name, file) })
}

// path is the absolute name of a file, or what stands in the place of one: "", "data:…", "engine:…".
func (c *Config) path(name string) string {
	if name == "" || strings.Contains(name, ":") {
		return name
	}
	return absolute(name, c.Main)
}

// tlsFiles are what the directives of the ssl module name, as they stand there.
type tlsFiles struct {
	certificates, keys []string // each certificate has its key at the same place
	passwords          string
	on                 bool // by "ssl on", which nginx knew up to 1.25
}

// within are those of a block in this one: what it says of its own stands in the place of what holds around it.
func (t tlsFiles) within(block []*directive) tlsFiles {
	var own tlsFiles
	for _, d := range block {
		if len(d.args) != 1 {
			continue
		}
		switch d.name {
		case "ssl_certificate":
			own.certificates = append(own.certificates, d.args[0])
		case "ssl_certificate_key":
			own.keys = append(own.keys, d.args[0])
		case "ssl_password_file":
			t.passwords = d.args[0]
		case "ssl":
			t.on = d.args[0] == "on"
		}
	}
	if own.certificates != nil {
		t.certificates = own.certificates
	}
	if own.keys != nil {
		t.keys = own.keys
	}
	return t
}
