package nginxconf

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// segment is one path segment of a login path. It can't begin with a dot, so it is neither "." nor "..". It has no
// percent sign, so nothing is hidden in it.
const segment = `[A-Za-z0-9_@~-][A-Za-z0-9._@~-]*`

// query is what may follow a path that is open to everyone.
const query = `(?:[?].*)?$`

// open are the requests that one rule lets through without a token.
type open struct {
	requests string // a pattern over the method and the raw request line, as in "GET /login?next=/"
	// begins is a short pattern that whatever follows the first slash of their paths begins with. Not all that it
	// takes in is open.
	begins string
}

// preset is an application whose login page is known.
type preset struct {
	login string // the path of that page
	open         // what it needs
}

// presets holds, for each known application, what its login page needs in admin mode. Everything here must be
// harmless without a token.
var presets = map[string]preset{
	// Conforma: a single-page app whose static files lie beside index.html; of its API only what the
	// login page calls. GET /server/api/public/verify writes, so it is not here.
	"conforma": {login: "/login", open: open{
		// One pattern, because nginx takes its time for each.
		requests: `^(?:(?:GET|HEAD) /(?:login(?:/` + segment + `)*` +
			`|(?:assets|fonts|images|static)/(?:` + segment + `/)*` + segment +
			`|` + segment + `[.](?:css|gif|ico|jpg|js|json|map|png|svg|txt|webmanifest|webp|woff2?)` +
			`|server/api/public/(?:get-prefs|file|language/` + segment + `))` +
			`|POST /server/api/(?:public/login|login-org))` + query,
		begins: `login|assets/|fonts/|images/|static/|server/api/|[^/.]*[.]`,
	}},
}

// Presets returns the names of the applications whose login page is known, in alphabetical order.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

// LoginPage returns the path where people log in: that of the preset of this name, or the first of paths that is
// not a prefix; "" when there is neither.
func LoginPage(preset string, paths []string) string {
	if known, ok := presets[preset]; ok {
		return known.login
	}
	for _, p := range paths {
		if !strings.HasSuffix(p, "/") {
			return p
		}
	}
	return ""
}

var loginPath = regexp.MustCompile(`^(/` + segment + `)+/?$`)

// maxLoginPath keeps its pattern within what nginx reads as one parameter.
const maxLoginPath = 500

// CheckLoginPath returns an error when p can't be a login path: an exact path ("/login") or, with a slash
// at its end, a prefix ("/assets/").
func CheckLoginPath(p string) error {
	if p == "/" {
		return errors.New(`"/" would open the whole site to everyone`)
	}
	if len(p) > maxLoginPath {
		return fmt.Errorf("a login path is longer than %d bytes", maxLoginPath)
	}
	if !loginPath.MatchString(p) {
		return fmt.Errorf("%q can't be a login path: want plain segments of letters, digits, - _ . @ ~ "+
			"after single slashes, none beginning with a dot", p)
	}
	return nil
}

// openRequests returns what admin mode lets through without a token. nginx matches it on the raw request line, so
// that "..", "%2f" or "//" can't ride on a path that is open.
func openRequests(preset string, paths []string) ([]open, error) {
	var all []open
	if preset != "" {
		known, ok := presets[preset]
		if !ok {
			return nil, fmt.Errorf("unknown preset %q", preset)
		}
		all = append(all, known.open)
	}
	for _, p := range paths {
		if err := CheckLoginPath(p); err != nil {
			return nil, err
		}
		path := strings.ReplaceAll(p, ".", "[.]")
		pattern := `^[A-Z]+ ` + path
		if strings.HasSuffix(p, "/") {
			pattern += `((` + segment + `/)*` + segment + `/?)?`
		}
		all = append(all, open{requests: pattern + query, begins: path[1:]})
	}
	return all, nil
}

// openLines are the rules that let requests through without a token; patterns hold no quote and no backslash.
func openLines(requests []open) string {
	var b strings.Builder
	for _, r := range requests {
		fmt.Fprintf(&b, "if ($conforma_line ~ \"%s\") { set $conforma_gate pass; }\n", r.requests)
	}
	return b.String()
}

// navigationLines are the rules that send a browser's navigation to the page at once, if it has no token or cookie that
// could let it in. They let nothing through, and leave what could be open to the rules that follow. "" where that is
// too long for one parameter.
func navigationLines(requests []open, brought string) string {
	pattern := "^/(?![.]|robots[.]txt$|favicon[.]ico$"
	for _, r := range requests {
		pattern += "|" + r.begins
	}
	pattern += ")"
	if len(pattern) > maxParameter {
		return ""
	}
	return strings.NewReplacer("{BROUGHT}", brought, "{SHUT}", pattern).Replace(rule("navigation"))
}
