package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestRootWhomTheKernelRefuses has the kernel refuse a root what it refuses others, as a security module does: what is
// done then is not more than can be proved, and what is said helps.
func TestRootWhomTheKernelRefuses(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	s.CLI(t, "publish").Want(t, 0)
	offline := []string{"set", "offline", "--drain", "100ms", "--no-cut"}
	nginx := filepath.Join(s.Nginx.Dir, "refused-nginx")
	rig.WriteFile(t, nginx, "#!/bin/sh\n") // nobody may run it
	for _, c := range []struct {
		name   string
		closed bool
		args   []string
		spoil  func()
		code   int
		says   []string
	}{
		{"the rules can't be written", true, offline, func() { rig.Check(t, os.Chmod(filepath.Dir(s.SiteFile("demo")), 0o555)) }, 4,
			[]string{"put the rules in place: ", "permission denied", "hint: root may do that, so a security module"}},
		{"the journal can't be written", false, offline, func() { rig.Check(t, os.Chmod(s.State, 0o555)) }, 1,
			[]string{"write the journal: ", "permission denied", "hint: root may do that, so a security module"}},
		{"the store can't be written", true, offline, func() { rig.Check(t, os.Chmod(filepath.Dir(s.StatusFile()), 0o555)) }, 4,
			[]string{"not published yet: ", "permission denied", "hint: let the user that runs conforma-status write"}},
		{"nginx can't be run", true, offline, func() { s.Configure(t, rig.Settings{Test: []string{nginx, "-t"}}) }, 4,
			[]string{nginx, "permission denied", "hint: root may do that, so a security module"}},
		{"the secret can't be read", false, []string{"set", "admin"}, func() { rig.Check(t, os.Chmod(s.EnvFile("demo"), 0)) }, 2,
			[]string{"read the secret of demo: ", "permission denied", "hint: let the user who runs this read"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spoil()
			r := s.Call(t, rig.Call{Before: rig.Powerless(), Args: c.args})
			for path, mode := range map[string]os.FileMode{filepath.Dir(s.SiteFile("demo")): 0o755, s.State: 0o755, filepath.Dir(s.StatusFile()): 0o755, s.EnvFile("demo"): 0o600} {
				rig.Check(t, os.Chmod(path, mode))
			}
			s.Configure(t, rig.Settings{})
			r.Want(t, c.code)
			rig.Says(t, r, c.says...)
			if got := s.Client().Do(t, rig.GraphQL(s.URL)).Status == 503; got != c.closed {
				t.Errorf("closed: %v, want %v", got, c.closed)
			}
			s.CLI(t, "set", "online").Want(t, 0)
		})
	}
	if os.Geteuid() == 0 { // the workers of an ordinary user's nginx can be looked at by that user
		r := s.Call(t, rig.Call{Before: rig.Powerless(), Args: offline}).Want(t, 4)
		rig.Says(t, r, "NOT SAFE", "what nginx's workers hold can't be seen", "CAP_SYS_PTRACE")
	}
}

// TestNothingIsCalledSafeWithoutProc closes a site where there is no /proc to prove anything by: it is shut, and not
// called safe.
func TestNothingIsCalledSafeWithoutProc(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	s.CLI(t, "publish").Want(t, 0)
	if os.Geteuid() != 0 { // who is root in the namespace, where there is nobody else
		rig.WriteFile(t, s.Nginx.Conf, "user root root;\n"+rig.ReadFile(t, s.Nginx.Conf))
	}
	without := append(rig.AsRootWith("-m"), "sh", "-c", `mount -t tmpfs none /proc && exec "$@"`, "sh")
	r := s.Call(t, rig.Call{Before: without, Args: []string{"set", "offline"}}).Want(t, 4)
	rig.Says(t, r, "/proc doesn't show it", "hint: mount /proc", "demo is shut by its closed file")
	if got := s.Client().Do(t, rig.GraphQL(s.URL)).Status; got != 503 {
		t.Errorf("the site answers %d", got)
	}
	rig.Says(t, s.Call(t, rig.Call{Before: without, Args: []string{"doctor"}}).Want(t, 5), "nginx running", "-> mount /proc")
	s.CLI(t, "set", "offline").Want(t, 0) // with /proc it goes on
}

// TestNginxInAContainer runs the site's nginx in a container, with a docker that runs commands in there. Its
// configuration is in the container; the directories of ours, and that of the pid file, are in both. A second one,
// which counts its master as 1 too, is left alone.
func TestNginxInAContainer(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.CLI(t, "render").Want(t, 0)
	s.WriteNginx(t)
	neighbour := rig.NewNginx(t)
	neighbour.Configure(t, fmt.Sprintf("server { listen %s; return 204; }", rig.Loopback(rig.Port(t))))
	neighbour.StartContained(t, nil)
	inside := s.Nginx.StartContained(t, nil)
	bin := filepath.Join(s.Nginx.Dir, "bin")
	rig.WriteFile(t, filepath.Join(bin, "docker"), "#!/bin/sh\n[ \"$1 $2\" = 'exec web' ] || exit 125\nshift 2\nexec "+strings.Join(inside, " ")+" \"$@\"\n")
	rig.Check(t, os.Chmod(filepath.Join(bin, "docker"), 0o755))
	docker := func(args ...string) []string {
		return append([]string{"docker", "exec", "web"}, s.Nginx.Args(args...)...)
	}
	s.Configure(t, rig.Settings{Test: docker("-t"), Reload: docker("-s", "reload"), Site: `settled = ["true"]`})
	run := func(args ...string) rig.Result {
		t.Helper()
		return s.Call(t, rig.Call{Env: []string{"PATH=" + bin + ":" + os.Getenv("PATH")}, Args: args})
	}
	run("publish").Want(t, 0)
	gate := s.StartGate(t)
	if r := run("doctor").Want(t, 0); !strings.Contains(r.Stdout, " 0 warnings") {
		t.Errorf("the doctor isn't content:\n%s", r.Stdout)
	}
	for _, mode := range []string{"offline", "admin", "online"} {
		run("set", mode).Want(t, 0)
		run("get").Want(t, 0)
		if got := s.Client().Do(t, rig.GraphQL(s.URL)).Status == 503; got != (mode != "online") {
			t.Errorf("in %s the site is closed: %v", mode, got)
		}
	}
	gate.Kill(t)

	// "docker stop" sends nginx its own signal, and it takes its pid file with it.
	out, err := exec.Command(inside[0], append(inside[1:], "sh", "-c", "kill -QUIT 1")...).CombinedOutput()
	var ended *exec.ExitError
	// The kernel ends whoever else is in its namespace, this shell too if it still is (pid_namespaces(7)).
	if err != nil && (!errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL) {
		t.Fatalf("stop the container: %v\n%s", err, out)
	}
	rig.WaitFor(t, "the container to stop", func() bool { _, err := os.Stat(s.Nginx.PIDFile()); return os.IsNotExist(err) })
	r := run("set", "offline").Want(t, 4)
	rig.Says(t, r, "nginx is not running", "demo is shut by its closed file", "hint: start nginx")
}
