package site

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// renderMarkdown turns CommonMark with GitHub's extensions and footnotes into HTML that needs nothing
// from anywhere else and that the page's content security policy lets through as it is. Raw HTML is left
// out. The highest heading becomes one of the level top, so that an outline has no gaps. IDs (of
// footnotes) begin with prefix.
func renderMarkdown(source []byte, top int, prefix string) (markup, error) {
	md := goldmark.New(goldmark.WithExtensions(
		extension.Linkify,
		// By default alignment is written as style="…", which the policy would block.
		extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)),
		extension.Strikethrough,
		extension.TaskList,
		extension.NewTypographer(),
		extension.NewFootnote(extension.WithFootnoteIDPrefix(prefix)),
	))
	doc := md.Parser().Parse(text.NewReader(source))
	tame(doc, source, top)
	var out bytes.Buffer
	if err := md.Renderer().Render(&out, source, doc); err != nil {
		return "", fmt.Errorf("render markdown: %w", err)
	}
	return markup(out.String()), nil
}

// tame shifts the headings of doc and takes out what would load something or run something: links of
// other kinds become plain text, images that are not in the page itself become links to them.
func tame(doc ast.Node, source []byte, top int) {
	var headings []*ast.Heading
	var unlink, images, auto []ast.Node
	highest := 6
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			headings = append(headings, n)
			highest = min(highest, n.Level)
		case *ast.Link:
			if !safeLink(n.Destination) {
				unlink = append(unlink, n)
			}
		case *ast.AutoLink:
			if n.AutoLinkType == ast.AutoLinkURL && !safeLink(n.URL(source)) {
				auto = append(auto, n)
			}
		case *ast.Image:
			if !inlineImage(n.Destination) {
				images = append(images, n)
			}
		}
		return ast.WalkContinue, nil
	})
	for _, h := range headings {
		h.Level = min(6, h.Level-highest+top)
	}
	for _, n := range auto {
		label := ast.NewString(n.(*ast.AutoLink).Label(source))
		label.SetRaw(true)
		n.Parent().ReplaceChild(n.Parent(), n, label)
	}
	for _, n := range images {
		image := n.(*ast.Image)
		if !n.HasChildren() {
			label := ast.NewString(image.Destination)
			label.SetRaw(true)
			n.AppendChild(n, label)
		}
		if !safeLink(image.Destination) || inLink(n) {
			unwrap(n)
			continue
		}
		l := ast.NewLink()
		l.Destination, l.Title = image.Destination, image.Title
		for n.HasChildren() {
			l.AppendChild(l, n.FirstChild())
		}
		n.Parent().ReplaceChild(n.Parent(), n, l)
	}
	for _, n := range unlink {
		unwrap(n)
	}
}

// unwrap puts the children of n in its place.
func unwrap(n ast.Node) {
	parent := n.Parent()
	for n.HasChildren() {
		parent.InsertBefore(parent, n, n.FirstChild())
	}
	parent.RemoveChild(parent, n)
}

func inLink(n ast.Node) bool {
	for p := n.Parent(); p != nil; p = p.Parent() {
		if p.Kind() == ast.KindLink {
			return true
		}
	}
	return false
}

// safeLink reports whether a link to dest, as written in Markdown, only leads somewhere. A list of what
// is known to be harmless, since the list of what isn't never ends.
func safeLink(dest []byte) bool {
	d := string(util.URLEscape(dest, true)) // as the renderer will write it
	at := strings.IndexAny(d, ":/?#")
	if at < 0 || d[at] != ':' {
		return true // relative
	}
	switch strings.ToLower(d[:at]) {
	case "http", "https", "mailto", "tel":
		return true
	}
	return false
}

// inlineImage reports whether dest is a picture that lies in the page itself.
func inlineImage(dest []byte) bool {
	d := util.URLEscape(dest, true)
	const prefix = "data:image/"
	return len(d) > len(prefix) && strings.EqualFold(string(d[:len(prefix)]), prefix) && !html.IsDangerousURL(d)
}
