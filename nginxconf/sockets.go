package nginxconf

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
	Upstreams []string // host:port of the application, or unix:/path
}

// Process is a process, told from a later one with the same id by when it started.
type Process struct {
	PID   int
	Start uint64 // clock ticks since boot (proc(5), stat field 22)
}

// Before is which workers of nginx there were before a reload.
type Before struct {
	processes map[Process]bool
	tick      uint64
}

// Connection is one TCP connection, seen from nginx.
type Connection struct {
	Local, Remote netip.AddrPort
	Process       Process
}

// Left is what there still is of the time before a reload.
type Left struct {
	Connections []Connection // of clients of the site, and to its upstreams
	Listening   []Process    // old workers that could still be given a new client
	Unreadable  []Process    // old workers whose sockets can't be looked at: what they hold is not known
}

// Nothing reports whether nothing is left.
func (l Left) Nothing() bool {
	return len(l.Connections) == 0 && len(l.Listening) == 0 && len(l.Unreadable) == 0
}

// worker is a process of nginx that may serve requests.
type worker struct {
	Process
	leaving bool   // it says of itself that it is shutting down
	user    uint64 // effective user id
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

// Snapshot notes the workers there are. Call it before a reload and let at least a tick (10 ms) pass: what starts
// later is then told apart. comm is the name of the master's program, see Program.
func (s Sockets) Snapshot(comm string) (Before, error) {
	workers, err := s.workers(comm)
	if err != nil {
		return Before{}, err
	}
	b := Before{processes: map[Process]bool{}}
	for _, w := range workers {
		b.processes[w.Process] = true
	}
	b.tick, err = s.now()
	return b, err
}

// now is the time in clock ticks since boot. The kernel counts a process's start in the same ticks
// (CLOCK_BOOTTIME; USER_HZ is 100 on every platform that Go supports).
func (s Sockets) now() (uint64, error) {
	data, err := os.ReadFile(filepath.Join(s.root(), "uptime"))
	if err != nil {
		return 0, fmt.Errorf("look at this machine's processes: %w", err)
	}
	seconds, _, _ := strings.Cut(string(data), " ")
	whole, hundredths, _ := strings.Cut(seconds, ".")
	n, err := strconv.ParseUint(whole+hundredths, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the uptime: %w", err)
	}
	return n, nil
}

// Program returns the name of a process's program, as in proc(5)'s comm.
func (s Sockets) Program(pid int) (string, error) {
	data, err := os.ReadFile(filepath.Join(s.root(), strconv.Itoa(pid), "comm"))
	if err != nil {
		return "", fmt.Errorf("look at process %d: %w", pid, err)
	}
	return strings.TrimSpace(string(data)), nil
}

// user is the effective user id of a process.
func (s Sockets) user(pid int) (uint64, error) {
	fs, err := procfs.NewFS(s.root())
	if err != nil {
		return 0, fmt.Errorf("look at this machine's processes: %w", err)
	}
	proc, err := fs.Proc(pid)
	if err != nil {
		return 0, fmt.Errorf("look at process %d: %w", pid, err)
	}
	status, err := proc.NewStatus()
	if err != nil {
		return 0, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return status.UIDs[1], nil
}

// alive reports whether the process is still there, and still the same.
func (s Sockets) alive(p Process) (bool, error) {
	fs, err := procfs.NewFS(s.root())
	if err != nil {
		return false, fmt.Errorf("look at this machine's processes: %w", err)
	}
	proc, err := fs.Proc(p.PID)
	if err != nil {
		return false, nil
	}
	stat, err := proc.Stat()
	return err == nil && stat.Starttime == p.Start && stat.State != "Z", nil
}

// workers lists the processes of nginx that serve requests: whatever runs its program and isn't a master, which holds
// the listening sockets and never accepts from them.
func (s Sockets) workers(comm string) ([]worker, error) {
	fs, err := procfs.NewFS(s.root())
	if err != nil {
		return nil, fmt.Errorf("look at this machine's processes: %w", err)
	}
	procs, err := fs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("look at this machine's processes: %w", err)
	}
	var out []worker
	for _, p := range procs {
		stat, err := p.Stat()
		if err != nil || stat.Comm != comm || stat.State == "Z" || stat.State == "X" {
			continue // gone meanwhile, or somebody else's
		}
		title := ""
		if words, err := p.CmdLine(); err == nil {
			title = strings.Join(words, " ")
		}
		if strings.HasPrefix(title, comm+": master process") {
			continue
		}
		status, err := p.NewStatus()
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("look at process %d: %w", p.PID, err)
		}
		out = append(out, worker{Process{p.PID, stat.Starttime}, strings.Contains(title, "is shutting down"), status.UIDs[1]})
	}
	return out, nil
}

// old reports whether a worker is from before the reload that followed b. Nginx lets 100 ms pass between two
// generations (ngx_msleep in ngx_master_process_cycle), so that ticks of 10 ms tell them apart.
func (b Before) old(w worker) bool {
	return w.leaving || b.processes[w.Process] || w.Start <= b.tick
}

// Left finds what workers from before a reload still hold of a site's. master is nginx's master process, whose network
// namespace is looked at.
func (s Sockets) Left(b Before, scope Scope, comm string, master int) (Left, error) {
	workers, err := s.workers(comm)
	if err != nil {
		return Left{}, err
	}
	user, err := s.user(master)
	if err != nil {
		return Left{}, err
	}
	var old []worker
	for _, w := range workers {
		// A master that isn't root can't have workers of another user (setuid(2)): those are another nginx's, and
		// what they hold can't be read.
		if b.old(w) && (user == 0 || w.user == user) {
			old = append(old, w)
		}
	}
	var left Left
	if len(old) == 0 {
		return left, nil
	}
	sockets, err := s.sockets(scope, master)
	if err != nil {
		return Left{}, err
	}
	for _, w := range old {
		inodes, err := s.inodes(w.Process)
		switch {
		case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ESRCH):
			continue // it has exited: that needs no further proof
		case err != nil:
			left.Unreadable = append(left.Unreadable, w.Process)
			continue
		}
		listening := scope.unix() // which unix sockets lead to the application can't be seen: the worker itself has to go
		for _, inode := range inodes {
			sock, ok := sockets[inode]
			switch {
			case !ok:
			case sock.listening:
				listening = true
			default:
				left.Connections = append(left.Connections, Connection{sock.local, sock.remote, w.Process})
			}
		}
		if listening {
			left.Listening = append(left.Listening, w.Process)
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
	fs, err := procfs.NewFS(filepath.Join(s.root(), strconv.Itoa(master)))
	if err != nil {
		return nil, fmt.Errorf("look at nginx's sockets: %w", err)
	}
	// Netlink, which is advised instead, sees the namespace of its own process only: not that of an nginx in a container.
	//lint:ignore SA1019 see above
	lines, err := fs.NetTCP()
	if err != nil {
		return nil, fmt.Errorf("look at nginx's sockets: %w", err)
	}
	//lint:ignore SA1019 see above
	lines6, err := fs.NetTCP6()
	if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without IPv6 has none
		return nil, fmt.Errorf("look at nginx's sockets: %w", err)
	}
	out := map[uint64]tcpSocket{}
	for _, l := range append(lines, lines6...) {
		sock := tcpSocket{addrPort(l.LocalAddr, l.LocalPort), addrPort(l.RemAddr, l.RemPort), l.St == tcpListen}
		if m.matches(sock) {
			out[l.Inode] = sock
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

func (sc Scope) unix() bool {
	for _, u := range sc.Upstreams {
		if strings.HasPrefix(u, "unix:") {
			return true
		}
	}
	return false
}

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
		if strings.HasPrefix(u, "unix:") {
			continue
		}
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
