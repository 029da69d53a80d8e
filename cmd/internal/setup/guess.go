// Package setup guesses a configuration from the nginx that runs here, and puts it and the include lines in place.
package setup

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/nginxconf"
)

// EnvFile is an env file of Conforma's launch script. Its secret is not read.
type EnvFile struct {
	Path string
	Port string // its PORT=, "" for none
}

// ReadPort finds the port in the text of an env file.
func ReadPort(text string) string {
	port := ""
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && strings.TrimSpace(key) == "PORT" {
			port = strings.Trim(strings.TrimSpace(value), `'"`)
		}
	}
	return port
}

// Site is one server {} and what it is taken for.
type Site struct {
	nginxconf.Found
	Name    string
	AppURL  string
	EnvFile string // "" where none has the port of its upstream: it may be no Conforma
	Chosen  bool   // whether it is to be a site; the others are written out as comments
}

// Guess takes each server {} for a site. Where there are Conforma's env files, only those that belong to one are chosen.
func Guess(inv nginxconf.Inventory, envs []EnvFile) []Site {
	var sites []Site
	taken := map[string]bool{}
	found := false
	for _, f := range inv.Servers {
		host, port, err := net.SplitHostPort(f.Listen)
		if err != nil {
			continue
		}
		s := Site{Found: f}
		name := "localhost"
		if len(f.Names) > 0 {
			name = f.Names[0]
		} else if host != "*" && host != "" {
			name = host
		}
		s.AppURL = "http://" + name
		if f.TLS {
			s.AppURL = "https://" + name
		}
		if f.TLS && port != "443" || !f.TLS && port != "80" {
			s.AppURL += ":" + port
		}
		s.Name = strings.Trim(unnamed.ReplaceAllString(strings.SplitN(name, ".", 2)[0], "-"), "-_")
		for _, up := range f.Upstreams {
			_, upPort, _ := net.SplitHostPort(up)
			i := slices.IndexFunc(envs, func(e EnvFile) bool { return e.Port != "" && e.Port == upPort })
			if i >= 0 {
				s.EnvFile = envs[i].Path
				s.Name = strings.Trim(unnamed.ReplaceAllString(strings.TrimSuffix(filepath.Base(s.EnvFile), ".env"), "-"), "-_")
				found = true
				break
			}
		}
		if s.Name == "" {
			s.Name = "site"
		}
		if taken[s.Name] {
			s.Name += "-" + port
		}
		for base, n := s.Name, 2; taken[s.Name]; n++ {
			s.Name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[s.Name] = true
		sites = append(sites, s)
	}
	for i := range sites {
		sites[i].Chosen = !found || sites[i].EnvFile != ""
	}
	return sites
}

// unnamed is what the name of a site may not hold.
var unnamed = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// ConfDir is where the rules go: beside nginx's main configuration.
func ConfDir(inv nginxconf.Inventory) string {
	return filepath.Join(filepath.Dir(inv.Main), "conforma-status")
}

// Configuration writes the configuration for the sites, with what was guessed marked as guessed.
func Configuration(inv nginxconf.Inventory, sites []Site) string {
	var b strings.Builder
	b.WriteString(`# The configuration of conforma-status, made by "conforma-status init" from what nginx serves here.
# Look at each line that says GUESSED or CHANGE before the first maintenance window.

store    = "dir:/var/www/maintenance"           # CHANGE: "s3://BUCKET", or a directory that another server serves
page_url = "https://maintenance.example.org"    # CHANGE: where the store's root is served

[nginx]
`)
	fmt.Fprintf(&b, "conf_dir = %q\n", ConfDir(inv))
	if inv.PIDFile != "" {
		fmt.Fprintf(&b, "pid_file = %q\n", inv.PIDFile)
	}
	for _, s := range sites {
		mark := ""
		if !s.Chosen {
			mark = "# "
		}
		fmt.Fprintf(&b, "\n# The server {} at %s.\n", s.At)
		if !s.Chosen {
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
