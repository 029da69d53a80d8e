package site

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

const example = "begin the file with a line ---, a line such as title: Site maintenance, and another line ---"

// frontMatter is what stands between the two --- lines at the top of a Markdown file.
type frontMatter struct {
	title       string
	description string // "" when there is none
	contact     link   // zero when there is none; url is "" where it is text only
	links       []link
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
	faults Faults
}

func (r *matterReader) fault(line int, key, problem, hint string) {
	r.faults = append(r.faults, Fault{File: r.file, Line: line, Key: key, Problem: problem, Hint: hint})
}

// lineOf returns the line of n in the file: the front matter starts below its first fence.
func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 1
	}
	return n.GetToken().Position.Line + 1
}

// readFrontMatter reads the text of one file. What it returns is of use only where there are no faults.
func readFrontMatter(file, text string) (m frontMatter, body string, faults Faults) {
	r := &matterReader{file: file}
	matter, body, err := splitFrontMatter(text)
	if err != nil {
		r.fault(1, "", err.Error(), example)
		return m, "", r.faults
	}
	// Keys that come twice are let through here and found below, where the line is known.
	tree, err := parser.ParseBytes([]byte(matter), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, problem := 1, err.Error()
		var at yaml.Error
		if errors.As(err, &at) {
			problem = at.GetMessage()
			if t := at.GetToken(); t != nil && t.Position != nil {
				line += t.Position.Line
			}
		}
		r.fault(line, "", "the front matter is not valid YAML: "+problem, "put a text with special characters in \"quotes\", and don't indent with tabs")
		return m, "", r.faults
	}
	var root ast.Node
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			r.fault(lineOf(doc.Body), "", "the front matter is more than one YAML document", "remove the line of dots")
			return m, "", r.faults
		}
		root = doc.Body
	}
	r.readMatter(root, &m)
	return m, body, r.faults
}

func (r *matterReader) readMatter(root ast.Node, m *frontMatter) {
	titled, keyed := false, true
	if root != nil {
		keyed = r.mapping(root, "", []string{"title", "description", "contact", "links"}, func(key string, v ast.Node) {
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
		r.fault(lineOf(n), strings.TrimSuffix(prefix, "."), "want lines of the form key: value", "the keys are "+strings.Join(known, ", "))
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
			r.fault(lineOf(v.Key), prefix+key, "unknown key", "the keys are "+strings.Join(known, ", "))
		case seen[key]:
			r.fault(lineOf(v.Key), prefix+key, "comes twice", "keep one of the two")
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
		r.fault(lineOf(n), key, fmt.Sprintf("want text, found %s", n.GetToken().Value), "put it in quotes")
		return ""
	case nil, *ast.NullNode:
		r.fault(lineOf(n), key, "is empty", "write a text behind it, or remove the line")
		return ""
	default:
		r.fault(lineOf(n), key, "want text", "write it on one line, in quotes")
		return ""
	}
	s = strings.Join(strings.Fields(s), " ")
	if s == "" {
		r.fault(lineOf(n), key, "is empty", "write a text behind it, or remove the line")
	}
	return s
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
		r.fault(lineOf(n), "links", "want a list", "write each link as two lines: - text: Help, and below it, indented by two, url: https://…")
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
			r.fault(lineOf(item), "links.text", "is missing", "add what the link says")
		}
		if len(r.faults) == before && !url {
			r.fault(lineOf(item), "links.url", "is missing", "add where the link leads")
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
		r.fault(lineOf(n), key, fmt.Sprintf("%q is no link", s), "give a full address: https://…, or mailto:…")
	}
}
