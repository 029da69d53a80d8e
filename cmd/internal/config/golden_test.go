package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/status/fault"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var scopes = map[Scope]string{Core: "core", Tokens: "tokens", Pages: "pages", Removed: "removed"}

// Each file in testdata/bad has one mistake, which its name tells, or shows how several are told apart. The file
// beside it holds what is said about it.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad files: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".toml")
		_, faults := Parse(name, data)
		said := report(faults)
		golden := strings.TrimSuffix(file, ".toml") + ".want"
		if *update {
			if err := os.WriteFile(golden, []byte(said), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if said != string(want) {
			t.Errorf("%s:\n got %s\nwant %s", file, said, want)
		}
		if len(faults) == 0 {
			t.Errorf("%s: nothing is wrong with it", file)
		}
		if strings.Contains(said, "hunter2") {
			t.Errorf("%s: a secret is repeated:\n%s", file, said)
		}
		if !slices.IsSortedFunc(faults, func(a, b fault.Fault) int { return a.Line - b.Line }) {
			t.Errorf("%s: not in the order of lines:\n%s", file, said)
		}
		lines := bytes.Count(data, []byte("\n")) + 1
		for _, f := range faults {
			if f.Line < 1 || f.Line > lines {
				t.Errorf("%s: the file has no line %d", file, f.Line)
			}
			if ScopeOf(f) != Core && ScopeOf(f) != Removed && f.Key != "content" && !strings.HasPrefix(f.Key, "site.jwt") && !strings.HasPrefix(f.Key, "site.admin") {
				t.Errorf("%s: %s stops only what needs the gate or the page", file, f)
			}
		}
	}
}

// report is what the golden files hold.
func report(faults fault.List) string {
	var b strings.Builder
	for _, f := range faults {
		fmt.Fprintf(&b, "[%s] %s\n", scopes[ScopeOf(f)], f)
		if f.Hint != "" {
			fmt.Fprintf(&b, "    hint: %s\n", f.Hint)
		}
	}
	return b.String()
}

// What is said doesn't change from run to run, as the order of Go's maps does.
func TestOrderOfFaults(t *testing.T) {
	for _, name := range []string{"several-on-one-line", "many", "inline-sites", "jwt-secrets-relative"} {
		data, err := os.ReadFile(filepath.Join("testdata/bad", name+".toml"))
		if err != nil {
			t.Fatal(err)
		}
		_, first := Parse(name, data)
		for range 50 {
			if _, again := Parse(name, data); !slices.Equal(first, again) {
				t.Fatalf("%s: first\n%s\nthen\n%s", name, report(first), report(again))
			}
		}
	}
}
