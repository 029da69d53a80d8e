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
	Path string
	Port string // its PORT=, "" for none
}

// ReadEnvFiles reads the files that the pattern names (filepath.Match). The warnings are of files that can't be read; the error is
// filepath.ErrBadPattern.
func ReadEnvFiles(pattern string) (files []EnvFile, warnings []error, err error) {
	paths, err := filepath.Glob(pattern)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			warnings = append(warnings, err)
			continue
		}
		files = append(files, EnvFile{Path: path, Port: readPort(string(data))})
	}
	return files, warnings, err
}

// readPort finds the port in the text of an env file.
func readPort(text string) string {
	port := ""
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && strings.TrimSpace(key) == "PORT" {
			port = strings.Trim(strings.TrimSpace(value), `'"`)
		}
	}
	return port
}

// Site is what a server {} is taken for, or several that lead to the same application.
type Site struct {
	operator.ServerBlock                        // the first of them, or the first with TLS
	Servers              []operator.ServerBlock // all of them
	Name                 string
	AppURL               string
	EnvFile              string // "" where none has the port of its upstream: it may be no Conforma
	Chosen               bool   // whether it is to be a site; the others are written out as comments
}

// Guess takes each server {} for a site, and those with an upstream in common for one. Where there are Conforma's env files, only those
// that belong to one are chosen; otherwise all but what looks like a Grafana.
func Guess(conf *operator.Config, envs []EnvFile) []Site {
	var sites []Site
	for _, f := range conf.Proxies() {
		if _, _, err := net.SplitHostPort(f.Listen); err != nil {
			continue
		}
		i := slices.IndexFunc(sites, func(s Site) bool {
			return slices.ContainsFunc(s.Upstreams, func(up string) bool { return slices.Contains(f.Upstreams, up) })
		})
		if i < 0 {
			sites = append(sites, Site{ServerBlock: f, Servers: []operator.ServerBlock{f}})
			continue
		}
		s := &sites[i]
		s.Servers = append(s.Servers, f)
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
	taken := map[string]bool{}
	found := false
	for i := range sites {
		s := &sites[i]
		host, port, _ := net.SplitHostPort(s.Listen) // seen above
		name := "localhost"
		if len(s.Names) > 0 {
			name = s.Names[0]
		} else if host != "*" && host != "" {
			name = host
		}
		s.AppURL = "http://" + name
		if s.TLS {
			s.AppURL = "https://" + name
		}
		if s.TLS && port != "443" || !s.TLS && port != "80" {
			s.AppURL += ":" + port
		}
		s.Name = siteName(strings.SplitN(name, ".", 2)[0])
		for _, up := range s.Upstreams {
			_, upPort, _ := net.SplitHostPort(up)
			i := slices.IndexFunc(envs, func(e EnvFile) bool { return e.Port != "" && e.Port == upPort })
			if i >= 0 {
				s.EnvFile = envs[i].Path
				s.Name = siteName(strings.TrimSuffix(filepath.Base(s.EnvFile), ".env"))
				found = true
				break
			}
		}
		if taken[s.Name] {
			s.Name += "-" + port
		}
		for base, n := s.Name, 2; taken[s.Name]; n++ {
			s.Name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[s.Name] = true
	}
	for i := range sites {
		sites[i].Chosen = sites[i].EnvFile != "" || !found && !sites[i].isGrafana()
	}
	return sites
}

// isGrafana reports whether the site has a Grafana's default port behind it, or its name.
func (s Site) isGrafana() bool {
	text := strings.ToLower(strings.Join(s.Names, " ") + " " + filepath.Base(s.At.File))
	return strings.Contains(text, "grafana") || slices.ContainsFunc(s.Upstreams, func(up string) bool { return strings.HasSuffix(up, ":3000") })
}

// unnamed is what the name of a site may not hold.
var unnamed = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// siteName makes the name of a site of a word: at most 63 letters, digits, - and _, and room for a port.
func siteName(word string) string {
	name := strings.Trim(unnamed.ReplaceAllString(word, "-"), "-_")
	if len(name) > 50 {
		name = name[:50]
	}
	if name == "" {
		return "site"
	}
	return name
}

// confDir is where the rules go: beside nginx's main configuration.
func confDir(conf *operator.Config) string {
	return filepath.Join(filepath.Dir(conf.Main), "conforma-status")
}

// configuration writes the configuration for the sites, with what was guessed marked as guessed.
func configuration(conf *operator.Config, sites []Site) string {
	var b strings.Builder
	b.WriteString(`# The configuration of conforma-status, made by "conforma-status init" from what nginx serves here.
# Look at each line that says GUESSED or CHANGE before the first maintenance window.

store    = "dir:/var/www/maintenance"           # CHANGE: "s3://BUCKET", or a directory that another server serves
page_url = "https://maintenance.example.org"    # CHANGE: where the store's root is served

[nginx]
`)
	fmt.Fprintf(&b, "conf_dir = %q\n", confDir(conf))
	if conf.PIDFile != "" {
		fmt.Fprintf(&b, "pid_file = %q\n", conf.PIDFile)
	}
	for _, s := range sites {
		mark := ""
		if !s.Chosen {
			mark = "# "
		}
		b.WriteString("\n")
		for _, f := range s.Servers {
			fmt.Fprintf(&b, "# The server {} at %s.\n", f.At)
		}
		switch {
		case s.Chosen:
		case s.isGrafana():
			b.WriteString("# GUESSED: a Grafana, by its port or its name. Take the # away to make it a site.\n")
		default:
			b.WriteString("# GUESSED: no Conforma, because no env file has the port of its upstream. Take the # away to make it a site.\n")
		}
		host, port, _ := net.SplitHostPort(s.Listen)
		if host == "*" || host == "0.0.0.0" {
			host = "127.0.0.1"
		} else if host == "::" {
			host = "::1"
		}
		var ups []string
		for _, up := range s.Upstreams {
			ups = append(ups, fmt.Sprintf("%q", up))
		}
		lines := []string{
			"[[site]]",
			fmt.Sprintf("name      = %q    # GUESSED", s.Name),
			fmt.Sprintf("app_url   = %q    # GUESSED from server_name and listen", s.AppURL),
			fmt.Sprintf("listen    = %q", net.JoinHostPort(host, port)),
			fmt.Sprintf("upstreams = [%s]    # GUESSED from where it hands requests on", strings.Join(ups, ", ")),
		}
		if s.EnvFile != "" {
			lines = append(lines, `preset    = "conforma"    # GUESSED`, "[site.jwt]",
				fmt.Sprintf("secret_env_file = %q    # GUESSED by its PORT", s.EnvFile))
		} else {
			lines = append(lines, `# preset  = "conforma"    # if it is one; admin mode needs this, or login_paths, and a [site.jwt]`)
		}
		for _, line := range lines {
			b.WriteString(mark + line + "\n")
		}
	}
	return b.String()
}
