package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/status"
)

// twoSites writes a configuration of two sites, demo and other, and returns its path. Its nginx can't be reached.
func twoSites(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	text := `store = "dir:` + dir + `/store"
page_url = "http://127.0.0.1:1"
state_dir = "` + dir + `/state"
[nginx]
conf_dir = "` + dir + `/nginx"
test = ["false"]
reload = ["false"]
pid_file = "` + dir + `/nginx.pid"
[[site]]
name = "demo"
app_url = "http://127.0.0.1:1"
upstreams = ["127.0.0.1:2"]
[[site]]
name = "other"
app_url = "http://127.0.0.1:3"
upstreams = ["127.0.0.1:4"]
`
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// A slip of the keyboard, or a word of another tool, is told what is meant; nothing is run.
func TestMeant(t *testing.T) {
	file := twoSites(t)
	for _, c := range []struct{ args, hint string }{
		{"down", "did you mean: conforma-status set offline"},
		{"up", "did you mean: conforma-status set online"},
		{"maintenance", "did you mean: conforma-status set offline"},
		{"maintenance on", "did you mean: conforma-status set offline"},
		{"start", "conforma-status set offline closes a site, conforma-status set online opens it"},
		{"off", "conforma-status set offline closes a site"},
		{"offline", "did you mean: conforma-status set offline"},
		{"offline --eta 30m", "did you mean: conforma-status set offline"},
		{"online", "did you mean: conforma-status set online"},
		{"Admin", "did you mean: conforma-status set admin"},
		{"shut", "did you mean: conforma-status set offline"},
		{"sett", "did you mean: conforma-status set"},
		{"sett offline", "did you mean: conforma-status set"},
		{"ste offline", "did you mean: conforma-status set"},
		{"statsu", "did you mean: conforma-status status"},
		{"publsh", "did you mean: conforma-status publish"},
		{"doc", "did you mean: conforma-status doctor"},
		{"logs", "did you mean: conforma-status history"},
		{"secret inti", "did you mean: conforma-status secret init"},
		{"store int", "did you mean: conforma-status store init"},
		{"no-such-command", "conforma-status --help lists the commands"},
		{"x", "conforma-status --help lists the commands"},
		{"help sett", "did you mean: conforma-status set"},

		{"set offlin", "did you mean: conforma-status set offline"},
		{"set ofline --site demo", "did you mean: conforma-status set offline"},
		{"set Offline", "did you mean: conforma-status set offline"},
		{"set onlien", "did you mean: conforma-status set online"},
		{"set down", "did you mean: conforma-status set offline"},
		{"set up", "did you mean: conforma-status set online"},
		{"set maintenance", "did you mean: conforma-status set offline"},
		{"set off", "did you mean: conforma-status set offline"},
		{"set admins", "did you mean: conforma-status set admin"},
		{"set nonsense", "the modes are online, offline and admin"},
		{"set offline 30m", "did you mean: conforma-status set offline --eta 30m"},
		{"set offline 18:30", "did you mean: conforma-status set offline --eta 18:30"},
		{"set down 30m", "did you mean: conforma-status set offline --eta 30m"},
		{"set offline demo", "did you mean: conforma-status set offline --site demo"},
		{"set offline nobody", "the call is: conforma-status set MODE"},
		{"set", "the call is: conforma-status set MODE"},

		{"set offline --for 30m", "the flag is --eta: conforma-status set offline --eta 30m"},
		{"set offline --until 18:30", "the flag is --eta: conforma-status set offline --eta 30m"},
		{"set offline --ete 30m", "the flag is --eta: conforma-status set offline --eta 30m"},
		{"set offline --msg Hello", "the flag is --message: conforma-status set --message"},
		{"set offline --sit demo", "the flag is --site: conforma-status set --site"},
		{"set offline --why because", "the flag is --reason: conforma-status set --reason"},
		{"set offline --colour red", "conforma-status set --help lists the flags"},
		{"get --colour", "conforma-status get --help lists the flags"},
		{"get --eta 30m", "conforma-status get --help lists the flags"},
		{"doctor --al", "the flag is --all: conforma-status doctor --all"},
		{"history --tail 5", "the flag is --last: conforma-status history --last"},
		{"history -n", "conforma-status history --help lists the flags"},
		{"history -n -1", "for example: conforma-status history -n 5"},
		{"get --watch --json", "call get --json again and again, or get --watch"},
		{"get --quiet --verbose", "say --quiet or --verbose"},
		{"get demo --all", "name the sites, or say --all"},
		{"get nobody", "the configuration knows: demo, other"},

		{"set offline", "the configuration knows: demo, other"},
		{"extend 30m", "the configuration knows: demo, other"},
		{"pass", "the configuration knows: demo, other"},
		{"secret init", "the configuration knows: demo, other"},
		{"doctor --site nobody", "the configuration knows: demo, other"},
		{"history --site nobody", "the configuration knows: demo, other"},
		{"extend 30m --site demo --all", "name the sites, or say --all"},
		{"pass --site demo --all", "name the sites, or say --all"},
		{"secret init --site demo --all", "name the sites, or say --all"},
		{"doctor --site demo --all", "name the sites, or say --all"},
		{"history --site demo --all", "name the sites, or say --all"},
		{"publish --site demo --all", "name the sites, or say --all"},
		{"extend + --all", "write how long from now (30m), how much longer than announced (+10m)"},
		{"extend +0m --all", "write how long from now (30m), how much longer than announced (+10m)"},
		{"extend +-5m --all", "write how long from now (30m), how much longer than announced (+10m)"},
		{"extend ++5m --all", "write how long from now (30m), how much longer than announced (+10m)"},
	} {
		var out, errs bytes.Buffer
		t.Setenv("CONFORMA_STATUS_CONFIG", file)
		code := execute(t.Context(), strings.Fields(c.args), &out, &errs)
		if code != exitUsage || out.Len() > 0 && !strings.HasSuffix(c.args, "--json") || !strings.Contains(errs.String(), "\nhint: "+c.hint) {
			t.Errorf("%s: exit code %d\n%s%s\nwant a hint: %s", c.args, code, out.String(), errs.String(), c.hint)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("something was written: %v, %v", entries, err)
	}
}

// Every word that people bring leads to a command, a mode or a flag that there is.
func TestWordsLeadSomewhere(t *testing.T) {
	root := newRoot()
	for word, call := range fromOtherTools {
		cmd, _, err := root.Find(strings.Fields(call))
		if err != nil || cmd == root {
			t.Errorf("%s leads to %s, which is no command", word, call)
		}
		if known, _, err := root.Find([]string{word}); err == nil && known != root {
			t.Errorf("%s is a command of ours", word)
		}
	}
	flags := map[string]bool{}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, name := range flagWords {
			flags[name] = flags[name] || c.Flag(name) != nil
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
	for word, name := range flagWords {
		if !flags[name] {
			t.Errorf("--%s leads to --%s, which no command has", word, name)
		}
	}
}

// The shell is offered what fits, and nothing where nothing does.
func TestCompletions(t *testing.T) {
	file := twoSites(t)
	for _, c := range []struct{ args, want string }{
		{"set |", "online offline admin"},
		{"set offline |", ""},
		{"get |", "demo other"},
		{"get --site |", "demo other"},
		{"doctor --site |", "demo other"},
		{"extend --site |", "demo other"},
		{"secret init --site |", "demo other"},
		{"extend |", ""},
		{"doctor |", ""},
		{"set offline --eta |", ""},
		{"set offline --message |", ""},
		{"pass --ttl |", ""},
		{"history -n |", ""},
		{"run --mode |", "offline admin"},
	} {
		args := strings.Split(c.args, " ")
		args[len(args)-1] = ""
		var out, errs bytes.Buffer
		execute(t.Context(), append([]string{"__complete", "--config", file}, args...), &out, &errs)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		got := strings.Join(lines[:len(lines)-1], " ")
		if got != c.want || lines[len(lines)-1] != ":4" { // no files
			t.Errorf("%s: offered %q, want %q", c.args, out.String(), c.want)
		}
	}
}

// TestEveryModeIsNamed: the modes are listed in other places too. deploy/ARCHITECTURE.md has what else a new one takes.
func TestEveryModeIsNamed(t *testing.T) {
	read := func(path string) string {
		data, err := os.ReadFile(filepath.Join("..", "..", path))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	_, unknown := status.ParseMode("nonsense")
	offered, _ := completeMode(nil, nil, "")
	lists := map[string]string{
		"the error of status.ParseMode": unknown.Error(), "completeMode": strings.Join(offered, " "),
		"HelpSet": terminal.HelpSet, "HelpSetLong": terminal.HelpSetLong, "HintModes": terminal.HintModes,
	}
	ofClosed := map[string]string{
		"HelpRunMode": terminal.HelpRunMode, "HintNothingOpens": terminal.HintNothingOpens, "HintScheduleModes": terminal.HintScheduleModes,
	}
	files := map[string]int{"status/status.schema.json": 2, "status/client/conforma-status.d.ts": 2, "site/theme/page.js": 1} // how often at least
	for _, m := range status.Modes() {
		word := regexp.MustCompile(`\b` + string(m) + `\b`)
		for place, text := range lists {
			if !word.MatchString(text) {
				t.Errorf("%s doesn't have %s", place, m)
			}
		}
		for place, text := range ofClosed {
			if m.Closed() && !word.MatchString(text) {
				t.Errorf("%s doesn't have %s", place, m)
			}
		}
		for file, n := range files {
			if got := strings.Count(read(file), strconv.Quote(string(m))); got < n {
				t.Errorf("%s has %s %d times, want %d at least", file, m, got, n)
			}
		}
	}
}
