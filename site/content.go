// Package site turns Markdown into the maintenance page of a site and works out what has to be sent to
// the store for it. It knows nothing of nginx and reads no clock.
package site

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxFile is the size, in bytes, up to which a Markdown file is read. The page must be small: many
// people load it, some over slow links.
const maxFile = 1 << 20

// Content is the text of the maintenance page in all its languages, checked and rendered.
type Content struct {
	pages []page // the main page first, then its translations by language
}

type page struct {
	frontMatter
	lang     string // BCP 47
	body     markup
	sections []section
}

// section is a further Markdown file on a page.
type section struct {
	Title string
	Lang  string // "" where it is in the language of the page
	Body  markup
}

// source is a Markdown file NAME.LANG.md or NAME.md.
type source struct {
	file, name string
	lang       string // "" where the name says none
	matter     frontMatter
	body       []byte
}

// language is a BCP 47 tag as it may stand in a file's name: pt, pt-BR, zh-Hant.
var language = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// LoadContent reads the Markdown files at the top of fsys (os.DirFS of a folder, or the built-in
// content.FS); README.md and files whose name starts with a dot are not content. The main page is
// index.en.md, else index.md (in English), else the only file there is. index.LANG.md is the same page in
// another language; every other NAME.md or NAME.LANG.md is a further section of the pages, in the order
// of names, and where a language has none of its own, that of the main page's language is taken.
//
// What is wrong with the files comes back as Faults, all of them at once (errors.As). Any other error is one
// of reading; where the folder isn't there, errors.Is(err, fs.ErrNotExist).
func LoadContent(fsys fs.FS) (*Content, error) {
	sources, faults, err := readSources(fsys)
	if err != nil {
		return nil, fmt.Errorf("read content: %w", err)
	}
	main, fault := mainSource(sources)
	if fault != nil {
		faults = append(faults, *fault)
	}
	if len(faults) > 0 {
		slices.SortStableFunc(faults, func(a, b Fault) int {
			return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line)
		})
		return nil, faults
	}
	c := &Content{}
	for _, s := range append([]source{main}, translations(sources, main)...) {
		p, err := newPage(s, sources, main)
		if err != nil {
			return nil, fmt.Errorf("read content: %s: %w", s.file, err)
		}
		c.pages = append(c.pages, p)
	}
	return c, nil
}

// readSources reads every Markdown file, those with faults too, so that a file with a fault isn't
// reported as missing as well.
func readSources(fsys fs.FS) (sources []source, faults Faults, err error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		file := e.Name()
		base, isMarkdown := strings.CutSuffix(file, ".md")
		if !isMarkdown || e.IsDir() || strings.HasPrefix(file, ".") || strings.EqualFold(file, "README.md") {
			continue
		}
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, nil, err
		}
		s := source{file: file, name: base}
		if name, lang, ok := cutLast(base, "."); ok && language.MatchString(lang) {
			s.name, s.lang = name, lang
		} else if ok && name == "index" {
			faults = append(faults, Fault{File: file, Problem: fmt.Sprintf("%q is not a language tag", lang), Hint: "name it as in index.pt.md or index.pt-BR.md"})
		}
		body, fault := s.read(data)
		faults = append(faults, fault...)
		s.body = []byte(body)
		sources = append(sources, s)
	}
	return sources, faults, nil
}

// read takes the file apart and returns its Markdown.
func (s *source) read(data []byte) (body string, faults Faults) {
	if len(data) > maxFile {
		return "", Faults{{File: s.file, Problem: fmt.Sprintf("is larger than %d bytes", maxFile), Hint: "shorten it, and leave large pictures out"}}
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
		return "", Faults{{File: s.file, Line: line, Problem: "is not UTF-8 text", Hint: "save it as UTF-8"}}
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	s.matter, body, faults = readFrontMatter(s.file, text)
	return body, faults
}

// mainSource picks the main page, or says why it can't.
func mainSource(sources []source) (source, *Fault) {
	find := func(lang string) int {
		return slices.IndexFunc(sources, func(s source) bool { return s.name == "index" && s.lang == lang })
	}
	en, bare := find("en"), find("")
	switch {
	case en >= 0 && bare >= 0:
		return source{}, &Fault{File: sources[bare].file, Problem: "there is an index.en.md too, and both are the main page", Hint: "remove one of the two"}
	case en >= 0:
		return sources[en], nil
	case bare >= 0 || len(sources) == 1:
		s := sources[max(bare, 0)]
		s.lang = cmp.Or(s.lang, "en")
		return s, nil
	}
	return source{}, &Fault{File: "index.en.md", Problem: "is missing", Hint: "it is the main page; index.md does as well, or any name where there is one Markdown file only"}
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

// newPage renders s and the sections that belong on its page.
func newPage(s source, sources []source, main source) (page, error) {
	p := page{frontMatter: s.matter, lang: s.lang}
	var err error
	if p.body, err = renderMarkdown(s.body, 2, ""); err != nil {
		return page{}, err
	}
	byName := map[string]source{} // the best there is for the language of the page
	fit := func(o source) int {
		switch o.lang {
		case s.lang:
			return 2
		case main.lang:
			return 1
		case "":
			return 0
		}
		return -1
	}
	for _, o := range sources {
		if o.name == main.name || fit(o) < 0 {
			continue
		}
		if have, ok := byName[o.name]; !ok || fit(o) > fit(have) {
			byName[o.name] = o
		}
	}
	for i, name := range slices.Sorted(maps.Keys(byName)) {
		o := byName[name]
		sec := section{Title: o.matter.title}
		if lang := cmp.Or(o.lang, main.lang); lang != s.lang {
			sec.Lang = lang
		}
		// Footnotes of several files meet on one page: their IDs must not.
		if sec.Body, err = renderMarkdown(o.body, 3, fmt.Sprintf("s%d-", i+1)); err != nil {
			return page{}, err
		}
		p.sections = append(p.sections, sec)
	}
	return p, nil
}

// cutLast slices s around the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
