package operator

import (
	"slices"
	"strings"
)

// Text is one file of a dump.
type Text struct{ Name, Content string }

// ReadFiles reads what nginx -T printed, with what it takes to know later that nginx would print it again: the
// files in the order of the dump, and the absolute patterns by which they include others. ok is false where that
// can't be told.
func ReadFiles(dump []byte) (c *Config, files []Text, includes []string, ok bool) {
	split := splitDump(string(dump))
	for _, f := range split {
		files = append(files, Text{f.name, f.text})
	}
	set, err := parseFiles(split)
	if err != nil {
		return nil, nil, nil, false
	}
	if includes, ok = set.patterns(); !ok {
		return nil, nil, nil, false
	}
	if c, err = set.config(); err != nil {
		return nil, nil, nil, false
	}
	return c, files, includes, true
}

// patterns are those by which the files, whose includes aren't resolved yet, include others; ok only if they mean
// the same to us as to nginx.
func (s *fileSet) patterns() (patterns []string, ok bool) {
	for _, name := range s.names {
		patterns = s.addPatterns(patterns, s.files[name].ds)
	}
	return patterns, !slices.ContainsFunc(patterns, func(p string) bool { return strings.ContainsAny(p, `[\`) })
}

func (s *fileSet) addPatterns(patterns []string, ds []*directive) []string {
	for _, d := range ds {
		if d.includes() && strings.ContainsAny(d.args[0], "*?[") {
			if pattern := s.absolute(d.args[0]); !slices.Contains(patterns, pattern) {
				patterns = append(patterns, pattern)
			}
		}
		patterns = s.addPatterns(patterns, d.block)
	}
	return patterns
}
