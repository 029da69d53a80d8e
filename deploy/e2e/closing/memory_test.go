package closing

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/memory"
)

// A configuration that nginx has read once isn't read again before a closing. It makes no difference to what is found.

// elsewhere is a server {} of somebody else's with a few bytes to spare, which leads to a port.
func elsewhere(t *testing.T, listen, to int) string {
	return fmt.Sprintf("server { listen 127.0.0.1:%d; location / { proxy_pass http://127.0.0.1:%d; } }\n", listen, to)
}

// TestKnownConfigurationHidesNoHole closes a site once, so that its nginx's configuration is known, and then makes a
// hole in it. The time and the size of a file say nothing of that.
func TestKnownConfigurationHidesNoHole(t *testing.T) {
	t.Parallel()
	long := time.Now().Add(-time.Hour)
	aged := func(t *testing.T, path, content string) {
		t.Helper()
		rig.WriteFile(t, path, content)
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
	}
	s := rig.NewSingle(t)
	listen, other, app := rig.Port(t), rig.Port(t), s.Blocks[0].App.Port
	harmless, hole := elsewhere(t, listen, other), elsewhere(t, listen, app)
	enabled, available := s.Enabled("other.conf"), filepath.Join(s.Nginx.Dir, "sites-available")
	aged(t, enabled, harmless)
	aged(t, filepath.Join(available, "link.conf"), "# "+harmless)
	aged(t, filepath.Join(available, "hole.conf"), hole)
	if err := os.Symlink("../sites-available/link.conf", s.Enabled("link.conf")); err != nil {
		t.Fatal(err)
	}
	s.Install(t)
	closed := func(t *testing.T) {
		t.Helper()
		s.CLI(t, "set", "offline").Want(t, 0)
		s.CLI(t, "set", "online").Want(t, 0)
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(t *testing.T) (undo func() error){
		"a file was edited, and has its old time": func(t *testing.T) func() error {
			aged(t, enabled, hole)
			return func() error { aged(t, enabled, harmless); return nil }
		},
		"another file took its place, with its time and size": func(t *testing.T) func() error {
			aged(t, enabled+".new", hole)
			must(t, os.Rename(enabled+".new", enabled))
			return func() error { aged(t, enabled, harmless); return nil }
		},
		"a file is new": func(t *testing.T) func() error {
			aged(t, s.Enabled("new.conf"), hole)
			return func() error { return os.Remove(s.Enabled("new.conf")) }
		},
		"a link is new": func(t *testing.T) func() error {
			must(t, os.Symlink("../sites-available/hole.conf", s.Enabled("new.conf")))
			return func() error { return os.Remove(s.Enabled("new.conf")) }
		},
		"a link leads elsewhere": func(t *testing.T) func() error {
			must(t, os.Remove(s.Enabled("link.conf")))
			must(t, os.Symlink("../sites-available/hole.conf", s.Enabled("link.conf")))
			return func() error {
				return os.Remove(s.Enabled("link.conf"))
			}
		},
		"what a link leads to was edited": func(t *testing.T) func() error {
			must(t, os.Symlink("../sites-available/link.conf", s.Enabled("link2.conf")))
			closed(t)
			aged(t, filepath.Join(available, "link.conf"), hole)
			return func() error {
				aged(t, filepath.Join(available, "link.conf"), "# "+harmless)
				return os.Remove(s.Enabled("link2.conf"))
			}
		},
		"the main file includes one more": func(t *testing.T) func() error {
			main, err := os.ReadFile(s.Nginx.Conf)
			must(t, err)
			rig.WriteFile(t, s.Nginx.Conf, strings.Replace(string(main), "include sites-enabled/*.conf;", "include sites-enabled/*.conf; include sites-available/hole.conf;", 1))
			return func() error { rig.WriteFile(t, s.Nginx.Conf, string(main)); return nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			closed(t)
			undo := change(t)
			r := s.CLI(t, "set", "offline").Want(t, 1)
			if !strings.Contains(r.Stderr, fmt.Sprintf("leads to 127.0.0.1:%d", app)) {
				t.Errorf("the hole isn't named:\n%s", r.Stderr)
			}
			if _, err := os.Stat(s.ClosedFile()); err == nil {
				t.Error("the site was shut")
			}
			must(t, undo())
		})
	}
}

// TestKnownConfigurationIsNotReadAgain has a configuration that nginx has passed, and would not pass again: its
// certificate's key is gone. So it shows whether nginx was asked.
func TestKnownConfigurationIsNotReadAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	const secret = "s3cr3t-of-the-operators"
	n := rig.NewNginx(t)
	original := n.Args()[0]
	n.Program = filepath.Join(n.Dir, "nginx")
	install := func() {
		t.Helper()
		program, err := os.ReadFile(original)
		if err != nil {
			t.Fatal(err)
		}
		rig.WriteFile(t, n.Program+".new", string(program))
		if err := os.Chmod(n.Program+".new", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(n.Program+".new", n.Program); err != nil {
			t.Fatal(err)
		}
	}
	install()
	rig.NewCertificate(t, filepath.Join(n.Dir, "tls"), rig.Hostname)
	key := filepath.Join(n.Dir, "tls", "privkey.pem")
	enabled := filepath.Join(n.Dir, "sites-enabled", "one.conf")
	rig.WriteFile(t, enabled, "map $uri $key { default "+secret+"; }\n")
	n.Configure(t, fmt.Sprintf("    include sites-enabled/*.conf;\n    include sites-enabled/none/*.conf;\n"+
		"    server { listen 127.0.0.1:%d ssl; ssl_certificate tls/fullchain.pem; ssl_certificate_key tls/privkey.pem; }\n", rig.Port(t)))
	n.Start(t)
	host := memory.Nginx{Nginx: control.Nginx{TestCommand: n.Args("-t"), PIDFile: n.PIDFile()}, File: filepath.Join(n.Dir, "nginx.json")}
	remember := func() {
		t.Helper()
		if err := host.Test(ctx); err != nil {
			t.Fatal(err)
		}
	}
	// asked reports whether nginx is asked for its configuration, and looks whether what is known instead is what it says.
	asked := func(host memory.Nginx) bool {
		t.Helper()
		plain := host
		plain.File = ""
		want, err := plain.Config(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(key, key+".gone"); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := os.Rename(key+".gone", key); err != nil {
				t.Fatal(err)
			}
		}()
		got, err := host.Config(ctx)
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("it is said to be\n%+v\nbut is\n%+v", got, want)
		}
		return err != nil
	}
	remember()
	data, err := os.ReadFile(host.File)
	if err != nil || strings.Contains(string(data), secret) {
		t.Errorf("it holds what stands in the configuration (%v):\n%s", err, data)
	}
	if info, err := os.Stat(host.File); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read it: %v, %v", info.Mode(), err)
	}
	edit := func(path, content string) func() {
		return func() { rig.WriteFile(t, path, content) }
	}
	memory := string(data)
	for _, tt := range []struct {
		name   string
		change func()
		asks   bool
	}{
		{"nothing", func() {}, false},
		{"a file is hidden", edit(filepath.Join(n.Dir, "sites-enabled", ".hidden.conf"), "nothing"), false},
		{"a file has another name", edit(filepath.Join(n.Dir, "sites-enabled", "one.conf~"), "nothing"), false},
		{"the times of a file", func() { _ = os.Chtimes(enabled, time.Now(), time.Now()) }, false},
		{"a word", edit(enabled, "map $uri $key { default "+strings.ToUpper(secret)+"; }\n"), true},
		{"an empty file more", edit(filepath.Join(n.Dir, "sites-enabled", "two.conf"), ""), true},
		{"a file in a directory that wasn't there", edit(filepath.Join(n.Dir, "sites-enabled", "none", "a.conf"), ""), true},
		{"a file less", func() { _ = os.Remove(filepath.Join(n.Dir, "sites-enabled", "two.conf")) }, true},
		{"a memory that is cut off", func() { edit(host.File, memory[:len(memory)/2])() }, true},
		{"an empty memory", edit(host.File, ""), true},
		{"a memory of nothing", edit(host.File, "{}"), true},
		{"a memory of the future", edit(host.File, strings.Replace(memory, `"version":2`, `"version":3`, 1)), true},
		{"a memory of no files", edit(host.File, memory[:strings.Index(memory, `"files"`)]+`"files":[],"includes":[],"config":{}}`), true},
		{"a memory of no configuration", edit(host.File, memory[:strings.Index(memory, `,"config"`)]+"}"), true},
		{"a memory of another conforma-status", edit(host.File, strings.Replace(memory, `"reader":"`, `"reader":"/other`, 1)), true},
		{"another program, not running yet", install, true},
	} {
		remember()
		if tt.asks && asked(host) {
			t.Fatalf("%s: nginx is asked before anything has changed", tt.name)
		}
		tt.change()
		if got := asked(host); got != tt.asks {
			t.Errorf("%s: nginx is asked: %v, want %v", tt.name, got, tt.asks)
		}
	}
	remember() // by a program that isn't running: nothing
	if !asked(host) {
		t.Error("nginx isn't asked although another program runs")
	}
	n.Stop(t)
	n.Start(t)
	remember()
	if asked(host) {
		t.Error("nginx is asked although the new program runs")
	}
	other := host
	other.TestCommand = n.Args("-g", "worker_rlimit_nofile 1000;", "-t")
	if !asked(other) {
		t.Error("nginx isn't asked although its arguments are others")
	}
	wrapped := host
	wrapped.TestCommand = append([]string{"env"}, n.Args("-t")...)
	if err := wrapped.Test(ctx); err != nil {
		t.Fatal(err)
	}
	if !asked(wrapped) {
		t.Error("nginx isn't asked although who knows what the command does")
	}
	n.Stop(t)
	if !asked(host) {
		t.Error("nginx isn't asked although none runs")
	}
}
