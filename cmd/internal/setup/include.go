package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// Line is an include line that is to be added.
type Line struct {
	At   operator.Place // of the block that it comes first in
	Text string
}

// includes are the include lines that the sites need and that aren't there.
func includes(conf *operator.Config, sites []Site) []Line {
	dir := confDir(conf)
	var out []Line
	if http := nginxconf.HTTPFile(dir); !conf.HTTPIncludes(http) {
		out = append(out, Line{conf.HTTP, "include " + http + ";"})
	}
	for _, s := range sites {
		if !s.chosen {
			continue
		}
		file := nginxconf.SiteFile(dir, s.name)
		for _, f := range s.servers {
			if l := (Line{f.At, "include " + file + ";"}); !slices.Contains(f.Files, file) && !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}

// insert adds lines to the text of one file, each behind the brace that opens its block.
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
		rows[row] = rows[row][:at+1] + "\n    " + l.Text + rows[row][at+1:]
	}
	return strings.Join(rows, ""), nil
}

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

// add adds the lines to nginx's files, each file at once and whole, in the order of the lines. It keeps each as it was
// below backups, and returns what puts them back. A file that is a symbolic link stays one; owner and mode stay.
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

// keep copies the file as it was to the directory of backups, beside earlier copies. Not beside the file: what lies
// there may be included by a pattern.
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
