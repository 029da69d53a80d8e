package closing

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// children returns the processes of nginx whose parent is that one.
func children(tb testing.TB, parent int) []int {
	tb.Helper()
	procs, err := procfs.AllProcs()
	if err != nil {
		tb.Fatal(err)
	}
	var out []int
	for _, p := range procs {
		if stat, err := p.Stat(); err == nil && stat.PPID == parent && stat.Comm == "nginx" && stat.State != "Z" {
			out = append(out, p.PID)
		}
	}
	return out
}

// workersOf returns nginx's two workers, which start after the master has written its pid.
func workersOf(tb testing.TB, master int) (workers []int) {
	tb.Helper()
	rig.WaitFor(tb, "nginx's workers to start", func() bool {
		workers = children(tb, master)
		return len(workers) == 2
	})
	return workers
}

func kill(tb testing.TB, pid int, s syscall.Signal) {
	tb.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		tb.Fatalf("send %v to %d: %v", s, pid, err)
	}
}

// gone reports whether the process has ended, as a zombie too.
func gone(pid int) bool {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return true
	}
	stat, err := p.Stat()
	return err != nil || stat.State == "Z"
}

// post is what the connections of a test send that are written byte for byte.
var aPost = rig.Message{Method: "POST", Target: postPath, Body: "{}"}

// TestWorkerThatIsStoppedLetsNothingThrough stops one of two workers, with requests waiting in the connections that it
// holds, lets the site be switched, and wakes it up again.
func TestWorkerThatIsStoppedLetsNothingThrough(t *testing.T) {
	t.Parallel()
	workerThatIsStopped(t, "offline")
}

func workerThatIsStopped(t *testing.T, mode string) {
	for _, tt := range []struct {
		name string
		args []string
		code int
	}{
		{"cutting", []string{"set", mode, "--json"}, 0},
		{"without cutting", []string{"set", mode, "--no-cut", "--json"}, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, s, _ := oneSite(t, true)
			h.NoBarrier(t)
			workers := workersOf(t, h.Nginx.PID(t))
			var conns []*rig.Conn
			for i, worker := range workers { // each takes some while the other is stopped
				other := workers[1-i]
				rig.Halt(t, other)
				for range 3 {
					conn := h.dialer(s).Dial(t)
					t.Cleanup(func() { conn.Close() })
					if r := conn.Do(t, aPost); r.Status != 200 {
						t.Fatalf("got %d", r.Status)
					}
					conns = append(conns, conn)
				}
				kill(t, other, syscall.SIGCONT)
				if n := rig.Clients(t, worker, s.port); n != 3 {
					t.Fatalf("one of the two workers has %d connections, want 3", n)
				}
			}
			stopped := workers[0]
			rig.Halt(t, stopped)
			defer func() { _ = syscall.Kill(stopped, syscall.SIGCONT) }()
			before := s.app.count("request", postPath)
			for _, conn := range conns {
				conn.Send(t, aPost)
			}
			rig.WaitFor(t, "the other worker to answer", func() bool {
				return s.app.count("request", postPath)-before == len(conns)-rig.Clients(t, stopped, s.port)
			})
			r := h.CLI(t, append(tt.args, "--drain", h.drain)...).Want(t, tt.code)
			returned := time.Now()
			got := receiptOf(t, r)
			if tt.code == 0 && (!gone(stopped) || *got.Left != 0) {
				t.Errorf("the stopped worker is left: %s", r.Stdout)
			}
			if tt.code == 4 && *got.Left == 0 {
				t.Errorf("nothing is left, it says: %s", r.Stdout)
			}
			if !gone(stopped) {
				kill(t, stopped, syscall.SIGCONT)
				rig.WaitFor(t, "the worker that was woken up to end", func() bool { return gone(stopped) })
				got = receiptOf(t, h.CLI(t, "set", got.Mode, "--drain", h.drain, "--json").Want(t, 0))
			}
			s.app.rests(t)
			s.app.untouchedSince(t, returned)
		})
	}
}

// TestNginxWithoutMaster kills the master alone: its workers go on, and nobody can make them take up new rules.
func TestNginxWithoutMaster(t *testing.T) {
	t.Parallel()
	h, s, l := oneSite(t, true)
	workers := workersOf(t, h.Nginx.PID(t))
	kill(t, h.Nginx.PID(t), syscall.SIGKILL)
	poster := l.client(s, "HTTP/1.1", false)
	poster.run(2*time.Millisecond, func() { poster.post() })
	rig.WaitFor(t, "the orphans to serve", func() bool { return s.app.count("request", postPath) > 10 })

	r := h.CLI(t, "set", "offline", "--drain", h.drain).Want(t, 4)
	returned := time.Now()
	if !strings.Contains(r.Stderr, "hint: start nginx") || !strings.Contains(r.Stdout, "NOT SAFE") {
		t.Errorf("it said %s%s", r.Stdout, r.Stderr)
	}
	l.goesOn(t, 20, true)
	s.app.untouchedSince(t, returned)
	// As the hint says, with the ports free again.
	for _, pid := range workers {
		kill(t, pid, syscall.SIGKILL)
	}
	h.Nginx.Kill(t)
	h.Nginx.Start(t)
	h.CLI(t, "set", "offline", "--drain", h.drain).Want(t, 0)
	s.app.untouchedSince(t, returned)
}

// daemon starts nginx, with so many workers, as a system does, without a parent: one whose parent lives takes that
// for a sign that an upgrade is under way already.
func (h *testHost) daemon(tb testing.TB, workers int) {
	tb.Helper()
	h.render(tb)
	const two = "worker_processes 2;"
	many := fmt.Sprintf("worker_processes %d;", workers)
	rig.Edit(tb, h.Nginx.Conf, two, many)
	defer rig.Edit(tb, h.Nginx.Conf, many, two) // as the next one reads it
	args := h.Nginx.Args()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		tb.Fatalf("start nginx: %v\n%s", err, out)
	}
	var group int
	rig.WaitFor(tb, "nginx to start", func() bool {
		data, err := os.ReadFile(h.Nginx.PIDFile())
		if err == nil {
			group, err = strconv.Atoi(strings.TrimSpace(string(data))) // it leads a session of its own
		}
		return err == nil && len(children(tb, group)) == workers
	})
	tb.Cleanup(func() {
		rig.WaitFor(tb, "nginx to end", func() bool { return syscall.Kill(-group, syscall.SIGKILL) == syscall.ESRCH })
	})
}

// upgrade has nginx start a new master beside the old one (nginx: "Upgrading Executable on the Fly").
func (h *testHost) upgrade(tb testing.TB) (old int) {
	tb.Helper()
	old = h.Nginx.PID(tb)
	new := 0
	kill(tb, old, syscall.SIGUSR2)
	rig.WaitFor(tb, "the new master and its workers", func() bool {
		kids := children(tb, old)
		for _, pid := range kids {
			if len(children(tb, pid)) == 2 {
				new = pid
			}
		}
		return new != 0 && h.Nginx.PID(tb) == new
	})
	return old
}

func upgradedNginx(t *testing.T, mode string) {
	t.Run("orphans of the old master", func(t *testing.T) {
		t.Parallel()
		s := &testSite{name: "demo", settled: true}
		h := newTestHost(t, s)
		h.NoBarrier(t)
		h.daemon(t, 24) // each is given 16 connections in a row: ngx_reorder_accept_events
		h.StartGate(t)
		l := newLoad(t, h)
		tab := openSocket(t, l, s)
		old := h.upgrade(t)
		orphans := children(t, old)
		kill(t, old, syscall.SIGKILL)
		poster := l.client(s, "HTTP/1.1", false)
		poster.run(2*time.Millisecond, func() { poster.post() })
		rig.WaitFor(t, "requests", func() bool { return s.app.count("request", postPath) > 10 })
		h.CLI(t, "set", mode, "--drain", h.drain, "--json").Want(t, 0)
		returned := time.Now()
		l.goesOn(t, 20, true)
		s.app.untouchedSince(t, returned)
		if err := exchange(l.ctx, tab); err == nil {
			t.Error("the tab can still be used")
		}
		for _, pid := range orphans {
			if children(t, pid) == nil && !gone(pid) && pid != h.Nginx.PID(t) {
				t.Errorf("orphan %d is left", pid)
			}
		}
	})
	t.Run("both masters", func(t *testing.T) {
		t.Parallel()
		s := &testSite{name: "demo", settled: true}
		h := newTestHost(t, s)
		h.NoBarrier(t)
		h.daemon(t, 2)
		h.StartGate(t)
		l := newLoad(t, h)
		old := h.upgrade(t)
		for range 4 {
			poster := l.client(s, "HTTP/1.1", false)
			poster.run(2*time.Millisecond, func() { poster.post(); poster.http.CloseIdleConnections() })
		}
		rig.WaitFor(t, "requests", func() bool { return s.app.count("request", postPath) > 10 })
		r := h.CLI(t, "set", mode, "--drain", h.drain, "--json")
		returned := time.Now()
		// The old master starts its workers afresh, with the old rules: only its end makes it safe.
		if got := receiptOf(t, r); r.Code != 4 || *got.Left == 0 {
			t.Errorf("exit code %d with workers of the old master left: %s", r.Code, r.Stdout)
		}
		l.goesOn(t, 50, true)
		s.app.untouchedSince(t, returned)
		kill(t, old, syscall.SIGQUIT)
		h.CLI(t, "set", mode, "--drain", "5m", "--json").Want(t, 0)
		returned = time.Now()
		l.goesOn(t, 20, true)
		s.app.untouchedSince(t, returned)
	})
}

// TestSomebodyElseReloads has nginx reloaded by somebody else all the time while the site is switched, and fifty times
// at least.
func TestSomebodyElseReloads(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"offline", "admin"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h, s, l := oneSite(t, true)
			h.StartGate(t)
			for range 4 {
				poster := l.client(s, "HTTP/1.1", false)
				poster.run(2*time.Millisecond, func() { poster.post() })
			}
			socket := l.client(s, "HTTP/1.1", false)
			socket.run(10*time.Millisecond, func() { socket.chat(2 * time.Millisecond) })
			rig.WaitFor(t, "requests", func() bool {
				return s.app.count("request", postPath) > 10 && s.app.count("message", socketPath) > 10
			})
			master := h.Nginx.PID(t)
			set := h.Start(t, rig.Call{Args: []string{"set", mode, "--drain", h.drain, "--json"}})
			for n := 0; n < 50 || !set.Ended(); n++ {
				kill(t, master, syscall.SIGHUP)
				time.Sleep(7 * time.Millisecond) // or most would come to one and the same
			}
			got := receiptOf(t, set.Wait(t).Want(t, 0))
			l.goesOn(t, 50, true)
			s.app.untouchedSince(t, got.SafeSince.Add(time.Millisecond))
		})
	}
}
