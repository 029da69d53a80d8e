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

	"github.com/prometheus/procfs"
)

// Sockets looks at the processes and sockets of this machine through /proc.
type Sockets struct {
	proc string // where proc(5) is mounted, "" for /proc
}

func (s Sockets) procDir() string {
	if s.proc == "" {
		return procfs.DefaultMountPoint
	}
	return s.proc
}

// tcpSocket is a TCP socket of the site, by the kernel's tables.
type tcpSocket struct {
	local, remote netip.AddrPort
	listening     bool
}

// diagSocket is a TCP socket as sock_diag(7) tells of it.
type diagSocket struct {
	tcpSocket
	inode  uint64 // 0 where no process holds it
	cookie [8]byte
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

// list lists the TCP sockets in the network namespace of a process. Those in TIME_WAIT, which no process holds, may
// be missing.
func (s Sockets) list(pid int) ([]diagSocket, error) {
	// The kernel's own way of asking sees the namespace of our own process only: not that of an nginx in a container.
	if ours := s.network("self"); s.proc == "" && ours != "" && ours == s.network(strconv.Itoa(pid)) {
		if all, err := listDiag(); err == nil {
			return all, nil
		}
	}
	fs, err := procfs.NewFS(filepath.Join(s.procDir(), strconv.Itoa(pid)))
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

// network names the network namespace of a process, "" where that can't be read.
func (s Sockets) network(process string) string {
	name, err := os.Readlink(filepath.Join(s.procDir(), process, "ns", "net"))
	if err != nil {
		return ""
	}
	return name
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
