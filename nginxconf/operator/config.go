// Package operator reads the operator's nginx configuration: its servers, where they lead, and what keeps our rules
// from holding. It runs nothing and changes nothing; of this machine it looks at what machine.go says.
package operator

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Config is the operator's configuration as nginx reads it, as far as it matters here.
type Config struct {
	Main    string // nginx's main configuration file
	PIDFile string // as it is configured, "" for nginx's default
	User    string // of its workers, with a group after a space where one is named; "" for nginx's default
	HTTP    Place  // of the first http {}; zero where there is none

	servers []*server
	// httpFiles are the files included at the top level of http {}.
	httpFiles []string
	// upstreams maps the name of an upstream {}, after streamPrefix for one of stream {}, to its servers.
	upstreams map[string][]member
	// shutdownTimeout is how long nginx lets an old worker serve out its connections before it ends them; 0 for as
	// long as they take.
	shutdownTimeout time.Duration
	// credulous are the places where nginx's realip module believes anybody about their address.
	credulous []Place
}

// member is a server of an upstream {}.
type member struct {
	Addr string // "host:port" or "unix:/path"
	At   Place
	Down bool // whether nginx never sends anything there
}

// streamPrefix keeps the names of stream {} from those of http {}, which are others.
const streamPrefix = "stream "

// ReadConfig reads what nginx -T printed. The error names file and line, and says why that is no configuration.
func ReadConfig(dump []byte) (*Config, error) {
	files, err := parseFiles(splitDump(string(dump)))
	if err != nil {
		return nil, err
	}
	return files.config()
}

func (s *fileSet) config() (*Config, error) {
	ds, err := s.all()
	if err != nil {
		return nil, err
	}
	c := &Config{Main: s.main, upstreams: map[string][]member{}}
	for _, d := range ds {
		switch {
		case d.name == "worker_shutdown_timeout" && len(d.args) == 1:
			c.shutdownTimeout = readTime(d.args[0])
		case d.name == "pid" && len(d.args) == 1 && filepath.IsAbs(d.args[0]):
			c.PIDFile = d.args[0]
		case d.name == "user":
			c.User = strings.Join(d.args, " ")
		case d.name == "http" && d.block != nil:
			if c.HTTP.File == "" {
				c.HTTP = d.at()
			}
			for _, inner := range d.block {
				if inner.name == "include" {
					c.httpFiles = append(c.httpFiles, inner.args...)
				}
			}
			c.readBlock(d, false)
			c.readRealIP(d.block)
		case d.name == "stream":
			c.readBlock(d, true)
		}
	}
	return c, nil
}

// readRealIP notes where whoever comes may say which address they come from (ngx_http_realip_module).
func (c *Config) readRealIP(ds []*directive) {
	each(ds, func(d *directive) {
		if d.name == "set_real_ip_from" && len(d.args) == 1 {
			if _, mask, found := strings.Cut(d.args[0], "/"); found && strings.Trim(mask, "0") == "" {
				c.credulous = append(c.credulous, d.at())
			}
		}
	})
}

// HTTPIncludes reports whether http {} includes the file, by way of symbolic links too.
func (c *Config) HTTPIncludes(file string) bool {
	return slices.ContainsFunc(c.httpFiles, func(f string) bool { return sameFile(f, file) })
}

// Includes reports whether http {} or a server {} includes the file, by way of symbolic links too.
func (c *Config) Includes(file string) bool {
	return c.HTTPIncludes(file) || slices.ContainsFunc(c.servers, func(s *server) bool {
		return slices.ContainsFunc(s.Files, func(f string) bool { return sameFile(f, file) })
	})
}

// readTime reads a time as nginx does (https://nginx.org/en/docs/syntax.html): seconds where
// there is no unit. It is 0 where there are days or more in it: nothing here waits that long.
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

// readBlock reads the servers and upstreams of an http {} or stream {}.
func (c *Config) readBlock(block *directive, stream bool) {
	above := inherited{stream: stream, tls: tlsFiles{}.within(block.block), proxied: proxied{}.within(block.block), values: map[string][]string{}}
	for _, d := range block.block {
		switch {
		case d.name == "ssl_verify_client":
			above.needsClientCert = slices.Contains(d.args, "on")
		case d.name == "error_page":
			above.errorPages = append(above.errorPages, d)
		case d.name == "mirror", d.name == "post_action":
			above.bypasses = append(above.bypasses, d)
		case d.name == "map" && len(d.args) == 2:
			for _, entry := range d.block {
				above.values[d.args[1]] = append(above.values[d.args[1]], entry.args...)
			}
		}
	}
	for _, d := range block.block {
		switch {
		case d.name == "upstream" && len(d.args) == 1:
			c.readUpstream(d, stream)
		case d.name == "server" && d.block != nil:
			c.servers = append(c.servers, readServer(d, above))
		}
	}
}

func (c *Config) readUpstream(upstream *directive, stream bool) {
	name := strings.ToLower(upstream.args[0]) // nginx compares names without case
	if stream {
		name = streamPrefix + name
	}
	for _, d := range upstream.block {
		if d.name == "server" && len(d.args) > 0 {
			c.upstreams[name] = append(c.upstreams[name],
				member{withPort(d.args[0], "80"), d.at(), slices.Contains(d.args, "down")})
		}
	}
}
