package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/status/fault"
)

// The pages that are made from Keys: the reference, and the package's configuration.
const (
	referencePage = "../../../deploy/CONFIGURATION.md"
	packagedFile  = "../../../deploy/package/config.toml"
)

const aboutReference = `# The configuration

` + "`/etc/conforma-status/config.toml`, or what `--config` or `CONFORMA_STATUS_CONFIG` names. It is TOML. `config.toml(5)` says the same." + `

- Each fault is named with its file, line and key, all of them in one run. An unknown key is one. A key that an earlier release had, and that is gone, is a warning.
- A fault in ` + "`[site.jwt]`, `[site.admin]` or the content stops `set admin`, `publish` and a gate that starts. It never keeps a site from being closed." + `
- A duration is a number with its unit: ` + "`30s`, `30m`, `8h`, `1d`" + `. An address is http or https and has no query, no fragment, no user name and no password.
- No secret stands in it: it names the files that hold them, which nobody else may read.
- After a change: ` + "`conforma-status doctor`" + `.

This page is made from the table that the program reads the configuration by. Do not edit it: ` + "`make golden`" + ` writes it anew.
`

const aboutPackaged = `# The configuration of conforma-status. Nothing is set here yet, and nothing is done before it is:
#
#   sudo conforma-status init            prints a configuration guessed from the nginx that runs here
#   sudo conforma-status init --write    puts it here, and the include lines into nginx's files
#
# or take the # away from what follows: at least store, page_url, and one [[site]]. Unknown keys and bad values are named with file
# and line by every command; conforma-status doctor says what else may be wrong. config.toml(5) is the reference.

`

// reference is deploy/CONFIGURATION.md.
func reference() string {
	var b strings.Builder
	b.WriteString(aboutReference)
	table := func(title, text, prefix string) {
		fmt.Fprintf(&b, "\n## %s\n\n", title)
		if text != "" {
			b.WriteString(text + "\n\n")
		}
		b.WriteString("| key | type | default | example | since | |\n|---|---|---|---|---|---|\n")
		for _, k := range families()[prefix] {
			if k.Kind != Table && k.Kind != Tables {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", k.name, k.Kind, cell(k.Key), code(k.shown()), k.Since, strings.ReplaceAll(k.Text, "|", "\\|"))
			}
		}
	}
	table("At the top", "", "")
	for _, k := range Keys {
		switch k.Kind {
		case Table:
			table("`["+k.Name+"]`", k.Text, k.Name+".")
		case Tables:
			table("`[["+k.Name+"]]`", k.Text, k.Name+".")
		}
	}
	return b.String()
}

// cell is the default of a key.
func cell(k Key) string {
	if k.Usual() == k.Default {
		return code(k.Default)
	}
	return k.Usual()
}

func code(toml string) string { return "`" + strings.ReplaceAll(toml, "|", "\\|") + "`" }

// packaged is deploy/package/config.toml.
func packaged() string {
	var b strings.Builder
	b.WriteString(aboutPackaged + Comments(""))
	for _, k := range Keys {
		if k.Kind != Table && k.Kind != Tables {
			continue
		}
		head := "[" + k.Name + "]"
		if k.Kind == Tables {
			head = "[" + head + "]"
		}
		for _, line := range folded(k.Text, 108) {
			b.WriteString("# " + line + "\n")
		}
		b.WriteString("# " + head + "\n\n" + Comments(k.Name+"."))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// The pages say what the table does.
func TestPagesOfKeys(t *testing.T) {
	for file, want := range map[string]string{referencePage: reference(), packagedFile: packaged()} {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s isn't what the table says (%v): see what -update makes of it", file, err)
		}
	}
}

// Each key of the table is read, and no value of another type is taken for it; its default and its example are good.
func TestKeysAreRead(t *testing.T) {
	const whole = "store = \"dir:/x\"\npage_url = \"https://m.example.org\"\n"
	const siteOf = "[[site]]\nname = \"demo\"\napp_url = \"https://demo.example.org\"\n"
	file := func(k Key, value string) string {
		top, head, name := whole, "", k.Name
		if i := strings.LastIndex(k.Name, "."); i >= 0 {
			head, name = "["+k.Name[:i]+"]\n", k.Name[i+1:]
		}
		line := name + " = " + value + "\n"
		drop := func(text string) string { return strings.ReplaceAll(text, "\n"+name+" = ", "\n# ") }
		switch {
		case head == "":
			return drop("\n"+top) + line + siteOf
		case head == "[site]\n":
			return top + drop(siteOf) + line
		case head == "[webhook]\n":
			return top + "[" + strings.TrimSuffix(head, "\n") + "]\n" +
				drop("\nurl = \"https://h.example.org\"\nsecret_file = \"/x\"\n") + line + siteOf
		case strings.HasPrefix(head, "[site."):
			if k.Name != "site.jwt.secret_file" && head == "[site.jwt]\n" && k.Name != "site.jwt.secret_env_file" {
				line += "secret_file = \"/x\"\n"
			}
			return top + siteOf + head + line
		}
		if head == "[fleet]\n" && name != "store" {
			line += "store = \"dir:/fleet\"\n"
		}
		return top + head + line + siteOf
	}
	for _, k := range Keys {
		if k.Text == "" || !strings.HasSuffix(k.Text, ".") || k.Since == "" {
			t.Errorf("%s: %+v", k.Name, k)
		}
		if k.Kind == Table || k.Kind == Tables {
			continue
		}
		if _, faults := Parse("f", []byte(file(k, "2026-11-22"))); !slices.ContainsFunc(faults, func(f fault.Fault) bool { return f.Key == k.Name && !strings.Contains(f.Problem, "unknown") }) {
			t.Errorf("%s: a date is taken for a %s: %v", k.Name, k.Kind, faults)
		}
		for _, value := range []string{k.shown(), k.Default} {
			if value == "" || value == `""` && k.Name != "site.path" {
				continue
			}
			if _, faults := Parse("f", []byte(file(k, value))); len(faults) > 0 {
				t.Errorf("%s = %s: %v\n%s", k.Name, value, faults, file(k, value))
			}
		}
	}
}

// The commented lines say something once the # is taken away.
func TestPackagedFileIsAConfiguration(t *testing.T) {
	if !Empty([]byte(packaged())) {
		t.Error("it says something")
	}
	var lines []string
	for line := range strings.Lines(packaged()) {
		text, is := strings.CutPrefix(line, "# ")
		name, _, found := strings.Cut(text, " = ")
		isTable := strings.HasPrefix(text, "[")
		if is && (isTable || found && !strings.Contains(name, " ")) && text != "secret_file = \"/etc/conforma-status/demo.secret\"\n" {
			lines = append(lines, text)
		}
	}
	if _, faults := Parse("f", []byte(strings.Join(lines, ""))); len(faults) > 0 {
		t.Errorf("%v\n%s", faults, strings.Join(lines, ""))
	}
}
