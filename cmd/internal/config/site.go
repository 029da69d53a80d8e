package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

var (
	siteName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)
	storePath = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`)
)

const (
	// maxStorePath leaves room for file names below it in a key of the store.
	maxStorePath = 200
	// maxLeeway is by how much the clocks of this machine and of whoever signs tokens may differ.
	maxLeeway = 2 * time.Minute
)

func (r *reader) site(t *table, c *Config) Site {
	s := Site{Name: t.text("name", required), AppURL: t.webURL("app_url")}
	if s.Name != "" && !siteName.MatchString(s.Name) {
		t.fault("name", fmt.Sprintf("%q can't name a site", s.Name),
			"use letters, digits, - and _, at most 63, beginning with a letter or digit")
	}
	s.Path = t.text("path", s.Name)
	if s.Path != "" && s.Path != s.Name && (!storePath.MatchString(s.Path) || len(s.Path) > maxStorePath) {
		t.fault("path", fmt.Sprintf("%q can't be a place in the store", s.Path),
			fmt.Sprintf("use letters, digits, -, _ and . between single slashes, with none at the ends, at most %d", maxStorePath))
	}
	s.PageURL = c.PageURL + "/"
	if s.Path != "" {
		s.PageURL += s.Path + "/"
	}
	r.unique(t, s)
	s.Listen = listenOf(t, s.AppURL)
	s.Upstreams = upstreamsOf(t)
	if s.Preset = t.usual("preset"); s.Preset != "" && !slices.Contains(nginxconf.Presets(), s.Preset) {
		t.fault("preset", fmt.Sprintf("there is no preset %q", s.Preset), "known presets: "+strings.Join(nginxconf.Presets(), ", "))
	}
	s.LoginPaths = loginPathsOf(t)
	s.Settled = t.program("settled")
	s.Grace = t.pause("grace")
	s.SharedUpstream = t.flag("shared_upstream")
	if s.Smoke = t.usual("smoke"); s.Smoke != "" && !strings.HasPrefix(s.Smoke, "/") {
		t.fault("smoke", "is not a path", `write the path of a page that answers 2xx, such as "/"`)
	}
	s.Navigation = Navigation(t.usual("navigation"))
	if s.Navigation != NavigationRedirect && s.Navigation != NavigationPage {
		t.fault("navigation", fmt.Sprintf("%q is no way to answer a browser", s.Navigation),
			`write "redirect", to the page on its own server, or "page", for the page itself where the application is`)
	}
	s.ServiceWorker = t.flag("service_worker")
	if t.has("jwt") {
		s.JWT = jwtOf(t.sub("jwt"), s.Preset)
	}
	s.Allow = allowOf(t.sub("admin"))
	t.done()
	if len(Of(r.faults, Core)) == 0 {
		checkLength(t, s, c)
	}
	return s
}

// unique reports a site whose name, or place in the store, an earlier one has.
func (r *reader) unique(t *table, s Site) {
	hasPath := s.Name != "" || t.has("path") // else there is neither a path nor a name that it follows from
	if other, taken := r.names[s.Name]; taken {
		t.fault("name", fmt.Sprintf("%q is taken by the site on line %d", s.Name, other.line()), "")
		return
	}
	if other, taken := r.paths[s.Path]; taken && hasPath {
		name, _ := other.tree["name"].(string)
		t.fault("path", fmt.Sprintf("%q is taken by site %q on line %d", s.Path, name, other.line()),
			"give each site a path of its own")
		return
	}
	if s.Name != "" {
		r.names[s.Name] = t
	}
	if hasPath {
		r.paths[s.Path] = t
	}
}

// listenOf is where nginx serves the site: on this machine, at the port of its address, unless said otherwise.
func listenOf(t *table, appURL string) string {
	listen := t.text("listen", "")
	if listen != "" {
		t.checkHostPort("listen", listen, true)
		return listen
	}
	u, err := url.Parse(appURL)
	if err != nil {
		return "" // which is on report
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort("127.0.0.1", port)
}

func upstreamsOf(t *table) []string {
	upstreams, _ := t.texts("upstreams")
	for _, up := range upstreams {
		if !strings.HasPrefix(up, "unix:/") {
			t.checkHostPort("upstreams", up, false)
		}
	}
	return upstreams
}

func loginPathsOf(t *table) []string {
	paths, _ := t.texts("login_paths")
	for _, p := range paths {
		if err := nginxconf.CheckLoginPath(p); err != nil {
			t.fault("login_paths", err.Error(), `write exact paths ("/login") or prefixes that end in a slash ("/assets/")`)
		}
	}
	return paths
}

// roomy is how long texts are together that fit into nginx's configuration in any case: no byte takes more than seven
// there, as \u0026 in JSON, and nothing that they are put into has more than 1,500 of its own.
const roomy = 300

// checkLength reports values that nginx's configuration takes one by one, but not together.
func checkLength(t *table, s Site, c *Config) {
	dir := filepath.Join(c.StateDir, "sites", s.Name)
	if len(s.Name)+len(dir)+len(s.AppURL)+len(s.PageURL) <= roomy {
		return
	}
	if err := (nginxconf.Site{Name: s.Name, Dir: dir, AppURL: s.AppURL, PageURL: s.PageURL, Worker: s.Worker()}).Check(); err != nil {
		t.fault("app_url", "is too long for nginx's configuration, together with page_url, path and state_dir", "")
	}
}

// allowOf are the addresses that are let in while in admin mode: none of them where one is not right.
func allowOf(t *table) []netip.Prefix {
	texts, _ := t.texts("allow")
	var allowed []netip.Prefix
	for _, text := range texts {
		p, err := nginxconf.ParseAllowed(text)
		if err != nil {
			t.fault("allow", err.Error(), `write addresses ("203.0.113.7") and networks ("10.0.0.0/8")`)
			continue
		}
		allowed = append(allowed, p)
	}
	err := nginxconf.CheckOverlaps(allowed)
	if err != nil {
		t.fault("allow", strings.ReplaceAll(err.Error(), "\n", "; "), "keep the wider one")
	}
	t.done()
	if err != nil || len(allowed) < len(texts) {
		return nil
	}
	return allowed
}

// audienceOf is the audience of tokens where the configuration names none: Conforma's, or none that is looked for.
func audienceOf(preset string) string {
	if preset == "conforma" {
		return "postgraphile"
	}
	return ""
}

func jwtOf(t *table, preset string) *JWT {
	j := &JWT{
		SecretEnvFile: t.usual("secret_env_file"),
		SecretFile:    t.usual("secret_file"),
		Audience:      t.text("audience", audienceOf(preset)),
		AdminClaim:    t.usual("admin_claim"),
		MaxAge:        t.duration("max_age"),

		Algorithm: t.usual("algorithm"),
		Issuer:    t.usual("issuer"),
		Leeway:    t.duration("leeway"),
	}
	switch {
	case j.SecretEnvFile == "" && j.SecretFile == "":
		t.fault("secret_env_file", "neither secret_env_file nor secret_file is set",
			"name the file that holds the application's JWT_SECRET")
	case j.SecretEnvFile != "" && j.SecretFile != "":
		t.fault("secret_file", "secret_env_file and secret_file are both set", "keep one of them")
	}
	if !slices.Contains(gate.Algorithms(), j.Algorithm) {
		t.fault("algorithm", fmt.Sprintf("%q is not an algorithm that the gate checks", j.Algorithm),
			"write the one that the application signs with: "+strings.Join(gate.Algorithms(), ", "))
	}
	if j.Leeway > maxLeeway {
		t.fault("leeway", fmt.Sprintf("is more than %v, by which no two clocks should differ", maxLeeway), "set the clocks by NTP")
	}
	t.checkAbsolute("secret_env_file", j.SecretEnvFile)
	t.checkAbsolute("secret_file", j.SecretFile)
	if j.AdminClaim == "" {
		t.fault("admin_claim", "is empty", "")
	}
	if t.tree["audience"] == "" {
		t.fault("audience", "is empty", "")
	}
	t.done()
	return j
}
