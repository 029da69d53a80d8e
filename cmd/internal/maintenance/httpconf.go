package maintenance

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/msupply-foundation/conforma-status/nginxconf"
)

// httpConf is what http.conf is to say once the rules of the sites of those names are made anew, too. It defines what
// other rules in place name, or nginx would take up none: those of a site that is yet to get other rules, or that is no
// longer in the configuration and that nginx goes on including.
func (h *Host) httpConf(renewed []string) ([]byte, error) {
	shared := h.shared()
	shared.ShowsPage = shared.ShowsPage || slices.ContainsFunc(h.rulesLeft(renewed), func(path string) bool {
		rules, err := os.ReadFile(path)
		return err == nil && nginxconf.NamesLanguage(rules)
	})
	return nginxconf.HTTP(shared)
}

// rulesLeft are the files of rules in place, but for those of these sites. First come those that no reconcile replaces.
func (h *Host) rulesLeft(renewed []string) []string {
	there, _ := filepath.Glob(nginxconf.SiteFile(h.Config.Nginx.ConfDir, "*")) // a path that is no pattern has none
	of := map[string]string{}                                                  // the site that is configured, by its file
	for _, s := range h.Config.Sites {
		of[nginxconf.SiteFile(h.Config.Nginx.ConfDir, s.Name)] = s.Name
	}
	var unconfigured, configured []string
	for _, path := range there {
		switch site, is := of[path]; {
		case !is:
			unconfigured = append(unconfigured, path)
		case !slices.Contains(renewed, site):
			configured = append(configured, path)
		}
	}
	return append(unconfigured, configured...)
}

// shared is what http.conf says of the sites in the configuration.
func (h *Host) shared() nginxconf.Shared {
	shared := nginxconf.Shared{GateSocket: h.Config.Gate.Socket, Allowed: map[string][]netip.Prefix{}, Modules: h.Dir().Modules()}
	for _, s := range h.Config.Sites {
		if len(s.Allow) > 0 {
			shared.Allowed[s.Name] = s.Allow
		}
		shared.ShowsPage = shared.ShowsPage || s.ShowsPage()
	}
	return shared
}

// httpInPlace reports whether http.conf says what it is to say. It looks through all the sites' rules only where it
// says more.
func (h *Host) httpInPlace() (bool, error) {
	want, err := nginxconf.HTTP(h.shared())
	if err != nil {
		return false, err
	}
	there, _ := os.ReadFile(nginxconf.HTTPFile(h.Config.Nginx.ConfDir)) // one that can't be read isn't in place
	if !bytes.Equal(want, there) && nginxconf.NamesLanguage(there) {
		want, err = h.httpConf(nil)
	}
	return bytes.Equal(want, there), err
}
