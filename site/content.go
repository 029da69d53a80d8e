// Package site turns Markdown into the maintenance page of a site and works out what has to be sent to
// the store for it. It knows nothing of nginx and reads no clock.
package site

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/content"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

// Content is the text of the maintenance page in all its languages, checked and rendered.
type Content struct {
	pages []page // the main page first, then its translations by language
	brand brand
	files attachments
	// tooLarge names files that the pages show and that are not published.
	tooLarge fault.List
	remarks  fault.List
}

// Remarks tells the author of c what they may not expect: what is not translated, or was left out. It is empty if there
// is nothing to say, and in the order of files and lines.
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
	title string
	lang  string // "" where it is in the language of the page
	body  markup
}

// LoadContent reads the Markdown files at the top of fsys (an os.Root of a folder, or the built-in
// content.FS); README.md and files whose name starts with a dot are not content. The main page is
// index.en.md, else index.md (in English), else the only file there is. index.LANG.md is the same page in
// another language; every other NAME.md or NAME.LANG.md is a further section of the pages, in the order
// of names, and where a language has none of its own, that of the main page's language is taken. Sentences of the
// page itself that a file leaves out are those of the built-in content, in its language or else in English.
// brand.yaml is what all pages share; beside it alone the built-in Markdown serves. Pictures, PDF and text files there
// are published with the pages.
//
// A folder in fsys that is named in folders lies over fsys, for one site: its files take the place of those of the
// same name.
//
// What is wrong with the files comes back as a fault.List, all of it at once (errors.As). Any other error is one
// of reading; where the folder isn't there, errors.Is(err, fs.ErrNotExist).
func LoadContent(fsys fs.FS, folders ...string) (*Content, error) {
	layers, err := layersOf(fsys, folders)
	if err != nil {
		return nil, fmt.Errorf("read content: %w", err)
	}
	sources, faults, err := readSources(layers)
	if err != nil {
		return nil, fmt.Errorf("read content: %w", err)
	}
	c := &Content{}
	var wrong fault.List
	if c.files, wrong, c.remarks, err = readAttachments(layers); err != nil {
		return nil, fmt.Errorf("read content: %w", err)
	}
	faults = append(faults, wrong...)
	branded, wrong, err := c.brand.read(layers)
	if err != nil {
		return nil, fmt.Errorf("read content: %w", err)
	}
	noContact := fault.Fault{
		Key: "contact", Problem: "is missing: the page names nobody to ask",
		Hint: "add a line such as contact: help@example.org to index.en.md, to a copy of the built-in one where you have none",
	}
	if faults = append(faults, wrong...); branded && len(sources) == 0 && len(faults) == 0 {
		noContact.File = brandFile
		if sources, faults, err = readSources([]layer{{FS: content.FS}}); err != nil {
			return nil, fmt.Errorf("read content: %w", err)
		}
	}
	main, missing := mainSource(sources)
	if missing != nil {
		faults = append(faults, *missing)
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
	if c.tooLarge.Sort(); len(c.tooLarge) > 0 {
		return nil, slices.Compact(c.tooLarge)
	}
	if c.pages[0].contact == (link{}) {
		if noContact.File == "" {
			noContact.File, noContact.Line = main.file, 1
		}
		c.remark(noContact)
	}
	c.remarks.Sort()
	c.remarks = onceOfHTML(slices.Compact(c.remarks)) // a section stands on several pages
	return c, nil
}

// page renders s and the sections that belong on its page, and remarks on them.
func (c *Content) page(s source, sources []source, main source) (p page, err error) {
	p = page{frontMatter: s.matter, lang: s.lang}
	p.words, p.english = fallBack(s.matter.words, s.lang)
	if len(p.english) > 0 {
		c.remark(fault.Fault{
			File: s.file, Line: cmp.Or(s.matter.wordsLine, 1), Key: "words",
			Problem: "not in this language, but in English on the page: " + strings.Join(p.english, ", "),
			Hint:    "translate them as in the built-in index.en.md",
		})
	}
	if p.name == "" {
		p.name = ownName(s.lang)
	}
	if p.contact == (link{}) && len(p.links) == 0 && s.lang != main.lang {
		p.contact, p.links, p.foreign = main.matter.contact, main.matter.links, main.lang
	}
	if p.body, err = c.render(s, 2, ""); err != nil {
		return page{}, err
	}
	for i, o := range sectionsFor(s.lang, sources, main) {
		// Footnotes of several files meet on one page: their IDs must not.
		sec, err := c.section(o, fmt.Sprintf("s%d-", i+1), s.lang, main.lang)
		if err != nil {
			return page{}, err
		}
		p.sections = append(p.sections, sec)
	}
	return p, nil
}

// sectionsFor returns the sections of the page in that language, in the order of their names: of each the file in that
// language, else in the main page's, else without a language.
func sectionsFor(lang string, sources []source, main source) (out []source) {
	fit := func(o source) int {
		switch o.lang {
		case lang:
			return 2
		case main.lang:
			return 1
		case "":
			return 0
		}
		return -1
	}
	best := map[string]source{}
	for _, o := range sources {
		if o.name == main.name || fit(o) < 0 {
			continue
		}
		if have, ok := best[o.name]; !ok || fit(o) > fit(have) {
			best[o.name] = o
		}
	}
	for _, name := range slices.Sorted(maps.Keys(best)) {
		out = append(out, best[name])
	}
	return out
}

// section renders one on a page in the language lang; mainLang is what a file without a language is in.
func (c *Content) section(o source, idPrefix, lang, mainLang string) (section, error) {
	sec := section{title: o.matter.title}
	if own := cmp.Or(o.lang, mainLang); own != lang {
		sec.lang = own
		c.remark(fault.Fault{
			File: o.file, Line: 1, Problem: fmt.Sprintf("has no translation: the page in %s shows it in %s", lang, own),
			Hint: fmt.Sprintf("write %s.%s.md", o.name, lang),
		})
	}
	var err error
	sec.body, err = c.render(o, 3, idPrefix)
	return sec, err
}

// render is renderMarkdown for a file.
func (c *Content) render(s source, top int, idPrefix string) (markup, error) {
	out, remarks, attached, err := renderMarkdown(s.body, top, idPrefix, s.matter.html, c.files)
	for _, a := range attached {
		if c.files[a.name].kind == "" {
			c.tooLarge = append(c.tooLarge, fault.Fault{
				File: s.file, Line: s.line + a.line, Problem: fmt.Sprintf("shows %s, which is larger than %d bytes", a.name, maxAttachment),
				Hint: "make it smaller: people load it over slow connections",
			})
		}
	}
	for _, r := range remarks {
		c.remark(fault.Fault{File: s.file, Line: s.line + r.line, Problem: r.problem, Hint: r.hint})
	}
	return out, err
}

func (c *Content) remark(f fault.Fault) { c.remarks = append(c.remarks, f) }
