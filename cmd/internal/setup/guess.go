// Package setup guesses a configuration from the nginx that runs here, and puts it and the include lines in place.
package setup

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// EnvFile is an env file of Conforma's launch script. Its secret is not read.
type EnvFile struct {
	path    string
	port    string // its PORT=, "" for none
	webHost string // its WEB_HOST=, the site's address as Conforma's mails have it; "" for none
}

// ReadEnvFiles reads the files that the pattern names (filepath.Match). The warnings are of files that can't be read;
// the error is filepath.ErrBadPattern.
func ReadEnvFiles(pattern string) (files []EnvFile, warnings []error, err error) {
	paths, err := filepath.Glob(pattern)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			warnings = append(warnings, err)
			continue
		}
		files = append(files, readEnv(path, string(data)))
	}
	return files, warnings, err
}

// readEnv reads the text of an env file.
func readEnv(path, text string) EnvFile {
	e := EnvFile{path: path}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(strings.TrimSpace(value), `'"`)
		switch strings.TrimSpace(key) {
		case "PORT":
			e.port = value
		case "WEB_HOST":
			e.webHost = strings.TrimRight(value, "/")
		}
	}
	return e
}

// name is that of the site, as Conforma's launch script knows it.
func (e EnvFile) name() string { return strings.TrimSuffix(filepath.Base(e.path), ".env") }

// Site is what a server {} is taken for, or several that lead to the same application.
type Site struct {
	operator.ServerBlock                        // the first of them, or the first with TLS
	servers              []operator.ServerBlock // all of them
	name                 string
	appURL               address
	env                  EnvFile // zero where none has the port of its upstream: it may be no Conforma
	database             database
	chosen               bool   // whether it is to be a site; the others are written out as comments
	unfit                string // why it can't be one as it is, "" where it can
}

// Guess takes each server {} for a site, and those with a common upstream for one. If there are Conforma's env files,
// it chooses only the sites that belong to one; otherwise all except those called Grafana.
func Guess(conf *operator.Config, envs []EnvFile) []Site {
	var sites []Site
	for _, f := range conf.Proxies() {
		if _, _, err := net.SplitHostPort(f.Listen); err != nil {
			continue
		}
		if i := slices.IndexFunc(sites, func(s Site) bool { return s.sharesUpstream(f) }); i >= 0 {
			sites[i].join(f)
		} else {
			sites = append(sites, Site{ServerBlock: f, servers: []operator.ServerBlock{f}})
		}
	}
	taken := map[string]bool{}
	conforma := false
	for i := range sites {
		s := &sites[i]
		s.env = s.envFileOf(envs)
		s.appURL = s.address()
		word, _, _ := strings.Cut(s.appURL.host(), ".")
		if s.env.path != "" {
			conforma = true
			word = s.env.name()
		}
		s.name = s.unusedName(siteName(word), taken)
		taken[s.name] = true
	}
	for i := range sites {
		sites[i].chosen = sites[i].env.path != "" || !conforma && !sites[i].namedGrafana()
	}
	return sites
}

func (s Site) sharesUpstream(f operator.ServerBlock) bool {
	return slices.ContainsFunc(s.Upstreams, func(up string) bool { return slices.Contains(f.Upstreams, up) })
}

// join takes another server {} for the same site.
func (s *Site) join(f operator.ServerBlock) {
	s.servers = append(s.servers, f)
	first, second := s.ServerBlock, f
	if f.TLS && !s.TLS {
		first, second = f, s.ServerBlock
	}
	for _, up := range second.Upstreams {
		if !slices.Contains(first.Upstreams, up) {
			first.Upstreams = append(slices.Clone(first.Upstreams), up)
		}
	}
	s.ServerBlock = first
}

func (s Site) port() string {
	_, port, _ := net.SplitHostPort(s.Listen)
	return port
}

// envFileOf returns the env file that has the port of the first upstream with one, zero for none.
func (s Site) envFileOf(envs []EnvFile) EnvFile {
	for _, up := range s.Upstreams {
		_, port, _ := net.SplitHostPort(up)
		for _, e := range envs {
			if e.port != "" && e.port == port {
				return e
			}
		}
	}
	return EnvFile{}
}

// unusedName returns the name, or one that is made of it and not taken.
func (s Site) unusedName(name string, taken map[string]bool) string {
	if taken[name] {
		name += "-" + s.port()
	}
	unused := name
	for n := 2; taken[unused]; n++ {
		unused = fmt.Sprintf("%s-%d", name, n)
	}
	return unused
}

// isGrafana reports whether the site has a Grafana's default port behind it, or its name.
func (s Site) isGrafana() bool {
	return s.namedGrafana() || slices.ContainsFunc(s.Upstreams, func(up string) bool { return strings.HasSuffix(up, ":3000") })
}

// namedGrafana reports whether the site has a Grafana's name. Its port alone is that of many an application, of Node's
// for one.
func (s Site) namedGrafana() bool {
	text := strings.ToLower(strings.Join(s.Names, " ") + " " + filepath.Base(s.At.File))
	return strings.Contains(text, "grafana")
}

// notInName is what the name of a site may not hold.
var notInName = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// siteName makes the name of a site of a word: at most 63 letters, digits, - and _, and room for a port.
func siteName(word string) string {
	name := strings.Trim(notInName.ReplaceAllString(word, "-"), "-_")
	if len(name) > 50 {
		name = name[:50]
	}
	if name == "" {
		return "site"
	}
	return name
}
