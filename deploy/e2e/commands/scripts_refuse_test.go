package commands

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// The commands of the scripts about what conforma-status doesn't do:
//
//	refuses CODE PATTERN ARG...     runs conforma-status, which has to exit with exactly this code and print on standard
//	                                error a line "conforma-status: doing what: why" that matches the pattern, and
//	                                a hint; on standard output one document with --json, and nothing without it
//	                                where the code is 2.
//	                                Nothing secret is printed. What nginx serves, its configuration, what it reads at
//	                                each request and the store have to be as they were.
//	answers BLOCK MODE              what the block answers is that of the mode, and the application sees only what
//	                                it has to
//	one-document                    what was printed on standard output last is one JSON document of version 1
//	secret TEXT                     from here on this is secret, as the sites' secrets are anyway
func scriptRefuses(ts *testscript.TestScript, neg bool, args []string) {
	s := state(ts)
	if neg || len(args) < 3 {
		ts.Fatalf("usage: refuses CODE PATTERN ARG...")
	}
	before := s.world(ts)
	scriptExit(ts, false, append([]string{args[0], "conforma-status"}, args[2:]...))
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	line := regexp.MustCompile(`(?m)^conforma-status: (.|\n)*` + args[1])
	if !line.MatchString(stderr) {
		ts.Fatalf("standard error has nothing like %s:\n%s", line, stderr)
	}
	if !regexp.MustCompile(`(?m)^conforma-status: [a-z][^:]*: .`).MatchString(stderr) {
		ts.Fatalf("standard error doesn't say doing what:\n%s", stderr)
	}
	h, err := readHandbook()
	ts.Check(err)
	for said := range strings.Lines(stderr) {
		if said, ok := strings.CutPrefix(strings.TrimSuffix(said, "\n"), "conforma-status: "); ok && h.leadsTo(said) == "" {
			ts.Fatalf("deploy/OPERATIONS.md has no words for %q", said)
		}
	}
	if !strings.Contains(stderr, "\nhint: ") {
		ts.Fatalf("there is no hint:\n%s", stderr)
	}
	if slices.Contains(args, "--json") {
		oneDocument(ts, stdout)
	} else if stdout != "" && args[0] == "2" {
		ts.Fatalf("something on standard output:\n%s", stdout)
	}
	s.keepsSecrets(ts, stdout+stderr)
	after := s.world(ts)
	for what := range maps.Keys(before) {
		if after[what] != before[what] {
			ts.Fatalf("%s was\n%s\nand is\n%s", what, before[what], after[what])
		}
	}
	for what := range maps.Keys(after) {
		if _, ok := before[what]; !ok {
			ts.Fatalf("%s is new", what)
		}
	}
}

// world is everything that a refused command leaves alone: files by path, and nginx's answers.
func (s *scriptState) world(ts *testscript.TestScript) map[string]string {
	all := map[string]string{}
	if s.host == nil {
		return all
	}
	h := s.host
	for _, root := range []string{
		h.Nginx.Conf, filepath.Join(h.Nginx.Dir, "sites-enabled"), filepath.Join(h.Nginx.Dir, "env_files"),
		h.ConfDir, h.Store, filepath.Join(h.State, "sites"), h.Config,
	} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".previous") {
				return err
			}
			data, err := os.ReadFile(path)
			all[path] = string(data)
			return err
		})
		ts.Check(err)
	}
	if s.nginxRuns() {
		for _, b := range h.Blocks {
			if b.Site {
				all["nginx's rules of "+b.Name] = workerID.ReplaceAllString(h.Client(s.tb, b.Name).Get(s.tb, "/.conforma-status/probe").Body, "")
			}
		}
	}
	return all
}

func (s *scriptState) nginxRuns() bool {
	pid, err := os.ReadFile(s.host.Nginx.PIDFile()) // "nginx -t" leaves an empty one where there is none
	return err == nil && len(pid) > 0
}

func (s *scriptState) keepsSecrets(ts *testscript.TestScript, text string) {
	secrets := slices.Clone(s.secrets)
	if s.host != nil {
		for _, b := range s.host.Blocks {
			if b.Site {
				secrets = append(secrets, b.Secret)
			}
		}
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			ts.Fatalf("a secret was printed:\n%s", text)
		}
	}
}

func scriptSecret(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: secret TEXT")
	}
	s := state(ts)
	s.secrets = append(s.secrets, args[0])
}

func scriptOneDocument(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: one-document")
	}
	oneDocument(ts, ts.ReadFile("stdout"))
}

func oneDocument(ts *testscript.TestScript, text string) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	var doc struct {
		Version int
		Sites   *[]json.RawMessage
	}
	if err := dec.Decode(&doc); err != nil || doc.Version != 1 || doc.Sites == nil {
		ts.Fatalf("no document of version 1 with sites (%v):\n%s", err, text)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		ts.Fatalf("more than one document:\n%s", text)
	}
}

// workerID is what differs between the answers of nginx's workers.
var workerID = regexp.MustCompile(`"pid":[0-9]+`)

// answersOf are, for each mode, what the first page, the login page and a call are answered with, without a token.
var answersOf = map[string]struct {
	codes   [3]int
	reaches [3]bool // whether it reaches the application
}{
	"online":  {[3]int{200, 200, 200}, [3]bool{true, true, true}},
	"offline": {[3]int{302, 302, 503}, [3]bool{}},
	"admin":   {[3]int{302, 200, 503}, [3]bool{1: true}},
}

func scriptAnswers(ts *testscript.TestScript, neg bool, args []string) {
	s := state(ts)
	want, ok := answersOf[args[len(args)-1]]
	if neg || len(args) != 2 || !ok || s.host == nil {
		ts.Fatalf("usage: answers BLOCK online|offline|admin, after host")
	}
	c, b := s.host.Client(s.tb, args[0]), s.host.Block(s.tb, args[0])
	if b.Style == "container" { // there nginx answers pages itself
		want.reaches[0], want.reaches[1] = false, false
	}
	got := want
	for i, m := range []rig.Message{rig.Navigation("/"), rig.Navigation("/login"), rig.GraphQL(b.Origin())} {
		n := b.App.Count()
		got.codes[i] = c.Do(s.tb, m).Status
		got.reaches[i] = b.App.Count() > n
	}
	if got != want {
		ts.Fatalf("%s: got %v, want %v for %s", args[0], got, want, args[1])
	}
}
