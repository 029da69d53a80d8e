//go:build soak

package host

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakImage builds the container image where there is no network, so that nothing can be pulled, looks at what is
// in it, and has it publish, show the preview and answer as the gate.
func TestSoakImage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can look into an image")
	}
	t.Parallel()
	dir := rig.Dir(t)
	build := exec.Command("unshare", "--net", "../../package/build.sh", "image")
	build.Env = append(os.Environ(), "VERSION=1.2.3", "COMMIT=0123456789ab", "SOURCE_DATE_EPOCH=1790000000", "DIST="+dir, "GOFLAGS=-mod=mod", "GOPROXY=off")
	out, err := build.CombinedOutput()
	archive := strings.TrimSpace(string(out))
	if err != nil || filepath.Dir(archive) != dir {
		t.Fatalf("build the image: %v\n%s", err, out)
	}
	store := rig.Dir(t)
	buildah := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("buildah", append([]string{"--root", filepath.Join(store, "root"), "--runroot", filepath.Join(store, "run"), "--storage-driver", "vfs"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("buildah %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	container := buildah("from", "--quiet", "--pull-never", "oci-archive:"+archive)
	root := buildah("mount", container)
	t.Cleanup(func() { buildah("umount", container) })

	var config struct {
		OCIv1 struct {
			Config struct {
				User       string
				Entrypoint []string
				Labels     map[string]string
			} `json:"config"`
		}
	}
	if err := json.Unmarshal([]byte(buildah("inspect", container)), &config); err != nil {
		t.Fatal(err)
	}
	is := config.OCIv1.Config
	if is.User != "65532:65532" || !slices.Equal(is.Entrypoint, []string{"/usr/bin/conforma-status"}) || is.Labels["org.opencontainers.image.version"] != "1.2.3" || is.Labels["org.opencontainers.image.licenses"] == "" {
		t.Errorf("the image is %+v", is)
	}
	var files []string
	rig.Check(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, root))
		}
		return err
	}))
	if got := strings.Join(files, " "); got != "/etc/ssl/certs/ca-certificates.crt /usr/bin/conforma-status" {
		t.Errorf("the image has %s", got)
	}

	// What is mounted into it: a configuration, a secret, a place to publish to.
	for _, d := range []string{"etc/conforma-status", "srv"} {
		rig.Check(t, os.MkdirAll(filepath.Join(root, d), 0o755))
	}
	rig.Check(t, os.Chown(filepath.Join(root, "srv"), 65532, 65532))
	pages := rig.Loopback(rig.Port(t))
	rig.WriteFile(t, filepath.Join(root, "etc/conforma-status/config.toml"), fmt.Sprintf(`store = "dir:/srv"
page_url = "http://%s"
[[site]]
name = "demo"
app_url = "https://demo.example.org"
upstreams = ["127.0.0.1:8000"]
preset = "conforma"
[site.jwt]
secret_file = "/etc/conforma-status/secret"
`, pages))
	secret := filepath.Join(root, "etc/conforma-status/secret")
	rig.WriteSecret(t, secret, "a secret that is long enough for HS256\n")
	rig.Check(t, os.Chown(secret, 65532, 65532))
	run := func(args ...string) *exec.Cmd {
		cmd := exec.Command("/usr/bin/conforma-status", args...)
		cmd.Env, cmd.Dir = []string{"HOME=/tmp"}, "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}, Pdeathsig: syscall.SIGTERM}
		return cmd
	}
	l, err := net.Listen("tcp", pages)
	rig.Check(t, err)
	rig.Serve(t, l, &http.Server{Handler: http.FileServer(http.Dir(filepath.Join(root, "srv")))})
	if out, err := run("publish").CombinedOutput(); err != nil && err.(*exec.ExitError).ExitCode() == 1 {
		t.Fatalf("publish: %v\n%s", err, out)
	}
	for _, name := range []string{"index.html", "pt/index.html", "status.json"} {
		if _, err := os.Stat(filepath.Join(root, "srv/demo", name)); err != nil {
			t.Error(err)
		}
	}
	preview := rig.Loopback(rig.Port(t))
	sockets := filepath.Join(rig.Dir(t), "run") // the address of a socket is short
	rig.Check(t, os.Symlink(filepath.Join(root, "run/conforma-status"), sockets))
	for name, ready := range map[string]struct {
		args []string
		is   func() bool
	}{
		"preview": {[]string{"preview", "--listen", preview}, func() bool {
			resp, err := http.Get("http://" + preview + "/")
			if err == nil {
				resp.Body.Close()
			}
			return err == nil && resp.StatusCode == 200
		}},
		"gate": {[]string{"gate"}, func() bool {
			c, err := net.Dial("unix", filepath.Join(sockets, "gate.sock"))
			if err == nil {
				c.Close()
			}
			return err == nil
		}},
	} {
		cmd := run(ready.args...)
		var said strings.Builder
		cmd.Stdout, cmd.Stderr = &said, &said
		rig.Check(t, cmd.Start())
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		rig.WaitFor(t, "the "+name, func() bool {
			select {
			case err := <-ended:
				t.Fatalf("%s: %v\n%s", name, err, &said)
			default:
			}
			return ready.is()
		})
		rig.Check(t, cmd.Process.Signal(syscall.SIGTERM))
		<-ended
	}
}
