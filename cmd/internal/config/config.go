// Package config reads the configuration of conforma-status: strictly, and naming every fault at once.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/client"
	"github.com/msupply-foundation/conforma-status/status/fault"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// DefaultFile is where the configuration is looked for when neither --config nor
// CONFORMA_STATUS_CONFIG names another place.
const DefaultFile = "/etc/conforma-status/config.toml"

// Config is a valid configuration, with defaults filled in.
type Config struct {
	File        string   // where it was read from
	Store       string   // "dir:/abs/path" or "s3://bucket[/prefix]"
	PageURL     string   // where the store's root is served, without a trailing slash
	StateDir    string   // absolute
	Content     string   // directory of Markdown, absolute; "" means the built-in content
	AuditLog    string   // file that gets a line of JSON for each change, absolute; "" for none
	MetricsFile string   // for the node exporter's textfile collector, absolute; "" for none
	OnChange    []string // a command that is started at each change, or empty
	Barrier     Barrier
	S3          store.S3Options // every field may be empty
	Nginx       Nginx
	Gate        Gate
	Webhooks    []Webhook
	Fleet       *Fleet // nil on a single host
	Sites       []Site // at least one, names and store paths unique

	lines func() map[string]int // as keyLines returns them
}

// Line is the line of a key or table in the file: of "content", or "site[0]". It is 0 where that isn't there.
func (c *Config) Line(place string) int { return c.lines()[place] }

// LineOf is the line of a site's [[site]].
func (c *Config) LineOf(s Site) int {
	return c.Line("site" + index(slices.IndexFunc(c.Sites, func(o Site) bool { return o.Name == s.Name })))
}

// LineOfWebhook is the line of the [[webhook]] of that index.
func (c *Config) LineOfWebhook(i int) int { return c.Line("webhook" + index(i)) }

// Barrier says whether the kernel is to keep nginx from the applications of closed sites.
type Barrier string

const (
	BarrierAuto     Barrier = "auto"     // where it can be had
	BarrierRequired Barrier = "required" // nothing is closed without it
	BarrierOff      Barrier = "off"
)

// Nginx says how to change, test and reload the nginx of this host.
type Nginx struct {
	ConfDir string   // absolute; holds http.conf and sites/NAME.conf
	Test    []string // a command and its arguments, never empty
	Reload  []string // likewise
	PIDFile string   // absolute
}

// Gate is the service that checks tokens in admin mode.
type Gate struct {
	Socket string // absolute path of a unix socket
	// Verdicts is the directory that the removed key gate.remember names, absolute; "" for none. The nginx of an
	// earlier release kept the gate's answers there, and tokens with them.
	Verdicts string
}

// Webhook is somebody who is told of each change.
type Webhook struct {
	URL        string // https, or http to this machine
	SecretFile string // absolute
}

// Fleet is what this host has in common with others that follow the same switch.
type Fleet struct {
	Host    string // what the others call this one, "" for the machine's own name
	Store   string // where the hosts' receipts are, like Config.Store and another than that
	Poll    time.Duration
	KeyFile string // absolute; holds what orders are signed with
}

// HostName is what the others call this host. The error is that of os.Hostname.
func (f *Fleet) HostName() (string, error) {
	if f.Host != "" {
		return f.Host, nil
	}
	return os.Hostname()
}

// Site is one web application behind nginx.
type Site struct {
	Name       string
	Path       string // place in the store, "" for its root; no slash at either end
	AppURL     string
	PageURL    string // of this site's maintenance page; ends in a slash
	Listen     string // host:port where this machine reaches it
	Upstreams  []string
	Preset     string   // "conforma" or ""
	LoginPaths []string // further paths open to everyone in admin mode
	Settled    []string // a command that exits 0 once the application is idle, or empty
	// Grace is how long it takes, after the last connection to the application, until it is taken to be idle where no
	// Settled says so; 0 for at once.
	Grace time.Duration
	Smoke string // a path that must answer 2xx before the site opens, or ""
	// SharedUpstream is whether other sites live behind the same address.
	SharedUpstream bool
	ServiceWorker  bool // the client registers the service worker, which finds the page while the host is off
	Navigation     Navigation
	JWT            *JWT           // nil when the site has no [site.jwt]: no token lets anybody in then
	Allow          []netip.Prefix // addresses that are let in while in admin mode; none is in another
}

// Navigation says how nginx answers a browser that asks a closed site for a page.
type Navigation string

const (
	NavigationRedirect Navigation = "redirect" // with a redirect to the maintenance page
	NavigationPage     Navigation = "page"     // with the maintenance page itself, as a 503
)

// ShowsPage reports whether nginx itself shows the maintenance page of the site.
func (s Site) ShowsPage() bool { return s.Navigation == NavigationPage }

// Worker is the script that nginx serves as the site's service worker: one that ends itself where there is to be none.
func (s Site) Worker() string {
	if s.ServiceWorker {
		return client.Worker(s.PageURL + status.FileName)
	}
	return client.NoWorker()
}

// JWT says which tokens are an administrator's. Exactly one of SecretEnvFile and SecretFile is set.
type JWT struct {
	SecretEnvFile string
	SecretFile    string
	Algorithm     string // "HS256", "HS384" or "HS512"
	Audience      string
	Issuer        string // "" for any
	AdminClaim    string
	MaxAge        time.Duration
	Leeway        time.Duration // above 0
}

// File is the file that has the secret. With a fault in the configuration it may be "".
func (j *JWT) File() string { return cmp.Or(j.SecretEnvFile, j.SecretFile) }

// SiteNames are the names of sites, in their order; nil for none.
func SiteNames(sites []Site) (names []string) {
	for _, s := range sites {
		names = append(names, s.Name)
	}
	return names
}

// Site returns the site of that name, or false.
func (c *Config) Site(name string) (Site, bool) {
	for _, s := range c.Sites {
		if s.Name == name {
			return s, true
		}
	}
	return Site{}, false
}

// Scope says which commands a fault concerns.
type Scope int

const (
	// Core faults stop every command.
	Core Scope = iota
	// Tokens faults, in [site.jwt] and [site.admin], stop what needs the gate, and never a closing.
	Tokens
	// Pages faults, in the content, stop what publishes the page, and never a closing.
	Pages
	// Removed is the scope of keys that an earlier release had. They are warnings: they stop nothing.
	Removed
)

// Of returns the faults of the given scopes, nil where there are none.
func Of(faults fault.List, scopes ...Scope) fault.List {
	var out fault.List
	for _, f := range faults {
		if slices.Contains(scopes, ScopeOf(f)) {
			out = append(out, f)
		}
	}
	return out
}

// ScopeOf returns the scope of a fault of Load or Parse.
func ScopeOf(f fault.Fault) Scope {
	switch {
	case removed[f.Key] != "":
		return Removed
	case f.Key == "content":
		return Pages
	case f.Key == "site.jwt", strings.HasPrefix(f.Key, "site.jwt."), f.Key == "site.admin", strings.HasPrefix(f.Key, "site.admin."):
		return Tokens
	}
	return Core
}

// Empty reports whether a configuration says nothing yet: it has comments only, like the one that the package brings.
func Empty(data []byte) bool {
	var tree map[string]any
	return toml.Unmarshal(data, &tree) == nil && len(tree) == 0
}

// ErrNoFile is returned (wrapped) by Load when there is no configuration at the given place.
var ErrNoFile = errors.New("there is no configuration")

// Load reads the configuration at path. The faults that it returns leave the configuration usable (scopes Tokens, Pages
// and Removed): the caller decides whether they matter for what it is about to do.
//
// The error is ErrNoFile, an error of reading the file, or a fault.List with at least one fault of scope Core, and none
// of scope Removed. With a fault.List the configuration is what could be read of it: use it only to name further
// faults. With any other error it is nil.
func Load(path string) (*Config, fault.List, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w at %s", ErrNoFile, path)
	}
	if err != nil {
		return nil, nil, err
	}
	c, faults := Parse(path, data)
	if len(Of(faults, Core)) > 0 {
		return c, Of(faults, Removed), Of(faults, Core, Tokens, Pages)
	}
	return c, faults, nil
}
