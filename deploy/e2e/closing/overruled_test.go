package closing

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

func TestSomebodyElsesClosingOutlastsRun(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	other := fmt.Sprintf("%s --config %s set offline --reason 'mine too'", rig.Binary(t), s.Config)
	r := s.CLI(t, "run", "--mode", "offline", "--", "sh", "-c", other).Want(t, 1)
	if !strings.Contains(r.Stderr, "somebody else has set its mode since") || !strings.Contains(r.Stderr, "hint:") {
		t.Errorf("doesn't say why it stays closed: %s", r.Stderr)
	}
	if r := s.Client().Do(t, rig.Post()); r.Status != 503 {
		t.Errorf("the site was opened: %d", r.Status)
	}
}

func TestAClosingOverrulesAnInterruptedOpening(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	s.CLI(t, "set", "offline").Want(t, 0)
	s.Call(t, rig.Call{Binary: rig.CrashBinary(t), Env: []string{"CONFORMA_STATUS_CRASH=before:open"}, Args: []string{"set", "online"}})
	if r := s.CLI(t, "publish"); r.Code != 1 || !strings.Contains(r.Stderr, "interrupted") {
		t.Errorf("publishes in the middle of a change: exit %d, %s", r.Code, r.Stderr)
	}
	before := s.App.Count()
	r := s.CLI(t, "set", "offline", "--verbose").Want(t, 0)
	if strings.Contains(r.Stderr, "let people in") {
		t.Errorf("opened the site first: %s", r.Stderr)
	}
	if r := s.Client().Do(t, rig.Post()); r.Status != 503 || s.App.Count() != before {
		t.Errorf("the site is open: %d", r.Status)
	}
	s.CLI(t, "get").Want(t, 0)
}

func TestAdminAfterAnUnsafeClosingDrainsAgain(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	conn := halfSent(t, s)
	s.CLI(t, "set", "offline", "--no-cut", "--drain", "0").Want(t, 4)
	s.CLI(t, "set", "admin", "--no-cut", "--drain", "0").Want(t, 4)
	before := s.App.Count()
	if r := s.Client().Do(t, rig.Post("Authorization: Bearer junk")); r.Status != 503 {
		t.Errorf("the site is open: %d", r.Status)
	}
	if _, err := os.Stat(s.ClosedFile()); err != nil {
		t.Errorf("the closed file is gone while something of before is left: %v", err)
	}
	// Visitors are told what holds, by the store and by nginx.
	told := func() []byte {
		data, err := os.ReadFile(s.StatusFile())
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if r := s.Client().Get(t, "/.conforma-status/status.json"); !bytes.Contains(told(), []byte(`"mode":"offline"`)) || r.Body != string(told()) {
		t.Errorf("published is %s, nginx says %s", told(), r.Body)
	}
	if r := s.CLI(t, "reconcile", "--drain", "0").Want(t, 0); strings.Contains(r.Stderr, rig.SingleSite) {
		t.Errorf("reconcile did something about what was to be left alone: %s", r.Stderr)
	}
	// What has to be mended is mended, and what was to be left alone still is.
	if err := os.WriteFile(s.Host.SiteFile(rig.SingleSite), []byte("# by hand\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := s.CLI(t, "reconcile", "--drain", "0"); r.Code != 4 || strings.Contains(r.Stderr, "cut 1") {
		t.Errorf("reconcile exited %d: %s", r.Code, r.Stderr)
	}
	if !conn.Alive(t) {
		t.Error("reconcile cut what was to be left alone")
	}
	conn.Close()
	s.CLI(t, "set", "admin", "--drain", "5m").Want(t, 0)
	if s.App.Count() != before {
		t.Error("a request of before reached the application")
	}
	if !bytes.Contains(told(), []byte(`"mode":"admin"`)) {
		t.Errorf("published is %s", told())
	}
}
