package commands

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/source"
)

// handbook is deploy/OPERATIONS.md, as far as the tests read it.
type handbook struct {
	anchors map[string]bool // of its headings, as GitHub makes them
	phrases []phrase        // of its index of messages
	checks  map[string]bool // of its table of the doctor's checks
}

// phrase is how a message, or a part of it, begins that leads to a paragraph; "…" stands for what differs.
type phrase struct {
	words, anchor string
	pattern       *regexp.Regexp
}

var (
	indexRow    = regexp.MustCompile("(?m)^\\| (`.*`) \\| \\[[^]]*\\]\\(#([^)]*)\\) \\|$")
	inBackticks = regexp.MustCompile("`([^`]*)`")
)

// readHandbook reads it once.
var readHandbook = sync.OnceValues(func() (handbook, error) {
	data, err := os.ReadFile(filepath.Join("..", "..", "OPERATIONS.md"))
	if err != nil {
		return handbook{}, err
	}
	text := string(data)
	h := handbook{anchors: source.AnchorsOf(text), checks: map[string]bool{}}
	_, index, _ := strings.Cut(text, "\n## Messages\n")
	for _, row := range indexRow.FindAllStringSubmatch(index, -1) {
		for _, m := range inBackticks.FindAllStringSubmatch(row[1], -1) {
			parts := strings.Split(m[1], "…")
			for i := range parts {
				parts[i] = regexp.QuoteMeta(parts[i])
			}
			h.phrases = append(h.phrases, phrase{m[1], row[2], regexp.MustCompile("(?m)(^|: |; |\\()" + strings.Join(parts, ".*"))})
		}
	}
	_, table, _ := strings.Cut(text, "\n## The doctor's checks\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for row := range strings.Lines(table) {
		if cells := strings.Split(row, "|"); len(cells) > 2 {
			for name := range strings.SplitSeq(cells[1], ",") {
				h.checks[strings.TrimSpace(name)] = true
			}
		}
	}
	return h, nil
})

// leadsTo is the paragraph for a message, "" where there is none.
func (h handbook) leadsTo(message string) string {
	for _, p := range h.phrases {
		if p.pattern.MatchString(message) {
			return p.anchor
		}
	}
	return ""
}

// byForm are messages that are told by their form or by the table that they stand in: what is wrong with a line of the
// configuration or the content, the doctor's findings, why the gate's log says that a token was refused; and what only
// the demo and the preview say.
var byForm = map[string]string{
	"cmd/internal/config/":        "the-configuration",
	"status/store/url.go":         "the-configuration",
	"nginxconf/quote.go":          "the-configuration",
	"nginxconf/allow.go":          "the-configuration",
	"nginxconf/login.go":          "the-configuration",
	"nginxconf/render.go":         "the-configuration",
	"nginxconf/rules.go":          "the-configuration",
	"nginxconf/workers/barrier/":  "the-kernel-barrier",
	"nginxconf/workers/network":   "the-kernel-barrier",
	"site/":                       "the-content",
	"cmd/internal/doctor/":        "the-doctors-checks",
	"nginxconf/gate/":             "the-gate",
	"cmd/conforma-status/demo":    "the-demo-or-the-preview",
	"cmd/conforma-status/preview": "the-demo-or-the-preview",
	"cmd/internal/demo/":          "the-demo-or-the-preview",
	"cmd/internal/webhook/":       "a-webhook",
	"cmd/internal/preview/":       "the-demo-or-the-preview",
}

// TestEveryMessageIsInTheHandbook collects what the program can say from its source: each error and each warning leads
// to a paragraph of the handbook. (A hint stands below an error, and says itself what to do.) No row of the handbook is
// about a message that there isn't.
func TestEveryMessageIsInTheHandbook(t *testing.T) {
	t.Parallel()
	h, err := readHandbook()
	rig.Check(t, err)
	for _, p := range h.phrases {
		if !h.anchors[p.anchor] {
			t.Errorf("%q leads to #%s, which isn't there", p.words, p.anchor)
		}
	}
	for _, target := range byForm {
		if !h.anchors[target] {
			t.Errorf("there is no paragraph #%s", target)
		}
	}
	all := messages(t)
	if len(all) < 150 {
		t.Fatalf("found only %d messages", len(all))
	}
	for _, m := range all {
		if h.leadsTo(m.text) == "" && m.form == "" {
			t.Errorf("%s: %q leads to no paragraph", m.at, m.text)
		}
	}
	for _, p := range h.phrases {
		used := othersWords[p.words]
		for _, m := range all {
			used = used || p.pattern.MatchString(m.text)
		}
		if !used {
			t.Errorf("no message has the words %q", p.words)
		}
	}
	for _, name := range source.DoctorChecks(t) {
		if !h.checks[name] {
			t.Errorf("the doctor's check %q isn't in the handbook", name)
		}
	}
}

// message is something that the program can say: a format, with "…" for what differs.
type message struct{ at, text, form string }

// othersWords are said by the receipt, the kernel, and the library that reads the command line (cobra).
var othersWords = map[string]bool{
	"…NOT SAFE to take a snapshot": true, "NOT SAFE: …": true, "… this host alone is closed": true, "…permission denied": true, "unknown command": true, "unknown flag": true, "unknown shorthand flag": true,
	"flag needs an argument": true, "invalid argument": true, "accepts … arg(s)": true, "requires at least": true,
}

// notSaid are never printed, or only before and inside what is.
var notSaid = map[string]bool{
	"said": true, "…: page …, application …": true, "  … …  ok\n": true, "  … in …; --verbose names them\n": true, "hint: …\n": true, "warning: …\n": true, "conforma-status: …\n": true, "… (bucket …)": true, "…: … (process …) since …": true,
	"….damaged-…": true, ",mode=…": true, "… at …": true, "it did not come back": true, "somebody has moved or cancelled it meanwhile": true, "nothing to do": true, "the content can't be read": true, "two sites have the same place": true, "there are faults in the content": true, "not everything is uploaded": true, "… (commit …, …, …/…)": true,
}

var verb = regexp.MustCompile(`%(\[\d+\])?[-+# 0]*[\d.]*[a-zA-Z]`)

// messages collects the formats of errors and warnings.
func messages(t *testing.T) []message {
	t.Helper()
	var all []message
	top := filepath.Join("..", "..", "..")
	linked := linkedFolders(t, top)
	for _, root := range []string{"cmd", "nginxconf", "site", "status"} {
		rig.Check(t, filepath.WalkDir(filepath.Join(top, root), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || !linked[filepath.Dir(path)] {
				return err
			}
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(top, path)
			if err != nil {
				return err
			}
			form := ""
			for prefix, anchor := range byForm {
				if strings.HasPrefix(name, prefix) {
					form = anchor
				}
			}
			collect(file, func(at token.Pos, text string) {
				text = verb.ReplaceAllString(text, "…")
				if strings.ContainsAny(strings.ReplaceAll(text, "…", ""), "abcdefghijklmnopqrstuvwxyz") && !notSaid[text] {
					all = append(all, message{fset.Position(at).String(), text, form})
				}
			})
			return nil
		}))
	}
	return all
}

// linkedFolders are the folders of the packages that the program is linked of: what no command reaches is never said.
func linkedFolders(t *testing.T, top string) map[string]bool {
	t.Helper()
	list := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.Dir}}{{end}}", "./cmd/conforma-status")
	list.Dir = top
	out, err := list.Output()
	rig.Check(t, err)
	here, err := filepath.Abs(top)
	rig.Check(t, err)
	folders := map[string]bool{}
	for dir := range strings.Lines(string(out)) {
		if below, err := filepath.Rel(here, strings.TrimSpace(dir)); err == nil {
			folders[filepath.Join(top, below)] = true
		}
	}
	if len(folders) < 20 {
		t.Fatalf("the program is linked of %d packages only", len(folders))
	}
	return folders
}

// collect calls found with each string of a file that is part of an error or a warning: an argument of what makes one,
// or a constant that is named as one.
func collect(file *ast.File, found func(at token.Pos, text string)) {
	literals := func(n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if n.Kind == token.STRING {
					found(n.Pos(), literal(n))
				}
			case *ast.BinaryExpr: // one message in several parts
				if text := literal(n); text != "" {
					found(n.Pos(), text)
				}
				return false
			}
			return true
		})
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			switch name := called(n.Fun); name {
			case "fmt.Errorf", "errors.New", "log.Info", "wrapped", "t.unpublished":
				literals(n.Args[0])
			case "fmt.Fprintf":
				// What was done, with the command that comes next, is no message to look up.
				if called(n.Args[0]) == "t.Err" && !strings.Contains(literal(n.Args[1]), "conforma-status ") {
					literals(n.Args[1])
				}
			case "fmt.Sprintf":
				if file.Name.Name == "maintenance" && !strings.Contains(literal(n.Args[0]), "conforma_status_") {
					literals(n.Args[0])
				}
			case "t.Warn", "a.terminal.Warn", "c.receipt.warn", "receipt.warn", "c.differs", "f.why":
				for _, arg := range n.Args {
					literals(arg)
				}
			}
		case *ast.ValueSpec:
			for i, id := range n.Names {
				if strings.HasPrefix(id.Name, "word") && i < len(n.Values) {
					literals(n.Values[i])
				}
			}
		case *ast.FuncDecl: // words that come after the name of what they are about
			if file.Name.Name == "store" && strings.HasSuffix(n.Name.Name, "Words") {
				ast.Inspect(n, func(n ast.Node) bool {
					if r, ok := n.(*ast.ReturnStmt); ok {
						literals(r)
					}
					return true
				})
			}
		case *ast.AssignStmt: // of the faults of a store
			for i, to := range n.Lhs {
				if s, ok := to.(*ast.SelectorExpr); ok && s.Sel.Name == "why" && i < len(n.Rhs) {
					literals(n.Rhs[i])
				}
			}
		case *ast.KeyValueExpr:
			if id, ok := n.Key.(*ast.Ident); ok && (id.Name == "why" || id.Name == "Problem") {
				literals(n.Value)
			}
		}
		return true
	})
}

// literal is the text of an expression, "%s" for what isn't in the source.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		if err == nil && e.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return literal(e.X) + literal(e.Y)
		}
		return ""
	}
	return "%s"
}

// called is the name of what is called, with what it is called on.
func called(fun ast.Expr) string {
	switch f := fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if on := called(f.X); on != "" {
			return on + "." + f.Sel.Name
		}
		return f.Sel.Name
	}
	return ""
}

// Each link of each page leads to something that there is.
func TestLinksOfThePages(t *testing.T) {
	t.Parallel()
	pages := []string{"../../../README.md"}
	for _, pattern := range []string{"../../*.md", "../../*/*.md", "../../../status/client/*.md", "../../../.github/*.md"} {
		found, err := filepath.Glob(pattern)
		rig.Check(t, err)
		pages = append(pages, found...)
	}
	if len(pages) < 14 {
		t.Fatalf("found only %q", pages)
	}
	for _, page := range pages {
		source.CheckLinks(t, page)
	}
}
