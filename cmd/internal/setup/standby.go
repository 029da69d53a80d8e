package setup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// ErrStandby is returned (wrapped) by Standby where nginx's configuration doesn't say how a site is served.
var ErrStandby = errors.New("nginx's configuration doesn't say how the sites are served")

// Standby is what a second machine needs to answer for the sites as nginx serves them here. Its files are for the
// directory dir there. The errors, all of them at once, wrap ErrStandby.
func Standby(conf *operator.Config, c *config.Config, dir string) (nginxconf.Standby, error) {
	out := nginxconf.Standby{Dir: dir, User: conf.User}
	fronts := conf.Fronts()
	plan := standbyPlan{fronts: fronts, tls: map[string]bool{}, proxied: map[string]bool{}, defaults: map[string]int{}, taken: map[string]bool{}}
	plan.look()
	var wrong []error
	owner := make([]int, len(fronts)) // the number of its site, from 1; 0 for none
	for n, s := range c.Sites {
		file := nginxconf.SiteFile(c.Nginx.ConfDir, s.Name)
		found := false
		for i, f := range fronts {
			if f.Includes(file) {
				owner[i], found = n+1, true
				wrong = append(wrong, uncertain(s, f, f.Certificates)...)
			}
		}
		if !found {
			wrong = append(wrong, fmt.Errorf("%s: no server that listens at an address of TCP includes %s", s.Name, file))
		}
	}
	if len(wrong) > 0 {
		return out, fmt.Errorf("%w: %w", ErrStandby, errors.Join(wrong...))
	}
	for n, s := range c.Sites {
		one := nginxconf.StandbySite{Site: nginxconf.Site{
			Name: s.Name, AppURL: s.AppURL, PageURL: s.PageURL, ShowsPage: s.ShowsPage(), Worker: s.Worker(),
			Stored: &nginxconf.Stored{URL: s.PageURL + "status.json"},
		}}
		own := func(i int) bool { return owner[i] == n+1 }
		for i, f := range fronts {
			if own(i) {
				one.Servers = plan.add(one.Servers, i, f.Names, f.Certificates)
			}
		}
		// Redirects, mostly from plain HTTP, would not be there: they answer as the site itself does.
		for i, f := range fronts {
			if owner[i] != 0 || f.Leads {
				continue
			}
			certificates := f.Certificates
			if len(certificates) == 0 {
				certificates = one.Servers[0].Certificates
			}
			if names := plan.shared(f, own); names != nil {
				one.Servers = plan.add(one.Servers, i, names, certificates)
			}
		}
		out.Sites = append(out.Sites, one)
	}
	out.Others = plan.others(out.Sites)
	return out, nil
}

// uncertain are what of a site's server can't be told.
func uncertain(s config.Site, f operator.Front, certificates []nginxconf.Certificate) []error {
	var out []error
	if slices.ContainsFunc(f.Listens, func(l nginxconf.StandbyListen) bool { return l.TLS }) && len(certificates) == 0 {
		out = append(out, fmt.Errorf("%s: the server at %s has no ssl_certificate with its ssl_certificate_key", s.Name, f.At))
	}
	for _, c := range certificates {
		if strings.Contains(c.File+c.Key, "$") {
			out = append(out, fmt.Errorf("%s: the server at %s has a certificate that a variable names (%s)", s.Name, f.At, c.File))
		}
	}
	return out
}

// standbyPlan is which server listens where on the second machine.
type standbyPlan struct {
	fronts       []operator.Front
	tls, proxied map[string]bool // by where it listens there
	defaults     map[string]int  // the number of the server that answers those whose name nobody has
	taken        map[string]bool // names, each with where it listens
}

// nobody is no server's number.
const nobody = -1

// look notes of all servers how they listen: what one of them says of a listen holds for all.
func (p *standbyPlan) look() {
	chosen := map[string]bool{}
	for i, f := range p.fronts {
		for _, l := range f.Listens {
			at := there(l.Addr)
			p.tls[at] = p.tls[at] || l.TLS
			p.proxied[at] = p.proxied[at] || l.ProxyProtocol
			if _, known := p.defaults[at]; !known || l.Default && !chosen[at] {
				p.defaults[at], chosen[at] = i, l.Default
			}
		}
	}
}

// there is where a server listens on the second machine, which has other addresses: at each of its own, but for those
// of the loopback device.
func there(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "localhost" || err == nil && ip.IsLoopback():
		return addr
	case err == nil && ip.Is6():
		return "[::]:" + port
	}
	return port
}

// add adds the server of that number to those of a site, under the names that nobody has there yet.
func (p *standbyPlan) add(servers []nginxconf.StandbyServer, i int, names []string, certificates []nginxconf.Certificate) []nginxconf.StandbyServer {
	f := p.fronts[i]
	server := nginxconf.StandbyServer{Certificates: certificates, PasswordFile: f.PasswordFile, Secure: f.Secure}
	for _, l := range f.Listens {
		at := there(l.Addr)
		free := slices.ContainsFunc(names, func(n string) bool { return !p.taken[at+" "+n] }) || len(names) == 0 && !p.taken[at+" "]
		if !free || slices.ContainsFunc(server.Listens, func(l nginxconf.StandbyListen) bool { return l.Addr == at }) {
			continue
		}
		server.Listens = append(server.Listens, nginxconf.StandbyListen{Addr: at, TLS: p.tls[at], ProxyProtocol: p.proxied[at], Default: p.defaults[at] == i})
		if p.defaults[at] == i {
			p.defaults[at] = nobody // a redirect of several sites is that of the first one
		}
	}
	for _, l := range server.Listens {
		if len(names) == 0 {
			p.taken[l.Addr+" "] = true
		}
		for _, n := range names {
			p.taken[l.Addr+" "+n] = true
		}
	}
	if len(server.Listens) == 0 {
		return servers
	}
	server.Names = names
	if !slices.ContainsFunc(server.Listens, func(l nginxconf.StandbyListen) bool { return l.TLS }) {
		server.Certificates, server.PasswordFile, server.Secure = nil, "", ""
	}
	return append(servers, server)
}

// shared are the names that a server which hands nothing on has in common with a site's own servers: all of theirs if
// it answers for every name, nil for none.
func (p *standbyPlan) shared(f operator.Front, own func(int) bool) []string {
	all := len(f.Names) == 0 || slices.Contains(f.Names, "_") || slices.Contains(f.Names, "")
	var names []string
	for i, o := range p.fronts {
		if !own(i) {
			continue
		}
		for _, n := range o.Names {
			if (all || slices.Contains(f.Names, n)) && !slices.Contains(names, n) && !p.isTaken(f, n) {
				names = append(names, n)
			}
		}
	}
	return names
}

// isTaken reports whether another server has that name wherever this one listens.
func (p *standbyPlan) isTaken(f operator.Front, name string) bool {
	return !slices.ContainsFunc(f.Listens, func(l nginxconf.StandbyListen) bool { return !p.taken[there(l.Addr)+" "+name] })
}

// others are servers for those who come, where a site listens, for a server of the host's that is none of the sites'.
func (p *standbyPlan) others(sites []nginxconf.StandbySite) []nginxconf.StandbyServer {
	var out []nginxconf.StandbyServer
	first := map[string]*nginxconf.StandbyServer{} // by where it listens
	var order []string
	has := map[string]bool{} // whether the server for everybody is a site's
	for i := range sites {
		for j := range sites[i].Servers {
			s := &sites[i].Servers[j]
			for _, l := range s.Listens {
				if first[l.Addr] == nil {
					first[l.Addr] = s
					order = append(order, l.Addr)
				}
				has[l.Addr] = has[l.Addr] || l.Default
			}
		}
	}
	for _, at := range order {
		if has[at] {
			continue
		}
		out = append(out, nginxconf.StandbyServer{
			Names: []string{"_"}, Certificates: first[at].Certificates, PasswordFile: first[at].PasswordFile,
			Listens: []nginxconf.StandbyListen{{Addr: at, TLS: p.tls[at], ProxyProtocol: p.proxied[at], Default: true}},
		})
	}
	return out
}

// ErrNotStandby is returned (wrapped) by WriteStandby where something else than a standby's configuration lies at its
// place.
var ErrNotStandby = errors.New("it is not a file of conforma-status")

// WriteStandby writes the files of a standby into dir that differ or are missing, and returns their paths. It removes
// copies of pages that are no longer among them. The error wraps ErrNotStandby if it would overwrite somebody else's
// file.
func WriteStandby(dir string, files map[string][]byte) (changed []string, err error) {
	main := filepath.Join(dir, nginxconf.StandbyFile)
	was, err := os.ReadFile(main)
	if err == nil && !bytes.HasPrefix(was, nginxconf.StandbyHeader()) {
		return nil, fmt.Errorf("replace %s: %w", main, ErrNotStandby)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		written, err := state.Replace(path, files[name])
		if err != nil {
			return changed, err
		}
		if written {
			changed = append(changed, path)
		}
	}
	pages, _ := filepath.Glob(filepath.Join(dir, nginxconf.StandbySiteDir("*"), nginxconf.PageFile("*")))
	for _, path := range pages {
		if name, err := filepath.Rel(dir, path); err == nil && files[name] == nil {
			_ = os.Remove(path) // a page in a language too many is no reason to fail
		}
	}
	return changed, nil
}

// NameServers are the addresses that a resolv.conf(5) names.
func NameServers(file string) []string {
	data, _ := os.ReadFile(file) // where there is none, no name is looked up
	var out []string
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if ip, err := netip.ParseAddr(words[1]); err == nil && ip.Zone() == "" {
			out = append(out, ip.String())
		}
	}
	return out
}

// OwnAddress is the address by which this machine reaches others, "" where it reaches none. Nothing is sent.
func OwnAddress() string {
	conn, err := net.Dial("udp4", "192.0.2.1:9") // TEST-NET-1 (RFC 5737): nobody is there
	if err != nil {
		return ""
	}
	defer conn.Close()
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	if ip, bad := netip.ParseAddr(host); err != nil || bad != nil || ip.IsLoopback() || ip.IsUnspecified() {
		return ""
	}
	return host
}
