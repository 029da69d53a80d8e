package operator

import (
	"fmt"
	"path/filepath"
	"strings"
)

// dumpHeader begins the line that stands before each file in what nginx -T prints; a colon ends it.
const dumpHeader = "# configuration file "

// dumped is one file of a dump.
type dumped struct{ name, text string }

func splitDump(text string) []dumped {
	var out []dumped
	start := 0 // of what belongs to the last file
	for at := 0; at < len(text); {
		i := strings.Index(text[at:], dumpHeader)
		if i < 0 {
			break
		}
		at += i
		line, _, _ := strings.Cut(text[at:], "\n")
		name, ended := strings.CutSuffix(line[len(dumpHeader):], ":")
		if name == "" || !ended || at > 0 && text[at-1] != '\n' {
			at += len(dumpHeader)
			continue
		}
		if len(out) > 0 {
			out[len(out)-1].text = text[start:at]
		}
		at += len(line)
		start = min(at+1, len(text))
		out = append(out, dumped{name, text[start:]})
	}
	return out
}

// fileSet is the files of a configuration, each of which may include others.
type fileSet struct {
	main  string // the main file's name, as nginx says it
	files map[string]*file
	names []string // of the files, in the order of the dump
}

type file struct {
	ds   []*directive
	open bool // its includes are being put in
	done bool // they are in
}

// parseFiles reads the files of a dump, each by itself.
func parseFiles(split []dumped) (*fileSet, error) {
	if len(split) == 0 {
		return nil, fmt.Errorf("%w: no file in it", errSyntax)
	}
	set := &fileSet{main: split[0].name, files: map[string]*file{}}
	p := &parser{}
	for _, f := range split {
		ds, err := p.parse(f.name, f.text)
		if err != nil {
			return nil, err
		}
		name := filepath.Clean(f.name)
		set.files[name] = &file{ds: ds}
		set.names = append(set.names, name)
	}
	return set, nil
}

// all are the directives of the main file and of those that it includes. An include directive stands before what each
// file brought in, with the file's name as its argument. If a file is left over, it is an error: nginx has read it, so
// some include means something else to nginx than to us.
func (s *fileSet) all() ([]*directive, error) {
	ds, err := s.whole(s.names[0])
	if err != nil {
		return nil, err
	}
	for _, name := range s.names {
		if !s.files[name].done {
			return nil, fmt.Errorf("%w: nginx reads %s, and which directive includes it can't be told", errSyntax, name)
		}
	}
	return ds, nil
}

// whole are the directives of a file with those that it includes.
func (s *fileSet) whole(name string) ([]*directive, error) {
	f := s.files[name]
	if f.open {
		return nil, fmt.Errorf("%w: %s includes itself", errSyntax, name)
	}
	if f.done {
		return f.ds, nil
	}
	var err error
	f.open = true
	f.ds, err = s.resolve(f.ds)
	f.open, f.done = false, true
	return f.ds, err
}

// resolve puts what they include behind the include directives among ds, and in their blocks.
func (s *fileSet) resolve(ds []*directive) ([]*directive, error) {
	includes := false
	for _, d := range ds {
		var err error
		if d.block, err = s.resolve(d.block); err != nil {
			return nil, err
		}
		includes = includes || d.includes()
	}
	if !includes {
		return ds, nil
	}
	out := make([]*directive, 0, len(ds)) // never nil: what has a block keeps it
	for _, d := range ds {
		if !d.includes() {
			out = append(out, d)
			continue
		}
		for _, name := range s.included(d) {
			inner, err := s.whole(name)
			if err != nil {
				return nil, err
			}
			out = append(out, &directive{name: "include", args: []string{name}, file: d.file, line: d.line})
			out = append(out, inner...)
		}
	}
	return out, nil
}

// included are the names of the files that an include directive means.
func (s *fileSet) included(include *directive) []string {
	pattern := filepath.Clean(absolute(include.args[0], s.main))
	pattern = strings.ReplaceAll(pattern, "[!", "[^") // glob(3) has both, package filepath one
	var out []string
	for _, name := range s.names {
		ok := pattern == name
		if !ok && strings.ContainsAny(pattern, `*?[\`) {
			ok, _ = filepath.Match(pattern, name)
		}
		if ok {
			out = append(out, name)
		}
	}
	return out
}

// absolute is the path that a name of a file stands for: relative ones begin where the main file is.
func absolute(name, main string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(filepath.Clean(main)), name)
}
