package site

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

// maxFile is the size, in bytes, up to which a Markdown file is read. The page must be small: many
// people load it, some over slow links.
const maxFile = 1 << 20

// source is a Markdown file NAME.LANG.md or NAME.md.
type source struct {
	file, name string
	lang       string // "" where the name says none
	matter     frontMatter
	body       []byte
	line       int // where body begins in the file, 1-based
}

// layer is a folder of content. Of files with the same name in several the last one's counts.
type layer struct {
	fs.FS
	name string // before the names of its files in faults, "" for none
}

// layersOf returns fsys and, over it, those of the folders that it has.
func layersOf(fsys fs.FS, folders []string) ([]layer, error) {
	layers := []layer{{FS: fsys}}
	for _, name := range folders {
		info, err := fs.Stat(fsys, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err != nil || !info.IsDir() {
			continue
		}
		sub, err := fs.Sub(fsys, name)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer{sub, name})
	}
	return layers, nil
}

// readSources reads every Markdown file, those with faults too, so that a file with a fault isn't
// reported as missing as well.
func readSources(layers []layer) (sources []source, faults fault.List, err error) {
	from, entryOf := map[string]layer{}, map[string]fs.DirEntry{}
	for _, l := range layers {
		entries, err := fs.ReadDir(l, ".")
		if err != nil {
			return nil, nil, err
		}
		for _, e := range entries {
			if !e.IsDir() && isContent(e.Name()) {
				from[e.Name()], entryOf[e.Name()] = l, e
			}
		}
	}
	for _, file := range slices.Sorted(maps.Keys(from)) {
		l := from[file]
		data, err := fs.ReadFile(l, file)
		if err != nil {
			if wrong := badLink(path.Join(l.name, file), entryOf[file]); wrong != nil {
				faults = append(faults, *wrong)
				continue
			}
			return nil, nil, err
		}
		s, wrong := named(path.Join(l.name, file), strings.TrimSuffix(file, ".md"))
		faults = append(faults, wrong...)
		body, wrong := s.read(data)
		faults = append(faults, wrong...)
		s.body = []byte(body)
		sources = append(sources, s)
	}
	return sources, faults, nil
}

// isContent reports whether a file of that name is Markdown for the page.
func isContent(file string) bool {
	return path.Ext(file) == ".md" && !strings.HasPrefix(file, ".") && !strings.EqualFold(file, "README.md")
}

// named returns the source with the name and language that the file's name gives it; base is that without its ending.
func named(file, base string) (source, fault.List) {
	s := source{file: file, name: base}
	ending := path.Ext(base)
	name, lang := strings.TrimSuffix(base, ending), strings.TrimPrefix(ending, ".")
	switch {
	case ending == "":
	case status.IsLanguage(lang):
		s.name, s.lang = name, lang
	case name == "index":
		return s, fault.List{{
			File: file, Problem: fmt.Sprintf("%q is not a language tag", lang), Hint: "name it as in index.pt.md or index.pt-BR.md",
		}}
	}
	return s, nil
}

// read takes the file apart and returns its Markdown.
func (s *source) read(data []byte) (body string, faults fault.List) {
	text, faults := decode(s.file, data)
	if len(faults) > 0 {
		return "", faults
	}
	s.matter, body, faults = readFrontMatter(s.file, text)
	s.line = 1 + strings.Count(strings.TrimSuffix(text, body), "\n")
	return body, faults
}

// decode returns the text of a file with lines that end in \n alone.
func decode(file string, data []byte) (string, fault.List) {
	if len(data) > maxFile {
		return "", fault.List{{
			File: file, Problem: fmt.Sprintf("is larger than %d bytes", maxFile), Hint: "shorten it, and leave large pictures out",
		}}
	}
	if !utf8.Valid(data) {
		line := 1
		for rest := data; ; {
			r, size := utf8.DecodeRune(rest)
			if r == utf8.RuneError && size == 1 {
				break
			}
			if r == '\n' {
				line++
			}
			rest = rest[size:]
		}
		return "", fault.List{{File: file, Line: line, Problem: "is not UTF-8 text", Hint: "save it as UTF-8"}}
	}
	return strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n"), nil
}

// mainSource picks the main page, or says why it can't.
func mainSource(sources []source) (source, *fault.Fault) {
	find := func(lang string) int {
		return slices.IndexFunc(sources, func(s source) bool { return s.name == "index" && s.lang == lang })
	}
	en, bare := find("en"), find("")
	switch {
	case en >= 0 && bare >= 0:
		return source{}, &fault.Fault{
			File: sources[bare].file, Problem: "there is an index.en.md too, and both are the main page", Hint: "remove one of the two",
		}
	case en >= 0:
		return sources[en], nil
	case bare >= 0 || len(sources) == 1:
		s := sources[max(bare, 0)]
		s.lang = cmp.Or(s.lang, "en")
		return s, nil
	}
	return source{}, &fault.Fault{
		File: "index.en.md", Problem: "is missing",
		Hint: "it is the main page; index.md does as well, or any name where there is one Markdown file only",
	}
}

// translations returns the main page in its other languages, by language.
func translations(sources []source, main source) []source {
	var out []source
	for _, s := range sources {
		if s.name == main.name && s.lang != "" && s.lang != main.lang {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b source) int { return strings.Compare(a.lang, b.lang) })
	return out
}
