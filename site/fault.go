package site

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with the content.
type Fault struct {
	File    string // name below the content folder
	Line    int    // 1-based, 0 where the fault is of the file as a whole
	Key     string // front matter key, as in "links.url"; "" where it is not about one
	Problem string
	Hint    string // what to do about it
}

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

// Faults is every fault of the content, by file name and then in the order of lines. It is never empty
// when it is returned as an error; use errors.As to get at it.
type Faults []Fault

// Error names every fault, one a line, without the hints.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// sort puts the faults in order.
func (fs Faults) sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int { return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line) })
}

// Below returns the faults in order, once each, with the names of their files below dir.
func (fs Faults) Below(dir string) Faults {
	out := slices.Clone(fs)
	out.sort()
	out = slices.Compact(out)
	for i := range out {
		out[i].File = filepath.Join(dir, filepath.FromSlash(out[i].File))
	}
	return out
}
