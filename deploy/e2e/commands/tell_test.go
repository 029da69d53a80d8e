package commands

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestTell has deploy/tell.sh, which the handbook's recipes are made of, tell a chat, a mailbox and a monitor.
func TestTell(t *testing.T) {
	t.Parallel()
	var got string // what the server was sent: path and body
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		rig.Check(t, err)
		got += r.URL.Path + " " + string(body)
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	rig.WriteFile(t, filepath.Join(dir, "bin", "sendmail"), "#!/bin/sh\necho \"$*\" >"+dir+"/mail; cat >>"+dir+"/mail\n")
	rig.Check(t, os.Chmod(filepath.Join(dir, "bin", "sendmail"), 0o755))
	for _, name := range []string{"slack", "teams", "pause", "resume"} {
		rig.WriteFile(t, filepath.Join(dir, name), "url = \""+server.URL+"/"+name+"\"\n")
	}
	tell := func(t *testing.T, code int, event, kind string, args ...string) string {
		t.Helper()
		got = ""
		cmd := exec.Command("../../tell.sh", args...)
		cmd.Env = []string{"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "CONFORMA_STATUS_EVENT=" + event, "CONFORMA_STATUS_TYPE=" + kind, "CONFORMA_STATUS_SITE=demo"}
		cmd.Stdin = strings.NewReader(`{"type":"` + kind + `","reason":"\"expectedUntil\":\"$(id)","seq":3,"expectedUntil":"2026-12-05T23:00:00Z","cut":0}` + "\n")
		if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != code {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		return got
	}
	file := func(name string) string { return filepath.Join(dir, name) }

	for kind, want := range map[string]string{
		"closed": "demo is closed for maintenance, until 2026-12-05T23:00:00Z.", "admin": "demo lets administrators in, until 2026-12-05T23:00:00Z.",
		"extended": "demo stays closed until 2026-12-05T23:00:00Z.", "opened": "demo is open again.",
		"overdue":   "demo is still closed, though its end was announced for 2026-12-05T23:00:00Z.",
		"scheduled": "A maintenance of demo is scheduled; it ends 2026-12-05T23:00:00Z.", "moved": "A maintenance of demo is moved; it ends 2026-12-05T23:00:00Z.",
		"cancelled": "A maintenance of demo is cancelled.", "missed": "A MAINTENANCE OF demo DID NOT BEGIN IN TIME.",
	} {
		if got := tell(t, 0, "change", kind, "slack", file("slack")); got != `/slack {"text":"`+want+`"}` {
			t.Errorf("%s: %s", kind, got)
		}
	}
	if got := tell(t, 0, "unsafe", "", "slack", file("slack")); !strings.Contains(got, "NOT SAFE") {
		t.Errorf("unsafe: %s", got)
	}
	if got := tell(t, 0, "change", "", "slack", file("slack")); got != "" {
		t.Errorf("nothing came of it: %s", got)
	}
	var card struct {
		Attachments []struct {
			Content struct{ Body []struct{ Text string } }
		}
	}
	_, body, _ := strings.Cut(tell(t, 0, "change", "opened", "teams", file("teams")), " ")
	if err := json.Unmarshal([]byte(body), &card); err != nil || card.Attachments[0].Content.Body[0].Text != "demo is open again." {
		t.Errorf("teams: %v %s", err, body)
	}
	tell(t, 0, "change", "opened", "mail", "ops@example.org")
	if mail := rig.ReadFile(t, file("mail")); mail != "-t\nTo: ops@example.org\nSubject: demo is open again.\n\ndemo is open again.\n" {
		t.Errorf("mail: %q", mail)
	}
	for kind, want := range map[string]string{"closed": "/pause ", "admin": "/pause ", "opened": "/resume ", "extended": "", "scheduled": ""} {
		if got := tell(t, 0, "change", kind, "monitor", file("pause"), file("resume")); got != want {
			t.Errorf("monitor, %s: %q", kind, got)
		}
	}
	for _, args := range [][]string{{}, {"slack"}, {"pager", "x"}, {"monitor", "x"}} {
		tell(t, 2, "change", "opened", args...)
	}
}
