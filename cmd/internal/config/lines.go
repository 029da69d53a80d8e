package config

import (
	"bytes"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"
)

// lineFinder finds the line of every table and key of a file. Of go-toml only the parser tells where something stands.
type lineFinder struct {
	data   []byte
	lines  map[string]int // by path: "store", "site[0]", "site[0].jwt.max_age"
	counts map[string]int // of the elements that an array of tables has had
	offset uint32         // where line begins to be counted from
	line   int
}

// keyLines returns the line of every table and key in data, which must be TOML.
func keyLines(data []byte) map[string]int {
	f := &lineFinder{data: data, lines: make(map[string]int, bytes.Count(data, []byte("\n"))), counts: map[string]int{}, line: 1}
	var p unstable.Parser
	p.Reset(data)
	prefix := ""
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table:
			prefix = f.place("", e.Key())
		case unstable.ArrayTable:
			path := f.place("", e.Key())
			prefix = path + index(f.counts[path])
			f.counts[path]++
			f.lines[prefix] = f.lines[path]
		case unstable.KeyValue:
			f.value(f.place(prefix, e.Key()), e.Value())
		}
	}
	return f.lines
}

// lineAt returns the line of r. Keys come in their order in the file: the parser's own Shape would count from the
// file's beginning for each.
func (f *lineFinder) lineAt(r unstable.Range) int {
	if r.Offset < f.offset {
		f.offset, f.line = 0, 1
	}
	f.line += bytes.Count(f.data[f.offset:r.Offset], []byte("\n"))
	f.offset = r.Offset
	return f.line
}

// place notes the line of a dotted key below prefix, and returns its path. It goes into the last element of arrays of
// tables.
func (f *lineFinder) place(prefix string, key unstable.Iterator) (path string) {
	path = prefix
	line := 0
	for key.Next() {
		n := key.Node()
		line = f.lineAt(n.Raw)
		if c := f.counts[path]; c > 0 {
			path += index(c - 1)
		}
		if path != "" {
			path += "."
		}
		path += string(n.Data)
		if _, known := f.lines[path]; !known { // a table that has no line of its own: "s3" in "s3.region = …"
			f.lines[path] = line
		}
	}
	f.lines[path] = line
	return path
}

// value notes the lines of what is in the value at path.
func (f *lineFinder) value(path string, n *unstable.Node) {
	it := n.Children()
	for i := 0; it.Next(); i++ {
		c := it.Node()
		switch {
		case n.Kind == unstable.InlineTable && c.Kind == unstable.KeyValue:
			f.value(f.place(path, c.Key()), c.Value())
		case n.Kind == unstable.Array && c.Kind == unstable.InlineTable:
			element := path + index(i)
			f.lines[element] = f.lineAt(c.Raw)
			f.value(element, c)
		}
	}
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }
