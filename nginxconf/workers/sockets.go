// Package workers finds nginx's processes and the sockets that they hold, and cuts connections.
package workers

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"
)

// Scope is where the requests of a site come in and go out: which sockets are the site's.
type Scope struct {
	Listens   []string // host:port that nginx listens at; a host that means "every address" stands for all
	Upstreams []string // host:port of the application
	// WorkersMustEnd is set where the site has sockets that can't be told from others, such as unix sockets: the old workers
	// themselves have to be gone.
	WorkersMustEnd bool
}

// Process is a process, told from a later one with the same id by when it started.
type Process struct {
	PID   int
	Start uint64 // clock ticks since boot (proc(5), stat field 22)
}

// Snapshot is which workers of nginx there were before a reload.
type Snapshot struct {
	processes map[Process]process
	tick      uint64
	answered  map[int]bool // by process id
}

// Connection is one TCP connection, seen from nginx.
type Connection struct {
	Local, Remote netip.AddrPort
	Process       Process
}

// Remaining is what there still is of the time before a reload.
type Remaining struct {
	Connections       []Connection // of clients of the site, and to its upstreams
	ListeningWorkers  []Process    // old workers that could still be given a new client
	UnreadableWorkers []Process    // old workers whose sockets can't be looked at: what they hold is not known
	// OtherMasters are workers of another master that listens for the site too, as after the first half of a binary upgrade.
	// They can't be ended: their master would start others.
	OtherMasters []Process
	// NoNewWorkerSeen is set while no worker from after the reload is seen to listen for the site: whoever looks can't see what
	// there is to be seen, and finding nothing proves nothing.
	NoNewWorkerSeen bool
	// ReadErr is why what a worker holds, an old one or not, can't be looked at; nil where that was so of none.
	ReadErr error
}

// Drained reports whether nothing is left.
func (l Remaining) Drained() bool {
	return len(l.Connections) == 0 && l.Workers() == 0 && !l.NoNewWorkerSeen
}

// Workers counts the old workers that are left.
func (l Remaining) Workers() int {
	return len(l.ListeningWorkers) + len(l.UnreadableWorkers) + len(l.OtherMasters)
}

// Sockets looks at the processes and sockets of this machine through /proc.
type Sockets struct {
	Root string // where proc(5) is mounted, "" for /proc
}

func (s Sockets) root() string {
	if s.Root == "" {
		return procfs.DefaultMountPoint
	}
	return s.Root
}

// Remaining finds what workers from before a reload still hold of a site's. comm is the name of nginx's program, master its
// master process, whose network namespace is looked at.
func (s Sockets) Remaining(b Snapshot, scope Scope, comm string, master int) (Remaining, error) {
	processes, err := s.processes(comm)
	if err != nil {
		return Remaining{}, err
	}
	sockets, err := s.sockets(scope, master)
	if err != nil {
		return Remaining{}, err
	}
	left := Remaining{NoNewWorkerSeen: true}
	since := b.since(processes, master)
	for _, w := range processes.workersOf(master) {
		inodes, err := s.inodes(w.Process)
		switch {
		case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ESRCH):
			continue // it has exited: that needs no further proof
		case err != nil:
			left.ReadErr = err
			if b.old(w, since) {
				left.UnreadableWorkers = append(left.UnreadableWorkers, w.Process)
			}
			continue
		}
		var connections []Connection
		listening := false
		for _, inode := range inodes {
			sock, ok := sockets[inode]
			switch {
			case !ok:
			case sock.listening:
				listening = true
			default:
				connections = append(connections, Connection{sock.local, sock.remote, w.Process})
			}
		}
		switch {
		case processes.ofOtherMaster(w, master):
			left.Connections = append(left.Connections, connections...)
			if listening {
				left.OtherMasters = append(left.OtherMasters, w.Process)
			}
		case b.old(w, since):
			left.Connections = append(left.Connections, connections...)
			if listening || scope.WorkersMustEnd {
				left.ListeningWorkers = append(left.ListeningWorkers, w.Process)
			}
		case listening || scope.WorkersMustEnd:
			left.NoNewWorkerSeen = false
		}
	}
	return left, nil
}

// inodes are the sockets that a process holds.
func (s Sockets) inodes(p Process) ([]uint64, error) {
	dir := filepath.Join(s.root(), strconv.Itoa(p.PID), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []uint64
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join(dir, e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // closed meanwhile
		}
		if err != nil {
			return nil, err
		}
		if number, ok := strings.CutPrefix(to, "socket:["); ok {
			if n, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64); err == nil {
				out = append(out, n)
			}
		}
	}
	return out, nil
}

// tcpSocket is a TCP socket of the site, by the kernel's tables.
type tcpSocket struct {
	local, remote netip.AddrPort
	listening     bool
}

const tcpListen = 0x0a // TCP_LISTEN in the kernel's tcp_states.h

// sockets are the site's sockets in the network namespace of master, by inode.
func (s Sockets) sockets(scope Scope, master int) (map[uint64]tcpSocket, error) {
	m, err := scope.matcher()
	if err != nil {
		return nil, err
	}
	all, err := s.list(master)
	if err != nil {
		return nil, fmt.Errorf("look at nginx's sockets: %w", err)
	}
	out := map[uint64]tcpSocket{}
	for _, sock := range all {
		if sock.inode != 0 && m.matches(sock.tcpSocket) {
			out[sock.inode] = sock.tcpSocket
		}
	}
	return out, nil
}

// list lists the TCP sockets in the network namespace of a process. Those in TIME_WAIT, which no process holds, may be missing.
func (s Sockets) list(pid int) ([]diagSocket, error) {
	// The kernel's own way of asking sees the namespace of our own process only: not that of an nginx in a container.
	if ours := s.network("self"); s.Root == "" && ours != "" && ours == s.network(strconv.Itoa(pid)) {
		if all, err := listDiag(); err == nil {
			return all, nil
		}
	}
	fs, err := procfs.NewFS(filepath.Join(s.root(), strconv.Itoa(pid)))
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 netlink, which is advised instead, is what is asked first
	lines, err := fs.NetTCP()
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 likewise
	lines6, err := fs.NetTCP6()
	if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without IPv6 has none
		return nil, err
	}
	var out []diagSocket
	for _, l := range append(lines, lines6...) {
		out = append(out, diagSocket{inode: l.Inode, tcpSocket: tcpSocket{
			addrPort(l.LocalAddr, l.LocalPort), addrPort(l.RemAddr, l.RemPort), l.St == tcpListen,
		}})
	}
	return out, nil
}

// Listening returns the TCP addresses that this machine's processes listen at, in this network namespace.
func (s Sockets) Listening() ([]netip.AddrPort, error) {
	all, err := s.list(os.Getpid())
	if err != nil {
		return nil, fmt.Errorf("look at this machine's sockets: %w", err)
	}
	var out []netip.AddrPort
	for _, sock := range all {
		if sock.listening {
			out = append(out, sock.local)
		}
	}
	return out, nil
}

func addrPort(ip net.IP, port uint64) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port))
}

// matcher tells the site's sockets from others. An address that isn't valid stands for any.
type matcher struct{ listens, upstreams []netip.AddrPort }

func (sc Scope) matcher() (matcher, error) {
	var m matcher
	for _, l := range sc.Listens {
		ends, err := endpoints(l)
		if err != nil {
			return matcher{}, fmt.Errorf("read the address %q: %w", l, err)
		}
		m.listens = append(m.listens, ends...)
	}
	for _, u := range sc.Upstreams {
		ends, err := endpoints(u)
		if err != nil {
			return matcher{}, fmt.Errorf("read the address %q: %w", u, err)
		}
		m.upstreams = append(m.upstreams, ends...)
	}
	return m, nil
}

// endpoints are the addresses that host:port may mean. A name that can't be looked up stands for any address: its
// port alone decides then, which errs towards waiting.
func endpoints(hostport string) ([]netip.AddrPort, error) {
	host, p, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return nil, err
	}
	anyAddress := []netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, uint16(port))}
	if host == "" || host == "*" {
		return anyAddress, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.IsUnspecified() {
			return anyAddress, nil
		}
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), uint16(port))}, nil
	}
	if !strings.EqualFold(host, "localhost") {
		return anyAddress, nil
	}
	return []netip.AddrPort{
		netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)),
		netip.AddrPortFrom(netip.IPv6Loopback(), uint16(port)),
	}, nil
}

func (m matcher) matches(s tcpSocket) bool {
	for _, l := range m.listens {
		if s.local.Port() != l.Port() {
			continue
		}
		if !l.Addr().IsValid() || s.local.Addr() == l.Addr() || s.listening && s.local.Addr().IsUnspecified() {
			return true
		}
	}
	for _, u := range m.upstreams {
		if s.remote.Port() == u.Port() && !s.listening && (!u.Addr().IsValid() || s.remote.Addr() == u.Addr()) {
			return true
		}
	}
	return false
}
