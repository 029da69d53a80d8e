package host

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"golang.org/x/tools/txtar"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// firstRelease is the commit that the first release was built from.
const firstRelease = "a2146c2"

// testdata/upgrade is made by
//
//	go test -run TestSaveReleased -save-released .
//
// from firstRelease, which has to be in the repository's history: it builds that release, brings a host into each
// state, and saves what the release keeps on disk, with words in the place of what differs from host to host.
var saveReleased = flag.Bool("save-released", false, "make testdata/upgrade anew")

func TestSaveReleased(t *testing.T) {
	if !*saveReleased {
		t.Skip("only with -save-released")
	}
	source := releasedSource(t)
	if source == "" {
		t.Fatalf("the repository has no commit %s", firstRelease)
	}
	binary := filepath.Join(rig.Dir(t), "conforma-status")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "crashpoints", "-o", binary, "./cmd/conforma-status")
	cmd.Dir = source
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the first release: %v\n%s", err, out)
	}
	for _, r := range releases {
		t.Run(r.name, func(t *testing.T) {
			o := oldHost{rig.NewSingle(t), binary}
			rig.WriteFile(t, o.Enabled("none.conf"), "")
			o.run(t, 0, "render")
			o.WriteNginx(t)
			o.Nginx.Start(t)
			r.leave(t, o)
			rig.WriteFile(t, filepath.Join("testdata", "upgrade", r.name+".txtar"), string(txtar.Format(saved(t, o.Single))))
		})
	}
}

// releasedSource is a directory with the source of the first release, "" where the repository doesn't have it: a
// shallow clone.
func releasedSource(t *testing.T) string {
	t.Helper()
	if exec.Command("git", "-C", "../../..", "cat-file", "-e", firstRelease+"^{commit}").Run() != nil {
		return ""
	}
	dir := rig.Dir(t)
	script := `git -C ../../.. archive --format=tar "$1" | tar -x -C "$2"`
	if out, err := exec.Command("bash", "-euo", "pipefail", "-c", script, "bash", firstRelease, dir).CombinedOutput(); err != nil {
		t.Fatalf("get the source of the first release: %v\n%s", err, out)
	}
	return dir
}

// oldHost is a host of the first release.
type oldHost struct {
	*rig.Single
	binary string
}

func (o oldHost) run(t *testing.T, code int, args ...string) {
	t.Helper()
	o.Call(t, rig.Call{Binary: o.binary, Args: args}).Want(t, code)
}

// killed runs a command that is killed there, as in "before:reload".
func (o oldHost) killed(t *testing.T, there string, args ...string) {
	t.Helper()
	o.Call(t, rig.Call{Binary: o.binary, Args: args, Env: []string{"CONFORMA_STATUS_CRASH=" + there}}).Want(t, -1)
}

// hold opens a WebSocket, which is still there when the site is closed.
func (o oldHost) hold(t *testing.T) *websocket.Conn {
	t.Helper()
	return talkTo(t, o.URL, "")
}

func (o oldHost) rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// verdicts is a directory for gate.remember.
func (o oldHost) verdicts() string { return filepath.Join(o.Nginx.Dir, "verdicts") }

// place is something that differs from host to host, and the word that stands for it in what is saved.
type place struct{ word, here string }

// placesOf are in the order in which they have to be replaced by their words: none begins like a later one.
func placesOf(h *rig.Single) []place {
	args := func(args ...string) string {
		return `"` + strings.Join(h.Nginx.Args(args...), `", "`) + `"`
	}
	b := h.Blocks[0]
	return []place{
		{"@NGINX_TEST@", args("-t")}, {"@NGINX_RELOAD@", args("-s", "reload")}, {"@PID_FILE@", h.Nginx.PIDFile()},
		{"@PAGE_URL@", h.PageURL}, {"@APP_URL@", h.URL}, {"@LISTEN@", rig.Loopback(b.Port)}, {"@UPSTREAM@", rig.Loopback(b.App.Port)},
		{"@CONF_DIR@", h.ConfDir}, {"@STATE_DIR@", h.State}, {"@STORE@", h.Store}, {"@SOCKET@", h.Socket()}, {"@ENV_FILE@", h.EnvFile(b.Name)},
		{"@VERDICTS@", filepath.Join(h.Nginx.Dir, "verdicts")},
	}
}

// placeOf is where a file of what is saved belongs.
func placeOf(h *rig.Single, name string) string {
	kind, path, _ := strings.Cut(name, "/")
	switch kind {
	case "conf_dir":
		return filepath.Join(h.ConfDir, path)
	case "state_dir":
		return filepath.Join(h.State, path)
	case "store":
		return filepath.Join(h.Store, path)
	default:
		return h.Config
	}
}

// saved is what the release has on disk. The lock is nobody's, and what is known of nginx's configuration is known of
// this nginx alone.
func saved(t *testing.T, h *rig.Single) *txtar.Archive {
	t.Helper()
	archive := &txtar.Archive{Comment: fmt.Appendf(nil, "Left by release %s: see upgrade_data_test.go.\n\n", firstRelease)}
	add := func(name, path string) {
		text := rig.ReadFile(t, path)
		for _, p := range placesOf(h) {
			text = strings.ReplaceAll(text, p.here, p.word)
		}
		for _, left := range []string{h.Nginx.Dir, "127\\.0\\.0\\.1:[0-9]"} {
			if regexp.MustCompile(left).MatchString(text) {
				t.Fatalf("%s: there is a %s left in it:\n%s", path, left, text)
			}
		}
		archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(text)})
	}
	add("config.toml", h.Config)
	for _, kind := range []string{"conf_dir", "state_dir", "store"} {
		root := placeOf(h, kind)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || d.Name() == "lock" || d.Name() == "nginx.json" {
				return err
			}
			add(kind+strings.TrimPrefix(path, root), path)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return archive
}
