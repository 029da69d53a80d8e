package operator

import (
	"slices"
	"strings"
)

// authPath is what our own rules ask the gate by.
const authPath = "/.conforma-status/auth"

// Ungated is a directive that keeps the gate of admin mode out of a part of a site.
type Ungated struct {
	At        Place
	Directive string // its name and first argument: "auth_request off", "return 403"; what follows may be a secret
	Location  string // the location's arguments, "" for the server as a whole
}

func (s *server) ungate(d *directive, location string) {
	text := strings.Join(append([]string{d.name}, d.args[:min(1, len(d.args))]...), " ")
	s.Ungated = append(s.Ungated, Ungated{d.at(), text, location})
}

// isOurSatisfy reports whether the first of these directives is the satisfy of our own rules: their auth_request
// follows.
func isOurSatisfy(ds []*directive) bool {
	return ds[0].name == "satisfy" && len(ds) > 1 && ds[1].name == "auth_request" && slices.Contains(ds[1].args, authPath)
}

// ungateLocation looks for what a location has of its own in place of what it would inherit: auth_request and
// error_page are not inherited where there are any (ngx_http_auth_request_module, ngx_http_core_module), "satisfy
// any" lets another check overrule the gate, and return answers before any check.
func (s *server) ungateLocation(location *directive) {
	if len(location.args) > 0 && (strings.HasPrefix(location.args[len(location.args)-1], "/.conforma-status/") ||
		strings.HasPrefix(location.args[0], "@conforma_")) {
		return // our own
	}
	name := strings.Join(location.args, " ")
	for _, d := range location.block {
		switch d.name {
		case "auth_request", "error_page", "return":
			s.ungate(d, name)
		case "satisfy":
			if slices.Contains(d.args, "any") {
				s.ungate(d, name)
			}
		case "location":
			s.ungateLocation(&directive{name: d.name, args: append([]string{name}, d.args...), block: d.block})
		case "if", "limit_except": // what it asks for may be a secret
			s.ungateLocation(&directive{name: d.name, args: []string{name, d.name}, block: d.block})
		}
	}
}
