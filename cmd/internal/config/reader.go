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

	"github.com/pelletier/go-toml/v2/unstable"
	"github.com/xhit/go-str2duration/v2"

	"github.com/msupply-foundation/conforma-status/nginxconf"
)

// required stands for "no default" in table.text; it can't be written in TOML.
const required = "\x00"

// reader collects the faults of one file. go-toml's own strict decoding stops at the first value of a
// wrong type, so that only one such fault a run could be reported.
type reader struct {
	file   string
	lines  map[string]int
	faults Faults
}

// table is one table of the file; it remembers which keys were asked for, the others being unknown.
type table struct {
	r     *reader
	tree  map[string]any
	at    string // path with indices, the key into reader.lines: "site[1].jwt."
	name  string // path for people: "site.jwt."
	line  int
	scope Scope
	known []string
}

func (r *reader) table(tree map[string]any, at, name string, line int) *table {
	return &table{r: r, tree: tree, at: at, name: name, line: line}
}

func (t *table) fault(key, problem, hint string) { t.faultIn(t.scope, key, problem, hint) }

func (t *table) faultIn(scope Scope, key, problem, hint string) {
	line := t.line
	if l, ok := t.r.lines[t.at+key]; ok {
		line = l
	}
	t.r.faults = append(t.r.faults, Fault{File: t.r.file, Line: line, Key: t.name + key, Problem: problem, Hint: hint, Scope: scope})
}

func (t *table) get(key string) (any, bool) {
	t.known = append(t.known, key)
	v, ok := t.tree[key]
	return v, ok
}

func (t *table) has(key string) bool { _, ok := t.tree[key]; return ok }

// done reports the keys that nobody asked for.
func (t *table) done() {
	for key := range t.tree {
		if !slices.Contains(t.known, key) {
			t.fault(key, "unknown key", "known here: "+strings.Join(t.known, ", "))
		}
	}
}

func (t *table) text(key, def string) string {
	v, ok := t.get(key)
	if !ok {
		if def == required {
			t.fault(key, "is missing", "")
			return ""
		}
		return def
	}
	s, ok := v.(string)
	switch {
	case !ok:
		t.fault(key, "want a string, have "+kindOf(v), "")
	case def == required && s == "":
		t.fault(key, "is empty", "")
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		t.fault(key, "holds a control character", "")
		return ""
	}
	return s
}

func (t *table) texts(key string) []string {
	v, ok := t.get(key)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		t.fault(key, "want a list of strings, have "+kindOf(v), "")
		return nil
	}
	var out []string
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			t.fault(key, "want a list of strings, one of them is "+kindOf(e), "")
			return nil
		}
		out = append(out, s)
	}
	return out
}

func (t *table) command(key string, def ...string) []string {
	if !t.has(key) {
		t.known = append(t.known, key)
		return def
	}
	argv := t.texts(key)
	if len(argv) == 0 || argv[0] == "" {
		t.fault(key, "want a command as a list of strings", fmt.Sprintf("for example [%q]", strings.Join(def, `", "`)))
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

func (t *table) duration(key, def string) time.Duration {
	s := t.text(key, def)
	d, err := str2duration.ParseDuration(s)
	if err != nil || d <= 0 {
		t.fault(key, fmt.Sprintf("%q is not a duration above zero", s), `write it like "30m", "8h" or "1d"`)
	}
	return d
}

func (t *table) absPath(key, def string) string {
	s := t.text(key, def)
	if !filepath.IsAbs(s) {
		t.fault(key, fmt.Sprintf("%q is not an absolute path", s), "")
		return s
	}
	return filepath.Clean(s)
}

// nginxPath is an absolute path that is written into nginx's configuration.
func (t *table) nginxPath(key, def string) string {
	s := t.absPath(key, def)
	t.checkQuotable(key, s)
	return s
}

func (t *table) checkQuotable(key, s string) {
	if _, err := nginxconf.Quote(s); err != nil {
		t.fault(key, fmt.Sprintf("%q can't be written into nginx's configuration: %v", s, err), "")
	}
}

// webURL is an http or https URL that both nginx's configuration and the page carry.
func (t *table) webURL(key string) string {
	s := t.text(key, required)
	if s != "" {
		t.checkURL(key, s)
		t.checkQuotable(key, s)
	}
	return s
}

func (t *table) checkURL(key, s string) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		t.fault(key, "is not a URL", "")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		t.fault(key, fmt.Sprintf("%q is not an http or https URL with a host", u.Redacted()), "")
	case u.User != nil:
		t.fault(key, "carries a user name or password", "")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery || strings.ContainsAny(s, "#"):
		t.fault(key, fmt.Sprintf("%q has a query or a fragment", s), "write only scheme, host, port and path")
	case u.Port() != "" && !validPort(u.Port()):
		t.fault(key, fmt.Sprintf("%q has no port between 1 and 65535", s), "")
	case strings.ContainsAny(s, " \"'<>\\^`{|}"):
		t.fault(key, fmt.Sprintf("%q holds a character that no URL may hold", s), "percent-encode it (RFC 3986)")
	}
}

func (t *table) checkHostPort(key, s string, anyHost bool) {
	host, port, err := net.SplitHostPort(s)
	if err != nil || !validPort(port) || (host == "" && !anyHost) || strings.ContainsAny(host, "/ ") {
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
	return t.r.table(tree, t.at+key+".", t.name+key+".", t.lineOf(t.at+key))
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
		out = append(out, t.r.table(tree, at+".", t.name+key+".", t.lineOf(at)))
	}
	return out
}

func (t *table) lineOf(at string) int {
	if l, ok := t.r.lines[at]; ok {
		return l
	}
	return t.line
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

// keyLines finds the line of every table and key in data, which must be TOML. The keys are paths such as
// "store", "site[0]", "site[0].jwt.max_age".
func keyLines(data []byte) map[string]int {
	lines := map[string]int{}
	counts := map[string]int{}
	var p unstable.Parser
	p.Reset(data)
	prefix := ""
	// place appends a dotted key to prefix, going into the last element of arrays of tables.
	place := func(prefix string, key unstable.Iterator) (path string, line int) {
		path = prefix
		for key.Next() {
			n := key.Node()
			line = p.Shape(n.Raw).Start.Line
			if c := counts[path]; c > 0 {
				path += fmt.Sprintf("[%d]", c-1)
			}
			if path != "" {
				path += "."
			}
			path += string(n.Data)
		}
		return path, line
	}
	var value func(path string, n *unstable.Node)
	value = func(path string, n *unstable.Node) {
		it := n.Children()
		for i := 0; it.Next(); {
			c := it.Node()
			switch {
			case n.Kind == unstable.InlineTable && c.Kind == unstable.KeyValue:
				sub, line := place(path, c.Key())
				lines[sub] = line
				value(sub, c.Value())
			case n.Kind == unstable.Array && c.Kind == unstable.InlineTable:
				sub := fmt.Sprintf("%s[%d]", path, i)
				lines[sub] = lines[path]
				value(sub, c)
				i++
			}
		}
	}
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table:
			path, line := place("", e.Key())
			lines[path] = line
			prefix = path
		case unstable.ArrayTable:
			path, line := place("", e.Key())
			counts[path]++
			prefix = fmt.Sprintf("%s[%d]", path, counts[path]-1)
			lines[path], lines[prefix] = line, line
		case unstable.KeyValue:
			path, line := place(prefix, e.Key())
			lines[path] = line
			value(path, e.Value())
		}
	}
	return lines
}
