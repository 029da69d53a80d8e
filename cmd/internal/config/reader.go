package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xhit/go-str2duration/v2"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

// required stands for "no default" in table.text; it can't be written in TOML.
const required = "\x00"

// maxURL is what every browser and nginx's answer take with ease.
const maxURL = 2000

// reader collects the faults of one file. Not go-toml's own strict decoding: it stops at the first value of a wrong
// type, and all faults are to be said in one run.
type reader struct {
	file   string
	lines  func() map[string]int // as keyLines returns them
	faults fault.List
	names  map[string]*table // of the first site of each name
	paths  map[string]*table // of the first site at each place in the store
}

// table is one table of the file.
type table struct {
	r      *reader
	tree   map[string]any
	keys   family // all that it may have
	above  *table // nil for the top
	at     string // path with indices, the key into reader.lines: "site[1].jwt."
	name   string // path for people: "site.jwt."
	silent bool   // it isn't a table at all, and that has been said
}

// below is the table that is tree, at a key of t.
func (t *table) below(tree map[string]any, at, key string) *table {
	name := t.name + key + "."
	return &table{r: t.r, tree: tree, keys: families()[name], above: t, at: at + ".", name: name}
}

func (t *table) fault(key, problem, hint string) {
	if t.silent {
		return
	}
	t.r.faults = append(t.r.faults, fault.Fault{
		File: t.r.file, Line: t.lineOf(t.at + key), Key: t.name + key, Problem: problem, Hint: hint,
	})
}

func (t *table) get(key string) (any, bool) {
	t.key(key)
	v, ok := t.tree[key]
	return v, ok
}

func (t *table) has(key string) bool { _, ok := t.tree[key]; return ok }

// key is that key. One that the table can't have is a mistake of the program's.
func (t *table) key(name string) *member {
	k := t.keys.key(name)
	if k == nil {
		panic("config: no such key: " + t.name + name)
	}
	return k
}

// done reports the keys that there aren't.
func (t *table) done() {
	var unknown []string
	for key := range t.tree {
		if t.keys.key(key) == nil {
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	for _, key := range unknown {
		if became, ok := removed[t.name+key]; ok {
			t.fault(key, became, hintRemoved)
		} else {
			t.fault(key, "unknown key", "known here: "+strings.Join(t.keys.names(), ", "))
		}
	}
}

// usual is text with the default of Keys.
func (t *table) usual(key string) string {
	def, _ := t.key(key).preset().(string)
	return t.text(key, def)
}

// text returns the string at key, and def, "" where it is required, instead of one that it has reported.
func (t *table) text(key, def string) string {
	v, given := t.get(key)
	s, isText := v.(string)
	problem := ""
	switch {
	case !given && def != required:
		return def
	case !given:
		problem = "is missing"
	case !isText:
		problem = "want a string, have " + kindOf(v)
	case def == required && s == "":
		problem = "is empty"
	case strings.ContainsFunc(s, isControl):
		problem = "holds a control character"
	default:
		return s
	}
	t.fault(key, problem, "")
	return strings.TrimPrefix(def, required)
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// texts returns the strings at key, none when it isn't there, and false when it has reported something else.
func (t *table) texts(key string) ([]string, bool) {
	v, given := t.get(key)
	list, isList := v.([]any)
	if given && !isList {
		t.fault(key, "want a list of strings, have "+kindOf(v), "")
		return nil, false
	}
	var out []string
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			t.fault(key, "want a list of strings, one of them is "+kindOf(e), "")
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

// program returns a command that may be left out, or be empty.
func (t *table) program(key string) []string {
	argv, _ := t.texts(key)
	if len(argv) > 0 && argv[0] == "" {
		t.fault(key, "begins with an empty string instead of a program", "")
	}
	return argv
}

// command returns a command, that of Keys where there is none.
func (t *table) command(key string) []string {
	if !t.has(key) {
		var argv []string
		for _, word := range t.key(key).preset().([]any) {
			argv = append(argv, word.(string))
		}
		return argv
	}
	argv, ok := t.texts(key)
	if ok && (len(argv) == 0 || argv[0] == "") {
		t.fault(key, "want a command as a list of strings", "for example "+t.key(key).Default)
	}
	return argv
}

func (t *table) flag(key string) bool {
	v, ok := t.get(key)
	if !ok {
		return false
	}
	b, ok := v.(bool)
	if !ok {
		t.fault(key, "want true or false, have "+kindOf(v), "")
	}
	return b
}

func (t *table) duration(key string) time.Duration {
	return t.atLeast(1, key, "a duration above zero", `write it like "30m", "8h" or "1d"`)
}

// pause returns a duration that may be none.
func (t *table) pause(key string) time.Duration {
	return t.atLeast(0, key, "a duration", `write it like "5s", or "0s" for none`)
}

func (t *table) atLeast(least time.Duration, key, what, hint string) time.Duration {
	s := t.usual(key)
	d, err := str2duration.ParseDuration(s)
	if err != nil || d < least {
		t.fault(key, fmt.Sprintf("%q is not %s", s, what), hint)
	}
	return d
}

func (t *table) absPath(key string) string {
	s := t.usual(key)
	if !filepath.IsAbs(s) {
		t.fault(key, fmt.Sprintf("%q is not an absolute path", s), "")
		return s
	}
	return filepath.Clean(s)
}

// checkAbsolute reports a path that is given and not absolute.
func (t *table) checkAbsolute(key, path string) {
	if path != "" && !filepath.IsAbs(path) {
		t.fault(key, "is not an absolute path", "")
	}
}

// optionalPath is an absolute path, or "" where there is none.
func (t *table) optionalPath(key string) string {
	if !t.has(key) {
		return ""
	}
	return t.absPath(key)
}

// nginxPath is an absolute path that is written into nginx's configuration.
func (t *table) nginxPath(key string) string {
	s := t.absPath(key)
	t.checkQuotable(key, s)
	return s
}

func (t *table) checkQuotable(key, s string) {
	if _, err := nginxconf.Quote(s); err != nil {
		t.fault(key, fmt.Sprintf("can't be written into nginx's configuration: %v", err), "")
	}
}

// webURL is an http or https URL that both nginx's configuration and the page carry.
func (t *table) webURL(key string) string {
	s := t.text(key, required)
	if s != "" && t.checkURL(key, s) {
		t.checkQuotable(key, s)
	}
	return s
}

// checkURL reports what is wrong with the URL s, without repeating it: it may hold a password or a token.
func (t *table) checkURL(key, s string) bool {
	u, err := url.Parse(s)
	problem, hint := "", ""
	switch {
	case err != nil:
		problem = "is not a URL"
	case u.User != nil:
		problem = "carries a user name or password"
	case !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://"), u.Hostname() == "":
		problem, hint = "is not an http or https URL with a host", `write it like "https://demo.example.org:50000", the scheme in lower case`
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		problem, hint = "has a query or a fragment", "write only scheme, host, port and path"
	case u.Port() != "" && !validPort(u.Port()):
		problem = "has no port between 1 and 65535"
	case strings.ContainsAny(s, " \"'<>\\^`{|}"):
		problem, hint = "holds a character that no URL may hold", "percent-encode it (RFC 3986)"
	case len(s) > maxURL:
		problem = fmt.Sprintf("is longer than %d bytes", maxURL)
	default:
		return true
	}
	t.fault(key, problem, hint)
	return false
}

func (t *table) checkHostPort(key, s string, anyHost bool) {
	host, port, err := net.SplitHostPort(s)
	odd := strings.ContainsFunc(host, func(r rune) bool { return isControl(r) || r == ' ' || r == '/' })
	if err != nil || !validPort(port) || host == "" && !anyHost || odd {
		t.fault(key, fmt.Sprintf("%q is not an address and port", s), `write it like "127.0.0.1:50000"`)
	}
}

func validPort(p string) bool {
	n, err := strconv.ParseUint(p, 10, 16)
	return err == nil && n > 0
}

// sub returns the table below key, empty when there is none.
func (t *table) sub(key string) *table {
	v, ok := t.get(key)
	tree, isTable := v.(map[string]any)
	if ok && !isTable {
		t.fault(key, "want a table, have "+kindOf(v), fmt.Sprintf("write [%s%s]", t.name, key))
	}
	below := t.below(tree, t.at+key, key)
	below.silent = ok && !isTable
	return below
}

// subs returns the tables of the array of tables at key.
func (t *table) subs(key string) []*table {
	v, ok := t.get(key)
	list, isList := v.([]any)
	if ok && !isList {
		t.fault(key, "want tables, have "+kindOf(v), fmt.Sprintf("write [[%s]]", key))
	}
	var out []*table
	for i, e := range list {
		at := fmt.Sprintf("%s%s[%d]", t.at, key, i)
		tree, ok := e.(map[string]any)
		if !ok {
			t.fault(key, "want tables, one of them is "+kindOf(e), fmt.Sprintf("write [[%s]]", key))
			continue
		}
		out = append(out, t.below(tree, at, key))
	}
	return out
}

// line is that of the table, or of the one above it that has a line of its own.
func (t *table) line() int {
	if t.above == nil {
		return 1
	}
	return t.above.lineOf(strings.TrimSuffix(t.at, "."))
}

// lineOf is the line of what is at that path, or else that of the table.
func (t *table) lineOf(at string) int {
	if l, ok := t.r.lines()[at]; ok {
		return l
	}
	return t.line()
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	default:
		return "a date or time"
	}
}
