package commands

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// demoUsers are the users that the demo is run as: the current one, and, where that is root, an ordinary one.
func demoUsers(t *testing.T) map[string]*syscall.Credential {
	users := map[string]*syscall.Credential{"current": nil}
	if os.Geteuid() != 0 {
		return users
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	var ids [2]uint32
	for i, text := range []string{nobody.Uid, nobody.Gid} {
		id, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = uint32(id)
	}
	users["nobody"] = &syscall.Credential{Uid: ids[0], Gid: ids[1]}
	return users
}

// demoRun is a run of the demo, in a session of its own: whatever it starts, and whatever that starts, is in it.
type demoRun struct {
	cmd    *exec.Cmd
	temp   string // the only directory that it may make files in
	out    output
	err    output
	exited chan struct{}
}

// output can be read while a program writes to it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// startDemo starts the demo as a user. Programs in path, a directory, come before the real ones.
func startDemo(t *testing.T, as *syscall.Credential, path string, args ...string) *demoRun {
	t.Helper()
	return startDemoTo(t, nil, as, path, args...)
}

// startDemoTo lets the demo write to stdout, or to out where that is nil.
func startDemoTo(t *testing.T, stdout io.Writer, as *syscall.Credential, path string, args ...string) *demoRun {
	t.Helper()
	d := &demoRun{temp: filepath.Join(rig.Dir(t), "tmp"), exited: make(chan struct{})}
	if err := os.Mkdir(d.temp, 0o711); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(filepath.Dir(d.temp), "conforma-status") // where every user may run it
	data, err := os.ReadFile(rig.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if as != nil {
		if err := os.Chown(d.temp, int(as.Uid), int(as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	if stdout == nil {
		stdout = &d.out
	}
	d.cmd = exec.Command(binary, append([]string{"demo"}, args...)...)
	d.cmd.Dir, d.cmd.Env = "/", []string{"TMPDIR=" + d.temp, "PATH=" + path + ":/usr/bin:/bin"}
	d.cmd.Stdout, d.cmd.Stderr = stdout, &d.err
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: as, Pdeathsig: syscall.SIGTERM}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig is about this thread
		defer runtime.UnlockOSThread()
		err := d.cmd.Start()
		started <- err
		if err == nil {
			_ = d.cmd.Wait() // how it ended is in d.cmd.ProcessState
			close(d.exited)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		for _, p := range d.processes(t) {
			_ = syscall.Kill(p.PID, syscall.SIGKILL)
		}
		<-d.exited
	})
	return d
}

// processes returns those of the demo's session that are more than zombies.
func (d *demoRun) processes(t *testing.T) []procfs.ProcStat {
	t.Helper()
	all, err := procfs.AllProcs()
	if err != nil {
		t.Fatal(err)
	}
	var alive []procfs.ProcStat
	for _, p := range all {
		stat, err := p.Stat() // fails for one that has just ended
		if err == nil && stat.Session == d.cmd.Process.Pid && stat.State != "Z" && stat.State != "X" {
			alive = append(alive, stat)
		}
	}
	return alive
}

// wait waits until the demo has ended, and fails the test unless its exit code is code.
func (d *demoRun) wait(t *testing.T, code int) {
	t.Helper()
	select {
	case <-d.exited:
	case <-time.After(rig.Patience):
		t.Fatalf("it doesn't end\nstdout:\n%s\nstderr:\n%s", &d.out, &d.err)
	}
	if got := d.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", got, code, &d.out, &d.err)
	}
}

// leftNothing fails the test when the demo, which has ended, has left a process or a file.
func (d *demoRun) leftNothing(t *testing.T) {
	t.Helper()
	for _, p := range d.processes(t) {
		t.Errorf("left process %d (%s)", p.PID, p.Comm)
	}
	left, err := os.ReadDir(d.temp)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("left %s", entry.Name())
	}
}

// says waits until the demo has printed the text.
func (d *demoRun) says(t *testing.T, text string) {
	t.Helper()
	rig.WaitFor(t, "the demo to say "+text, func() bool {
		select {
		case <-d.exited:
			t.Fatalf("it ended\nstdout:\n%s\nstderr:\n%s", &d.out, &d.err)
		default:
		}
		return strings.Contains(d.out.String(), text)
	})
}

// nginxThat returns a directory with an nginx that is the real one but for its second "-t", the one in the middle of
// the tour: then it does as the shell script says, after making the file that is returned as well.
func nginxThat(t *testing.T, script string) (dir, reached string) {
	t.Helper()
	real := rig.NewNginx(t).Args()[0]
	dir = filepath.Join(rig.Dir(t), "bin")
	count := filepath.Join(rig.Dir(t), "count")
	if err := os.Mkdir(count, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(count, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`#!/bin/sh
for last; do :; done
if [ "$last" = -t ]; then
	if mkdir %[1]s/first 2>/dev/null; then exec %[2]s "$@"; fi
	if mkdir %[1]s/second 2>/dev/null; then %[3]s; fi
fi
exec %[2]s "$@"
`, count, real, script)
	if err := os.WriteFile(filepath.Join(dir, "nginx"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(count, "second")
}

func TestDemoOnce(t *testing.T) {
	runs := map[string]*demoRun{}
	for name, as := range demoUsers(t) { // all at once
		for _, which := range []string{"first", "second"} {
			runs[name+"/"+which] = startDemo(t, as, "/usr/sbin", "--once")
		}
	}
	order := regexp.MustCompile(`(?s)== online:.*ok  online: .*== offline:.*ok  offline: .*== admin:.*ok  admin: .*== online:.*ok  online: `)
	for name, d := range runs {
		t.Run(name, func(t *testing.T) {
			d.wait(t, 0)
			d.leftNothing(t)
			if out := d.out.String(); !order.MatchString(out) || strings.Contains(out, "DIFFERS") {
				t.Errorf("it doesn't show the tour:\n%s", out)
			}
			if d.err.String() != "" {
				t.Errorf("stderr: %s", &d.err)
			}
		})
	}
	checkPicture(t, runs["current/first"].out.String())
}

// TestDemoInterrupted ends the demo from outside while a set of its tour hangs in nginx -t.
func TestDemoInterrupted(t *testing.T) {
	for _, test := range []struct {
		name string
		sig  syscall.Signal
		args []string
		code int
	}{
		{"Ctrl-C", syscall.SIGINT, nil, 0},
		{"Ctrl-C, once", syscall.SIGINT, []string{"--once"}, 1},
		{"terminate", syscall.SIGTERM, []string{"--once"}, 1},
		{"hang up", syscall.SIGHUP, []string{"--once"}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			nginx, reached := nginxThat(t, "exec sleep 600")
			d := startDemo(t, nil, nginx, test.args...)
			rig.WaitFor(t, "the tour to hang", func() bool { _, err := os.Stat(reached); return err == nil })
			if err := d.cmd.Process.Signal(test.sig); err != nil {
				t.Fatal(err)
			}
			d.wait(t, test.code)
			d.leftNothing(t)
		})
	}
}

func (d *demoRun) kill(t *testing.T) {
	t.Helper()
	nginx := 0
	for _, p := range d.processes(t) {
		if p.Comm == "nginx" {
			nginx++
		}
	}
	if nginx < 2 {
		t.Fatalf("%d processes of nginx run, want a master and its workers", nginx)
	}
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-d.exited
	rig.WaitFor(t, "what the demo has started to end", func() bool { return len(d.processes(t)) == 0 })
}

// TestDemoStays takes the demo at its word: what it prints can be opened and run.
func TestDemoStays(t *testing.T) {
	for name, as := range demoUsers(t) {
		t.Run(name, func(t *testing.T) {
			d := startDemo(t, as, "/usr/sbin")
			toTry := regexp.MustCompile(`(?m)^  (/.* --config .*)\n`)
			var end string
			var commands [][]string
			rig.WaitFor(t, "what can be tried", func() bool { // the tour before it has commands of its own
				_, end, _ = strings.Cut(d.out.String(), "Ctrl-C ends it")
				commands = toTry.FindAllStringSubmatch(end, -1)
				return len(commands) == 4
			})
			for _, url := range regexp.MustCompile(`http://\S+`).FindAllString(end, -1) {
				resp, err := http.Get(url)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", url, resp.Status)
				}
			}
			for _, command := range commands {
				cmd := exec.Command("sh", "-c", command[1])
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", command[1], err, out)
				}
			}
			if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			d.wait(t, 0)
			d.leftNothing(t)
		})
	}
}

// TestDemoIntoAClosedPipe has the reader of the output go away: conforma-status demo | head -n 1.
func TestDemoIntoAClosedPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	d := startDemoTo(t, w, nil, "/usr/sbin")
	d.wait(t, 0)
	d.leftNothing(t)
}
