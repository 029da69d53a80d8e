//go:build soak

package host

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakHandbookOfAContainer does what the handbook says of an nginx in a container, to the letter, and rehearses a
// window: each command has to exit with 0. What the handbook has below /etc, /var and /run is the test's own.
func TestSoakHandbookOfAContainer(t *testing.T) {
	t.Parallel()
	b := wire(t, netip.MustParseAddrPort("172.30.0.3:3000"))
	b.http = fmt.Sprintf("server { listen %d; server_name demo.example.org; location / { proxy_pass http://172.30.0.3:3000; } }\n", b.Blocks[0].Port)
	b.Nginx.MountConf = true
	b.start(t)
	included := filepath.Join(filepath.Dir(b.Nginx.Conf), "conforma-status")
	b.EditConfig(t, fmt.Sprintf("%q", b.ConfDir), fmt.Sprintf("%q", included))
	b.EditConfig(t, rig.Loopback(b.App.Port), "172.30.0.3:3000")
	b.byDocker(t)
	edited := filepath.Join(b.Nginx.Dir, "edited.toml")
	rig.Check(t, os.Rename(b.Config, edited))
	for name, script := range map[string]string{
		"conforma-status": "exec " + rig.Binary(t) + ` "$@"`,
		"sudoedit":        `grep -q GUESSED "$CONFORMA_STATUS_CONFIG" && cp ` + edited + ` "$CONFORMA_STATUS_CONFIG"`,
	} {
		rig.WriteFile(t, filepath.Join(b.bin(), name), "#!/bin/sh\n"+script+"\n")
		rig.Check(t, os.Chmod(filepath.Join(b.bin(), name), 0o755))
	}
	own := strings.NewReplacer("/etc/nginx/conforma-status", included, "/var/lib/conforma-status", b.State,
		"/run/conforma-status", filepath.Dir(b.Socket()), "/run/web", filepath.Dir(b.Nginx.PIDFile()))
	run := func(command string) string {
		t.Helper()
		argv := append(b.machine.Before(), "bash", "-c", own.Replace(command))
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env, cmd.Dir = append(b.Env(), "PATH="+b.bin()+":"+os.Getenv("PATH")), b.Nginx.Dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		return string(out)
	}
	site := "http://" + sitePublished + "/"
	get := func() int {
		t.Helper()
		resp, err := b.outside.Client().Get(site)
		rig.Check(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}

	for _, command := range handbookCommands(t, "nginx in a container") {
		run(command)
	}
	install := handbookCommands(t, "Install")
	for _, command := range install[slices.Index(install, "conforma-status secret init"):] {
		said := run(command)
		if command == "conforma-status secret init" {
			b.StartGate(t) // as systemd does when the first one asks
		}
		if command == "conforma-status doctor" && !strings.Contains(said, " 0 faults") {
			t.Errorf("the doctor isn't content:\n%s", said)
		}
	}
	if got := get(); got != 200 {
		t.Errorf("installed: the site answers %d", got)
	}
	for _, command := range handbookCommands(t, "Rehearse the first window") {
		said := run(command)
		if strings.HasPrefix(command, "conforma-status set offline") && !strings.HasSuffix(command, "--dry-run") {
			if got := get(); got != 503 || !strings.Contains(said, "safe to take a snapshot since ") {
				t.Errorf("rehearsed: the site answers %d\n%s", got, said)
			}
		}
	}
	if got := get(); got != 200 {
		t.Errorf("rehearsed: the site answers %d", got)
	}
}
