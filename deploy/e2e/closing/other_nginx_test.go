package closing

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

// halfSent opens a connection to the site and sends a request but for its last byte: nginx holds it back from the
// application until it is complete.
func halfSent(t *testing.T, s *rig.Single) *rig.Conn {
	t.Helper()
	conn := s.Client().Dial(t)
	conn.Send(t, rig.Message{Method: "POST", Target: "/server/graphql", Header: []string{"Content-Length: 3"}, Body: "{}"})
	conn.Taken(t)
	return conn
}

func TestNginxUnderAnotherName(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	original, err := os.ReadFile(s.Nginx.Args()[0])
	if err != nil {
		t.Fatal(err)
	}
	s.Nginx.Program = filepath.Join(s.Nginx.Dir, "nginx-debug")
	if err := os.WriteFile(s.Nginx.Program, original, 0o755); err != nil {
		t.Fatal(err)
	}
	s.Configure(t, rig.Settings{})
	s.NoBarrier(t)
	s.Install(t)
	master := s.Nginx.PID(t)
	conn := halfSent(t, s)
	defer conn.Close()
	before := s.App.Count()
	r := s.CLI(t, "set", "offline", "--drain", "300ms").Want(t, 4)
	if !strings.Contains(r.Stdout, "NOT SAFE") {
		t.Errorf("says of a cut connection: %s", r.Stdout)
	}
	if syscall.Kill(master, 0) != nil || s.Nginx.PID(t) != master {
		t.Error("the master was ended")
	}
	if s.App.Count() != before {
		t.Error("what was cut reached the application")
	}
}

func TestAProcessThatIsNotNginxProvesNothing(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	other := exec.Command("sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	// The reload reaches nginx by the pid file that its own configuration names.
	s.EditConfig(t, "pid_file = \""+s.Nginx.PIDFile()+"\"", "pid_file = \""+s.Nginx.PIDFile()+".wrong\"")
	rig.WriteFile(t, s.Nginx.PIDFile()+".wrong", fmt.Sprintln(other.Process.Pid))
	r := s.CLI(t, "set", "offline", "--drain", "300ms").Want(t, 4)
	if !strings.Contains(r.Stderr, "not nginx's master process") {
		t.Errorf("doesn't say what is wrong: %s", r.Stderr)
	}
	if r := s.Client().Do(t, rig.Post()); r.Status != 503 {
		t.Errorf("the site is not shut: %d", r.Status)
	}
}
