// Package site turns Markdown into the maintenance page of a site and works out what has to be sent to
// the store for it. It knows nothing of nginx and reads no clock.
package site

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/msupply-foundation/conforma-status/content"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

// maxFile is the size, in bytes, up to which a Markdown file is read. The page must be small: many
// people load it, some over slow links.
const maxFile = 1 << 20

// Content is the text of the maintenance page in all its languages, checked and rendered.
type Content struct {
	pages   []page // the main page first, then its translations by language
	brand   brand
	remarks fault.List
}

// Remarks is what a page of c has otherwise than its author may think: what is not translated, or was left out. It is
// empty where there is nothing to say, and in the order of files and lines.
func (c *Content) Remarks() fault.List { return slices.Clone(c.remarks) }

// Languages returns the languages of c's pages as BCP 47 tags, that of the main page first.
func (c *Content) Languages() []string {
	tags := make([]string, len(c.pages))
	for i, p := range c.pages {
		tags[i] = p.lang
	}
	return tags
}

type page struct {
	frontMatter
	lang     string // BCP 47
	words    words  // complete
	english  []string
	body     markup
	sections []section
	// foreign is the language of contact and links, where they are those of the main page; "" where they are its own.
	foreign string
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
	line       int // where body begins in the file, 1-based
}

// layer is a folder of content. Of files with the same name in several the last one's counts.
type layer struct {
	fs.FS
	name string // before the names of its files in faults, "" for none
}

// LoadContent reads the Markdown files at the top of fsys (os.DirFS of a folder, or the built-in
// content.FS); README.md and files whose name starts with a dot are not content. The main page is
// index.en.md, else index.md (in English), else the only file there is. index.LANG.md is the same page in
// another language; every other NAME.md or NAME.LANG.md is a further section of the pages, in the order
// of names, and where a language has none of its own, that of the main page's language is taken. Sentences of the
// page itself that a file leaves out are those of the built-in content, in its language or else in English.
// brand.yaml is what all pages share; beside it alone the built-in Markdown serves.
//
// A folder in fsys that is named in folders lies over fsys: its files take the place of those of the same name, for one site.
//
// What is wrong with the files comes back as a fault.List, all of it at once (errors.As). Any other error is one
// of reading; where the folder isn't there, errors.Is(err, fs.ErrNotExist).
func LoadContent(fsys fs.FS, folders ...string) (*Content, error) {
	layers := []layer{{FS: fsys}}
	for _, name := range folders {
		if info, err := fs.Stat(fsys, name); err == nil && info.IsDir() {
			sub, err := fs.Sub(fsys, name)
			if err != nil {
				return nil, fmt.Errorf("read content: %w", err)
			}
			layers = append(layers, layer{sub, name})
		}
	}
	sources, faults, err := readSources(layers)
	if err != nil {
		return nil, fmt.Errorf("read content: %w", err)
	}
	c := &Content{}
	branded, wrong, err := c.brand.read(layers)
	if err != nil {
		return nil, fmt.Errorf("read content: %w", err)
	}
	if faults = append(faults, wrong...); branded && len(sources) == 0 && len(faults) == 0 {
		if sources, faults, err = readSources([]layer{{FS: content.FS}}); err != nil {
			return nil, fmt.Errorf("read content: %w", err)
		}
	}
	main, fault := mainSource(sources)
	if fault != nil {
		faults = append(faults, *fault)
	}
	if len(faults) > 0 {
		faults.Sort()
		return nil, faults
	}
	for _, s := range append([]source{main}, translations(sources, main)...) {
		p, err := c.page(s, sources, main)
		if err != nil {
			return nil, fmt.Errorf("read content: %s: %w", s.file, err)
		}
		c.pages = append(c.pages, p)
	}
	c.remarks.Sort()
	c.remarks = slices.Compact(c.remarks) // a section stands on several pages
	return c, nil
}

// readSources reads every Markdown file, those with faults too, so that a file with a fault isn't
// reported as missing as well.
func readSources(layers []layer) (sources []source, faults fault.List, err error) {
	from := map[string]layer{}
	for _, l := range layers {
		entries, err := fs.ReadDir(l, ".")
		if err != nil {
			return nil, nil, err
		}
		for _, e := range entries {
			if file := e.Name(); path.Ext(file) == ".md" && !e.IsDir() && !strings.HasPrefix(file, ".") && !strings.EqualFold(file, "README.md") {
				from[file] = l
			}
		}
	}
	for _, file := range slices.Sorted(maps.Keys(from)) {
		l := from[file]
		data, err := fs.ReadFile(l, file)
		if err != nil {
			return nil, nil, err
		}
		base := strings.TrimSuffix(file, ".md")
		s := source{file: path.Join(l.name, file), name: base}
		if name, lang, ok := cutLast(base, "."); ok && status.IsLanguage(lang) {
			s.name, s.lang = name, lang
		} else if ok && name == "index" {
			faults = append(faults, fault.Fault{File: s.file, Problem: fmt.Sprintf("%q is not a language tag", lang), Hint: "name it as in index.pt.md or index.pt-BR.md"})
		}
		body, fault := s.read(data)
		faults = append(faults, fault...)
		s.body = []byte(body)
		sources = append(sources, s)
	}
	return sources, faults, nil
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
		return "", fault.List{{File: file, Problem: fmt.Sprintf("is larger than %d bytes", maxFile), Hint: "shorten it, and leave large pictures out"}}
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
		return source{}, &fault.Fault{File: sources[bare].file, Problem: "there is an index.en.md too, and both are the main page", Hint: "remove one of the two"}
	case en >= 0:
		return sources[en], nil
	case bare >= 0 || len(sources) == 1:
		s := sources[max(bare, 0)]
		s.lang = cmp.Or(s.lang, "en")
		return s, nil
	}
	return source{}, &fault.Fault{File: "index.en.md", Problem: "is missing", Hint: "it is the main page; index.md does as well, or any name where there is one Markdown file only"}
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

// page renders s and the sections that belong on its page, and remarks on them.
func (c *Content) page(s source, sources []source, main source) (page, error) {
	p := page{frontMatter: s.matter, lang: s.lang}
	p.words, p.english = fallBack(s.matter.words, s.lang)
	if len(p.english) > 0 {
		c.remark(s.file, cmp.Or(s.matter.wordsLine, 1), "words", "not in this language, but in English on the page: "+strings.Join(p.english, ", "),
			"translate them as in the built-in index.en.md")
	}
	if p.name == "" {
		p.name = ownName(s.lang)
	}
	if p.contact == (link{}) && len(p.links) == 0 && s.lang != main.lang {
		p.contact, p.links, p.foreign = main.matter.contact, main.matter.links, main.lang
	}
	var err error
	if p.body, err = c.render(s, 2, ""); err != nil {
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
			c.remark(o.file, 1, "", fmt.Sprintf("has no translation: the page in %s shows it in %s", s.lang, lang), fmt.Sprintf("write %s.%s.md", name, s.lang))
		}
		// Footnotes of several files meet on one page: their IDs must not.
		if sec.Body, err = c.render(o, 3, fmt.Sprintf("s%d-", i+1)); err != nil {
			return page{}, err
		}
		p.sections = append(p.sections, sec)
	}
	return p, nil
}

// render is renderMarkdown for a file.
func (c *Content) render(s source, top int, prefix string) (markup, error) {
	out, remarks, err := renderMarkdown(s.body, top, prefix, s.matter.html)
	for _, r := range remarks {
		c.remark(s.file, s.line+r.line, "", r.problem, r.hint)
	}
	return out, err
}

func (c *Content) remark(file string, line int, key, problem, hint string) {
	c.remarks = append(c.remarks, fault.Fault{File: file, Line: line, Key: key, Problem: problem, Hint: hint})
}

// cutLast slices s around the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
