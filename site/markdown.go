package site

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// taskBoxes writes the boxes of a task list as signs. As fields of a form, which they are by default, they would need
// labels, and can't be used anyway.
type taskBoxes struct{}

func (taskBoxes) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(east.KindTaskCheckBox, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			sign := "☐ "
			if n.(*east.TaskCheckBox).IsChecked {
				sign = "☑ "
			}
			_, _ = w.WriteString(sign) // to memory
		}
		return ast.WalkContinue, nil
	})
}

// remark is something in Markdown that comes out otherwise than it was written.
type remark struct {
	line          int // 0-based
	problem, hint string
}

// renderMarkdown turns CommonMark with GitHub's extensions and footnotes into HTML that needs nothing from anywhere
// else and that the page's content security policy lets through as it is. Raw HTML is left out, unless raw is set;
// then it is the policy alone that keeps it from running or loading anything.
//
// The highest heading becomes one of the level top, so that an outline has no gaps. IDs (of footnotes) begin with
// prefix. The remarks are in no order. Addresses of files begin with attachedAt; they come back, too.
func renderMarkdown(source []byte, top int, prefix string, raw bool, files attachments) (markup, []remark, []mention, error) {
	var options []goldmark.Option
	if raw {
		options = append(options, goldmark.WithRendererOptions(html.WithUnsafe()))
	}
	md := goldmark.New(append(options, goldmark.WithExtensions(
		extension.Linkify,
		// By default alignment is written as style="…", which the policy would block.
		extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)),
		extension.Strikethrough,
		extension.TaskList,
		extension.NewTypographer(),
		extension.NewFootnote(extension.WithFootnoteIDPrefix(prefix)),
	), goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(taskBoxes{}, 0))))...)
	doc := md.Parser().Parse(text.NewReader(source))
	t := &sanitizer{source: source, raw: raw, files: files}
	t.sanitize(doc, top)
	var out bytes.Buffer
	if err := md.Renderer().Render(&out, source, doc); err != nil {
		return "", nil, nil, fmt.Errorf("render markdown: %w", err)
	}
	return markup(out.String()), t.remarks, t.attached, nil
}

// sanitize shifts the headings of doc, and takes out what would load or run something: links of other kinds become
// plain text; images that are neither in the page nor beside it become links.
func (t *sanitizer) sanitize(doc ast.Node, top int) {
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			t.look(n)
		}
		return ast.WalkContinue, nil
	})
	shift(t.headings, top)
	for _, n := range t.autoLinks {
		n.Parent().ReplaceChild(n.Parent(), n, asIs(n.Label(t.source)))
	}
	for _, n := range t.images {
		imageToLink(n)
	}
	for _, n := range t.links {
		unwrap(n)
	}
}

// sanitizer gathers what is to be changed, which can't be done during a walk.
type sanitizer struct {
	source    []byte
	raw       bool // whether HTML stays
	files     attachments
	headings  []*ast.Heading
	autoLinks []*ast.AutoLink // that lead where they must not
	links     []*ast.Link     // likewise
	images    []*ast.Image    // that are not in the page
	attached  []mention       // of files that are published with it
	remarks   []remark
}

func (t *sanitizer) say(n ast.Node, hint, problem string, what ...any) {
	t.remarks = append(t.remarks, remark{t.lineOf(n), fmt.Sprintf(problem, what...), hint})
}

func (t *sanitizer) lineOf(n ast.Node) int { return bytes.Count(t.source[:position(n)], []byte("\n")) }

func (t *sanitizer) look(n ast.Node) {
	switch n := n.(type) {
	case *ast.Heading:
		t.headings = append(t.headings, n)
	case *ast.Link:
		if to, ok := t.attach(n, n.Destination); ok {
			n.Destination = to
		} else if !safeLink(n.Destination) {
			t.say(n, hintLink, "the link to %q is left out, its text stays", n.Destination)
			t.links = append(t.links, n)
		} else if !leadsSomewhere(n.Destination) {
			t.say(n, hintLink, "the link to %q leads to nothing that is published", n.Destination)
		}
	case *ast.AutoLink:
		if n.AutoLinkType == ast.AutoLinkURL && !safeLink(n.URL(t.source)) {
			t.autoLinks = append(t.autoLinks, n)
		}
	case *ast.Image:
		if to, ok := t.attach(n, n.Destination); ok {
			n.Destination = to
		} else if !inlineImage(n.Destination) {
			t.say(n, hintPicture, "the picture %q is not part of the page: it is shown as a link, or as its text", n.Destination)
			t.images = append(t.images, n)
		}
	case *ast.RawHTML:
		if !t.raw && !bytes.HasPrefix(n.Segments.Value(t.source), []byte("<!--")) {
			t.say(n, hintHTML, "the HTML %s is left out", n.Segments.Value(t.source))
		}
	case *ast.HTMLBlock:
		if !t.raw && n.HTMLBlockType != ast.HTMLBlockType2 { // a comment
			first, _, _ := bytes.Cut(n.Lines().Value(t.source), []byte("\n"))
			t.say(n, hintHTML, "the HTML %s is left out", bytes.TrimSpace(first))
		}
	}
}

// shift has the highest of the headings be of the level top, and the others below it as before.
func shift(headings []*ast.Heading, top int) {
	highest := 6
	for _, h := range headings {
		highest = min(highest, h.Level)
	}
	for _, h := range headings {
		h.Level = min(6, h.Level-highest+top)
	}
}

// imageToLink puts a link to an image in its place, or its text where it can't be linked to.
func imageToLink(n *ast.Image) {
	if !n.HasChildren() {
		n.AppendChild(n, asIs(n.Destination))
	}
	if !safeLink(n.Destination) || inLink(n) {
		unwrap(n)
		return
	}
	l := ast.NewLink()
	l.Destination, l.Title = n.Destination, n.Title
	for n.HasChildren() {
		l.AppendChild(l, n.FirstChild())
	}
	n.Parent().ReplaceChild(n.Parent(), n, l)
}

// asIs is a text that is not taken for Markdown.
func asIs(text []byte) ast.Node {
	s := ast.NewString(text)
	s.SetRaw(true)
	return s
}

const (
	hintLink    = "give a full address, https://…, mailto:… or tel:…, or put a picture, PDF or text file beside the Markdown"
	hintPicture = "put the file beside the Markdown, and name it here"
	hintHTML    = "write it as Markdown, or html: true in the front matter to let HTML through"
)

// position is where n begins in the source, or the block that it is in.
func position(n ast.Node) int {
	for d := n; d != nil; d = d.FirstChild() {
		switch d := d.(type) {
		case *ast.Text:
			return d.Segment.Start
		case *ast.RawHTML:
			return d.Segments.At(0).Start
		}
	}
	for ; n != nil; n = n.Parent() {
		if n.Type() == ast.TypeBlock && n.Lines() != nil && n.Lines().Len() > 0 {
			return n.Lines().At(0).Start
		}
	}
	return 0
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

// safeLink reports whether a link to dest, as written in Markdown, only leads somewhere. It has a list of what is
// harmless: a list of what is not would never end.
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

// leadsSomewhere reports whether a harmless link leads out of the published files, of which an author knows none by
// name, or to another host.
func leadsSomewhere(dest []byte) bool {
	d := string(util.URLEscape(dest, true))
	at := strings.IndexAny(d, ":/?#")
	return at > 0 && d[at] == ':' || strings.HasPrefix(d, "//")
}

// inlineImage reports whether dest is a picture that lies in the page itself.
func inlineImage(dest []byte) bool {
	d := util.URLEscape(dest, true)
	const prefix = "data:image/"
	return len(d) > len(prefix) && strings.EqualFold(string(d[:len(prefix)]), prefix) && !html.IsDangerousURL(d)
}
