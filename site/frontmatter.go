package site

import (
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

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
type link struct{ Text, URL string }

// splitFrontMatter cuts text into the front matter, without its fences, and the Markdown after it.
// Front matter starts at line 2. Lines must end in \n alone.
func splitFrontMatter(text string) (matter, body string, err error) {
	first, rest, _ := strings.Cut(text, "\n")
	if !isFence(first) {
		return "", "", errors.New("there is no front matter")
	}
	for at := 0; at < len(rest); {
		line, _, more := strings.Cut(rest[at:], "\n")
		next := at + len(line)
		if more {
			next++
		}
		if isFence(line) {
			return rest[:at], rest[next:], nil
		}
		at = next
	}
	return "", "", errors.New("the front matter has no end")
}

func isFence(line string) bool { return strings.TrimRight(line, " \t") == "---" }

// matterReader walks the YAML tree of one file's front matter. It works on the tree, not with a decoder,
// because a decoder stops at the first fault and people want to hear of all of them.
type matterReader struct {
	file   string
	above  int // lines of the file above the YAML
	faults fault.List
}

func (r *matterReader) fault(line int, key, problem, hint string) {
	r.faults = append(r.faults, fault.Fault{File: r.file, Line: line, Key: key, Problem: problem, Hint: hint})
}

// lineOf returns the line of n in the file.
func (r *matterReader) lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 1
	}
	return n.GetToken().Position.Line + r.above
}

// readFrontMatter reads the text of one file. What it returns is of use only where there are no faults.
func readFrontMatter(file, text string) (m frontMatter, body string, faults fault.List) {
	r := &matterReader{file: file, above: 1} // the first fence
	matter, body, err := splitFrontMatter(text)
	if err != nil {
		r.fault(1, "", err.Error(), example)
		return m, "", r.faults
	}
	if root, ok := r.parse(matter, "the front matter"); ok {
		r.readMatter(root, &m)
	}
	return m, body, r.faults
}

// parse returns the root of the YAML, nil where there is nothing but comments; what says what the text is.
func (r *matterReader) parse(text, what string) (root ast.Node, ok bool) {
	// Keys that come twice are let through here and found below, where the line is known.
	tree, err := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, problem := max(1, r.above), err.Error()
		var at yaml.Error
		if errors.As(err, &at) {
			problem = at.GetMessage()
			if t := at.GetToken(); t != nil && t.Position != nil {
				line = t.Position.Line + r.above
			}
		}
		r.fault(line, "", what+" is not valid YAML: "+problem, "put a text with special characters in \"quotes\", and don't indent with tabs")
		return nil, false
	}
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			r.fault(r.lineOf(doc.Body), "", what+" is more than one YAML document", "remove the line of dots")
			return nil, false
		}
		root = doc.Body
	}
	if _, comments := root.(*ast.CommentGroupNode); comments {
		root = nil
	}
	return root, true
}

func (r *matterReader) readMatter(root ast.Node, m *frontMatter) {
	titled, keyed := false, true
	if root != nil {
		keyed = r.mapping(root, "", []string{"title", "description", "contact", "links", "language", "html", "words"}, func(key string, v ast.Node) {
			switch key {
			case "title":
				titled = true
				m.title = r.text(v, key)
			case "description":
				m.description = r.text(v, key)
			case "contact":
				m.contact = r.contact(v)
			case "links":
				m.links = r.links(v)
			case "language":
				m.name = r.text(v, key)
			case "html":
				m.html = r.truth(v, key)
			case "words":
				m.words, m.wordsLine = r.words(v)
			}
		})
	}
	if keyed && !titled {
		r.fault(1, "title", "is missing", "add a line such as title: Site maintenance")
	}
}

// mapping calls each with every known key of n and its value, and faults everything else. It returns
// false where n has no keys at all.
func (r *matterReader) mapping(n ast.Node, prefix string, known []string, each func(key string, v ast.Node)) bool {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		r.fault(r.lineOf(n), strings.TrimSuffix(prefix, "."), "want lines of the form key: value", "the keys are "+strings.Join(known, ", "))
		return false
	}
	seen := map[string]bool{}
	for _, v := range values {
		key := v.Key.String()
		if s, ok := v.Key.(*ast.StringNode); ok {
			key = s.Value
		}
		switch {
		case !slices.Contains(known, key):
			r.fault(r.lineOf(v.Key), prefix+key, "unknown key", "the keys are "+strings.Join(known, ", "))
		case seen[key]:
			r.fault(r.lineOf(v.Key), prefix+key, "comes twice", "keep one of the two")
		default:
			seen[key] = true
			each(key, v.Value)
		}
	}
	return true
}

// text returns the text of n on one line, or "" after a fault.
func (r *matterReader) text(n ast.Node, key string) string {
	var s string
	switch n := n.(type) {
	case *ast.StringNode:
		s = n.Value
	case *ast.LiteralNode:
		s = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		r.fault(r.lineOf(n), key, fmt.Sprintf("want text, found %s", n.GetToken().Value), "put it in quotes")
		return ""
	case nil, *ast.NullNode:
		r.fault(r.lineOf(n), key, "is empty", "write a text behind it, or remove the line")
		return ""
	default:
		r.fault(r.lineOf(n), key, "want text", "write it on one line, in quotes")
		return ""
	}
	// A no-break space stays: French has one before a colon.
	s = strings.Join(strings.FieldsFunc(s, func(c rune) bool { return c < utf8.RuneSelf && unicode.IsSpace(c) }), " ")
	if s == "" {
		r.fault(r.lineOf(n), key, "is empty", "write a text behind it, or remove the line")
	}
	return s
}

// truth reads true or false.
func (r *matterReader) truth(n ast.Node, key string) bool {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		r.fault(r.lineOf(n), key, "want true or false", "write true, or remove the line")
		return false
	}
	return b.Value
}

// words reads the sentences of the page itself, and their line.
func (r *matterReader) words(n ast.Node) (words, int) {
	out, line := words{}, 0
	r.mapping(n, "words.", slices.Sorted(maps.Keys(slots)), func(name string, v ast.Node) {
		if line == 0 {
			line = r.lineOf(v)
		}
		key := "words." + name
		text := r.text(v, key)
		if text == "" {
			return
		}
		if problem := misfit(name, text); problem != "" {
			r.fault(r.lineOf(v), key, problem, "write it as in the built-in index.en.md")
		}
		out[name] = text
	})
	return out, line
}

// contact reads a text, a mail address or a link.
func (r *matterReader) contact(n ast.Node) link {
	s := r.text(n, "contact")
	if a, err := mail.ParseAddress(s); err == nil && a.Address == s {
		return link{s, "mailto:" + s}
	}
	scheme, rest, _ := strings.Cut(s, ":")
	switch strings.ToLower(scheme) {
	case "mailto":
		r.checkURL(n, "contact", s)
		address, _, _ := strings.Cut(rest, "?")
		return link{address, s}
	case "http", "https":
		r.checkURL(n, "contact", s)
		return link{s, s}
	}
	return link{Text: s}
}

func (r *matterReader) links(n ast.Node) []link {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		r.fault(r.lineOf(n), "links", "want a list", "write each link as two lines: - text: Help, and below it, indented by two, url: https://…")
		return nil
	}
	var links []link
	for _, item := range list.Values {
		var l link
		var text, url bool
		before := len(r.faults)
		r.mapping(item, "links.", []string{"text", "url"}, func(key string, v ast.Node) {
			switch key {
			case "text":
				text = true
				l.Text = r.text(v, "links.text")
			case "url":
				url = true
				if l.URL = r.text(v, "links.url"); l.URL != "" {
					r.checkURL(v, "links.url", l.URL)
				}
			}
		})
		if len(r.faults) == before && !text {
			r.fault(r.lineOf(item), "links.text", "is missing", "add what the link says")
		}
		if len(r.faults) == before && !url {
			r.fault(r.lineOf(item), "links.url", "is missing", "add where the link leads")
		}
		links = append(links, l)
	}
	return links
}

// checkURL faults what isn't an http, https or mailto link.
func (r *matterReader) checkURL(n ast.Node, key, s string) {
	u, err := url.Parse(s)
	switch {
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
	case err == nil && u.Scheme == "mailto" && u.Opaque != "":
	default:
		r.fault(r.lineOf(n), key, fmt.Sprintf("%q is no link", s), "give a full address: https://…, or mailto:…")
	}
}
