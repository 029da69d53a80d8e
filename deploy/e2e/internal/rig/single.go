package rig

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"testing"
)

// Single is a host with one site, "demo", over plain HTTP: quick to put up and to switch, for tests that do so very
// often.
type Single struct {
	*Host
	App *App
	URL string // the site's address, without a slash at the end
	// Server is what the operator has in the server block beside the include and one location; read by Install.
	Server string
}

// SingleSite is the name of the site of a Single.
const SingleSite = "demo"

// NewSingle puts one up. Its nginx doesn't run yet: see Install.
func NewSingle(tb testing.TB) *Single {
	tb.Helper()
	h := emptyHost(tb)
	b := &Block{Name: SingleSite, Site: true, Port: Port(tb), App: NewApp(tb, SingleSite), Secret: "secret-of-demo-that-is-long-enough-for-hs256"}
	h.Blocks = []*Block{b}
	WriteSecret(tb, h.EnvFile(b.Name), "JWT_SECRET='"+b.Secret+"'\n")
	s := &Single{Host: h, App: b.App, URL: "http://" + Loopback(b.Port)}
	s.Configure(tb, Settings{})
	return s
}

// Settings are what a test may want otherwise in a Single's config.toml. The zero value is the usual.
type Settings struct {
	Top    string   // further lines above all tables
	Store  string   // default: the directory store
	S3     string   // the lines of [s3]
	Site   string   // further lines of [[site]]
	Admin  string   // the lines that follow them, instead of its [site.jwt] and of preset
	Grace  string   // default: "0s"
	Reload []string // default: nginx -s reload
	Test   []string // default: nginx -t
}

// Configure writes config.toml.
func (s *Single) Configure(tb testing.TB, c Settings) {
	tb.Helper()
	if c.Store == "" {
		c.Store = "dir:" + s.Store
	}
	if c.Reload == nil {
		c.Reload = s.Nginx.Args("-s", "reload")
	}
	if c.Test == nil {
		c.Test = s.Nginx.Args("-t")
	}
	if c.Grace == "" {
		c.Grace = "0s"
	}
	b := s.Blocks[0]
	rest := fmt.Sprintf("preset    = \"conforma\"\n%s\n[site.jwt]\nsecret_env_file = %q\n", c.Site, s.EnvFile(b.Name))
	if c.Admin != "" {
		rest = c.Site + "\n" + c.Admin + "\n"
	}
	WriteFile(tb, s.Config, fmt.Sprintf(`store     = %q
page_url  = %q
state_dir = %q
%s
[s3]
%s
[nginx]
conf_dir = %q
test     = [%s]
reload   = [%s]
pid_file = %q

[gate]
socket = %q

[[site]]
name      = %q
app_url   = %q
listen    = %q
upstreams = [%q]
grace     = %q
%s`, c.Store, s.PageURL, s.State, c.Top, c.S3, s.ConfDir, quoted(c.Test), quoted(c.Reload), s.Nginx.PIDFile(), s.Socket(),
		b.Name, s.URL, Loopback(b.Port), Loopback(b.App.Port), c.Grace, rest))
}

func quoted(args []string) string {
	text := ""
	for i, a := range args {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%q", a)
	}
	return text
}

// WriteNginx writes the nginx configuration with the include lines, and leaves a running nginx alone. What lies in
// the directory sites-enabled is included as well.
func (s *Single) WriteNginx(tb testing.TB) {
	tb.Helper()
	b := s.Blocks[0]
	if s.conforma != nil {
		WriteFile(tb, filepath.Join(s.letsencrypt(), "options-ssl-nginx.conf"), optionsSSL)
		WriteFile(tb, s.Enabled("demo-server.conf"), s.conformaConf(true))
		s.Nginx.Configure(tb, "    include "+s.ConfDir+"/http.conf;\n    include sites-enabled/*.conf;\n")
		return
	}
	s.Nginx.Configure(tb, fmt.Sprintf(`    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    include %s/http.conf;
    include sites-enabled/*.conf;
    server {
        include %s;
        listen %s;
        %s
        location / {
            proxy_pass http://%s;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }
    }
`, s.ConfDir, s.SiteFile(b.Name), Loopback(b.Port), s.Server, Loopback(b.App.Port)))
}

// Enabled is the path of a file of that name in sites-enabled, where the operator has other sites.
func (s *Single) Enabled(name string) string {
	return filepath.Join(s.Nginx.Dir, "sites-enabled", name)
}

// Install does what an operator does once, and starts nginx.
func (s *Single) Install(tb testing.TB) {
	tb.Helper()
	s.CLI(tb, "render").Want(tb, 0)
	s.WriteNginx(tb)
	s.Nginx.Start(tb)
}

// ClosedFile is the path of the file that shuts the site while it exists.
func (s *Single) ClosedFile() string { return filepath.Join(s.State, "sites", SingleSite, "closed") }

// StatusFile is the path of the site's published status in the directory store.
func (s *Single) StatusFile() string { return filepath.Join(s.Store, SingleSite, "status.json") }

// Client returns a client of the site.
func (s *Single) Client() Client {
	addr := Loopback(s.Blocks[0].Port)
	c := Client{Addr: addr, Host: addr}
	if s.conforma != nil {
		c.TLS = &tls.Config{RootCAs: s.cert.Roots, ServerName: Hostname}
	}
	return c
}
