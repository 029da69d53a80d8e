package setup

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// confDir is where the rules go: beside nginx's main configuration.
func confDir(conf *operator.Config) string {
	return filepath.Join(filepath.Dir(conf.Main), "conforma-status")
}

// configuration writes the configuration for the sites, with what was guessed marked as guessed.
func configuration(conf *operator.Config, sites []Site, in Container) string {
	var b strings.Builder
	b.WriteString(`# The configuration of conforma-status, made by "conforma-status init" from what nginx serves here.
# Look at each line that says GUESSED or CHANGE before the first maintenance window.

store    = "dir:/var/www/maintenance"           # CHANGE: "s3://BUCKET", or a directory that another server serves
page_url = "https://maintenance.example.org"    # CHANGE: where the store's root is served

`)
	b.WriteString(config.Comments("", "store", "page_url") + "[nginx]\n")
	fmt.Fprintf(&b, "conf_dir = %q\n", confDir(conf))
	for _, line := range in.lines(conf) {
		b.WriteString(line + "\n")
	}
	if conf.PIDFile != "" {
		fmt.Fprintf(&b, "pid_file = %q\n", conf.PIDFile)
	}
	for _, s := range sites {
		b.WriteString("\n" + s.origin())
		mark := ""
		if !s.chosen {
			mark = "# "
		}
		for _, line := range s.table(in) {
			b.WriteString(mark + line + "\n")
		}
	}
	b.WriteString("\n# What else may stand in a [[site]], above its [site.jwt] (config.toml(5) has all there is):\n\n" + config.Comments("site.", "name", "app_url", "listen", "upstreams", "preset"))
	b.WriteString("# [site.admin]\n\n" + strings.TrimSuffix(config.Comments("site.admin."), "\n"))
	return b.String()
}

// origin is the comment above a site: where it was found, and why it isn't one to begin with.
func (s Site) origin() string {
	var b strings.Builder
	for _, f := range s.servers {
		fmt.Fprintf(&b, "# The server {} at %s.\n", f.At)
	}
	switch {
	case s.chosen:
	case s.unfit != "":
		fmt.Fprintf(&b, "# CHANGE: it can't be a site as it is: %s. Mend that, then take the # away.\n", s.unfit)
	case s.isGrafana():
		b.WriteString("# GUESSED: a Grafana, by its port or its name. Take the # away to make it a site.\n")
	default:
		b.WriteString("# GUESSED: no Conforma, because no env file has the port of its upstream. Take the # away to make it a site.\n")
	}
	return b.String()
}

// table is the lines of the site's [[site]].
func (s Site) table(in Container) []string {
	host, port, _ := net.SplitHostPort(s.Listen)
	switch host {
	case "*", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	from := "GUESSED from " + s.appURL.from
	if s.appURL.from == "" {
		from = "CHANGE: nothing here says how visitors type it"
	}
	if in.bridged && s.appURL.from != "error_page 497" {
		from = "CHANGE: with the port that " + in.Name + " publishes"
	}
	lines := []string{
		"[[site]]",
		fmt.Sprintf("name      = %q    # GUESSED", s.name),
		fmt.Sprintf("app_url   = %q    # %s", s.appURL.url, from),
		fmt.Sprintf("listen    = %q", net.JoinHostPort(host, port)),
		fmt.Sprintf("upstreams = %s    # GUESSED from where it hands requests on", list(s.Upstreams)),
	}
	if s.env.path == "" {
		return append(lines,
			`# preset  = "conforma"    # if it is one; admin mode needs this, or login_paths, and a [site.jwt]`)
	}
	lines = append(append(lines, `preset    = "conforma"    # GUESSED`), s.database.lines()...)
	return append(lines, "[site.jwt]", fmt.Sprintf("secret_env_file = %q    # GUESSED by its PORT", s.env.path))
}

// list is a list of strings as TOML has it.
func list(words []string) string {
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, strconv.Quote(w))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// fit leaves out the sites that the configuration would be refused for, and says why.
func fit(conf *operator.Config, sites []Site) []Site {
	sites = slices.Clone(sites)
	for i := range sites {
		s := &sites[i]
		if !s.chosen {
			continue
		}
		if _, faults := config.Parse("", []byte(configuration(conf, sites[i:i+1], Container{}))); len(faults) > 0 {
			s.chosen, s.unfit = false, faults[0].Key+": "+faults[0].Problem
		}
	}
	return sites
}
