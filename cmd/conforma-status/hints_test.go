package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
)

func newRoot() *cobra.Command {
	a := &app{terminal: terminal.New(&bytes.Buffer{}, &bytes.Buffer{})}
	return a.root()
}

// texts calls found with each string of the program's source, under the name of the constant that it is, "" for none.
func texts(t *testing.T, found func(file, name, text string)) {
	t.Helper()
	top := filepath.Join("..", "..")
	for _, root := range []string{"cmd", "nginxconf", "status", "site"} {
		err := filepath.WalkDir(filepath.Join(top, root), func(path string, e fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			name := ""
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GenDecl:
					name = ""
				case *ast.FuncDecl:
					name = ""
				case *ast.ValueSpec:
					name = n.Names[0].Name
				case *ast.BasicLit:
					if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
						found(path, name, text)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// prose are the words that stand behind the program's name where it is no call.
var prose = []string{"closes", "weren", "takes", "write", "gate", "are", "on", "admission", "made", "credentials"}

var (
	call     = regexp.MustCompile(`conforma-status ((?:[a-z]+ ?)+)([^,;:)"\n|]*)`)
	flagName = regexp.MustCompile(`--([a-z][a-z-]*)`)
)

// Whatever the program tells people to call is a command that there is, with flags that it has.
func TestCallsNamed(t *testing.T) {
	named := 0
	texts(t, func(file, _, text string) {
		for _, m := range call.FindAllStringSubmatch(text, -1) {
			root := newRoot()
			words := strings.Fields(m[1])
			cmd, rest, err := root.Find(words)
			if err != nil || cmd == root || cmd.HasSubCommands() && cmd.Name() != "schedule" { // which takes a mode, too
				if !slices.Contains(prose, words[0]) {
					t.Errorf("%s: %q names no command: %s", file, text, words[0])
				}
				continue
			}
			named++
			said, _, _ := strings.Cut(m[2], " and ")
			said, _, _ = strings.Cut(said, " -- ")
			for _, f := range flagName.FindAllStringSubmatch(said, -1) {
				if cmd.Flag(f[1]) == nil && f[1] != "help" {
					t.Errorf("%s: %q: %s has no --%s", file, text, cmd.CommandPath(), f[1])
				}
			}
			if cmd.Name() == "set" && len(rest) > 0 && !slices.Contains([]string{"offline", "admin", "online"}, rest[0]) && rest[0] != "or" {
				t.Errorf("%s: %q: set has no mode %s", file, text, rest[0])
			}
		}
	})
	if named < 30 {
		t.Errorf("found only %d calls", named)
	}
}

// A flag that a hint names without its command is one of each command that gives that hint.
func TestFlagsNamed(t *testing.T) {
	root := newRoot()
	var all []*cobra.Command
	var add func(*cobra.Command)
	add = func(c *cobra.Command) {
		all = append(all, c)
		for _, sub := range c.Commands() {
			add(sub)
		}
	}
	add(root)
	used := hintUsers(t)
	checked := 0
	texts(t, func(file, name, text string) {
		if !strings.HasPrefix(name, "Hint") {
			return
		}
		for _, f := range flagName.FindAllStringSubmatch(call.ReplaceAllString(text, ""), -1) {
			for _, user := range used[name] {
				for _, c := range all {
					says := filepath.Base(user) == strings.ReplaceAll(c.Name(), "-", "_")+".go" ||
						filepath.Base(user) == "app.go" && c.Flags().Lookup("site") != nil && strings.Contains(text, "--site")
					if says && c.RunE != nil && !c.HasSubCommands() && f[1] != "help" {
						checked++
						if c.Flag(f[1]) == nil {
							t.Errorf("%s is given by %s, which has no --%s", name, c.CommandPath(), f[1])
						}
					}
				}
			}
		}
	})
	if checked < 3 {
		t.Errorf("checked only %d flags", checked)
	}
}

// hintUsers are the files of this package that use a hint, by its name.
func hintUsers(t *testing.T) map[string][]string {
	t.Helper()
	used := map[string][]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "Hint") {
				used[s.Sel.Name] = append(used[s.Sel.Name], path)
			}
			return true
		})
	}
	return used
}
