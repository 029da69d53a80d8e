package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// bare is a host to which conforma-status hasn't come yet, with ten server blocks in one file, as Conforma's demo
// server has them.
type bare struct {
	*rig.Host
	t       *testing.T
	config  string
	servers string // the one file
	bin     string // has an nginx that runs this one
}

const bareServers = `server {
    listen 127.0.0.1:%[1]d; # managed by Certbot
    server_name %[2]s.example.test;
    error_page 497 301 =307 https://$host:%[1]d$request_uri;
    location / {
        proxy_pass http://127.0.0.1:%[3]d/;
    }
}
`

func newBare(t *testing.T) *bare {
	t.Helper()
	h := &bare{Host: &rig.Host{Nginx: rig.NewNginx(t)}, t: t}
	dir := h.Nginx.Dir
	h.config, h.servers, h.bin = filepath.Join(dir, "etc", "config.toml"), filepath.Join(dir, "sites-available", "default"), filepath.Join(dir, "bin")
	h.Config = h.config
	var b strings.Builder
	for i := range 8 {
		fmt.Fprintf(&b, bareServers, rig.Port(t), fmt.Sprintf("demo%d", i), 18000+i)
	}
	fmt.Fprintf(&b, bareServers, rig.Port(t), "grafana", 3000)
	fmt.Fprintf(&b, bareServers, rig.Port(t), "demo0", 18000) // a second way to the first
	rig.WriteFile(t, h.servers, b.String())
	if err := os.Mkdir(filepath.Join(dir, "sites-enabled"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(h.servers, filepath.Join(dir, "sites-enabled", "default")); err != nil {
		t.Fatal(err)
	}
	h.Nginx.Configure(t, "    include sites-enabled/*;\n")
	rig.WriteFile(t, filepath.Join(h.bin, "nginx"), "#!/bin/sh\nexec "+strings.Join(h.Nginx.Args(), " ")+" \"$@\"\n")
	if err := os.Chmod(filepath.Join(h.bin, "nginx"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.Nginx.Start(t)
	return h
}

func (h *bare) init(before []string, args ...string) rig.Result {
	h.t.Helper()
	return h.Call(h.t, rig.Call{
		Before: before, Env: []string{"PATH=" + h.bin + ":" + os.Getenv("PATH")},
		Args: append([]string{"init", "--env-files", filepath.Join(h.Nginx.Dir, "env_files", "*.env")}, args...),
	})
}

// files are all that init may change.
func (h *bare) files() map[string]string {
	h.t.Helper()
	all := map[string]string{}
	for _, path := range []string{h.Nginx.Conf, h.servers, h.config, filepath.Join(h.Nginx.Dir, "conforma-status")} {
		err := filepath.WalkDir(path, func(path string, d os.DirEntry, err error) error {
			if os.IsNotExist(err) || err == nil && d.IsDir() {
				return nil
			}
			if err != nil {
				return err
			}
			data, err := os.ReadFile(path)
			info, unseen := os.Lstat(path)
			if err != nil || unseen != nil {
				return fmt.Errorf("%w %w", err, unseen)
			}
			all[path] = fmt.Sprint(info.Mode(), info.Sys().(*syscall.Stat_t).Uid, "\n", string(data))
			return nil
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	return all
}

func (h *bare) unchanged(what string, before map[string]string) {
	h.t.Helper()
	if after := h.files(); fmt.Sprint(after) != fmt.Sprint(before) {
		h.t.Errorf("%s: something has changed:\n%v\n%v", what, before, after)
	}
}

// TestInitTenServers in one file, which sites-enabled has a link to: each application is a site, the Grafana is none,
// and nginx's file keeps its link, owner and mode.
func TestInitTenServers(t *testing.T) {
	t.Parallel()
	h := newBare(t)
	if err := os.Chmod(h.servers, 0o640); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(h.servers, rig.Nobody, rig.Nobody); err != nil {
			t.Fatal(err)
		}
	}
	before := h.files()
	r := h.init(nil).Want(t, 0)
	h.unchanged("to look at", before)
	for _, text := range []string{
		"name      = \"demo0\"    # GUESSED", "# GUESSED: a Grafana, by its port or its name", "# name      = \"grafana\"",
		"upstreams = [\"127.0.0.1:18007\"]    # GUESSED", "sites-available/default:1: include ", "# store    =",
	} {
		if has := strings.Contains(r.Stdout, text) || strings.Contains(r.Stdout, strings.ReplaceAll(text, "sites-available", "sites-enabled")); has == (text == "# store    =") {
			t.Errorf("%q: %v\n%s", text, has, r.Stdout)
		}
	}
	h.init(nil, "--write").Want(t, 0)
	h.init(nil, "--write").Want(t, 1) // there is one now
	data, err := os.ReadFile(h.servers)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), "include "); n != 9 || strings.Count(string(data), "sites/demo0.conf;") != 2 {
		t.Errorf("%d include lines in\n%s", n, data)
	}
	info, err := os.Stat(h.servers)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); info.Mode() != 0o640 || os.Geteuid() == 0 && st.Uid != rig.Nobody {
		t.Errorf("nginx's file is of user %d and mode %v", st.Uid, info.Mode())
	}
	if link, err := os.Lstat(filepath.Join(h.Nginx.Dir, "sites-enabled", "default")); err != nil || link.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link is %v (%v)", link, err)
	}
	args := h.Nginx.Args("-t")
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Errorf("nginx doesn't take it: %v\n%s", err, out)
	}
}

// TestInitAfterEditing adds what is missing to a configuration that was edited by hand, and --undo takes back whatever
// --write did, but not what others did, and nothing while a site is closed.
func TestInitAfterEditing(t *testing.T) {
	t.Parallel()
	h := newBare(t)
	before := h.files()
	says := func(r rig.Result, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(r.Stdout+r.Stderr, text) {
				t.Errorf("it doesn't say %q:\n%s%s", text, r.Stdout, r.Stderr)
			}
		}
	}
	edit := func(path string, pairs ...string) {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer(pairs...).Replace(string(data))
		if text == string(data) {
			t.Fatalf("nothing is edited in %s:\n%s", path, text)
		}
		rig.WriteFile(t, path, text)
	}
	says(h.init(nil, "--undo").Want(t, 1), "there is nothing that init --write has put in place", "hint: ")
	says(h.init(nil, "--undo", "--write").Want(t, 2), "cannot be used together")

	// Unedited, everything is as it was.
	h.init(nil, "--write").Want(t, 0)
	says(h.init(nil, "--undo").Want(t, 0), "sites/demo0.conf", "as it was", "next: nginx -s reload")
	h.unchanged("taken back", before)

	// A name that was changed by hand, and a server that came later.
	h.init(nil, "--write").Want(t, 0)
	edit(h.config, `"demo3" `, `"angola" `, "store    = \"dir:/var/www/maintenance\"", fmt.Sprintf("state_dir = %q\nstore = \"dir:%s/store\"", h.Nginx.Dir+"/state", h.Nginx.Dir))
	late := fmt.Sprintf(bareServers, rig.Port(t), "late", 18004)
	edit(h.servers, "demo3.example.test;", "demo3.example.test; # edited", "    location / {\n        proxy_pass http://127.0.0.1:18001/;", "    # also edited\n    location / {\n        proxy_pass http://127.0.0.1:18001/;")
	data, err := os.ReadFile(h.servers)
	if err != nil {
		t.Fatal(err)
	}
	rig.WriteFile(t, h.servers, string(data)+late)
	config := h.files()[h.config]
	says(h.init(nil, "--write").Want(t, 0), "is left as it is", "sites/demo4.conf;")
	if h.files()[h.config] != config {
		t.Error("the configuration was changed")
	}
	data, err = os.ReadFile(h.servers)
	if err != nil || strings.Count(string(data), "sites/demo4.conf;") != 2 || strings.Count(string(data), "sites/angola.conf;") != 1 || strings.Contains(string(data), "sites/demo3.conf;") {
		t.Errorf("(%v)\n%s", err, data)
	}
	says(h.init(nil, "--write").Want(t, 1), "no include line is missing")

	// Closed: taking its rules away would open it.
	args := h.Nginx.Args("-s", "reload")
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.MkdirAll(filepath.Join(h.Nginx.Dir, "state", "sites", "angola"), 0o755); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(h.Nginx.Dir, "state", "sites", "angola", "closed")
	rig.WriteFile(t, closed, "")
	all := h.files()
	says(h.init(nil, "--undo").Want(t, 1), "angola is closed: without its rules nginx would open it", "hint: open it first")
	h.unchanged("closed", all)
	if err := os.Remove(closed); err != nil {
		t.Fatal(err)
	}

	// What was edited stays edited.
	says(h.init(nil, "--undo").Want(t, 0), "was edited since, and stays")
	data, err = os.ReadFile(h.servers)
	if err != nil || strings.Contains(string(data), "include ") || !strings.Contains(string(data), "# edited") || !strings.Contains(string(data), "# also edited") {
		t.Errorf("(%v)\n%s", err, data)
	}
	if left := fmt.Sprint(h.files()); strings.Contains(left, "angola.conf") || strings.Contains(left, "demo4.conf") {
		t.Errorf("these are left: %v", left)
	}
	args = h.Nginx.Args("-t")
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Errorf("nginx doesn't take it: %v\n%s", err, out)
	}
}

// TestInitKilled at any of the files that it writes, it leaves an nginx that starts, and the next call does the rest.
func TestInitKilled(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal(err)
	}
	for n := 1; ; n++ {
		h := newBare(t)
		// Each file is put in place by a rename, and strace ends the program in the nth of one of its threads.
		inject := fmt.Sprintf("inject=renameat,renameat2,rename:signal=KILL:when=%d", n)
		r := h.init([]string{"strace", "-f", "-o", "/dev/null", "-e", "trace=renameat,renameat2,rename", "-e", inject}, "--write")
		args := h.Nginx.Args("-t")
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Errorf("killed at file %d: nginx wouldn't start: %v\n%s", n, err, out)
		}
		if r.Code == 0 {
			if n < 5 { // fifteen in all: eight sites' rules, http.conf, two files of nginx's, their copies, what was written, the configuration
				t.Errorf("it ended after %d files", n)
			}
			return
		}
		if _, err := os.Stat(h.config); err == nil { // killed behind the last rename
			continue
		}
		h.init(nil, "--write").Want(t, 0)
		data, err := os.ReadFile(h.servers)
		if err != nil || strings.Count(string(data), "include ") != 9 {
			t.Errorf("killed at file %d, and called again: %v\n%s", n, err, data)
		}
	}
}

// TestInitRefuses: wherever it can't be done, everything is as it was, and a hint says what to do.
func TestInitRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		script string // that becomes init, in namespaces of its own
		says   []string
	}{
		{"nginx's files are on a read-only disk", `mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift 3 && exec "$@"`,
			[]string{"read-only file system", "hint: that file system is mounted read-only"}},
		{"nginx's file is a mount of its own", `mount --bind "$2" "$2" && shift 3 && exec "$@"`,
			[]string{"device or resource busy", "hint: the file is a mount point of its own"}},
		{"the configuration's directory is on a read-only disk", `mkdir -p "$3" && mount --bind "$3" "$3" && mount -o remount,ro,bind "$3" && shift 3 && exec "$@"`,
			[]string{"read-only file system", "hint: that file system is mounted read-only"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newBare(t)
			before := h.files()
			flags := "-m"
			if os.Geteuid() != 0 {
				flags = "-rm"
			}
			r := h.init([]string{"unshare", flags, "sh", "-c", c.script, "sh", filepath.Dir(h.servers), h.servers, filepath.Dir(h.config)}, "--write").Want(t, 1)
			for _, text := range c.says {
				if !strings.Contains(r.Stderr, text) {
					t.Errorf("it doesn't say %q:\n%s", text, r.Stderr)
				}
			}
			h.unchanged(c.name, before)
		})
	}
	t.Run("an ordinary user", func(t *testing.T) {
		t.Parallel()
		h := newBare(t)
		before := h.files()
		var as []string
		if os.Geteuid() == 0 {
			as = []string{"setpriv", "--reuid", fmt.Sprint(rig.Nobody), "--regid", fmt.Sprint(rig.Nobody), "--clear-groups"}
		}
		if err := os.Chmod(filepath.Dir(h.servers), 0o555); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(h.Nginx.Dir, 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(filepath.Dir(h.servers), 0o755); _ = os.Chmod(h.Nginx.Dir, 0o755) })
		if r := h.init(as, "--write").Want(t, 1); !strings.Contains(r.Stderr, "hint: ") || !strings.Contains(r.Stderr, "run it as root (sudo)") {
			t.Errorf("it says\n%s", r.Stderr)
		}
		h.unchanged("an ordinary user", before)
	})
}

// TestSecretInitRefuses where it can't write, or isn't the one who may: the file is as it was, and a hint says what to
// do.
func TestSecretInitRefuses(t *testing.T) {
	t.Parallel()
	const without = "PORT=8000\n"
	unshare := []string{"unshare", "-m"}
	if os.Geteuid() != 0 {
		unshare[1] = "-rm"
	}
	nobody := fmt.Sprint(rig.Nobody)
	for _, c := range []struct {
		name   string
		before func(dir string) []string
		mode   os.FileMode
		code   int
		says   []string
	}{
		{"a read-only disk", func(dir string) []string {
			return append(unshare, "sh", "-c", `mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"`, "sh", dir)
		}, 0o600, 1, []string{"read-only file system", "hint: that file system is mounted read-only"}},
		{"another user's file", func(string) []string {
			return []string{"setpriv", "--reuid", nobody, "--regid", nobody, "--clear-groups"}
		}, 0o600, 2, []string{"permission denied", "hint: let the user who runs this read"}},
		{"another user's directory", func(string) []string {
			return []string{"setpriv", "--reuid", nobody, "--regid", nobody, "--clear-groups"}
		}, 0o644, 1, []string{"permission denied", "hint: run it as root (sudo)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := rig.NewSingle(t)
			env := h.EnvFile(rig.SingleSite)
			rig.WriteFile(t, env, without)
			before := c.before(filepath.Dir(env))
			if err := os.Chmod(env, c.mode); err != nil {
				t.Fatal(err)
			}
			if os.Geteuid() != 0 && before[0] == "setpriv" { // then we are that user
				before = nil
				modes := map[os.FileMode]os.FileMode{0o600: 0, 0o644: 0o444}
				if err := os.Chmod(env, modes[c.mode]); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(filepath.Dir(env), 0o555); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = os.Chmod(filepath.Dir(env), 0o755) })
			}
			r := h.Call(t, rig.Call{Before: before, Args: []string{"secret", "init"}}).Want(t, c.code)
			for _, text := range c.says {
				if !strings.Contains(r.Stderr, text) {
					t.Errorf("it doesn't say %q:\n%s", text, r.Stderr)
				}
			}
			if err := os.Chmod(env, 0o600); err != nil {
				t.Fatal(err)
			}
			if data, err := os.ReadFile(env); err != nil || string(data) != without {
				t.Errorf("the env file is %q (%v)", data, err)
			}
		})
	}
}
