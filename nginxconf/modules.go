package nginxconf

import (
	"slices"
	"strconv"
	"strings"
)

// module is one of nginx's whose directives, in the operator's http {} or server {}, reach our answers as well. An
// nginx may be built without it, and then knows none of its directives.
type module struct {
	name     string // as in nginx's configure arguments: --with-http_NAME_module, or --without- where it is built by default
	standard bool   // it is built by default (auto/options of nginx's sources)
	http     string // a line for http {}, "" for none
	location string // what keeps it from the answers of a location
}

// modules are in the order of their lines. A limit has no "off": one of our own takes its place, and counts nobody,
// since its key is empty. Neither has sub_filter: in place of the operator's stands one that matches nothing.
var modules = []module{
	{"limit_req", true, `limit_req_zone "" zone=conforma_status_requests:32k rate=1r/s;`, "limit_req zone=conforma_status_requests;"},
	{"limit_conn", true, `limit_conn_zone "" zone=conforma_status_connections:32k;`, "limit_conn conforma_status_connections 1;"},
	{"charset", true, "", "charset off;"},
	{"ssi", true, "", "ssi off;"},
	{"userid", true, "", "userid off;"},
	{"mirror", true, "", "mirror off;"},
	{"addition", false, "", `add_before_body ""; add_after_body "";`},
	{"sub", false, "", "sub_filter conforma-status-finds-nothing-to-replace \"\"; sub_filter_types application/x-conforma-status;"},
	{"dav", false, "", "dav_methods off;"},
}

// inherits is the name of a directive that every nginx has from 1.29.3 on. Switched on, headers of http {} and server
// {} are added to those of a location, not replaced by them.
const inherits = "add_header_inherit"

// KnownModules are the names, in the order of the rules, of those modules that an nginx of this version and these
// configure arguments has and whose effect on our answers the rules can undo.
func KnownModules(version, arguments string) []string {
	var known []string
	words := strings.Fields(arguments)
	for _, m := range modules {
		option, has := "--with-http_"+m.name+"_module", true
		if m.standard {
			option, has = "--without-http_"+m.name+"_module", false
		}
		if slices.Contains(words, option) == has {
			known = append(known, m.name)
		}
	}
	if atLeast(version, 1, 29, 3) {
		known = append(known, inherits)
	}
	return known
}

// undo are the lines that keep these modules from the answers of a location, and what every nginx has of this kind.
func undo(known []string) string {
	lines := []string{"  limit_rate 0;", "  expires off;", "  types { }"}
	for _, m := range modules {
		if slices.Contains(known, m.name) {
			lines = append(lines, "  "+m.location)
		}
	}
	if slices.Contains(known, inherits) {
		lines = append(lines, "  add_header_inherit on;")
	}
	return strings.Join(lines, "\n") + "\n"
}

// atLeast compares a version of nginx's, as in "1.22.1", number by number. One that can't be read is older.
func atLeast(version string, least ...int) bool {
	parts := strings.Split(version, ".")
	for i, want := range least {
		if i >= len(parts) {
			return false
		}
		if n, err := strconv.Atoi(parts[i]); err != nil || n != want {
			return err == nil && n > want
		}
	}
	return true
}

// zones are the lines of http {} that undo needs.
func zones(known []string) string {
	var out strings.Builder
	for _, m := range modules {
		if m.http != "" && slices.Contains(known, m.name) {
			out.WriteString(m.http + "\n")
		}
	}
	return out.String()
}
