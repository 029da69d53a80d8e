package operator

import (
	"path/filepath"
	"slices"
	"strings"
)

// Text is one file of a dump.
type Text struct{ Name, Content string }

// ReadFiles reads what nginx -T printed, with what it takes to know later that nginx would print it again: the files in the order of the
// dump, and the absolute patterns by which they include others. ok is false where that can't be told.
func ReadFiles(dump []byte) (c *Config, files []Text, includes []string, ok bool) {
	split := splitDump(string(dump))
	for _, f := range split {
		files = append(files, Text{f.name, f.text})
	}
	parsed, err := parseFiles(split)
	if err != nil {
		return nil, nil, nil, false
	}
	if includes, ok = parsed.patterns(); !ok {
		return nil, nil, nil, false
	}
	ds, err := parsed.all()
	if err != nil {
		return nil, nil, nil, false
	}
	return configOf(ds), files, includes, true
}

// patterns are those by which the files, whose includes aren't resolved yet, include others; ok only if they mean the same to us as
// to nginx.
func (c *conf) patterns() (patterns []string, ok bool) {
	for _, name := range c.names {
		patterns = addPatterns(patterns, c.files[name].ds, c.prefix)
	}
	return patterns, !slices.ContainsFunc(patterns, func(p string) bool { return strings.ContainsAny(p, `[\`) })
}

func addPatterns(patterns []string, ds []*directive, prefix string) []string {
	for _, d := range ds {
		if d.includes() && strings.ContainsAny(d.args[0], "*?[") {
			pattern := d.args[0]
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(prefix, pattern)
			}
			if !slices.Contains(patterns, pattern) {
				patterns = append(patterns, pattern)
			}
		}
		patterns = addPatterns(patterns, d.block, prefix)
	}
	return patterns
}
