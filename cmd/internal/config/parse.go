package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/status/fault"
	"github.com/msupply-foundation/conforma-status/status/store"
)

var (
	siteName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)
	storePath = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`)
)

const (
	// maxSocketPath is what fits into sockaddr_un with its closing NUL (unix(7)).
	maxSocketPath = 107
	// defaultLeeway is by how much the clocks of this machine and of whoever signs tokens may differ.
	defaultLeeway = 30 * time.Second
	maxLeeway     = 2 * time.Minute
	// maxStorePath leaves room for file names below it in a key of the store.
	maxStorePath = 200
)

// Parse reads and validates a configuration; file is used in faults only. It touches nothing outside its
// arguments. Where there are faults of scope Core the configuration is not usable.
func Parse(file string, data []byte) (*Config, fault.List) {
	r := &reader{file: file, names: map[string]Site{}, paths: map[string]Site{}}
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		line := 1
		var de *toml.DecodeError
		if errors.As(err, &de) {
			line, _ = de.Position()
		}
		r.faults = append(r.faults, fault.Fault{File: file, Line: line, Problem: "is not TOML: " + strings.TrimPrefix(err.Error(), "toml: ")})
		return nil, r.faults
	}
	r.lines = keyLines(data)
	c := r.config(tree)
	c.File = file
	r.faults.Sort()
	return c, r.faults
}

func (r *reader) config(tree map[string]any) *Config {
	t := r.table(tree, "", "", 1)
	c := &Config{
		Store:    t.text("store", required),
		PageURL:  strings.TrimRight(t.webURL("page_url"), "/"),
		StateDir: t.nginxPath("state_dir", "/var/lib/conforma-status"),
	}
	if c.OnChange, _ = t.texts("on_change"); len(c.OnChange) > 0 && c.OnChange[0] == "" {
		t.fault("on_change", "begins with an empty string instead of a program", "")
	}
	c.AuditLog, c.MetricsFile = t.optionalPath("audit_log"), t.optionalPath("metrics_file")
	if c.Store != "" {
		if _, _, err := store.ParseURL(c.Store); err != nil {
			t.fault("store", err.Error(), `write "s3://BUCKET" or "dir:/ABSOLUTE/PATH"`)
		}
	}
	if c.Content = t.text("content", ""); c.Content != "" && !filepath.IsAbs(c.Content) {
		t.fault("content", "is not an absolute path", "")
	}
	c.ContentLine = r.lines["content"]
	s3 := t.sub("s3")
	c.S3 = S3{Region: s3.text("region", ""), PathStyle: s3.flag("path_style")}
	if c.S3.Endpoint = s3.text("endpoint", ""); c.S3.Endpoint != "" {
		s3.checkURL("endpoint", c.S3.Endpoint)
	}
	s3.done()
	ng := t.sub("nginx")
	c.Nginx = Nginx{
		ConfDir: ng.nginxPath("conf_dir", "/etc/nginx/conforma-status"),
		Test:    ng.command("test", "nginx", "-t"),
		Reload:  ng.command("reload", "nginx", "-s", "reload"),
		PIDFile: ng.absPath("pid_file", "/run/nginx.pid"),
	}
	ng.done()
	g := t.sub("gate")
	c.Gate.Socket = g.nginxPath("socket", "/run/conforma-status/gate.sock")
	if len(c.Gate.Socket) > maxSocketPath {
		g.fault("socket", fmt.Sprintf("is %d bytes long, a unix socket's path has at most %d", len(c.Gate.Socket), maxSocketPath), "")
	}
	if dir, _ := g.tree["remember"].(string); filepath.IsAbs(dir) {
		c.Gate.Verdicts = filepath.Clean(dir)
	}
	g.done()
	for _, st := range t.subs("site") {
		c.Sites = append(c.Sites, r.site(st, c))
	}
	if list, isList := tree["site"].([]any); len(list) == 0 && (isList || !t.has("site")) {
		t.fault("site", "there is no [[site]]", "add one for each web application behind nginx; conforma-status init guesses them from the nginx that runs here")
	}
	t.done()
	return c
}

func (r *reader) site(t *table, c *Config) Site {
	s := Site{Line: t.line, Name: t.text("name", required), AppURL: t.webURL("app_url")}
	if s.Name != "" && !siteName.MatchString(s.Name) {
		t.fault("name", fmt.Sprintf("%q can't name a site", s.Name), "use letters, digits, - and _, at most 63, beginning with a letter or digit")
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
	if s.Listen = t.text("listen", ""); s.Listen != "" {
		t.checkHostPort("listen", s.Listen, true)
	} else if u, err := url.Parse(s.AppURL); err == nil {
		s.Listen = net.JoinHostPort("127.0.0.1", portOf(u))
	}
	s.Upstreams, _ = t.texts("upstreams")
	for _, up := range s.Upstreams {
		if !strings.HasPrefix(up, "unix:/") {
			t.checkHostPort("upstreams", up, false)
		}
	}
	if s.Preset = t.text("preset", ""); s.Preset != "" && !slices.Contains(nginxconf.Presets(), s.Preset) {
		t.fault("preset", fmt.Sprintf("there is no preset %q", s.Preset), "known presets: "+strings.Join(nginxconf.Presets(), ", "))
	}
	s.LoginPaths, _ = t.texts("login_paths")
	for _, p := range s.LoginPaths {
		if err := nginxconf.CheckLoginPath(p); err != nil {
			t.fault("login_paths", err.Error(), `write exact paths ("/login") or prefixes that end in a slash ("/assets/")`)
		}
	}
	if s.Settled, _ = t.texts("settled"); len(s.Settled) > 0 && s.Settled[0] == "" {
		t.fault("settled", "begins with an empty string instead of a program", "")
	}
	if s.Smoke = t.text("smoke", ""); s.Smoke != "" && !strings.HasPrefix(s.Smoke, "/") {
		t.fault("smoke", "is not a path", `write the path of a page that answers 2xx, such as "/"`)
	}
	if t.has("jwt") {
		s.JWT = jwtOf(t.sub("jwt"))
	} else {
		t.known = append(t.known, "jwt")
	}
	t.done()
	if len(Of(r.faults, Core)) == 0 {
		r.checkLength(t, s, c)
	}
	return s
}

// unique reports a site whose name, or place in the store, an earlier one has.
func (r *reader) unique(t *table, s Site) {
	hasPath := s.Name != "" || t.has("path") // else there is neither a path nor a name that it follows from
	if other, taken := r.names[s.Name]; taken {
		t.fault("name", fmt.Sprintf("%q is taken by the site on line %d", s.Name, other.Line), "")
		return
	}
	if other, taken := r.paths[s.Path]; taken && hasPath {
		t.fault("path", fmt.Sprintf("%q is taken by site %q on line %d", s.Path, other.Name, other.Line), "give each site a path of its own")
		return
	}
	if s.Name != "" {
		r.names[s.Name] = s
	}
	if hasPath {
		r.paths[s.Path] = s
	}
}

// checkLength reports values that nginx's configuration takes one by one, but not together.
func (r *reader) checkLength(t *table, s Site, c *Config) {
	rules := nginxconf.Site{Name: s.Name, Dir: filepath.Join(c.StateDir, "sites", s.Name), AppURL: s.AppURL, PageURL: s.PageURL}
	if err := rules.Check(); err != nil {
		t.fault("app_url", "is too long for nginx's configuration, together with page_url, path and state_dir", "")
	}
}

func jwtOf(t *table) *JWT {
	j := &JWT{
		SecretEnvFile: t.text("secret_env_file", ""),
		SecretFile:    t.text("secret_file", ""),
		Audience:      t.text("audience", "postgraphile"),
		AdminClaim:    t.text("admin_claim", "isAdmin"),
		MaxAge:        t.duration("max_age", "8h"),

		Algorithm: t.text("algorithm", gate.DefaultAlgorithm),
		Issuer:    t.text("issuer", ""),
		Leeway:    defaultLeeway,
	}
	switch {
	case j.SecretEnvFile == "" && j.SecretFile == "":
		t.fault("secret_env_file", "neither secret_env_file nor secret_file is set", "name the file that holds the application's JWT_SECRET")
	case j.SecretEnvFile != "" && j.SecretFile != "":
		t.fault("secret_file", "secret_env_file and secret_file are both set", "keep one of them")
	}
	if !slices.Contains(gate.Algorithms(), j.Algorithm) {
		t.fault("algorithm", fmt.Sprintf("%q is not an algorithm that the gate checks", j.Algorithm), "write the one that the application signs with: "+strings.Join(gate.Algorithms(), ", "))
	}
	if t.has("leeway") {
		if j.Leeway = t.duration("leeway", ""); j.Leeway > maxLeeway {
			t.fault("leeway", fmt.Sprintf("is more than %v, by which no two clocks should differ", maxLeeway), "set the clocks by NTP")
		}
	} else {
		t.known = append(t.known, "leeway")
	}
	for _, file := range []struct{ key, path string }{{"secret_env_file", j.SecretEnvFile}, {"secret_file", j.SecretFile}} {
		if file.path != "" && !filepath.IsAbs(file.path) {
			t.fault(file.key, "is not an absolute path", "")
		}
	}
	if j.AdminClaim == "" {
		t.fault("admin_claim", "is empty", "")
	}
	if j.Audience == "" {
		t.fault("audience", "is empty", "")
	}
	t.done()
	return j
}

// portOf returns the port of an absolute URL, by default that of its scheme.
func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}
