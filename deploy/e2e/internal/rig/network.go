package rig

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// Network is the network of a machine, or of a container, of its own: a namespace that goes with the test. It takes
// root.
type Network struct{ holder *process }

// NewNetwork makes one that has nothing but its loopback.
func NewNetwork(tb testing.TB) *Network {
	tb.Helper()
	return newNetwork(tb, nil)
}

// Apart makes another one, whose connections the kernel doesn't go through when it lists those of n, as if it were
// that of another machine. Linux does so since 6.1 (net.ipv4.tcp_child_ehash_entries of ip-sysctl).
func (n *Network) Apart(tb testing.TB) *Network {
	tb.Helper()
	const script = `own=/proc/sys/net/ipv4/tcp_child_ehash_entries; [ ! -e $own ] || echo 65536 >$own; exec "$@"`
	return newNetwork(tb, append(n.Before(), "sh", "-c", script, "sh"))
}

func newNetwork(tb testing.TB, before []string) *Network {
	tb.Helper()
	argv := append(before, "unshare", "-n", "sh", "-c", "ip link set lo up && echo ready && exec sleep 1d")
	n := &Network{startProcess(tb, exec.Command(argv[0], argv[1:]...))}
	WaitFor(tb, "the network", func() bool {
		if n.holder.hasExited() {
			tb.Fatalf("rig: make a network: %s", n.holder.output(tb))
		}
		return n.holder.output(tb) == "ready\n"
	})
	return n
}

func (n *Network) pid() int { return n.holder.cmd.Process.Pid }

// Before is the command that runs another one in the network.
func (n *Network) Before() []string { return []string{"nsenter", "-n", "-t", strconv.Itoa(n.pid())} }

// IP gives ip(8) each of the lines.
func (n *Network) IP(tb testing.TB, lines ...string) {
	tb.Helper()
	argv := append(n.Before(), "ip", "-batch", "-")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("rig: ip -batch: %v\n%s\n%s", err, out, strings.Join(lines, "\n"))
	}
}

// Wire connects a card of n to a card of to.
func (n *Network) Wire(tb testing.TB, card string, to *Network, theirs string) {
	tb.Helper()
	n.IP(tb, "link add "+card+" type veth peer name "+theirs+" netns "+strconv.Itoa(to.pid()), "link set "+card+" up")
	to.IP(tb, "link set "+theirs+" up")
}

// Namespace is the network as the product has it.
func (n *Network) Namespace() workers.Network { return workers.Of(n.pid()) }

// Within calls f by a thread that is in the network.
func (n *Network) Within(f func() error) error {
	return n.Namespace().Within(context.Background(), func() {}, f)
}

// Enter has the calling goroutine be in the network for good, with the commands that it runs and the sockets that it
// opens. What goes on beside it, such as an nginx, is started there with StartWithin.
func (n *Network) Enter(tb testing.TB) {
	tb.Helper()
	file, err := os.Open(n.Namespace().File())
	Check(tb, err)
	defer file.Close()
	runtime.LockOSThread() // and never unlocked: the runtime ends the thread then
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		tb.Fatalf("rig: enter a network: %v", err)
	}
}

// Dial connects to an address from the network.
func (n *Network) Dial(ctx context.Context, addr string) (conn net.Conn, err error) {
	err = n.Within(func() (err error) {
		conn, err = (&net.Dialer{Timeout: Patience}).DialContext(ctx, "tcp", addr)
		return err
	})
	return conn, err
}

// Serve serves handler at an address of the network until tb ends.
func (n *Network) Serve(tb testing.TB, addr string, handler http.Handler) {
	tb.Helper()
	var l net.Listener
	err := n.Within(func() (err error) {
		l, err = net.Listen("tcp4", addr)
		return err
	})
	if err != nil {
		tb.Fatalf("rig: listen at %s: %v", addr, err)
	}
	Serve(tb, l, &http.Server{Handler: handler})
}

// Client asks from the network, each time on a connection of its own.
func (n *Network) Client() *http.Client {
	return &http.Client{Timeout: Patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return n.Dial(ctx, addr) }}}
}

// Start starts a program in the network that ends with tb.
func (n *Network) Start(tb testing.TB, argv ...string) {
	tb.Helper()
	argv = append(n.Before(), argv...)
	startProcess(tb, exec.Command(argv[0], argv[1:]...))
}

// StartWithin is Start for an nginx in the network.
func (n *Nginx) StartWithin(tb testing.TB, in *Network) {
	tb.Helper()
	argv := append(in.Before(), n.Args("-g", "daemon off;")...)
	n.launch(tb, exec.Command(argv[0], argv[1:]...)) // nsenter becomes nginx
}

// End ends the network, as a container's does that is removed: with the last process and the last socket in it.
func (n *Network) End(tb testing.TB) {
	tb.Helper()
	n.holder.stop(tb, syscall.SIGKILL, Patience)
}
