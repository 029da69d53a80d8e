// Package fault says what is wrong with the files that people write, the configuration and the content: by file, line
// and key, and all of it in one run. It imports nothing else of this project.
package fault

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a file.
type Fault struct {
	File    string
	Line    int    // 1-based, that of the table where a key is missing; 0 where the fault is of the file as a whole
	Key     string // dotted, as in "site.jwt.max_age" or "links.url"; "" where it is not about one
	Problem string
	Hint    string // what to do about it, or ""
}

// String is one line: "FILE:LINE: KEY: PROBLEM", without the hint, and without what the fault doesn't have.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Problem)
	return b.String()
}

// List is every fault that was found. It is never empty where it is returned as an error; errors.As gets at it.
type List []Fault

// Error names every fault, one a line, without the hints.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, f := range l {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Sort puts the faults in the order of files and lines. Those of one line stay in the order in which they were found.
func (l List) Sort() {
	slices.SortStableFunc(l, func(a, b Fault) int { return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line) })
}

// Below returns the faults sorted, once each, with the names of their files, which are slash-separated, below dir.
func (l List) Below(dir string) List {
	out := slices.Clone(l)
	out.Sort()
	out = slices.Compact(out)
	for i := range out {
		out[i].File = filepath.Join(dir, filepath.FromSlash(out[i].File))
	}
	return out
}
