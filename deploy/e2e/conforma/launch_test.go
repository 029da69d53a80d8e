package conforma

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// demoServer is a host whose application is started and stopped by Conforma's launch scripts: in place of those, of
// docker and of sudo are stand-ins, but the application really stops, starts, and has a database.
type demoServer struct {
	*rig.Single
	dir  string // with launch.mjs, env_files and the application's database
	port int    // of the application
}

const backupsPassword = "password of the backups"

func newDemoServer(t *testing.T) *demoServer {
	t.Helper()
	d := &demoServer{Single: rig.NewSingle(t), dir: rig.Dir(t), port: rig.Port(t)}
	d.Blocks[0].App = &rig.App{Name: "demo", Port: d.port} // not the rig's, which never stops
	d.InConforma(t)
	d.Install(t)
	if err := os.CopyFS(d.dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"docker", "sudo"} {
		if err := errorsOf(os.Mkdir(filepath.Join(d.dir, "bin"), 0o755), os.Rename(filepath.Join(d.dir, name), filepath.Join(d.dir, "bin", name))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(rig.Binary(t), filepath.Join(d.dir, "bin", "conforma-status")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"snapshots", "backups"} {
		if err := os.Mkdir(filepath.Join(d.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	rig.WriteFile(t, filepath.Join(d.dir, "port"), strconv.Itoa(d.port))
	rig.WriteFile(t, filepath.Join(d.dir, "database"), "")
	rig.WriteFile(t, filepath.Join(d.dir, "default.env"), "TAG='build-1'")
	d.env(t, "")
	t.Cleanup(func() { // before its folder goes
		if pid := d.pid(t); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return d
}

// errorsOf returns the last error, but that of making what is there already.
func errorsOf(made, err error) error {
	if made != nil && !os.IsExist(made) {
		return made
	}
	return err
}

// env writes the site's env file with further lines.
func (d *demoServer) env(t *testing.T, lines string) {
	t.Helper()
	rig.WriteSecret(t, filepath.Join(d.dir, "env_files", "demo.env"), fmt.Sprintf(
		"# of demo\nPORT=%d\nWEB_HOST=%s\nBACKUPS_FOLDER='%s/backups'\nSNAPSHOTS_FOLDER=\"%s/snapshots\"\nJWT_SECRET='secret-of-demo-that-is-long-enough'\n%s",
		d.port, d.URL, d.dir, d.dir, lines))
}

// pid is that of the running application, 0 for none.
func (d *demoServer) pid(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(d.dir, "pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// script runs one of the wrapper scripts.
func (d *demoServer) script(t *testing.T, env []string, name string, args ...string) rig.Result {
	t.Helper()
	path, err := filepath.Abs("../../conforma/" + name + ".sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = d.dir
	cmd.Env = append(d.Env(), append([]string{"CONFORMA_DIR=" + d.dir, "STANDIN=" + d.dir, fmt.Sprintf("CONFORMA_HEALTH_SECONDS=%.0f", rig.Patience.Seconds()),
		"PATH=" + filepath.Join(d.dir, "bin") + ":" + os.Getenv("PATH")}, env...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // the exit code tells
	r := rig.Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
	for _, secret := range []string{"secret-of-demo", backupsPassword} {
		if strings.Contains(r.Stdout+r.Stderr, secret) {
			t.Errorf("%s printed %q", name, secret)
		}
	}
	return r
}

// writers write through nginx, as people do, and note what was acknowledged.
type writers struct {
	end  chan struct{}
	wait sync.WaitGroup

	mu           sync.Mutex
	acknowledged []string
	turnedAway   int // by 503
}

func (d *demoServer) write(prefix string) *writers {
	w := &writers{end: make(chan struct{})}
	for n := range 4 {
		w.wait.Go(func() {
			// One connection at a time, and none that is opened to spare: nginx keeps one without a request for a
			// minute.
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, MaxConnsPerHost: 1, TLSClientConfig: &tls.Config{RootCAs: d.Certificate().Roots}}}
			for i := 0; ; i++ {
				select {
				case <-w.end:
					return
				case <-time.After(8 * time.Millisecond): // each goes over TLS anew
				}
				line := fmt.Sprintf("%s-%d-%d", prefix, n, i)
				res, err := client.Post(d.URL+"/server/graphql", "application/json", strings.NewReader(line))
				if err != nil {
					continue
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				w.mu.Lock()
				switch res.StatusCode {
				case 200:
					w.acknowledged = append(w.acknowledged, line)
				case 503:
					w.turnedAway++
				}
				w.mu.Unlock()
			}
		})
	}
	return w
}

func (w *writers) count() (acknowledged, turnedAway int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acknowledged), w.turnedAway
}

// stop ends them, and checks that all that was acknowledged is in the database.
func (w *writers) stop(t *testing.T, d *demoServer) {
	t.Helper()
	close(w.end)
	w.wait.Wait()
	has := d.database(t, "database")
	for _, line := range w.acknowledged {
		if !has[line] {
			t.Errorf("%s was acknowledged, and is lost", line)
		}
	}
	if w.turnedAway == 0 {
		t.Error("nobody was turned away: the site was never closed")
	}
}

func (d *demoServer) database(t *testing.T, file string) map[string]bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(d.dir, file))
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		has[strings.TrimSpace(line)] = true
	}
	return has
}

// TestLaunchScripts: what "launch_conforma demo" and "stop_conforma demo" come to, while people write.
func TestLaunchScripts(t *testing.T) {
	t.Parallel()
	d := newDemoServer(t)
	d.script(t, nil, "launch", "demo").Want(t, 0)
	rig.Agreed(t, d.Single, status.Online)

	was, w := d.pid(t), d.write("launch")
	rig.WaitFor(t, "writes", func() bool { n, _ := w.count(); return n > 20 })
	r := d.script(t, nil, "launch", "--message", "A new version", "demo").Want(t, 0)
	rig.Says(t, r, "demo is healthy", "demo is online")
	noTable(t, r)
	n, _ := w.count()
	rig.WaitFor(t, "more writes", func() bool { more, _ := w.count(); return more > n+20 })
	w.stop(t, d)
	if d.pid(t) == was {
		t.Error("the application was not relaunched")
	}
	if r := d.CLI(t, "history", "--json", "--site", "demo").Want(t, 0); !strings.Contains(r.Stdout, `"reason": "launch_conforma"`) {
		t.Errorf("the history has no reason: %s", r.Stdout)
	}

	// What fails leaves it closed, and says how to go on.
	rig.Says(t, d.script(t, []string{"TAG=no-launch"}, "launch", "demo").Want(t, 1),
		"launch.mjs did not launch conforma-demo-on-", "hint: ", "demo is closed (offline) and stays so", "conforma-status set online --site demo")
	rig.Agreed(t, d.Single, status.Offline)
	rig.Says(t, d.script(t, []string{"TAG=never-healthy", "CONFORMA_HEALTH_SECONDS=1"}, "launch", "--open", "demo").Want(t, 1),
		"demo is not healthy after 1 s", "logs app", "launch_conforma --open demo")
	rig.Agreed(t, d.Single, status.Offline)

	// One that was closed already stays closed, unless it is told.
	was = d.pid(t)
	rig.Says(t, d.script(t, []string{"TAG=2"}, "launch", "demo").Want(t, 0), "demo is healthy", "was closed already and stays closed")
	rig.Agreed(t, d.Single, status.Offline)
	if d.pid(t) == was {
		t.Error("the application was not relaunched")
	}
	d.script(t, []string{"TAG=2"}, "launch", "--open", "demo").Want(t, 0)
	rig.Agreed(t, d.Single, status.Online)

	w = d.write("stop")
	rig.WaitFor(t, "writes", func() bool { n, _ := w.count(); return n > 20 })
	rig.Says(t, d.script(t, []string{"TAG=2"}, "stop", "--eta", "1h", "demo").Want(t, 0), "demo is stopped and stays closed", "launch_conforma --open demo")
	w.stop(t, d)
	if conn, err := net.Dial("tcp4", rig.Loopback(d.port)); err == nil {
		conn.Close()
		t.Error("the application still runs")
	}
	if v := rig.Agreed(t, d.Single, status.Offline); v.Published.ExpectedUntil == nil {
		t.Error("nobody is told until when")
	}

	// Where it can't be closed so that nothing is left, nothing is stopped.
	d.script(t, []string{"TAG=2"}, "launch", "--open", "demo").Want(t, 0)
	rig.WriteFile(t, d.Enabled("broken.conf"), "somebody_else is_not_done;\n")
	for _, script := range []string{"launch", "stop"} {
		d.script(t, []string{"TAG=2"}, script, "demo").Want(t, 4)
		if conn, err := net.Dial("tcp4", rig.Loopback(d.port)); err != nil {
			t.Errorf("%s: the application was stopped, though something may have been under way: %v", script, err)
		} else {
			conn.Close()
		}
	}
}

// noTable fails where what get says to people has got in between.
func noTable(t *testing.T, r rig.Result) {
	t.Helper()
	if strings.Contains(r.Stdout+r.Stderr, "on disk ") {
		t.Errorf("the table of get is printed:\n%s%s", r.Stdout, r.Stderr)
	}
}

// TestSnapshotScript: a snapshot has all that was acknowledged before, and nothing is written until the site is open
// again; loaded, it is what the application has.
func TestSnapshotScript(t *testing.T) {
	t.Parallel()
	d := newDemoServer(t)
	d.env(t, "TAG=1\nBACKUPS_PASSWORD='"+backupsPassword+"'\n")
	d.script(t, nil, "launch", "demo").Want(t, 0)
	w := d.write("before")
	rig.WaitFor(t, "writes", func() bool { n, _ := w.count(); return n > 20 })
	before := slices.Clone(func() []string { w.mu.Lock(); defer w.mu.Unlock(); return w.acknowledged }())
	r := d.script(t, nil, "snapshot", "take", "--backup", "demo", "nightly").Want(t, 0)
	noTable(t, r)
	name := strings.TrimSpace(r.Stdout)
	if !strings.HasPrefix(name, "nightly_") {
		t.Fatalf("it prints %q", r.Stdout)
	}
	rig.Agreed(t, d.Single, status.Online)
	n, _ := w.count()
	rig.WaitFor(t, "more writes", func() bool { more, _ := w.count(); return more > n+20 })
	w.stop(t, d)
	snapshot := d.database(t, "snapshots/"+name+"/database.dump")
	for _, line := range before {
		if !snapshot[line] {
			t.Errorf("%s was acknowledged before, and is not in the snapshot", line)
		}
	}
	receipt, err := os.ReadFile(filepath.Join(d.dir, "snapshots", name, "conforma-status.json"))
	if err != nil {
		t.Fatal(err)
	}
	if v := rig.ViewOf(t, rig.Result{Stdout: string(receipt)}); v.Mode != status.Offline || v.Wanted.SafeSince == nil {
		t.Errorf("beside the snapshot it says %s", receipt)
	}
	enc := filepath.Join(d.dir, "backups", name+".tar.gz.enc")
	open := exec.Command("sh", "-c", `openssl enc -d -aes-256-cbc -pbkdf2 -pass env:PASSWORD -in "$0" | tar -xzO -f - "$1/database.dump"`, enc, name)
	open.Env = append(os.Environ(), "PASSWORD="+backupsPassword)
	dump, err := open.Output()
	if want, _ := os.ReadFile(filepath.Join(d.dir, "snapshots", name, "database.dump")); err != nil || !bytes.Equal(dump, want) {
		t.Errorf("the backup has %d bytes instead of %d, %v", len(dump), len(want), err)
	}
	if info, err := os.Stat(enc); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup is %v, %v", info.Mode(), err)
	}
	if r := d.script(t, nil, "snapshot", "list", "demo").Want(t, 0); r.Stdout != name+"\n" {
		t.Errorf("list says %q", r.Stdout)
	}

	// Loaded again, with what was there kept.
	was := d.database(t, "database")
	rig.Says(t, d.script(t, nil, "snapshot", "load", "demo", name).Want(t, 0), "demo is healthy", "what was there is in before_loading_", "demo is online")
	if now := d.database(t, "database"); len(now) != len(snapshot) || len(was) <= len(snapshot) {
		t.Errorf("the database has %d lines, the snapshot %d, before there were %d", len(now), len(snapshot), len(was))
	}
	rig.Agreed(t, d.Single, status.Online)
	kept, err := filepath.Glob(filepath.Join(d.dir, "snapshots", "before_loading_*", "database.dump"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%v, %v", kept, err)
	}
	if rel, _ := filepath.Rel(d.dir, kept[0]); len(d.database(t, rel)) != len(was) {
		t.Error("what was there before is not whole")
	}
}
