package host

import (
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// bridged is a machine with Docker: a site's nginx and its application are in containers behind a bridge, and a port
// of each is published. Who comes from another machine comes from outside.
type bridged struct {
	*rig.Single
	machine, nginx, app, outside *rig.Network
	inside                       []string // what runs a command in nginx's container
	bridges                      map[string]bool
	http                         string // what nginx has in its http {}
}

// Addresses of the machine, and the ports that are published on it.
const (
	machineAddr   = "192.0.2.1"
	nginxAddr     = "172.30.0.2"
	sitePort      = 8080
	sitePublished = "192.0.2.1:8080"
	appPublished  = 8000
	pastNginx     = "192.0.2.1:8000"
	published     = "172.30.0.1:8000" // as nginx reaches the application by it
)

// newBridged makes one, with the application at that address: on nginx's bridge, or on one of its own. Upstream is how
// nginx's configuration, and ours, name the application.
func newBridged(t *testing.T, app netip.AddrPort, upstream string) *bridged {
	t.Helper()
	b := wire(t, app)
	b.EditConfig(t, fmt.Sprintf("upstreams = [%q]", rig.Loopback(b.App.Port)), fmt.Sprintf("upstreams = [%q]", upstream))
	port := b.Blocks[0].Port
	b.CLI(t, "render").Want(t, 0)
	b.http = fmt.Sprintf("include %s/http.conf; server { include %s; listen %d; location / { proxy_pass http://%s; } } server { listen %s; return 204; }", b.ConfDir, b.SiteFile(rig.SingleSite), port, upstream, neighbourAddr)
	b.start(t)
	b.byDocker(t)
	b.EditConfig(t, "grace ", "settled = [\"true\"]\ngrace ")
	return b
}

// byDocker has config.toml name the commands that reach nginx in its container.
func (b *bridged) byDocker(t *testing.T) {
	t.Helper()
	for key, arg := range map[string]string{"test": "-t", "reload": "-s reload"} {
		is := regexp.MustCompile(`(?m)^` + key + ` .*$`).FindString(rig.ReadFile(t, b.Config))
		b.EditConfig(t, is, fmt.Sprintf(`%s = ["docker", "exec", "web", "nginx", "%s"]`, key, strings.ReplaceAll(arg, " ", `", "`)))
	}
}

// wire makes the machine and its networks, in which nginx doesn't run yet.
func wire(t *testing.T, app netip.AddrPort) *bridged {
	t.Helper()
	rig.NeedBarrier(t)
	b := &bridged{rig.NewSingle(t), rig.NewNetwork(t), rig.NewNetwork(t), rig.NewNetwork(t), rig.NewNetwork(t), nil, map[string]bool{}, ""}
	b.machine.Wire(t, "eth0", b.outside, "eth0")
	b.outside.IP(t, "addr add 192.0.2.2/24 dev eth0")
	b.machine.IP(t, "addr add "+machineAddr+"/24 dev eth0")
	b.container(t, "nginx", b.nginx, netip.MustParseAddr(nginxAddr))
	b.container(t, "app", b.app, app.Addr())
	rig.Check(t, b.machine.Within(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) }))
	b.app.Serve(t, app.String(), b.App.Handler())
	pages, err := url.Parse(b.PageURL)
	rig.Check(t, err)
	b.machine.Serve(t, pages.Host, httputil.NewSingleHostReverseProxy(pages))
	port := b.Blocks[0].Port
	b.publish(t, map[int]string{sitePort: fmt.Sprintf("%s:%d", nginxAddr, port), appPublished: app.String()})
	return b
}

// start starts nginx's container, and makes the docker that runs commands in there.
func (b *bridged) start(t *testing.T) {
	t.Helper()
	b.Nginx.Configure(t, b.http)
	b.inside = b.Nginx.StartContained(t, b.nginx)
	b.docker(t)
}

// container puts a container on the bridge of its address, which is made where there is none yet.
func (b *bridged) container(t *testing.T, name string, c *rig.Network, addr netip.Addr) {
	t.Helper()
	net, err := addr.Prefix(24)
	rig.Check(t, err)
	gateway := net.Addr().Next().String()
	bridge := fmt.Sprintf("br-%d", net.Addr().As4()[1])
	if !b.bridges[bridge] {
		b.bridges[bridge] = true
		b.machine.IP(t, "link add "+bridge+" type bridge", "link set "+bridge+" up", "addr add "+gateway+"/24 dev "+bridge)
	}
	b.machine.Wire(t, name, c, "eth0")
	b.machine.IP(t, "link set "+name+" master "+bridge)
	c.IP(t, "addr add "+addr.String()+"/24 dev eth0", "route add default via "+gateway)
}

// publish leads ports of the machine to containers, as Docker does: by translation of addresses for who comes from
// elsewhere, or names an address of the machine that isn't loopback's, and by a proxy for who doesn't.
func (b *bridged) publish(t *testing.T, ports map[int]string) {
	t.Helper()
	err := b.machine.Within(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		nat := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "nat"})
		for _, hook := range []struct {
			name string
			at   *nftables.ChainHook
			who  []expr.Any
		}{{"PREROUTING", nftables.ChainHookPrerouting, notFromBridge()}, {"OUTPUT", nftables.ChainHookOutput, notLoopback()}} {
			ch := c.AddChain(&nftables.Chain{Table: nat, Name: hook.name, Type: nftables.ChainTypeNAT, Hooknum: hook.at, Priority: nftables.ChainPriorityNATDest})
			for at, to := range ports {
				c.AddRule(&nftables.Rule{Table: nat, Chain: ch, Exprs: slices.Concat(hook.who, local(), leads(uint16(at), netip.MustParseAddrPort(to)))})
			}
		}
		return c.Flush()
	})
	rig.Check(t, err)
	for at, to := range ports {
		b.proxy(t, at, netip.MustParseAddrPort(to))
	}
}

func local() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: 1, ResultADDRTYPE: true, FlagDADDR: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
}

// notFromBridge matches what doesn't come from nginx's bridge.
func notFromBridge() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte("br-30\x00")}}
}

func notLoopback() []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{127}},
	}
}

func leads(at uint16, to netip.AddrPort) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(at)},
		&expr.Immediate{Register: 1, Data: to.Addr().AsSlice()},
		&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(to.Port())},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2},
	}
}

// proxy starts the userland proxy of a published port: this program by another name.
func (b *bridged) proxy(t *testing.T, at int, to netip.AddrPort) {
	t.Helper()
	program := filepath.Join(b.bin(), "docker-proxy")
	self, err := os.Executable()
	rig.Check(t, err)
	rig.Check(t, os.MkdirAll(filepath.Dir(program), 0o755))
	if err := os.Symlink(self, program); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	b.machine.Start(t, program, "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", fmt.Sprint(at), "-container-ip", to.Addr().String(), "-container-port", fmt.Sprint(to.Port()))
	rig.WaitFor(t, "the proxy to listen", func() bool {
		conn, err := b.machine.Dial(t.Context(), rig.Loopback(at))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// beProxy is what docker-proxy does.
func beProxy(args []string) {
	word := func(name string) string { return args[slices.Index(args, name)+1] }
	l, err := net.Listen("tcp4", net.JoinHostPort(word("-host-ip"), word("-host-port")))
	for err == nil {
		var from net.Conn
		if from, err = l.Accept(); err != nil {
			break
		}
		go func() {
			defer from.Close()
			to, err := net.Dial("tcp", net.JoinHostPort(word("-container-ip"), word("-container-port")))
			if err != nil {
				return
			}
			defer to.Close()
			var ends sync.WaitGroup
			for _, way := range [][2]net.Conn{{to, from}, {from, to}} {
				ends.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].(*net.TCPConn).CloseWrite() // it may be gone
				})
			}
			ends.Wait()
		}()
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// bin is where the machine has programs of its own.
func (b *bridged) bin() string { return filepath.Join(b.Nginx.Dir, "bin") }

// docker makes a stand-in that knows the container "web", and runs nginx's commands in there.
func (b *bridged) docker(t *testing.T) {
	t.Helper()
	bin := b.bin()
	pid := b.inside[len(b.inside)-1]
	rig.WriteFile(t, filepath.Join(bin, "docker"), fmt.Sprintf(`#!/bin/sh
case "$*" in
"ps --quiet --no-trunc") echo 0a1b2c ;;
"inspect --format {{.State.Pid}} {{.Name}} 0a1b2c") echo %s /web ;;
"exec web nginx "*) shift 3; exec %s %s "$@" ;;
*) exit 125 ;;
esac
`, pid, strings.Join(b.inside, " "), strings.Join(b.Nginx.Args(), " ")))
	rig.Check(t, os.Chmod(filepath.Join(bin, "docker"), 0o755))
}

// run runs conforma-status on the machine.
func (b *bridged) run(t *testing.T, args ...string) rig.Result {
	t.Helper()
	return b.Call(t, rig.Call{Before: b.machine.Before(), Env: []string{"PATH=" + b.bin() + ":" + os.Getenv("PATH")}, Args: args})
}
