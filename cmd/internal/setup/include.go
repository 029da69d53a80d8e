package setup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/nginxconf"
)

// Line is an include line that is to be added.
type Line struct {
	At   nginxconf.Place // of the block that it comes first in
	Text string
}

// Lines are the include lines that the sites need and that aren't there.
func Lines(inv nginxconf.Inventory, sites []Site) []Line {
	dir := ConfDir(inv)
	var out []Line
	if http := nginxconf.HTTPFile(dir); !inv.Survey.Includes(http) {
		out = append(out, Line{inv.HTTP, "include " + http + ";"})
	}
	for _, s := range sites {
		if file := nginxconf.SiteFile(dir, s.Name); s.Chosen && !slices.Contains(s.Files, file) {
			out = append(out, Line{s.At, "include " + file + ";"})
		}
	}
	return out
}

// ErrBlock is returned (wrapped) where a block isn't where nginx said that it is.
var ErrBlock = errors.New("there is no block")

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
			return "", fmt.Errorf("%w at %s", ErrBlock, l.At)
		}
	}
	return strings.Join(rows, ""), nil
}

// Add adds the lines to nginx's files, keeps each file as it was below backups, and returns what puts them back. A file
// that is a symbolic link stays one.
func Add(lines []Line, backups string) (undo func() error, err error) {
	was := map[string][]byte{}
	modes := map[string]os.FileMode{}
	undo = func() error {
		var errs []error
		for path, data := range was {
			errs = append(errs, nginxconf.WriteFile(path, data, modes[path]))
		}
		return errors.Join(errs...)
	}
	byFile := map[string][]Line{}
	for _, l := range lines {
		path, err := filepath.EvalSymlinks(l.At.File)
		if err != nil {
			return undo, fmt.Errorf("add the include lines: %w", err)
		}
		byFile[path] = append(byFile[path], l)
	}
	for path, own := range byFile {
		info, err := os.Stat(path)
		if err != nil {
			return undo, fmt.Errorf("add the include lines: %w", err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return undo, fmt.Errorf("add the include lines: %w", err)
		}
		text, err := insert(string(data), own)
		if err != nil {
			return undo, fmt.Errorf("add the include lines: %w", err)
		}
		if err := os.MkdirAll(backups, 0o755); err != nil {
			return undo, fmt.Errorf("keep nginx's files: %w", err)
		}
		// Not beside the file: what lies there may be included by a pattern.
		copied := filepath.Join(backups, strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "-"))
		if err := nginxconf.WriteFile(copied, data, info.Mode().Perm()); err != nil {
			return undo, fmt.Errorf("keep nginx's files: %w", err)
		}
		was[path], modes[path] = data, info.Mode().Perm()
		if err := nginxconf.WriteFile(path, []byte(text), info.Mode().Perm()); err != nil {
			return undo, fmt.Errorf("add the include lines: %w", err)
		}
	}
	return undo, nil
}
