//go:build linux

package barrier

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// inUserNamespace is set in the environment of a test binary that runs itself as root of a user namespace.
const inUserNamespace = "CONFORMA_STATUS_TEST_USERNS"

// TestMain has an ordinary user's tests run as root of a user namespace, with a network namespace of its own.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		beProgram()
	}
	if os.Geteuid() == 0 || os.Getenv(inUserNamespace) != "" || os.Getenv(asNobody) != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inUserNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	var exit *exec.ExitError
	switch err := cmd.Run(); {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil: // this machine has no user namespaces for us: each test that needs one says that it is left out
		os.Exit(m.Run())
	}
}

// leaveOut ends a test that this user can't run. Root can run all of them.
func leaveOut(t testing.TB, why ...any) {
	t.Helper()
	if os.Geteuid() == 0 && os.Getenv(inUserNamespace) == "" {
		t.Fatal(append([]any{"root runs all tests: "}, why...)...)
	}
	t.Skip(append([]any{"LEFT OUT: "}, why...)...)
}

// needUsers leaves a test out where there are no other users than root.
func needUsers(t testing.TB) {
	t.Helper()
	if os.Getenv(inUserNamespace) != "" {
		leaveOut(t, "there is one user only in this user namespace")
	}
}

// host is a machine: a network namespace of its own.
type host struct {
	t testing.TB
	workers.Network
	work chan func()
}

func newHost(t testing.TB) *host {
	t.Helper()
	h := &host{t: t, work: make(chan func())}
	ready := make(chan error)
	workers.OnThread(func() {
		err := unix.Unshare(unix.CLONE_NEWNET)
		h.Network = workers.Of(unix.Gettid())
		ready <- err
		if err == nil {
			for f := range h.work {
				f()
			}
		}
	})
	if err := <-ready; err != nil {
		leaveOut(t, "no network namespace can be made: ", err)
	}
	t.Cleanup(func() { close(h.work) })
	h.ip("link set lo up")
	return h
}

// do calls f in the namespace.
func (h *host) do(f func() error) error {
	done := make(chan error, 1)
	h.work <- func() { done <- f() }
	return <-done
}

func (h *host) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// ip calls ip(8) with each of the lines. An address of IPv6 is the host's a little after it was added only: the
// kernel has a worker of its own do that.
func (h *host) ip(lines ...string) {
	h.t.Helper()
	for _, line := range lines {
		words := strings.Fields(line)
		out, err := h.output("ip", words...)
		if err != nil {
			h.t.Fatalf("ip %s: %v\n%s", line, err, out)
		}
		if added, _ := strings.CutPrefix(line, "addr add "); words[len(words)-1] == "nodad" {
			at, _, _ := strings.Cut(added, "/")
			eventually(h.t, at+" is there", func() bool {
				var w way
				h.must(h.do(func() (err error) {
					w, err = wayTo(netip.MustParseAddr(at))
					return err
				}))
				return w.local
			})
		}
	}
}

func (h *host) output(name string, args ...string) (out []byte, err error) {
	err = h.do(func() (err error) {
		out, err = exec.Command(name, args...).CombinedOutput()
		return err
	})
	return out, err
}

// sysctl writes a kernel parameter of the namespace.
func (h *host) sysctl(name, value string) {
	h.t.Helper()
	h.must(h.do(func() error { return os.WriteFile("/proc/sys/"+name, []byte(value), 0) }))
}

// wire connects two hosts by a pair of network cards.
func (h *host) wire(card string, to *host, theirCard string) {
	h.t.Helper()
	h.ip(fmt.Sprintf("link add %s type veth peer name %s netns %d", card, theirCard, to.Process()),
		"link set "+card+" up")
	to.ip("link set " + theirCard + " up")
}

// app is an application: it counts who gets through to it.
type app struct {
	net.Listener
	got atomic.Int64
}

func (h *host) listen(address string) *app {
	h.t.Helper()
	a := &app{}
	h.must(h.do(func() (err error) {
		var plain net.ListenConfig
		plain.SetMultipathTCP(false)
		network := "tcp"
		if !strings.HasPrefix(address, "[") {
			network = "tcp4"
		}
		a.Listener, err = plain.Listen(context.Background(), network, address)
		return err
	}))
	h.t.Cleanup(func() { a.Close() })
	go func() {
		for {
			c, err := a.Accept()
			if err != nil {
				return
			}
			a.got.Add(1)
			go func() {
				defer c.Close()
				buf := make([]byte, 64)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					if _, err := c.Write(buf[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return a
}

// dial connects to an address from the namespace as a user, and says hello. An error says why that failed.
func (h *host) dial(user uint32, address string) error {
	return h.Within(context.Background(), func() {}, func() error {
		c, err := h.open(user, address)
		if err != nil {
			return err
		}
		defer unix.Close(c)
		return greet(c)
	})
}

// greet sees that somebody answers.
func greet(fd int) error {
	err := uninterrupted(func() error {
		_, err := unix.Write(fd, []byte("hello"))
		return err
	})
	if err != nil {
		return err
	}
	return uninterrupted(func() error {
		n, err := unix.Read(fd, make([]byte, 64))
		if err == nil && n == 0 {
			err = errors.New("closed")
		}
		return err
	})
}

// uninterrupted calls f again where a signal has interrupted it, as Go's runtime sends them. The kernel doesn't go on
// by itself where the socket has a timeout (signal(7)). What connect(2) has begun goes on, and the next call returns
// how it ends.
func uninterrupted(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// patient is how long the tests wait for an answer. The kernel sends a first packet again after 1, 3, 7 and 15 s: on a
// busy machine it may take some of them.
var patient = unix.Timeval{Sec: 30}

// open opens a connection from this thread as a user.
func (h *host) open(user uint32, address string) (fd int, err error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return -1, err
	}
	if err := become(User{Here: user, Group: uint32(os.Getgid())}); err != nil {
		return -1, err
	}
	family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: at.Addr().As16(), Port: int(at.Port())})
	if at.Addr().Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	for _, option := range []int{unix.SO_SNDTIMEO, unix.SO_RCVTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &patient); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	if err := uninterrupted(func() error { return unix.Connect(fd, to) }); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// refused sees that a connection is refused, passes that it isn't.
func (h *host) refused(user uint32, address string) {
	h.t.Helper()
	if err := h.dial(user, address); !errors.Is(err, unix.ECONNREFUSED) {
		h.t.Errorf("user %d at %s: %v, not refused", user, address, err)
	}
}

func (h *host) passes(user uint32, address string) {
	h.t.Helper()
	if err := h.dial(user, address); err != nil {
		h.t.Errorf("user %d at %s: %v", user, address, err)
	}
}

// table is the one of a configuration on this host.
func (h *host) table() Table { return Table{StateDir: "/var/lib/conforma-status", Network: h.Network} }

func (h *host) load(r Rules) {
	h.t.Helper()
	h.must(h.table().Load(h.t.Context(), r))
	h.follows(r)
}

func (h *host) read() State {
	h.t.Helper()
	s, err := h.table().Read(h.t.Context())
	h.must(err)
	return s
}

// follows sees that the kernel has the rules.
func (h *host) follows(r Rules) {
	h.t.Helper()
	if how, less := h.read().Differs(r); how != "" || less {
		h.t.Errorf("the kernel doesn't follow the rules: %s, less: %v", how, less)
	}
}

// ends resolves upstreams.
func (h *host) ends(upstreams ...string) []End {
	h.t.Helper()
	found, err := (Resolver{Network: h.Network}).Resolve(h.t.Context(), upstreams)
	h.must(err)
	var out []End
	for _, up := range found {
		h.must(up.Err)
		out = append(out, up.Ends...)
	}
	return out
}

// closed are rules that refuse everything to users 33 and 65534, and to whoever comes from outside.
func (h *host) closed(upstreams ...string) Rules {
	h.t.Helper()
	return Rules{Users: []uint32{www, nobody}, Sites: []Site{{Name: "demo", Nginx: Refuse, Outside: Refuse, Ends: h.ends(upstreams...)}}}
}

// Users of the tests: root passes, the others are nginx's.
const (
	root   = 0
	www    = 33
	nobody = 65534
	other  = 1000
)

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so after 10 s: %s", what)
		}
	}
}
