package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// Line is an include line that is to be added.
type Line struct {
	At      operator.Place // of the block that it comes first in
	Text    string
	Instead string // the file of rules that the block includes so far, of a site that is no longer one; "" for none
}

func (l Line) String() string { return l.At.String() + ": " + l.Text }

// include is the directive that includes a file.
func include(file string) string { return "include " + file + ";" }

// wanted is a site and the servers that have to include its rules.
type wanted struct {
	site    string // its name
	servers []operator.ServerBlock
}

// missing are the include lines that the sites need, with their rules below dir, and that aren't there.
func missing(conf *operator.Config, dir string, sites []wanted) []Line {
	var out []Line
	if http := nginxconf.HTTPFile(dir); !conf.HTTPIncludes(http) {
		out = append(out, Line{At: conf.HTTP, Text: include(http)})
	}
	for _, s := range sites {
		file := nginxconf.SiteFile(dir, s.site)
		for _, f := range s.servers {
			l := Line{At: f.At, Text: include(file), Instead: rulesIn(f, dir)}
			if l.Instead != file && !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}

// rulesIn is the file of a site's rules below dir that the server includes, "" for none.
func rulesIn(f operator.ServerBlock, dir string) string {
	i := slices.IndexFunc(f.Files, func(file string) bool { return filepath.Dir(file) == filepath.Dir(nginxconf.SiteFile(dir, "")) })
	if i < 0 {
		return ""
	}
	return f.Files[i]
}

// configured are the sites of a configuration, each with the servers that lead to its upstreams and include none of its
// rules. A server that leads to several sites belongs to the one that listens at its port, or else to none.
func configured(conf *operator.Config, c *config.Config) []wanted {
	sites := make([]wanted, len(c.Sites))
	leads := make([]func(operator.ServerBlock) bool, len(c.Sites))
	for i, s := range c.Sites {
		sites[i].site = s.Name
		file := nginxconf.SiteFile(c.Nginx.ConfDir, s.Name)
		leads[i] = leadsTo(conf.Serving(file, operator.Target{Site: s.Name, Addr: s.Listen, URL: s.AppURL}, s.Upstreams))
	}
	for _, f := range conf.Proxies() {
		if _, ours := c.Site(strings.TrimSuffix(filepath.Base(rulesIn(f, c.Nginx.ConfDir)), ".conf")); ours {
			continue
		}
		var any, atPort []int
		for i := range sites {
			if here := samePort(f.Listen, c.Sites[i].Listen); leads[i](f) || here && len(c.Sites[i].Upstreams) == 0 {
				any = append(any, i)
				if here {
					atPort = append(atPort, i)
				}
			}
		}
		if len(any) > 1 {
			any = atPort
		}
		if len(any) == 1 {
			sites[any[0]].servers = append(sites[any[0]].servers, f)
		}
	}
	return sites
}

// leadsTo tells the servers that lead past a site's rules.
func leadsTo(s operator.Serving) func(operator.ServerBlock) bool {
	return func(f operator.ServerBlock) bool {
		return slices.ContainsFunc(s.Holes, func(h operator.Hole) bool { return h.Server == f.At })
	}
}

func samePort(a, b string) bool {
	_, portA, _ := net.SplitHostPort(a)
	_, portB, _ := net.SplitHostPort(b)
	return portA == portB
}

// insert adds lines to the text of one file, each behind the brace that opens its block, and takes out those that they
// stand instead of.
func insert(text string, lines []Line) (string, error) {
	lines = slices.Clone(lines)
	// From the end: the numbers of the lines before stay as they are.
	slices.SortStableFunc(lines, func(a, b Line) int { return b.At.Line - a.At.Line })
	rows := strings.SplitAfter(text, "\n")
	for _, l := range lines {
		row, at := brace(rows, l.At.Line-1)
		if at < 0 {
			return "", fmt.Errorf("there is no block at %s", l.At)
		}
		rows[row] = rows[row][:at+1] + inserted(l.Text) + rows[row][at+1:]
	}
	text = strings.Join(rows, "")
	for _, l := range lines {
		if l.Instead != "" {
			text = remove(text, include(l.Instead))
		}
	}
	return text, nil
}

// inserted is a line as it stands behind the brace.
func inserted(line string) string { return "\n    " + line }

// brace returns where the first opening brace from a row on stands, -1 where there is none.
func brace(rows []string, from int) (row, at int) {
	for row := from; row >= 0 && row < len(rows); row++ {
		code, _, _ := strings.Cut(rows[row], "#")
		if at := strings.Index(code, "{"); at >= 0 {
			return row, at
		}
	}
	return 0, -1
}

// edited is a file of nginx's that lines were added to.
type edited struct {
	path   string
	backup string
	was    []byte
	perm   os.FileMode
}

func (e edited) undo() error {
	return errors.Join(durable.ReplaceFile(e.path, e.was, e.perm), os.Remove(e.backup))
}

// add adds the lines to nginx's files, each file at once and whole, in the order of the lines. It keeps a copy of each
// file below backups, and returns a function that puts them back. A file that is a symbolic link stays one; owner and
// mode stay.
func add(lines []Line, backups string) (undo func() error, err error) {
	var done []edited
	undo = func() error {
		var errs []error
		for _, e := range slices.Backward(done) {
			errs = append(errs, e.undo())
		}
		_ = os.Remove(backups) // unless there is more in it
		return errors.Join(errs...)
	}
	paths, byFile, err := sortByFile(lines)
	if err != nil {
		return undo, fmt.Errorf("add the include lines: %w", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		info, errStat := os.Stat(path)
		if err = errors.Join(err, errStat); err != nil {
			return undo, fmt.Errorf("add the include lines: %w", err)
		}
		text, err := insert(string(data), byFile[path])
		if err != nil {
			return undo, fmt.Errorf("add the include lines: %w", err)
		}
		e := edited{path: path, was: data, perm: info.Mode().Perm()}
		if e.backup, err = e.keep(backups); err != nil {
			return undo, fmt.Errorf("keep nginx's files: %w", err)
		}
		done = append(done, e)
		if err := durable.ReplaceFile(path, []byte(text), e.perm); err != nil {
			return undo, fmt.Errorf("add the include lines: %w", err)
		}
	}
	return undo, nil
}

// sortByFile returns the lines by the file that they go to, each once, and the files in the order of the lines. One
// file may be included by several links.
func sortByFile(lines []Line) (paths []string, byFile map[string][]Line, err error) {
	byFile = map[string][]Line{}
	for _, l := range lines {
		path, err := filepath.EvalSymlinks(l.At.File)
		if err != nil {
			return nil, nil, err
		}
		if len(byFile[path]) == 0 {
			paths = append(paths, path)
		}
		l.At.File = path
		if !slices.Contains(byFile[path], l) {
			byFile[path] = append(byFile[path], l)
		}
	}
	return paths, byFile, nil
}

// keep copies the file into the directory of backups, beside earlier copies. It doesn't put the copy beside the file:
// nginx may include what lies there by a pattern.
func (e edited) keep(backups string) (backup string, err error) {
	if err := os.MkdirAll(backups, 0o755); err != nil {
		return "", err
	}
	base := filepath.Join(backups, strings.ReplaceAll(strings.TrimPrefix(e.path, "/"), "/", "-"))
	backup = base
	for n := 2; ; n++ {
		if _, err := os.Lstat(backup); errors.Is(err, fs.ErrNotExist) {
			return backup, durable.WriteFile(backup, e.was, e.perm)
		}
		backup = fmt.Sprintf("%s.%d", base, n)
	}
}
