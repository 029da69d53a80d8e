//go:build soak

package host

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// The networks of the test: the visitors' machine, which is also the store's and between the two others, the host, and
// the standby. The address that moves is what visitors have.
const (
	visitorsAddr, hostAddr, standbyAddr = "10.77.0.1", "10.77.0.2", "10.77.0.3"
	movesAddr                           = "10.77.0.10"
)

// answer is what a visitor got, and when they asked.
type answer struct {
	at     time.Time
	code   int // 0 for none
	shown  string
	toward string
}

// pump asks at the address that moves, all the time, as a browser does.
type pump struct {
	mu      sync.Mutex
	answers []answer
}

func (p *pump) run(ctx context.Context, c *http.Client) {
	for ctx.Err() == nil {
		a := answer{at: time.Now()}
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+movesAddr+"/application/1?x=%2F", nil)
		req.Header.Set("Sec-Fetch-Mode", "navigate")
		if resp, err := c.Do(req); err == nil {
			resp.Body.Close()
			a.code, a.shown, a.toward = resp.StatusCode, resp.Header.Get("X-Conforma-Status"), resp.Header.Get("Location")
		}
		p.mu.Lock()
		p.answers = append(p.answers, a)
		p.mu.Unlock()
		time.Sleep(20 * time.Millisecond)
	}
}

// since are the answers to what was asked from then on.
func (p *pump) since(t time.Time) []answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, a := range p.answers {
		if !a.at.Before(t) {
			return append([]answer{}, p.answers[i:]...)
		}
	}
	return nil
}

// silence is the longest time between two answers from then on, and whether there have been answers again since.
func (p *pump) silence(since time.Time) (longest time.Duration, again bool) {
	last := since
	for _, a := range p.since(since) {
		if a.code != 0 {
			longest, last = max(longest, a.at.Sub(last)), a.at
			again = true
		} else {
			again = false
		}
	}
	return longest, again
}

// TestSoakAddressMoves switches a closed host off and on again. By the scripts and the handbook's commands keepalived
// has a second machine answer meanwhile. Visitors ask all the while: how long nobody answered them is printed, and
// none of them reaches the application.
func TestSoakAddressMoves(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for networks of its own")
	}
	visitors, host, standby := rig.NewNetwork(t), rig.NewNetwork(t), rig.NewNetwork(t)
	visitors.IP(t, "link add br0 type bridge mcast_snooping 0", "link set br0 up", "addr add "+visitorsAddr+"/24 dev br0")
	for _, m := range []struct {
		name, addr string
		net        *rig.Network
	}{{"host", hostAddr, host}, {"standby", standbyAddr, standby}} {
		visitors.Wire(t, m.name, m.net, "eth0")
		visitors.IP(t, "link set "+m.name+" master br0")
		m.net.IP(t, "addr add "+m.addr+"/24 dev eth0", "route add default via "+visitorsAddr)
	}

	s := rig.NewSingle(t)
	pages := visitorsAddr + ":7070"
	visitors.Serve(t, pages, http.FileServer(http.Dir(s.Store)))
	host.Serve(t, rig.Loopback(8000), s.App.Handler())
	for old, new := range map[string]string{
		fmt.Sprintf("page_url  = %q", s.PageURL):                      fmt.Sprintf("page_url  = %q", "http://"+pages),
		fmt.Sprintf("app_url   = %q", s.URL):                          fmt.Sprintf("app_url   = %q", "http://"+movesAddr),
		fmt.Sprintf("listen    = %q", rig.Loopback(s.Blocks[0].Port)): `listen    = "127.0.0.1:80"`,
		fmt.Sprintf("upstreams = [%q]", rig.Loopback(s.App.Port)):     `upstreams = ["127.0.0.1:8000"]`,
	} {
		s.EditConfig(t, old, new)
	}
	cli := func(args ...string) rig.Result {
		t.Helper()
		return s.Call(t, rig.Call{Before: host.Before(), Args: args})
	}
	cli("render").Want(t, 0)
	s.Nginx.Configure(t, fmt.Sprintf("include %s/http.conf; server { include %s; listen 80; location / { proxy_pass http://127.0.0.1:8000; } }",
		s.ConfDir, s.SiteFile(rig.SingleSite)))
	s.Nginx.StartWithin(t, host)
	cli("publish").Want(t, 0)

	// The second machine, by the handbook's commands.
	dir := filepath.Join(s.Nginx.Dir, "standby")
	second := rig.NewNginx(t)
	sets := map[string]*rig.Network{"host": host, "standby": standby}
	ran := 0
	for _, command := range handbookCommands(t, "A second machine answers") {
		command = strings.NewReplacer("--out standby", "--out "+dir, "/srv/standby", dir, "/usr/share/conforma-status/", rig.Source("deploy")+"/",
			"192.0.2.10", movesAddr, "https://127.0.0.1/", "http://127.0.0.1/").Replace(command)
		switch words := strings.Fields(command); {
		case words[0] == "conforma-status":
			rig.Says(t, cli(words[1:]...).Want(t, 0), "this machine is taken to be at "+hostAddr)
		case words[0] == "nginx":
			second.Conf = filepath.Join(dir, "standby.conf")
			runIn(t, standby, append(second.Args("-t"), "-g", "pid "+second.PIDFile()+"; error_log stderr;")...)
		case strings.HasSuffix(words[0], "keepalived.sh"):
			for role, in := range sets {
				conf := filepath.Join(s.Nginx.Dir, "keepalived-"+role+".conf")
				runIn(t, in, append([]string{"env", "PATH=" + withoutSystemctl(t) + ":" + os.Getenv("PATH"), "KEEPALIVED_CONF=" + conf},
					strings.Fields(strings.Replace(command, " host ", " "+role+" ", 1))...)...)
			}
		default: // rsync, apt, systemctl and the AWS CLI are for machines that there aren't here
			continue
		}
		ran++
	}
	if ran != 4 {
		t.Fatalf("ran %d of the handbook's commands", ran)
	}
	second.Conf = filepath.Join(second.Dir, "nginx.conf")
	_, inside, _ := strings.Cut(rig.ReadFile(t, filepath.Join(dir, "standby.conf")), "\nhttp {\n")
	second.Configure(t, strings.TrimSuffix(inside, "}\n"))
	second.StartWithin(t, standby)
	for role, in := range sets {
		file := func(kind string) string { return filepath.Join(s.Nginx.Dir, "keepalived-"+role+"."+kind) }
		in.Start(t, "keepalived", "--dont-fork", "--log-console", "--use-file", file("conf"), "--pid", file("pid"), "--vrrp_pid", file("vrrp"), "--checkers_pid", file("checkers"))
	}
	has := func(in *rig.Network) bool {
		return strings.Contains(runIn(t, in, "ip", "-o", "addr"), " "+movesAddr+"/")
	}
	rig.WaitFor(t, "the host to have the address", func() bool { return has(host) && !has(standby) })

	ctx, stop := context.WithCancel(context.Background())
	var asking sync.WaitGroup
	defer asking.Wait()
	defer stop()
	p := &pump{}
	client := visitors.Client()
	client.Timeout = time.Second
	asking.Go(func() { p.run(ctx, client) })
	rig.WaitFor(t, "visitors to be served", func() bool { a := p.since(time.Time{}); return len(a) > 0 && a[len(a)-1].code == 200 })
	cli("set", "offline", "--eta", "2h").Want(t, 0)
	closed, reached := time.Now(), s.App.Count()

	off := time.Now()
	host.IP(t, "link set eth0 down")
	s.Nginx.Kill(t)
	var away time.Duration
	rig.WaitFor(t, "the standby to answer", func() bool {
		var again bool
		away, again = p.silence(off)
		return again && has(standby)
	})
	on := time.Now()
	rig.Check(t, os.Remove(s.Nginx.PIDFile()))
	host.IP(t, "link set eth0 up")
	s.Nginx.StartWithin(t, host)
	rig.WaitFor(t, "the host to have the address again", func() bool { return has(host) && !has(standby) })
	back := time.Now()
	rig.WaitFor(t, "the host to answer", func() bool {
		n := 0
		for _, a := range p.since(back) {
			if a.code != 0 {
				n++
			}
		}
		return n > 10
	})
	returned, _ := p.silence(on)
	fmt.Printf("%s: nobody answered for %.2f s when the host went, and for %.2f s when it came back\n", t.Name(), away.Seconds(), returned.Seconds())
	for _, a := range p.since(closed) {
		if a.code != 0 && (a.code != 302 || a.shown != "offline" || a.toward != "http://"+pages+"/demo/#at=/application/1?x=%2F") {
			t.Errorf("%v after the closing a visitor got %d %q %q", a.at.Sub(closed), a.code, a.shown, a.toward)
		}
	}
	if n := s.App.Count(); n != reached {
		t.Errorf("%d requests reached the application of a closed site", n-reached)
	}
	cli("reconcile").Want(t, 0)
	cli("set", "online").Want(t, 0)
	open := time.Now()
	rig.WaitFor(t, "visitors to be served again", func() bool { a := p.since(open); return len(a) > 0 && a[len(a)-1].code == 200 })
}

// runIn runs a program in the network, which has to succeed, and returns what it says.
func runIn(t *testing.T, in *rig.Network, argv ...string) string {
	t.Helper()
	argv = append(in.Before(), argv...)
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
	return string(out)
}

// withoutSystemctl is a directory with a systemctl that does nothing.
func withoutSystemctl(t *testing.T) string {
	t.Helper()
	dir := rig.Dir(t)
	rig.WriteFile(t, filepath.Join(dir, "systemctl"), "#!/bin/sh\n")
	rig.Check(t, os.Chmod(filepath.Join(dir, "systemctl"), 0o755))
	return dir
}
