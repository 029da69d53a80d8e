package closing

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// withMain is a site whose nginx runs with a further line at the top of its configuration, and whose application is at
// work on a request until it is released.
func withMain(t *testing.T, line string) *rig.Single {
	t.Helper()
	s := rig.NewSingle(t)
	s.CLI(t, "render").Want(t, 0)
	s.WriteNginx(t)
	conf, err := os.ReadFile(s.Nginx.Conf)
	if err != nil {
		t.Fatal(err)
	}
	rig.WriteFile(t, s.Nginx.Conf, line+"\n"+string(conf))
	s.Nginx.Start(t)
	conn := s.Client().Dial(t)
	t.Cleanup(func() { conn.Close() })
	conn.Send(t, rig.Message{Method: "POST", Target: rig.HeldPath, Body: "{}"})
	rig.WaitFor(t, "the request to arrive", func() bool { return len(s.App.Open()) == 1 })
	return s
}

// stopped waits until nginx, whose workers were these before it was told to reload, has none of them left but the one
// with the request, which takes no more connections. It stops that one: its time goes on, but it can't see so before it
// goes on itself.
func stopped(t *testing.T, s *rig.Single, before []int) (worker int) {
	t.Helper()
	rig.WaitFor(t, "an old worker to leave", func() bool {
		all := children(t, s.Nginx.PID(t))
		old := slices.DeleteFunc(slices.Clone(all), func(pid int) bool { return !slices.Contains(before, pid) })
		if len(all) != 3 || len(old) != 1 || rig.Listens(t, old[0], s.Blocks[0].Port) {
			return false
		}
		worker = old[0]
		return true
	})
	rig.Halt(t, worker)
	return worker
}

// TestNginxEndsOldWorkersItself has an nginx whose worker_shutdown_timeout ends what is waited for: the application
// goes on working on it.
func TestNginxEndsOldWorkersItself(t *testing.T) {
	t.Parallel()
	const text = "(worker_shutdown_timeout)"
	const cut = "NOT SAFE: something was cut"
	// Long enough that a busy machine has halted the worker by then.
	const halted = "worker_shutdown_timeout 10s;"
	// The application never ends. A drain that outlasts nginx's time-out sees what nginx does, and need not be longer.
	const outlasts = "12s"
	t.Run("while it is waited for", func(t *testing.T) {
		t.Parallel()
		s := withMain(t, "worker_shutdown_timeout 1s;")
		r := s.CLI(t, "set", "offline", "--reason", "snapshot", "--drain", "5s").Want(t, 4)
		rig.Says(t, r, cut, text)
		if len(s.App.Open()) != 1 {
			t.Error("the application was to be at work still")
		}
		rig.Says(t, s.CLI(t, "set", "offline", "--drain", "0").Want(t, 4), cut)
	})
	t.Run("afterwards", func(t *testing.T) {
		t.Parallel()
		s := withMain(t, halted)
		before := workersOf(t, s.Nginx.PID(t))
		// The reload is over when we say so.
		over := filepath.Join(s.Nginx.Dir, "over")
		if err := syscall.Mkfifo(over, 0o600); err != nil {
			t.Fatal(err)
		}
		s.Configure(t, rig.Settings{Reload: []string{"sh", "-c", fmt.Sprintf("%s && cat %s", strings.Join(s.Nginx.Args("-s", "reload"), " "), over)}})
		set := s.Start(t, rig.Call{Args: []string{"set", "offline", "--no-cut", "--drain", "0"}})
		worker := stopped(t, s, before)
		if err := os.WriteFile(over, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		rig.Says(t, set.Wait(t).Want(t, 4), "1 request still left", text)
		kill(t, worker, syscall.SIGCONT)
		rig.WaitFor(t, "nginx to end its old worker", func() bool { return gone(worker) })
		s.Configure(t, rig.Settings{})
		rig.Says(t, s.CLI(t, "set", "offline", "--drain", "0").Want(t, 4), cut)
	})
	t.Run("since an earlier reload", func(t *testing.T) {
		t.Parallel()
		s := withMain(t, halted)
		before := workersOf(t, s.Nginx.PID(t))
		args := s.Nginx.Args("-s", "reload")
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		worker := stopped(t, s, before)
		set := s.Start(t, rig.Call{Args: []string{"set", "offline", "--drain", outlasts}})
		set.Says(t, "draining: 1 request,")
		kill(t, worker, syscall.SIGCONT)
		rig.Says(t, set.Wait(t).Want(t, 4), cut)
	})
	for name, line := range map[string]string{"it ends by itself": "worker_shutdown_timeout 1h;", "there is none": "worker_shutdown_timeout 0;"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := withMain(t, line)
			set := s.Start(t, rig.Call{Args: []string{"set", "offline"}})
			set.Says(t, "draining: ")
			s.App.Release()
			r := set.Wait(t).Want(t, 0)
			if strings.Contains(r.Stdout+r.Stderr, text) || len(s.App.Open()) != 0 {
				t.Errorf("a warning without need, or the application is still at work: %s", r.Stdout)
			}
		})
	}
}
