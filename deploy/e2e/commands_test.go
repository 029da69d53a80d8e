package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// The pages whose commands are run, one page after the other as an operator would go through it.
var commandPages = []string{"../../README.md", "../OPERATIONS.md"}

// notHere are programs that aren't run on the machine of the tests: they change it, or talk to what it hasn't. What the package and
// its units do when they are is for the tests of the package; here it counts that these are all.
var notHere = map[string]bool{"apt": true, "systemctl": true, "poweroff": true, "sudoedit": true, "make": true}

// goOn are commands that run until they are ended: their flags are looked at, and other tests run them.
var goOn = map[string]bool{"preview": true, "gate": true, "demo": true}

var (
	shellBlock = regexp.MustCompile("(?ms)^```(?:sh|console)\n(.*?)^```$")
	tomlBlock  = regexp.MustCompile("(?ms)^```toml\n(.*?)^```$")
)

// TestCommandsOfThePages runs every command of the README and the handbook on a host: each has to succeed there, and to find the site in
// a mode that it fits.
func TestCommandsOfThePages(t *testing.T) {
	t.Parallel()
	for _, page := range commandPages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			s := rig.NewSingle(t)
			s.Install(t)
			s.StartGate(t)
			bin := filepath.Join(s.Nginx.Dir, "bin")
			nginx := strings.Join(s.Nginx.Args(), " ")
			for name, script := range map[string]string{
				"bin/sudo":              `exec "$@"`,
				"bin/nginx":             "exec " + nginx + ` "$@"`,
				"bin/conforma-status":   "exec " + rig.Binary(t) + ` "$@"`,
				"upload_snapshot.sh":    "echo uploaded",
				"upgrade.sh":            "echo upgraded",
				"bin/curl":              `for a; do set -- "$@" "$(echo "$a" | sed "s,/run/conforma-status/gate.sock,` + s.Socket() + `,")"; shift; done; PATH=/usr/bin:/bin exec curl "$@"`,
				"bin/snapshot_conforma": "echo taken",
			} {
				rig.WriteFile(t, filepath.Join(s.Nginx.Dir, name), "#!/bin/sh\n"+script+"\n")
				check(t, os.Chmod(filepath.Join(s.Nginx.Dir, name), 0o755))
			}
			env := append(s.Env(), "PATH="+bin+":"+os.Getenv("PATH"))
			ran := 0
			for _, line := range commandsOf(readFile(t, page)) {
				words := strings.Fields(strings.TrimPrefix(line, "sudo "))
				if words[0] == "conforma-status" && goOn[words[1]] {
					line = strings.Join(append(words, "--help"), " ")
				} else if notHere[words[0]] {
					continue
				}
				line = strings.ReplaceAll(line, "init --write", "init --write --help") // which is for a host without a configuration
				cmd := exec.Command("bash", "-c", line)
				cmd.Env, cmd.Dir = env, s.Nginx.Dir
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", line, err, out)
				}
				ran++
			}
			if ran < 10 {
				t.Errorf("ran only %d commands", ran)
			}
		})
	}
}

// commandsOf are the commands in the shell blocks of a page, without their comments; of a session, those behind the prompt.
func commandsOf(page string) []string {
	comment := regexp.MustCompile(`\s+#\s.*$`)
	var out []string
	for _, block := range shellBlock.FindAllStringSubmatch(page, -1) {
		session := strings.HasPrefix(block[1], "$ ")
		for line := range strings.Lines(block[1]) {
			command, typed := strings.CutPrefix(line, "$ ")
			if session && !typed {
				continue
			}
			command = strings.TrimSpace(comment.ReplaceAllString(" "+strings.TrimSpace(command), ""))
			if command != "" && !strings.HasPrefix(command, "#") {
				out = append(out, command)
			}
		}
	}
	return out
}

// What the pages give as a configuration is one, or part of one.
func TestConfigurationsOfThePages(t *testing.T) {
	t.Parallel()
	const whole = "store = \"dir:/var/www/maintenance\"\npage_url = \"https://maintenance.example.org\"\n%s\n[[site]]\nname = \"x\"\napp_url = \"https://x.example.org\"\n"
	found := 0
	for _, page := range commandPages {
		for _, block := range tomlBlock.FindAllStringSubmatch(readFile(t, page), -1) {
			text := block[1]
			if !strings.Contains(text, "[[site]]") {
				text = fmt.Sprintf(whole, text)
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "config.toml")
			rig.WriteFile(t, file, text)
			cmd := exec.Command(rig.Binary(t), "--config", file, "render", "--out", filepath.Join(dir, "out"))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s\n%s", page, err, out, text)
			}
			found++
		}
	}
	if found < 2 {
		t.Errorf("found only %d configurations", found)
	}
}
