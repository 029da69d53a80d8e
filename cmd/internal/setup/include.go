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
		file := nginxconf.SiteFile(dir, s.Name)
		for _, f := range s.Servers {
			if l := (Line{f.At, "include " + file + ";"}); s.Chosen && !slices.Contains(f.Files, file) && !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}

// insert adds lines to the text of one file, each behind the brace that opens its block.
func insert(text string, lines []Line) (string, error) {
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b Line) int { return b.At.Line - a.At.Line }) // from the end: the others' numbers hold
	rows := strings.SplitAfter(text, "\n")
	for _, l := range lines {
		done := false
		for i := l.At.Line - 1; i >= 0 && i < len(rows); i++ {
			code, _, _ := strings.Cut(rows[i], "#")
			if at := strings.Index(code, "{"); at >= 0 {
				rows[i] = rows[i][:at+1] + "\n    " + l.Text + rows[i][at+1:]
				done = true
				break
			}
		}
		if !done {
			return "", fmt.Errorf("there is no block at %s", l.At)
		}
	}
	return strings.Join(rows, ""), nil
}

// add adds the lines to nginx's files, each file at once and whole, in the order of the lines. It keeps each as it was below backups,
// and returns what puts them back. A file that is a symbolic link stays one; owner and mode stay.
func add(lines []Line, backups string) (undo func() error, err error) {
	type edited struct {
		path, copied string
		was          []byte
		info         os.FileInfo
	}
	var done []edited
	undo = func() error {
		var errs []error
		for _, e := range slices.Backward(done) {
			errs = append(errs, durable.ReplaceFile(e.path, e.was, e.info.Mode().Perm()), os.Remove(e.copied))
		}
		_ = os.Remove(backups) // unless there is more in it
		return errors.Join(errs...)
	}
	var paths []string
	byFile := map[string][]Line{}
	for _, l := range lines {
		path, err := filepath.EvalSymlinks(l.At.File)
		if err != nil {
			return undo, fmt.Errorf("add the include lines: %w", err)
		}
		if len(byFile[path]) == 0 {
			paths = append(paths, path)
		}
		l.At.File = path // one file may be included by several links
		if !slices.Contains(byFile[path], l) {
			byFile[path] = append(byFile[path], l)
		}
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		info, unseen := os.Stat(path)
		if err = errors.Join(err, unseen); err != nil {
			return undo, fmt.Errorf("add the include lines: %w", err)
		}
		text, err := insert(string(data), byFile[path])
		if err != nil {
			return undo, fmt.Errorf("add the include lines: %w", err)
		}
		copied, err := keep(path, data, info, backups)
		if err != nil {
			return undo, fmt.Errorf("keep nginx's files: %w", err)
		}
		done = append(done, edited{path, copied, data, info})
		if err := durable.ReplaceFile(path, []byte(text), info.Mode().Perm()); err != nil {
			return undo, fmt.Errorf("add the include lines: %w", err)
		}
	}
	return undo, nil
}

// keep copies a file of nginx's to the directory of backups, beside earlier copies. Not beside the file: what lies there may be included
// by a pattern.
func keep(path string, data []byte, info os.FileInfo, backups string) (copied string, err error) {
	if err := os.MkdirAll(backups, 0o755); err != nil {
		return "", err
	}
	base := filepath.Join(backups, strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "-"))
	copied = base
	for n := 2; ; n++ {
		if _, err := os.Lstat(copied); errors.Is(err, fs.ErrNotExist) {
			return copied, durable.WriteFile(copied, data, info.Mode().Perm())
		}
		copied = fmt.Sprintf("%s.%d", base, n)
	}
}
