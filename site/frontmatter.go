package site

import (
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"net/url"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/msupply-foundation/conforma-status/status/fault"
)

const example = "begin the file with a line ---, a line such as title: Site maintenance, and another line ---"

// frontMatter is what stands between the two --- lines at the top of a Markdown file.
type frontMatter struct {
	title       string
	description string // "" when there is none
	contact     link   // zero when there is none; url is "" where it is text only
	links       []link
	name        string // of the file's language, in that language; "" when it isn't given
	html        bool   // whether HTML in the Markdown is let through
	words       words  // the sentences of the page itself that are given
	wordsLine   int    // of words, 0 when there are none
}

// link is a text with the place it leads to.
type link struct{ text, url string }

// splitFrontMatter cuts text into the front matter, without its fences, and the Markdown after it.
// Front matter starts at line 2. Lines must end in \n alone.
func splitFrontMatter(text string) (matter, body string, err error) {
	first, rest, _ := strings.Cut(text, "\n")
	if !isFence(first) {
		return "", "", errors.New("there is no front matter")
	}
	at := 0
	for line := range strings.Lines(rest) {
		if isFence(strings.TrimSuffix(line, "\n")) {
			return rest[:at], rest[at+len(line):], nil
		}
		at += len(line)
	}
	return "", "", errors.New("the front matter has no end")
}

func isFence(line string) bool { return strings.TrimRight(line, " \t") == "---" }

// readFrontMatter reads the text of one file. What it returns is of use only where there are no faults.
func readFrontMatter(file, text string) (m frontMatter, body string, faults fault.List) {
	f := &yamlFile{name: file, above: 1} // the first fence
	matter, body, err := splitFrontMatter(text)
	if err != nil {
		f.fault(1, "", err.Error(), example)
		return m, "", f.faults
	}
	if root, ok := f.parse(matter, "the front matter"); ok {
		m = readMatter(f, root)
	}
	return m, body, f.faults
}

func readMatter(f *yamlFile, root ast.Node) frontMatter {
	m, ok := &mapping{file: f}, true
	if root != nil {
		m, ok = f.mapping(root, "", "title", "description", "contact", "links", "language", "html", "words")
	}
	if ok && !m.has("title") {
		f.fault(1, "title", "is missing", "add a line such as title: Site maintenance")
	}
	out := frontMatter{
		title: m.text("title"), description: m.text("description"), contact: m.contact("contact"), links: m.links("links"),
		name: m.text("language"), html: m.flag("html"),
	}
	out.words, out.wordsLine = m.words("words")
	return out
}

// words reads the sentences of the page itself, and the line of the first.
func (m *mapping) words(key string) (out words, line int) {
	out = words{}
	given := m.sub(key, slices.Sorted(maps.Keys(sentences))...)
	for _, name := range slices.Sorted(maps.Keys(given.values)) {
		if at := m.file.lineOf(given.values[name]); line == 0 || at < line {
			line = at
		}
		text := given.text(name)
		if text == "" {
			continue
		}
		if problem := placeholderProblem(name, text); problem != "" {
			given.fault(name, problem, "write it as in the built-in index.en.md")
		}
		out[name] = text
	}
	return out, line
}

// contact reads a text, a mail address or a link.
func (m *mapping) contact(key string) link {
	s := m.text(key)
	if a, err := mail.ParseAddress(s); err == nil && a.Address == s {
		return link{s, "mailto:" + s}
	}
	scheme, rest, _ := strings.Cut(s, ":")
	switch strings.ToLower(scheme) {
	case "mailto":
		m.checkURL(key, s)
		address, _, _ := strings.Cut(rest, "?")
		return link{address, s}
	case "http", "https":
		m.checkURL(key, s)
		return link{s, s}
	}
	return link{text: s}
}

// links reads a list of links.
func (m *mapping) links(key string) (links []link) {
	const hint = "write each link as two lines: - text: Help, and below it, indented by two, url: https://…"
	for _, n := range m.list(key, hint) {
		before := len(m.file.faults)
		item, _ := m.file.mapping(n, m.name+key+".", "text", "url")
		l := link{item.text("text"), item.text("url")}
		if l.url != "" {
			item.checkURL("url", l.url)
		}
		switch {
		case len(m.file.faults) > before:
		case !item.has("text"):
			item.fault("text", "is missing", "add what the link says")
		case !item.has("url"):
			item.fault("url", "is missing", "add where the link leads")
		}
		links = append(links, l)
	}
	return links
}

// checkURL faults what isn't an http, https or mailto link.
func (m *mapping) checkURL(key, s string) {
	u, err := url.Parse(s)
	switch {
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
	case err == nil && u.Scheme == "mailto" && u.Opaque != "":
	default:
		m.fault(key, fmt.Sprintf("%q is no link", s), "give a full address: https://…, or mailto:…")
	}
}
