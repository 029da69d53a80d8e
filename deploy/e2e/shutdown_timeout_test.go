package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// withMain is a site whose nginx runs with a further line at the top of its configuration, and whose application is at work on a
// request that takes so many milliseconds.
func withMain(t *testing.T, line, slow string) *rig.Single {
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
	conn.Send(t, rig.Message{Method: "POST", Target: "/slow?ms=" + slow, Body: "{}"})
	rig.WaitFor(t, "the request to arrive", func() bool { return len(s.App.Open()) == 1 })
	return s
}

// TestNginxEndsOldWorkersItself has an nginx whose worker_shutdown_timeout ends what is waited for: the application goes on working on it.
func TestNginxEndsOldWorkersItself(t *testing.T) {
	t.Parallel()
	const text = "(worker_shutdown_timeout)"
	const cut = "NOT SAFE to take a snapshot: something was cut"
	t.Run("while it is waited for", func(t *testing.T) {
		t.Parallel()
		s := withMain(t, "worker_shutdown_timeout 1s;", "8000")
		r := s.CLI(t, "set", "offline", "--reason", "snapshot").Want(t, 4)
		says(t, r, cut, text)
		if len(s.App.Open()) != 1 {
			t.Error("the application was to be at work still")
		}
		says(t, s.CLI(t, "set", "offline").Want(t, 4), cut)
	})
	t.Run("afterwards", func(t *testing.T) {
		t.Parallel()
		s := withMain(t, "worker_shutdown_timeout 2s;", "8000")
		says(t, s.CLI(t, "set", "offline", "--no-cut", "--drain", "0").Want(t, 4), "2 still left", text)
		says(t, s.CLI(t, "set", "offline", "--drain", "3s").Want(t, 4), cut)
	})
	t.Run("since an earlier reload", func(t *testing.T) {
		t.Parallel()
		s := withMain(t, "worker_shutdown_timeout 2s;", "8000")
		args := s.Nginx.Args("-s", "reload")
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		rig.WaitFor(t, "old workers to leave", func() bool { return strings.Contains(s.Nginx.ErrorLog(t), "gracefully shutting down") })
		says(t, s.CLI(t, "set", "offline").Want(t, 4), cut)
	})
	for name, line := range map[string]string{"it ends by itself": "worker_shutdown_timeout 30;", "there is none": "worker_shutdown_timeout 0;"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := withMain(t, line, "500")
			r := s.CLI(t, "set", "offline").Want(t, 0)
			if strings.Contains(r.Stdout+r.Stderr, text) || len(s.App.Open()) != 0 {
				t.Errorf("a warning without need, or the application is still at work: %s", r.Stdout)
			}
		})
	}
}
