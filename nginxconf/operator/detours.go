package operator

import (
	"slices"
	"strings"
)

// What becomes of a request that an upstream refuses: nginx may send it on to somebody else.

// errorPage is an error_page for a 502.
type errorPage struct {
	At     Place
	Passes []pass // of where it leads to
	// Hides is whether who asked isn't told of an error, or is sent elsewhere.
	Hides bool
}

// collectErrorPages notes the error_page directives for a 502 that hold in a server {}: those of http {} where it has
// none of its own.
func (s *server) collectErrorPages(block []*directive, above inherited) {
	isErrorPage := func(d *directive) bool { return d.name == "error_page" }
	if !slices.ContainsFunc(block, isErrorPage) {
		for _, d := range above.errorPages {
			s.addErrorPage(d, block, above)
		}
	}
	each(block, func(d *directive) {
		if isErrorPage(d) {
			s.addErrorPage(d, block, above)
		}
	})
}

// each calls f for each of the directives and those in their blocks.
func each(ds []*directive, f func(*directive)) {
	for _, d := range ds {
		f(d)
		each(d.block, f)
	}
}

func (s *server) addErrorPage(d *directive, block []*directive, above inherited) {
	last := len(d.args) - 1
	if last < 1 || !slices.Contains(d.args[:last], "502") {
		return
	}
	to := d.args[last]
	if strings.HasPrefix(to, "/.conforma-status/") || strings.HasPrefix(to, "@conforma_") {
		return // our own
	}
	p := errorPage{At: d.at(), Hides: strings.Contains(to, "://") || strings.HasPrefix(to, "$")}
	location := s.locationFor(to, block)
	answers := false // by itself, with an error
	if location != nil {
		var there server
		there.collectPasses(location.block, above)
		p.Passes = there.Passes
		answers = slices.ContainsFunc(location.block, func(d *directive) bool {
			return d.name == "return" && len(d.args) > 0 && isError(d.args[0])
		})
	}
	for _, arg := range d.args[:last] { // "=" is whatever that answers, "=200" is always 200
		if code, changed := strings.CutPrefix(arg, "="); changed && !isError(code) {
			p.Hides = p.Hides || code != "" || !answers
		}
	}
	s.ErrorPages = append(s.ErrorPages, p)
}

func isError(code string) bool { return strings.HasPrefix(code, "4") || strings.HasPrefix(code, "5") }

// locationFor is the location {} that an error_page leads to, nil for none.
func (s *server) locationFor(to string, block []*directive) (found *directive) {
	var chosen Place
	if path, _, _ := strings.Cut(to, "?"); !strings.HasPrefix(to, "@") {
		chosen = s.chosen(path).At
	}
	each(block, func(d *directive) {
		if d.name == "location" && len(d.args) > 0 && (d.args[0] == to || d.at() == chosen) {
			found = d
		}
	})
	return found
}

// addDetours finds where nginx sends on what the site's upstreams refuse. Those are the ones given, or, where none
// are, all that the site's servers lead to.
func (c *Config) addDetours(v *Serving, own []siteServer, w ways, upstreams []string) {
	refuses := w.ends
	if len(upstreams) > 0 {
		refuses = map[string]bool{}
		for _, u := range upstreams {
			refuses[w.machine.canonical(u)] = true
		}
	}
	stays := func(addr string) bool { return refuses[w.machine.canonical(addr)] }
	leaves := func(p pass) bool {
		ends := c.ends(p.To)
		return len(ends) == 0 || slices.ContainsFunc(ends, func(end string) bool { return !stays(end) })
	}
	for _, s := range own {
		for _, p := range s.Passes {
			members := c.members(p.To)
			if !slices.ContainsFunc(members, func(m member) bool { return stays(m.Addr) }) {
				continue
			}
			for _, m := range members {
				if spare := (Spare{m.At, m.Addr}); !m.Down && !stays(m.Addr) && !slices.Contains(v.Spares, spare) {
					v.Spares = append(v.Spares, spare)
				}
			}
		}
		for _, p := range s.ErrorPages {
			if (p.Hides || slices.ContainsFunc(p.Passes, leaves)) && !slices.Contains(v.ErrorPages, p.At) {
				v.ErrorPages = append(v.ErrorPages, p.At)
			}
		}
	}
}
