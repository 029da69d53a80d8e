// Package workers finds nginx's processes and the sockets that they hold, and cuts connections.
package workers

import (
	"errors"
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

// tcpSocket is a TCP socket, by the kernel's tables.
type tcpSocket struct {
	local, remote netip.AddrPort
	state         uint8
}

func (s tcpSocket) listening() bool { return s.state == tcpListen }

// otherEnd is the socket with its addresses exchanged.
func (s tcpSocket) otherEnd() tcpSocket { return tcpSocket{s.remote, s.local, s.state} }

// diagSocket is a TCP socket as sock_diag(7) tells of it.
type diagSocket struct {
	tcpSocket
	inode  uint64 // 0 where no process holds it
	cookie [8]byte
}

// States of the kernel's tcp_states.h.
const (
	tcpFinWait2  = 0x05
	tcpCloseWait = 0x08
	tcpListen    = 0x0a
)

// list lists the TCP sockets in the network namespace of a process that are in those states: inUse, or listenStates.
// Where ports isn't nil, they listen or have one of the ports at either end. There may be others among them.
func (s Sockets) list(pid int, states uint32, ports []uint16) ([]diagSocket, error) {
	if s.proc == "" {
		if all, err := listDiag(Of(pid), states, ports); err == nil || errors.Is(err, ErrNoNamespace) {
			return all, err
		}
	}
	fs, err := procfs.NewFS(s.file(pid, ""))
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
			addrPort(l.LocalAddr, l.LocalPort), addrPort(l.RemAddr, l.RemPort), uint8(l.St),
		}})
	}
	return out, nil
}

// network names the network namespace of a process, "" where that can't be read.
func (s Sockets) network(pid int) string {
	name, _ := os.Readlink(s.file(pid, "ns/net"))
	return name
}

// file is the path of a file of a process's: proc(5).
func (s Sockets) file(pid int, name string) string {
	return filepath.Join(s.procDir(), strconv.Itoa(pid), name)
}

// Listening returns the TCP addresses that processes listen at in this network namespace.
func (s Sockets) Listening() ([]netip.AddrPort, error) {
	all, err := s.Listeners(os.Getpid())
	var out []netip.AddrPort
	for _, l := range all {
		out = append(out, l.Addr)
	}
	return out, err
}

func addrPort(ip net.IP, port uint64) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port))
}
