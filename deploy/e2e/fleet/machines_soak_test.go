//go:build soak

package fleet

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/s3server"
)

// Addresses on the network that the machines have in common: that of what they all use, of the balancer, and of the
// first machine. They are the handbook's.
const (
	middle   = "192.0.2.1"
	storeAt  = middle + ":9000"
	balancer = middle + ":8080"
	sitePort = 8080
	first    = 11
)

// fleet is several machines behind a balancer, with an S3 server that they reach through a gateway. The test is in the
// network in which these two are.
type fleet struct {
	chance   *rig.Chance
	s3       *s3server.Server
	gateway  *gateway
	env      []string // with the keys to the store
	key      string   // the file with the fleet's
	machines []*machine
	laptop   *rig.Single // has the configuration, the key and the rights, and no state directory
}

// machine is a host with a network, an nginx, an application and an agent of its own.
type machine struct {
	*rig.Single
	f          *fleet
	name, addr string
	card       string // its end of the wire in the middle
	net        *rig.Network
	agent      *rig.Running
}

// newFleet puts up so many machines, all of which are members and open.
func newFleet(t *testing.T, n int) *fleet {
	t.Helper()
	f := &fleet{chance: rig.NewChance(t), s3: s3server.Start(t), key: filepath.Join(rig.Dir(t), "fleet.key")}
	rig.WriteSecret(t, f.key, key+"\n")
	f.s3.CreateBucket(t, "maintenance")
	f.s3.CreatePrivateBucket(t, "receipts")
	for name, value := range f.s3.Env() {
		f.env = append(f.env, name+"="+value)
	}
	middleIP(t, "link add br0 type bridge", "link set br0 up", "addr add "+middle+"/24 dev br0")
	f.gateway = newGateway(t, f.s3.Endpoint, f.chance)
	l, err := net.Listen("tcp4", storeAt)
	rig.Check(t, err)
	rig.Serve(t, l, &http.Server{Handler: f.gateway})

	f.laptop = rig.NewSingle(t)
	f.configure(t, f.laptop, "laptop")
	rig.Check(t, os.RemoveAll(f.laptop.State))
	for i := range n {
		f.machines = append(f.machines, f.newMachine(t, fmt.Sprintf("app-%d", i+1), first+i))
	}
	for _, m := range f.machines {
		m.boot(t)
	}
	for _, m := range f.machines {
		rig.WaitFor(t, m.name+" to be open", func() bool { return m.visit() == fromApplication })
	}
	f.balance(t)
	return f
}

// middleIP gives ip(8) each of the lines, in the network of the test.
func middleIP(t *testing.T, lines ...string) {
	t.Helper()
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ip -batch: %v\n%s\n%s", err, out, strings.Join(lines, "\n"))
	}
}

func (f *fleet) configure(t *testing.T, s *rig.Single, name string) {
	t.Helper()
	s.URL, s.PageURL = "http://"+balancer, "http://"+storeAt+"/maintenance"
	s.Configure(t, rig.Settings{
		Top:   fmt.Sprintf("[fleet]\nhost = %q\nstore = \"s3://receipts\"\npoll = \"150ms\"\nkey_file = %q\n", name, f.key),
		Store: "s3://maintenance", S3: fmt.Sprintf("region = %q\nendpoint = \"http://%s\"\npath_style = true\n", f.s3.Region, storeAt),
	})
}

// newMachine wires up a machine that is off.
func (f *fleet) newMachine(t *testing.T, name string, at int) *machine {
	t.Helper()
	m := &machine{Single: rig.NewSingle(t), f: f, name: name, addr: fmt.Sprintf("192.0.2.%d", at), card: fmt.Sprintf("card%d", at), net: rig.NewNetwork(t)}
	m.net.IP(t, fmt.Sprintf("link add eth0 type veth peer name %s netns %d", m.card, os.Getpid()), "link set eth0 up", "addr add "+m.addr+"/24 dev eth0")
	middleIP(t, "link set "+m.card+" up")
	m.plug(t)
	m.App.Handle = work
	m.net.Serve(t, rig.Loopback(m.App.Port), m.App.Handler())
	f.configure(t, m.Single, name)
	m.Server = fmt.Sprintf("listen %s:%d;", m.addr, sitePort)
	m.CLI(t, "render").Want(t, 0)
	m.WriteNginx(t)
	return m
}

// work has an application take its time over some requests.
func work(_ http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path == "/slow" {
		time.Sleep(100 * time.Millisecond)
	}
	return false
}

// plug connects the machine with the others, and pull takes the plug: nothing gets through, and nobody is told.
func (m *machine) plug(t *testing.T) { middleIP(t, "link set "+m.card+" master br0") }
func (m *machine) pull(t *testing.T) { middleIP(t, "link set "+m.card+" nomaster") }

// start starts conforma-status on the machine.
func (m *machine) start(t *testing.T, args ...string) *rig.Running {
	t.Helper()
	return m.Start(t, rig.Call{Before: m.net.Before(), Env: m.f.env, Args: args})
}

// boot has the machine do what systemd does when it comes up.
func (m *machine) boot(t *testing.T) {
	t.Helper()
	if said := m.start(t, "reconcile").Wait(t); said.Code != 0 && !strings.Contains(said.Stderr, "the interrupted change is finished once nginx runs") {
		t.Fatalf("%s boots: exit code %d\n%s", m.name, said.Code, said.Stderr)
	}
	m.Nginx.StartWithin(t, m.net)
	m.agent = m.start(t, "follow")
}

// die ends all on the machine at once, as a power cut does.
func (m *machine) die(t *testing.T) {
	t.Helper()
	m.killAgent(t)
	m.Nginx.Kill(t)
}

func (m *machine) killAgent(t *testing.T) {
	t.Helper()
	m.agent.Signal(syscall.SIGKILL)
	m.agent.Wait(t)
}

// balance has HAProxy, as the handbook configures it, stand before the machines.
func (f *fleet) balance(t *testing.T) {
	t.Helper()
	text := rig.HandbookBlock(t, "Behind a load balancer", "haproxy")
	server := regexp.MustCompile(`(?m)^ *server .*\n`).FindString(text)
	var servers strings.Builder
	for _, m := range f.machines {
		fmt.Fprintf(&servers, "    server %s %s:%d check inter 100ms\n", m.name, m.addr, sitePort)
	}
	conf := fmt.Sprintf("defaults\n    mode http\n    timeout connect 1s\n    timeout client 60s\n    timeout server 60s\n    option redispatch\n"+
		"frontend all\n    bind %s\n    default_backend demo\n%s", balancer, strings.Replace(text, server, servers.String(), 1))
	rig.StartHAProxy(t, conf, balancer)
}

// answer is who answers a visitor.
type answer int

const (
	byNobody        answer = iota
	fromApplication        // it was let in
	refused                // by nginx
)

var visitor = &http.Client{
	Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// visit visits the machine itself.
func (m *machine) visit() answer {
	return visit(fmt.Sprintf("http://%s:%d/application/1", m.addr, sitePort))
}

func visit(url string) answer {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	resp, err := visitor.Do(req)
	if err != nil {
		return byNobody
	}
	resp.Body.Close()
	if resp.Header.Get("X-App") != "" {
		return fromApplication
	}
	return refused
}

// isByItself reports whether the machine has written down that it is shut by itself, whatever is ordered: it has begun
// and not read the order yet, or it was closed alone.
func (m *machine) isByItself() bool {
	data, err := os.ReadFile(filepath.Join(m.State, "fleet", rig.SingleSite+".json"))
	var on struct{ Waits, Pending bool }
	return err != nil || json.Unmarshal(data, &on) != nil || on.Waits || on.Pending
}
