//go:build soak

package publishing

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// terraformModule is what the .tf files declare.
type terraformModule struct {
	declared map[string]bool // "var.bucket", "local.x", "aws_s3_bucket.maintenance", "data.x.y"
	used     map[string]bool
}

// TestSoakTerraform: the files are formatted as terraform fmt does, parse, and refer to nothing that isn't there.
func TestSoakTerraform(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(terraformDir, "*.tf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	parser := hclparse.NewParser()
	module := terraformModule{map[string]bool{}, map[string]bool{}}
	var bodies []*hclsyntax.Body
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(hclwrite.Format(src), src) {
			t.Errorf("%s is not formatted: terraform fmt %s", name, terraformDir)
		}
		f, problems := parser.ParseHCL(src, name)
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		bodies = append(bodies, f.Body.(*hclsyntax.Body))
	}
	for _, b := range bodies {
		module.declare(t, b)
	}
	for _, b := range bodies {
		module.resolve(t, b)
	}
	for name := range module.declared {
		if strings.HasPrefix(name, "var.") && !module.used[name] {
			t.Errorf("%s is used nowhere", name)
		}
	}
	// Whether the provider knows all arguments only terraform and the provider can tell. Those who have fetched it check
	// that too.
	if terraform, err := exec.LookPath("terraform"); err == nil {
		commands := [][]string{{"fmt", "-check", "-diff"}}
		if _, err := os.Stat(filepath.Join(terraformDir, ".terraform")); err == nil {
			commands = append(commands, []string{"validate", "-no-color"})
		}
		for _, args := range commands {
			cmd := exec.Command(terraform, args...)
			cmd.Dir = terraformDir
			cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE=/dev/null", "CHECKPOINT_DISABLE=1")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("terraform %s: %v\n%s", args[0], err, out)
			}
		}
	}
}

func (m terraformModule) declare(t *testing.T, body *hclsyntax.Body) {
	t.Helper()
	add := func(name string, at hcl.Range) {
		if m.declared[name] {
			t.Errorf("%s: %s is declared twice", at, name)
		}
		m.declared[name] = true
	}
	for _, b := range body.Blocks {
		switch b.Type {
		case "variable":
			add("var."+b.Labels[0], b.DefRange())
			for _, needed := range []string{"description", "type"} {
				if b.Body.Attributes[needed] == nil {
					t.Errorf("%s: no %s", b.DefRange(), needed)
				}
			}
		case "resource":
			add(b.Labels[0]+"."+b.Labels[1], b.DefRange())
		case "data":
			add("data."+b.Labels[0]+"."+b.Labels[1], b.DefRange())
		case "locals":
			for name, a := range b.Body.Attributes {
				add("local."+name, a.Range())
			}
		case "provider":
			if alias := b.Body.Attributes["alias"]; alias != nil {
				value, _ := alias.Expr.Value(nil)
				add(b.Labels[0]+"."+value.AsString(), b.DefRange())
			}
		case "output", "terraform":
		default:
			t.Errorf("%s: a block of type %s", b.DefRange(), b.Type)
		}
	}
}

// resolve checks every reference in the body, and every file and template that it names.
func (m terraformModule) resolve(t *testing.T, body *hclsyntax.Body) {
	t.Helper()
	dynamic := map[string]bool{} // what a dynamic block calls its elements
	problems := hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		if b, ok := node.(*hclsyntax.Block); ok && b.Type == "dynamic" {
			dynamic[b.Labels[0]+".value"] = true
		}
		return nil
	})
	refers := func(traversal hcl.Traversal) {
		names := []string{traversal.RootName()}
		for _, step := range traversal[1:] {
			if attribute, ok := step.(hcl.TraverseAttr); ok && len(names) < 3 {
				names = append(names, attribute.Name)
			}
		}
		switch names[0] {
		case "each", "count", "self", "path", "string", "bool", "number":
			return
		case "data":
		default:
			names = names[:min(2, len(names))]
		}
		name := strings.Join(names, ".")
		if !m.declared[name] && !dynamic[name] {
			t.Errorf("%s: there is no %s", traversal.SourceRange(), name)
		}
		m.used[name] = true
	}
	problems = append(problems, hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		switch n := node.(type) {
		case *hclsyntax.ScopeTraversalExpr:
			refers(n.Traversal)
		case *hclsyntax.FunctionCallExpr:
			if n.Name == "file" || n.Name == "templatefile" {
				checkFile(t, n)
			}
		}
		return nil
	})...)
	if problems.HasErrors() {
		t.Error(problems)
	}
}

// checkFile checks that the file is there and, of a template, that it gets just what it asks for.
func checkFile(t *testing.T, call *hclsyntax.FunctionCallExpr) {
	t.Helper()
	parts := call.Args[0].(*hclsyntax.TemplateExpr).Parts
	name, _ := parts[len(parts)-1].Value(nil)
	src, err := os.ReadFile(filepath.Join(terraformDir, name.AsString()))
	if err != nil {
		t.Errorf("%s: %v", call.Range(), err)
		return
	}
	if call.Name == "file" {
		return
	}
	var asks, gets []string
	for _, m := range placeholder.FindAllStringSubmatch(string(src), -1) {
		asks = append(asks, m[1])
	}
	for _, item := range call.Args[1].(*hclsyntax.ObjectConsExpr).Items {
		gets = append(gets, hcl.ExprAsKeyword(item.KeyExpr))
	}
	slices.Sort(asks)
	slices.Sort(gets)
	if asks = slices.Compact(asks); !slices.Equal(asks, gets) {
		t.Errorf("%s: %s asks for %v and gets %v", call.Range(), name.AsString(), asks, gets)
	}
}
