package rig

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Hostname is the one name under which a Host serves everything, each on a port of its own.
const Hostname = "conforma.example.test"

// Host is a Conforma-shaped host: one nginx file with six server blocks, TLS as certbot sets it up, five
// Conforma sites and a Grafana, a configuration of conforma-status for the five, and the server where
// their maintenance pages live.
type Host struct {
	Nginx   *Nginx
	Config  string // path of config.toml
	ConfDir string // where the rendered nginx files go
	State   string // state_dir
	Store   string // the directory store
	PageURL string // where the store is served, without a slash at the end
	Blocks  []*Block

	cert     Certificate
	conforma []ConformaServer // what Conforma's own file has, where it is there
}

// Block is one server block of a Host, with the application behind it.
type Block struct {
	Name   string
	Site   bool // false for the Grafana, which is none of ours
	Port   int  // nginx, TLS
	App    *App
	Secret string // JWT_SECRET; empty unless it is a site
	Style  string // which locations it has: see host_conf.go
}

// NewHost writes everything that the host consists of, and starts the applications and the server for
// the maintenance pages. Its nginx doesn't run yet and has no includes of ours: see Install.
func NewHost(tb testing.TB) *Host {
	tb.Helper()
	h := emptyHost(tb)
	dir := h.Nginx.Dir
	h.cert = NewCertificate(tb, filepath.Join(dir, "letsencrypt", "live", Hostname), Hostname)
	for _, b := range []Block{
		{Name: "demo", Site: true, Style: "plain"},
		{Name: "north", Site: true, Style: "host-header"},
		{Name: "grafana", Style: "grafana"},
		{Name: "stack", Site: true, Style: "container"},
		{Name: "training", Site: true, Style: "forwarded"},
		{Name: "archive", Site: true, Style: "plain"},
	} {
		h.Blocks = append(h.Blocks, newBlock(tb, h, b))
	}
	WriteFile(tb, filepath.Join(dir, "www", "stack", "index.html"), "<!doctype html><title>stack</title>\n")
	WriteFile(tb, filepath.Join(dir, "www", "stack", "assets", "app.js"), "console.log('stack')\n")
	WriteFile(tb, h.Config, h.configTOML())
	h.WriteNginx(tb, false)
	return h
}

// emptyHost is a host without sites: an nginx, and directories whose store is served.
func emptyHost(tb testing.TB) *Host {
	tb.Helper()
	h := &Host{Nginx: NewNginx(tb)}
	dir := h.Nginx.Dir
	h.Config = filepath.Join(dir, "config.toml")
	h.ConfDir = filepath.Join(dir, "conforma-status")
	h.State = filepath.Join(dir, "state")
	RemoveBarrier(tb, h.State)
	h.Store = filepath.Join(dir, "store")
	for _, d := range []string{h.Store, h.State} {
		if err := os.Mkdir(d, 0o755); err != nil {
			tb.Fatalf("rig: make the host's directories: %v", err)
		}
	}
	h.PageURL = servePages(tb, h.Store)
	return h
}

// newBlock is the block with a port, an application and, for a site, a secret.
func newBlock(tb testing.TB, h *Host, b Block) *Block {
	tb.Helper()
	b.Port, b.App = Port(tb), NewApp(tb, b.Name)
	if b.Site {
		b.Secret = "secret-of-" + b.Name + "-that-is-long-enough-for-hs256"
		WriteSecret(tb, h.EnvFile(b.Name), "PORT=8000\nJWT_SECRET='"+b.Secret+"'\n")
	}
	return &b
}

// WriteNginx writes the nginx configuration, with the operator's include lines for conforma-status or
// without. It doesn't make nginx take it up.
func (h *Host) WriteNginx(tb testing.TB, includes bool) {
	tb.Helper()
	h.Nginx.Configure(tb, h.httpConf(includes))
	WriteFile(tb, filepath.Join(h.Nginx.Dir, "sites-enabled", "conforma.conf"), h.serversConf(tb, includes))
	WriteFile(tb, filepath.Join(h.letsencrypt(), "options-ssl-nginx.conf"), optionsSSL)
	if h.conforma != nil {
		WriteFile(tb, filepath.Join(h.Nginx.Dir, "sites-enabled", "demo-server.conf"), h.conformaConf(includes))
	}
}

// Install does what an operator does once: it renders the files, adds the include lines, and starts nginx
// with them.
func (h *Host) Install(tb testing.TB) {
	tb.Helper()
	h.CLI(tb, "render").Want(tb, 0)
	h.WriteNginx(tb, true)
	h.Nginx.Start(tb)
}

// Block returns the server block of that name.
func (h *Host) Block(tb testing.TB, name string) *Block {
	tb.Helper()
	i := slices.IndexFunc(h.Blocks, func(b *Block) bool { return b.Name == name })
	if i < 0 {
		tb.Fatalf("rig: the host has no block %q", name)
	}
	return h.Blocks[i]
}

// Client returns a client of the block of that name, which trusts its certificate.
func (h *Host) Client(tb testing.TB, name string) Client {
	tb.Helper()
	b := h.Block(tb, name)
	return Client{
		Addr: Loopback(b.Port), Host: strings.TrimPrefix(b.Origin(), "https://"),
		TLS: &tls.Config{RootCAs: h.cert.Roots, ServerName: Hostname},
	}
}

// Certificate is that of all its servers.
func (h *Host) Certificate() Certificate { return h.cert }

// EnvFile returns the path of the env file with the site's JWT_SECRET.
func (h *Host) EnvFile(site string) string {
	return filepath.Join(h.Nginx.Dir, "env_files", site+".env")
}

// Socket returns the path of the gate's socket.
func (h *Host) Socket() string { return filepath.Join(h.Nginx.Dir, "run", "gate.sock") }

// EditConfig replaces old, which has to be there, by new everywhere in config.toml.
func (h *Host) EditConfig(tb testing.TB, old, new string) {
	tb.Helper()
	data, err := os.ReadFile(h.Config)
	if err != nil {
		tb.Fatalf("rig: edit config.toml: %v", err)
	}
	if !strings.Contains(string(data), old) {
		tb.Fatalf("rig: edit config.toml: there is no %q in it", old)
	}
	WriteFile(tb, h.Config, strings.ReplaceAll(string(data), old, new))
}

// Origin returns the block's origin as a browser sees it: "https://HOST:PORT".
func (b *Block) Origin() string { return "https://" + Hostname + Loopback(b.Port)[len("127.0.0.1"):] }

// servePages serves the store as a bucket's web server does, and returns its URL.
func servePages(tb testing.TB, dir string) string {
	tb.Helper()
	files := http.FileServer(http.Dir(dir))
	return "http://" + serve(tb, Port(tb), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "Date, Age, ETag")
		w.Header().Set("Cache-Control", "no-cache")
		if strings.HasSuffix(r.URL.Path, ".ics") { // by Go's own table it would be plain text
			w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
		}
		files.ServeHTTP(w, r)
	}))
}

// Published returns the status.json of a site as it is in the directory store, "" when there is none.
func (h *Host) Published(tb testing.TB, site string) string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(h.Store, site, "status.json"))
	if err != nil && !os.IsNotExist(err) {
		tb.Fatalf("rig: read what is published: %v", err)
	}
	return string(data)
}
