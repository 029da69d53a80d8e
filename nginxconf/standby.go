package nginxconf

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/msupply-foundation/conforma-status/status"
)

// Stored is where a status document is served by the store.
type Stored struct {
	URL string // http or https, without a query
	// CAFile holds the authorities that the certificate of an https URL is checked by, "" for no check.
	CAFile string
}

// statusLocation are the rules by which nginx serves the status document.
func (s Site) statusLocation() string {
	if s.Stored == nil {
		return rule("statusfile")
	}
	return strings.ReplaceAll(rule("statusstore"), "{STORED}", rule("stored"))
}

// addTo adds the values of those rules.
func (s *Stored) addTo(v *values) {
	if s == nil {
		return
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		v.fail(fmt.Errorf("fetch the status from %q: not an http or https URL", s.URL))
		return
	}
	v.quoted("STORE_HOST", u.Host)
	v.quoted("STORE_NAME", u.Hostname())
	// With a variable in it nginx looks the name up at each request, and starts where it can't.
	v.plain("STATUS_URL", `"`+u.Scheme+"://$conforma_store"+strings.TrimPrefix(v.quote(u.EscapedPath()), `"`))
	verify := ""
	if s.CAFile != "" && u.Scheme == "https" {
		verify = "  proxy_ssl_verify on;\n  proxy_ssl_verify_depth 5;\n  proxy_ssl_trusted_certificate " + v.quote(s.CAFile) + ";\n"
	}
	v.plain("STORE_VERIFY", verify)
}

// Standby is what the configuration of a second machine is made of, whose nginx answers for the sites as in offline
// while their host is off. None of it leads to an application.
type Standby struct {
	Dir       string   // absolute; where the files lie on that machine
	User      string   // of nginx's workers, "" for what nginx has by default
	Resolvers []string // addresses of name servers, for a store that is named; may be empty
	Host      string   // address of the host, for certificate authorities' questions; "" where it isn't known
	Sites     []StandbySite
	// Others answer, with a bare 503, whoever comes for a server of the host's that is none of the sites'.
	Others []StandbyServer
}

// StandbySite is a site with the servers that are its own. Its Dir and Modules are not used.
type StandbySite struct {
	Site
	Servers []StandbyServer
}

// StandbyServer is a server {}.
type StandbyServer struct {
	Names        []string // of server_name; may be empty
	Listens      []StandbyListen
	Certificates []Certificate // needed where one of Listens has TLS
	PasswordFile string        // of their keys, "" for none
	Secure       string        // where plain HTTP on a port of TLS is led, as "https://host:port"; "" for nowhere
}

// StandbyListen is a listen of it.
type StandbyListen struct {
	Addr                        string // as nginx has it: "443", "[::]:443", "127.0.0.1:80"
	TLS, ProxyProtocol, Default bool
}

// Certificate is a file with a certificate, and one with its key.
type Certificate struct{ File, Key string }

// StandbyFile is the path of the main file of a Standby's configuration below its Dir.
const StandbyFile = "standby.conf"

// StandbyHeader is how that file begins.
func StandbyHeader() []byte {
	line, _, _ := strings.Cut(rule("standby"), "\n")
	return []byte(line)
}

// StandbySiteDir is the directory of what nginx reads of a site there, below Standby.Dir: see PageFile.
func StandbySiteDir(site string) string { return filepath.Join("sites", site) }

// Files renders the configuration: its files by their paths below Dir. The same arguments give the same bytes. It
// returns an error where a value has no safe spelling in nginx's configuration (see Quote).
func (s Standby) Files() (map[string][]byte, error) {
	files := map[string][]byte{}
	shared := Shared{GateSocket: "/nonexistent/gate.sock"}
	var servers strings.Builder
	for _, one := range s.Sites {
		shared.ShowsPage = shared.ShowsPage || one.ShowsPage
		if err := s.addSite(one, files, &servers); err != nil {
			return nil, err
		}
	}
	v := &values{}
	for _, other := range s.Others {
		o := &values{}
		other.addTo(o)
		text, err := o.fill("\n# Another server of the host's.\nserver {\n{LISTEN}  location / { return 503; }\n}\n")
		v.fail(err)
		servers.Write(text)
	}
	http, err := HTTP(shared)
	v.fail(err)
	v.quoted("CACHE", filepath.Join(s.Dir, "cache"))
	v.plain("HTTP", string(http))
	v.plain("SERVERS", servers.String())
	s.addUser(v)
	s.addResolver(v)
	files[StandbyFile], err = v.fill(rule("standby"))
	return files, err
}

// addSite adds the files of a site, and its servers.
func (s Standby) addSite(one StandbySite, files map[string][]byte, servers *strings.Builder) error {
	dir := StandbySiteDir(one.Name)
	one.Dir, one.Modules, one.Door = filepath.Join(s.Dir, dir), nil, ""
	revision, err := one.Revision(status.Offline, 0)
	if err != nil {
		return err
	}
	rules := filepath.Join(dir, "rules.conf")
	if files[rules], err = one.Render(status.Offline, revision); err != nil {
		return err
	}
	files[filepath.Join(dir, ClosedFile)] = []byte{} // as throughout offline
	for _, server := range one.Servers {
		text, err := server.render(filepath.Join(s.Dir, rules), s.Host)
		if err != nil {
			return fmt.Errorf("render a server of %s: %w", one.Name, err)
		}
		servers.Write(text)
	}
	return nil
}

// userName is one or two names, of a user and a group.
var userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*( [A-Za-z0-9_][A-Za-z0-9_.-]*)?$`)

// addUser adds whose the workers are.
func (s Standby) addUser(v *values) {
	user := ""
	if s.User != "" {
		user = "user " + s.User + ";\n"
		if !userName.MatchString(s.User) {
			v.fail(fmt.Errorf("write the user %q into nginx's configuration: no names of a user and a group", s.User))
		}
	}
	v.plain("USER", user)
}

// addResolver adds the name servers.
func (s Standby) addResolver(v *values) {
	resolver := ""
	for _, r := range s.Resolvers {
		ip, err := netip.ParseAddr(r)
		if err != nil {
			v.fail(fmt.Errorf("name server %q: %w", r, err))
		}
		at := ip.String()
		if ip.Is6() {
			at = "[" + at + "]"
		}
		resolver += " " + at
	}
	if resolver != "" {
		resolver = "# The name servers of the machine that this was rendered on.\nresolver" + resolver + ";\n"
	}
	v.plain("RESOLVER", resolver)
}

// render is the server {} of a site whose rules lie in that file.
func (s StandbyServer) render(rules, host string) ([]byte, error) {
	acme := "    return 404;\n"
	if host != "" {
		acme = rule("standbyacme")
	}
	v := &values{}
	v.quoted("RULES", rules)
	v.quoted("HOST", "http://"+net.JoinHostPort(host, "80"))
	s.addTo(v)
	return v.fill(strings.Replace(rule("standbyserver"), "{ACME}", acme, 1))
}

// addTo adds the directives that say which server it is.
func (s StandbyServer) addTo(v *values) {
	var b strings.Builder
	quoted := func(directive, value, rest string) {
		fmt.Fprintf(&b, "  %s %s%s;\n", directive, v.quote(value), rest)
	}
	for _, l := range s.Listens {
		more := ""
		for _, m := range []struct {
			word string
			on   bool
		}{{" ssl", l.TLS}, {" proxy_protocol", l.ProxyProtocol}, {" default_server", l.Default}} {
			if m.on {
				more += m.word
			}
		}
		quoted("listen", l.Addr, more)
	}
	if len(s.Names) > 0 {
		b.WriteString("  server_name")
		for _, n := range s.Names {
			name, err := quoteName(n)
			v.fail(err)
			b.WriteString(" " + name)
		}
		b.WriteString(";\n")
	}
	for _, c := range s.Certificates {
		quoted("ssl_certificate", c.File, "")
		quoted("ssl_certificate_key", c.Key, "")
	}
	if s.PasswordFile != "" {
		quoted("ssl_password_file", s.PasswordFile, "")
	}
	if s.Secure != "" {
		fmt.Fprintf(&b, "  error_page 497 =307 %s$request_uri\";\n", strings.TrimSuffix(v.quote(s.Secure), `"`))
	}
	v.plain("LISTEN", b.String())
}

// quoteName is Quote for a name of server_name. One that is a regular expression may hold a dollar sign, which begins
// no variable there (ngx_http_core_server_name knows $hostname alone).
func quoteName(name string) (string, error) {
	if !strings.HasPrefix(name, "~") {
		return Quote(name)
	}
	const stand = "\ufffc" // an object that text has no sign for
	if strings.Contains(name, stand) {
		return "", fmt.Errorf("write the name %q into nginx's configuration", name)
	}
	text, err := Quote(strings.ReplaceAll(name, "$", stand))
	return strings.ReplaceAll(text, stand, "$"), err
}
