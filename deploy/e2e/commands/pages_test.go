package commands

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// The pages whose commands are run, one page after the other as an operator would go through it.
var commandPages = []string{readmePage, "../../OPERATIONS.md"}

const readmePage = "../../../README.md"

// notHere are programs that aren't run on the machine of the tests: they change it, or are the tests themselves. What
// the package and its units do when they are is for TestSoakPackage.
var notHere = map[string]bool{"apt": true, "poweroff": true, "make": true}

var (
	shellBlock = regexp.MustCompile("(?ms)^```(?:sh|console)\n(.*?)^```$")
	tomlBlock  = regexp.MustCompile("(?ms)^```toml\n(.*?)^```$")
)

// TestCommandsOfThePages runs every command of the README and the handbook on a host: each has to succeed there, and to
// find the site in a mode that it fits. The handbook comes to an nginx that has nothing of ours yet, and nobody has a
// secret.
func TestCommandsOfThePages(t *testing.T) {
	t.Parallel()
	for _, page := range commandPages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			s := rig.NewSingle(t)
			edited := filepath.Join(s.Nginx.Dir, "edited.toml")
			rig.WriteSecret(t, s.EnvFile("demo"), "PORT=8000\n")
			for name, script := range map[string]string{
				"bin/sudo":              `exec "$@"`,
				"bin/nginx":             "exec " + strings.Join(s.Nginx.Args(), " ") + ` "$@"`,
				"bin/systemctl":         `test "$*" = "reload nginx" && exec nginx -s reload`,
				"bin/sudoedit":          `grep -q GUESSED "$CONFORMA_STATUS_CONFIG" && cp ` + edited + ` "$CONFORMA_STATUS_CONFIG"`,
				"bin/conforma-status":   "exec " + rig.Binary(t) + ` "$@"`,
				"upload_snapshot.sh":    "echo uploaded",
				"upgrade.sh":            "echo upgraded",
				"bin/curl":              `for a; do set -- "$@" "$(echo "$a" | sed "s,/run/conforma-status/gate.sock,` + s.Socket() + `,")"; shift; done; PATH=/usr/bin:/bin exec curl "$@"`,
				"bin/snapshot_conforma": "echo taken",
				"bin/stop_conforma":     "exec conforma-status set offline --site \"$1\"",
				"bin/launch_conforma":   "exec conforma-status set online --site \"$2\"",
				"bin/docker":            "echo 0/1234",
				"bin/rsync":             `test "$1" = -a && test $# = 3`, // to another machine
			} {
				rig.WriteFile(t, filepath.Join(s.Nginx.Dir, name), "#!/bin/sh\n"+script+"\n")
				rig.Check(t, os.Chmod(filepath.Join(s.Nginx.Dir, name), 0o755))
			}
			commands := commandsOf(rig.ReadFile(t, page))
			bare := slices.ContainsFunc(commands, func(line string) bool { return strings.Contains(line, "init --write") })
			if bare {
				rig.Check(t, os.Rename(s.Config, edited))
				s.Nginx.Configure(t, fmt.Sprintf("    server {\n        listen %s;\n        server_name demo.example.test;\n        location / { proxy_pass http://%s; }\n    }\n",
					rig.Loopback(s.Blocks[0].Port), rig.Loopback(s.App.Port)))
				s.Nginx.Start(t)
			} else {
				s.Install(t)
			}
			env := append(s.Env(), "PATH="+filepath.Join(s.Nginx.Dir, "bin")+":"+os.Getenv("PATH"))
			secret := filepath.Join(s.Nginx.Dir, "webhook.secret")
			ran := 0
			for _, line := range commands {
				line = strings.TrimPrefix(strings.ReplaceAll(line, "/etc/conforma-status/webhook.secret", secret), "sudo ")
				switch words := strings.Fields(line); {
				case notHere[words[0]]:
					continue
				case line == "conforma-status gate":
					s.StartGate(t)
				case line == "conforma-status webhook test":
					tryWebhook(t, s, secret)
				case line == "conforma-status preview":
					preview(t, s)
				default:
					run := func() {
						cmd := exec.Command("bash", "-c", line)
						cmd.Env, cmd.Dir = env, s.Nginx.Dir
						if out, err := cmd.CombinedOutput(); err != nil {
							t.Fatalf("%s: %v\n%s", line, err, out)
						}
					}
					if strings.Contains(line, "reload") {
						rig.Reloaded(t, s, run)
					} else {
						run()
					}
				}
				if bare && strings.Contains(line, "conforma-status secret init") {
					s.StartGate(t) // as systemd does when the first one asks
				}
				ran++
			}
			least := 25
			if page == readmePage {
				least = 8
			}
			if ran < least {
				t.Errorf("ran only %d commands", ran)
			}
		})
	}
}

// tryWebhook has a webhook with the secret in that file take a test event.
func tryWebhook(t *testing.T, s *rig.Single, secret string) {
	t.Helper()
	was := rig.ReadFile(t, s.Config)
	taken := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { taken <- r.Header.Get("webhook-signature") }))
	defer receiver.Close()
	rig.WriteFile(t, s.Config, was+fmt.Sprintf("\n[[webhook]]\nurl = %q\nsecret_file = %q\n", receiver.URL, secret))
	s.CLI(t, "webhook", "test").Want(t, 0)
	rig.WriteFile(t, s.Config, was)
	if signature := <-taken; !strings.HasPrefix(signature, "v1,") {
		t.Errorf("the test event is signed %q", signature)
	}
}

// preview starts it, sees a page, and ends it.
func preview(t *testing.T, s *rig.Single) {
	t.Helper()
	running := s.Start(t, rig.Call{Args: []string{"preview", "--listen", "127.0.0.1:0"}})
	at := ""
	rig.WaitFor(t, "the preview", func() bool {
		at = regexp.MustCompile(`http://127\.0\.0\.1:\d+/`).FindString(running.Said(t).Stdout)
		return at != ""
	})
	resp, err := http.Get(at)
	rig.Check(t, err)
	resp.Body.Close()
	running.Signal(os.Interrupt)
	if r := running.Wait(t); resp.StatusCode != http.StatusOK || r.Code != 0 {
		t.Errorf("the preview answers %d and ends with %d\n%s", resp.StatusCode, r.Code, r.Stderr)
	}
}

// commandsOf are the commands in the shell blocks of a page, without their comments; of a session, those behind the
// prompt.
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
		for _, block := range tomlBlock.FindAllStringSubmatch(rig.ReadFile(t, page), -1) {
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
