package operator

import (
	"regexp"
	"slices"
	"strings"
)

// location is a location {} of a server, as far as it takes to know which one nginx chooses for a path.
type location struct {
	At       Place
	Modifier string // "=", "^~", "~", "~*", or "" for a prefix
	Path     string // the prefix, the whole path or the pattern
	Passes   bool   // whether it hands requests on by proxy_pass
	Upgrade  bool   // whether it hands a WebSocket's handshake on as one
}

// proxied is what of an outer block holds for proxy_pass within.
type proxied struct{ upgrade, http11 bool }

// within is what holds in a block. proxy_set_header is inherited only where there is none (ngx_http_proxy_module). A
// handshake needs HTTP/1.1 and the header (https://nginx.org/en/docs/http/websocket.html).
func (p proxied) within(block []*directive) proxied {
	own := false
	for _, d := range block {
		switch {
		case d.name == "proxy_http_version":
			p.http11 = slices.Contains(d.args, "1.1")
		case d.name == "proxy_set_header" && len(d.args) > 0:
			if !own {
				own, p.upgrade = true, false
			}
			p.upgrade = p.upgrade || strings.EqualFold(d.args[0], "Upgrade")
		}
	}
	return p
}

// collectLocations notes the locations of a block, the outer ones first.
func (s *server) collectLocations(block []*directive, outer proxied) {
	for _, d := range block {
		if d.name != "location" || len(d.args) == 0 || strings.HasPrefix(d.args[0], "@") {
			continue
		}
		here := outer.within(d.block)
		l := location{At: d.at(), Path: d.args[len(d.args)-1], Upgrade: here.upgrade && here.http11}
		if len(d.args) == 2 {
			l.Modifier = d.args[0]
		}
		l.Passes = slices.ContainsFunc(d.block, func(d *directive) bool { return d.name == "proxy_pass" })
		s.Locations = append(s.Locations, l)
		s.collectLocations(d.block, here)
	}
}

// chosen is the location that nginx chooses for a path
// (https://nginx.org/en/docs/http/ngx_http_core_module.html#location), zero for none. A pattern that Go can't read
// matches nothing.
func (s *server) chosen(path string) (best location) {
	for _, l := range s.Locations {
		switch l.Modifier {
		case "=":
			if l.Path == path {
				return l
			}
		case "", "^~":
			if strings.HasPrefix(path, l.Path) && len(l.Path) > len(best.Path) {
				best = l
			}
		}
	}
	if best.Modifier == "^~" {
		return best
	}
	for _, l := range s.Locations {
		flags := map[string]string{"~": "", "~*": "(?i)"}
		if flag, isPattern := flags[l.Modifier]; isPattern {
			if re, err := regexp.Compile(flag + l.Path); err == nil && re.MatchString(path) {
				return l
			}
		}
	}
	return best
}

// NoUpgrade are the locations of the site whose rules are in file that hand on requests for the path, and a WebSocket's
// handshake as an ordinary request.
func (c *Config) NoUpgrade(file, path string) (at []Place) {
	own, _ := c.divide(file)
	for _, s := range own {
		if l := s.chosen(path); l.Passes && !l.Upgrade {
			at = append(at, l.At)
		}
	}
	return at
}

// HasUpgrade reports whether a location of the site whose rules are in file hands WebSockets on.
func (c *Config) HasUpgrade(file string) bool {
	own, _ := c.divide(file)
	return slices.ContainsFunc(own, func(s siteServer) bool {
		return slices.ContainsFunc(s.Locations, func(l location) bool { return l.Passes && l.Upgrade })
	})
}
