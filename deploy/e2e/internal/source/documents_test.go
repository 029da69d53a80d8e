package source

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// The README is read in a minute, and no sentence of what operators read is long.
func TestDocumentsAreShort(t *testing.T) {
	const lines, words = 150, 30
	if got := strings.Count(rig.ReadFile(t, rig.Source("README.md")), "\n"); got > lines {
		t.Errorf("README.md has %d lines, more than %d", got, lines)
	}
	for _, page := range []string{rig.Source("README.md"), rig.Source("deploy", "OPERATIONS.md")} {
		for _, sentence := range sentencesOf([]byte(rig.ReadFile(t, page))) {
			if n := len(strings.Fields(sentence)); n > words {
				t.Errorf("%s: a sentence of %d words, more than %d: %s", filepath.Base(page), n, words, sentence)
			}
		}
	}
}

// endOfSentence is where one ends: behind its full stop, with what closes behind it. A dot in the middle separates
// the parts of a list.
var endOfSentence = regexp.MustCompile(` · |[.!?][)"”]*(?:\s+|$)`)

// sentencesOf are the sentences of a page in Markdown, without its blocks of code. What stands in backticks is a word.
func sentencesOf(page []byte) (out []string) {
	doc := goldmark.New(goldmark.WithExtensions(extension.Table)).Parser().Parse(text.NewReader(page))
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering && n.Type() == ast.TypeBlock && n.FirstChild() != nil && n.FirstChild().Type() == ast.TypeInline {
			var b strings.Builder
			inline(&b, n, page)
			out = append(out, endOfSentence.Split(b.String(), -1)...)
			return ast.WalkSkipChildren, nil
		}
		return ast.WalkContinue, nil
	})
	return out
}

func inline(b *strings.Builder, n ast.Node, page []byte) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.CodeSpan:
			b.WriteString("CODE")
		case *ast.Text:
			b.Write(c.Segment.Value(page))
			if c.SoftLineBreak() || c.HardLineBreak() {
				b.WriteByte('\n')
			}
		default:
			inline(b, c, page)
		}
	}
}

func TestSentencesOf(t *testing.T) {
	const page = "# A *title*\n\nOne `of two words` here. Another (with 1.5 s.) [a link](x.md)?\n\n| a | b c |\n|---|---|\n| d | e. f |\n\n```sh\nnot this.\n```\n"
	got := strings.Join(sentencesOf([]byte(page)), "|")
	if want := "A title|One CODE here|Another (with 1.5 s|a link||a|b c|d|e|f"; got != want {
		t.Errorf("sentences are %q, not %q", got, want)
	}
}
