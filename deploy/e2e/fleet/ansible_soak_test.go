//go:build soak

package fleet

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakAnsible: the handbook's playbook closes hosts that follow no switch, and ends where one isn't safe.
func TestSoakAnsible(t *testing.T) {
	t.Parallel()
	dir := rig.Dir(t)
	inventory, hosts := "[app]\n", []*rig.Single{rig.NewSingle(t), rig.NewSingle(t)}
	for i, h := range hosts {
		h.Install(t)
		// What each host has of its own: the playbook runs all on this machine.
		python := filepath.Join(h.Nginx.Dir, "python")
		rig.WriteFile(t, python, fmt.Sprintf("#!/bin/sh\nexport CONFORMA_STATUS_CONFIG=%s PATH=%s:$PATH\nexec python3 \"$@\"\n",
			h.Config, filepath.Dir(os.Getenv("CONFORMA_STATUS_BIN"))))
		rig.Check(t, os.Chmod(python, 0o755))
		inventory += fmt.Sprintf("app-%d ansible_connection=local ansible_python_interpreter=%s\n", i+1, python)
	}
	next := filepath.Join(dir, "next")
	playbook, list := filepath.Join(dir, "close.yml"), filepath.Join(dir, "inventory")
	rig.WriteFile(t, playbook, rig.HandbookBlock(t, "Several hosts, one switch", "yaml")+"    - command: touch "+next+"\n")
	rig.WriteFile(t, list, inventory)
	play := func() (said string, err error) {
		cmd := exec.Command("ansible-playbook", "-i", list, playbook)
		cmd.Dir = dir
		cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "ANSIBLE_NOCOLOR=1", "ANSIBLE_NOCOWS=1"}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	answers := func() string {
		return fmt.Sprint(hosts[0].Client().Get(t, "/").Status, hosts[1].Client().Get(t, "/").Status)
	}

	broken := hosts[1].Enabled("broken.conf")
	rig.WriteFile(t, broken, "nonsense;\n")
	said, err := play()
	if _, there := os.Stat(next); err == nil || there == nil || !strings.Contains(said, "NO MORE HOSTS LEFT") || answers() != "503 503" {
		t.Errorf("with an nginx that is broken: %v, the hosts answer %s\n%s", err, answers(), said)
	}
	rig.Check(t, os.Remove(broken))
	said, err = play()
	if _, there := os.Stat(next); err != nil || there != nil || answers() != "503 503" {
		t.Errorf("%v, the hosts answer %s\n%s", err, answers(), said)
	}
}
