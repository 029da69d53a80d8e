package closing

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestReloadOfSomebodyElseThatIsUnderWay has nginx read its configuration for somebody else just before the rules are
// replaced, and start workers with what it read just after the switch has noted which workers there were. They are told
// to leave only when the next generation has started, and until then follow the rules of before.
func TestReloadOfSomebodyElseThatIsUnderWay(t *testing.T) {
	t.Parallel()
	s := &testSite{name: "demo", settled: true}
	h := newTestHost(t, s)
	h.render(t)
	args := h.Nginx.Args("-T")
	dump, err := exec.Command(args[0], args[1:]...).Output()
	if err != nil {
		t.Fatal(err)
	}
	rig.WriteFile(t, filepath.Join(h.Nginx.Dir, "dump"), string(dump))
	// nginx reads certificates when it has read the configuration: a pipe makes it wait there for as long as we like.
	pipe := filepath.Join(h.Nginx.Dir, "tls", "pipe.pem")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	chain, err := os.ReadFile(filepath.Join(h.Nginx.Dir, "tls", "fullchain.pem"))
	if err != nil {
		t.Fatal(err)
	}
	slow := fmt.Sprintf("    server { listen 127.0.0.1:%d ssl; ssl_certificate %s; ssl_certificate_key %s/tls/privkey.pem; }\n", rig.Port(t), pipe, h.Nginx.Dir)
	h.Nginx.Configure(t, h.nginxConf(true)+slow)
	read := make(chan chan struct{}) // for each time that nginx reads, what lets it go on
	go func() {
		for {
			f, err := os.OpenFile(pipe, os.O_WRONLY, 0) // until nginx opens it
			if err != nil {
				return // the test is over
			}
			// The next time it is another one: nginx would read on in this one.
			next := pipe + ".next"
			if syscall.Mkfifo(next, 0o600) != nil || os.Rename(next, pipe) != nil {
				return
			}
			goOn := make(chan struct{})
			read <- goOn
			<-goOn
			_, _ = f.Write(chain)
			f.Close()
		}
	}()
	next := func() chan struct{} {
		select {
		case goOn := <-read:
			return goOn
		case <-time.After(rig.Patience):
			t.Fatal("nginx doesn't read its configuration")
			return nil
		}
	}
	go func() { close(<-read) }()
	h.Nginx.Start(t)
	master := h.Nginx.PID(t)
	known := map[int]bool{master: true}
	newcomers := func(generation string) {
		t.Helper()
		rig.WaitFor(t, generation, func() bool {
			var fresh []int
			for _, pid := range children(t, master) {
				if !known[pid] {
					fresh = append(fresh, pid)
				}
			}
			if len(fresh) < 2 {
				return false
			}
			for _, pid := range fresh {
				known[pid] = true
			}
			return true
		})
	}
	newcomers("the first workers")
	h.StartGate(t)
	// These would have nginx read, too.
	script := filepath.Join(h.Nginx.Dir, "fake.sh")
	rig.WriteFile(t, script, "case \"$1\" in -T) cat dump;; -s) kill -HUP \"$(cat nginx.pid)\";; esac\n")
	data, err := os.ReadFile(h.Config)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		switch {
		case strings.HasPrefix(line, "test = "):
			line = fmt.Sprintf("test = [\"bash\", %q, \"-t\"]\n", script)
		case strings.HasPrefix(line, "reload = "):
			line = fmt.Sprintf("reload = [\"bash\", %q, \"-s\"]\n", script)
		}
		lines = append(lines, line)
	}
	rig.WriteFile(t, h.Config, strings.Join(lines, ""))

	l := newLoad(t, h)
	for range 4 {
		c := l.client(s, "HTTP/1.1", false)
		c.run(2*time.Millisecond, func() { c.post(); c.http.CloseIdleConnections() })
	}
	rig.WaitFor(t, "requests", func() bool { return s.app.count("request", postPath) > 10 })

	kill(t, master, syscall.SIGHUP)
	theirs := next()
	set := h.Start(t, rig.Call{Args: []string{"set", "admin", "--drain", h.drain, "--json", "--verbose"}})
	set.Says(t, "reload nginx")
	close(theirs)
	newcomers("the workers of somebody else's reload")
	close(next())
	newcomers("the workers of ours")
	rig.Halt(t, master) // as if the machine were slow
	got := receiptOf(t, set.Wait(t))
	l.goesOn(t, 50, true)
	kill(t, master, syscall.SIGCONT)
	if got.SafeSince != nil {
		s.app.untouchedSince(t, got.SafeSince.Add(time.Millisecond))
	}
	go func() { close(<-read) }()
	h.CLI(t, "set", "admin", "--drain", h.drain, "--json").Want(t, 0)
	returned := time.Now()
	l.goesOn(t, 20, true)
	s.app.untouchedSince(t, returned)
}
