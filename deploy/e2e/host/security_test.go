package host

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// Each claim of the page on security names the test that shows it, and where that is.
func TestSecurityPage(t *testing.T) {
	t.Parallel()
	text := rig.ReadFile(t, filepath.Join("..", "..", "SECURITY.md"))
	shown := regexp.MustCompile("\\[`(Test[A-Za-z0-9]+)`\\]\\(([^)]*)\\)")
	claims := 0
	for row := range strings.Lines(text) {
		cells := strings.Split(row, "|")
		if len(cells) != 4 || strings.Contains(row, "shown by") || strings.Contains(row, "---") {
			continue // a table of something else
		}
		claims++
		tests := shown.FindAllStringSubmatch(cells[2], -1)
		if len(tests) == 0 {
			t.Errorf("no test shows: %s", row)
		}
		for _, m := range tests {
			if file := filepath.Join("..", "..", m[2]); !strings.Contains(rig.ReadFile(t, file), "\nfunc "+m[1]+"(") {
				t.Errorf("%s has no %s", file, m[1])
			}
		}
	}
	if claims < 15 {
		t.Errorf("found only %d claims", claims)
	}
}

// No secret is in what commands say, in the arguments of a process, or in a file that others may read.
func TestNoSecretInSight(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	nginx := filepath.Join(s.Nginx.Dir, "nginx-and-ps")
	seen := filepath.Join(s.Nginx.Dir, "ps")
	rig.WriteFile(t, nginx, "#!/bin/sh\ncat /proc/[0-9]*/cmdline >>"+seen+" 2>/dev/null\nexec "+strings.Join(s.Nginx.Args(), " ")+" \"$@\"\n")
	rig.Check(t, os.Chmod(nginx, 0o755))
	s.Configure(t, rig.Settings{Test: []string{nginx, "-t"}})
	s.EditConfig(t, "page_url", "audit_log = \""+s.Nginx.Dir+"/audit.jsonl\"\nmetrics_file = \""+s.Nginx.Dir+"/metrics.prom\"\non_change = [\"sh\", \"-c\", \"env; cat\"]\npage_url")
	s.Install(t)
	gate := s.StartGate(t)
	said := ""
	for _, args := range [][]string{
		{"publish"}, {"set", "admin"}, {"get", "--json"}, {"doctor", "--json"}, {"secret", "init"}, {"render"}, {"reconcile"},
		{"set", "offline", "--json"}, {"history", "--json"}, {"set", "online"},
	} {
		r := s.CLI(t, args...).Want(t, 0)
		said += r.Stdout + r.Stderr
	}
	token := rig.AdminToken(s.Blocks[0].Secret)
	s.Client().Do(t, rig.GraphQL(s.URL).With("Authorization: Bearer "+token))
	said += gate.Output(t) + rig.ReadFile(t, seen)
	rig.Check(t, filepath.WalkDir(s.Nginx.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		if info, err := e.Info(); err != nil || info.Mode()&0o004 == 0 {
			return err
		}
		said += rig.ReadFile(t, path)
		return nil
	}))
	if !strings.Contains(said, filepath.Base(rig.Binary(t))+"\x00set\x00admin") {
		t.Error("the processes were not seen")
	}
	for _, secret := range []string{s.Blocks[0].Secret, token, "eyJ"} {
		if strings.Contains(said, secret) {
			t.Errorf("a secret is in sight: %.20s…", secret)
		}
	}
}

// What root reads, root alone may write, whatever the umask is.
func TestFilesOfRoot(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.EditConfig(t, "page_url", "audit_log = \""+s.State+"/audit.jsonl\"\nmetrics_file = \""+s.State+"/metrics.prom\"\npage_url")
	careless := []string{"sh", "-c", `umask 0; exec "$@"`, "sh"}
	run := func(args ...string) { s.Call(t, rig.Call{Before: careless, Args: args}).Want(t, 0) }
	run("render")
	s.WriteNginx(t)
	s.Nginx.Start(t)
	s.StartGate(t)
	run("publish")
	for _, mode := range []string{"offline", "admin", "online"} {
		run("set", mode)
		run("reconcile")
		for _, root := range []string{s.ConfDir, s.State} {
			rig.Check(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				info, err := e.Info()
				if err != nil {
					return err
				}
				if owner := info.Sys().(*syscall.Stat_t).Uid; info.Mode()&0o022 != 0 || int(owner) != os.Geteuid() {
					t.Errorf("%s: %s is %v, of user %d", mode, path, info.Mode(), owner)
				}
				return nil
			}))
		}
	}
}

// Whoever can write to the store can say that a site is open; it isn't, and reconcile says so again.
func TestStatusOpensNothing(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	s.CLI(t, "publish").Want(t, 0)
	s.CLI(t, "set", "offline").Want(t, 0)
	truth := s.Published(t, "demo")
	lie := strings.Replace(truth, `"offline"`, `"online"`, 1)
	if lie == truth {
		t.Fatalf("no mode in %s", truth)
	}
	rig.WriteFile(t, s.StatusFile(), lie)
	closed := func() {
		t.Helper()
		if got := s.Client().Do(t, rig.GraphQL(s.URL)).Status; got != 503 {
			t.Errorf("the site answers %d", got)
		}
	}
	closed()
	s.CLI(t, "get").Want(t, 5)
	s.CLI(t, "reconcile").Want(t, 0)
	closed()
	if d := rig.ParseStatus(t, s.Published(t, "demo")); string(d.Mode) != "offline" {
		t.Errorf("visitors are told %s", d.Mode)
	}
}
