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

// tcpSocket is a TCP socket, by the kernel's tables.
type tcpSocket struct {
	local, remote netip.AddrPort
	state         uint8
}

func (s tcpSocket) listening() bool { return s.state == tcpListen }

// turned is the other end of a connection.
func (s tcpSocket) turned() tcpSocket { return tcpSocket{s.remote, s.local, s.state} }

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
// There may be others among them.
func (s Sockets) list(pid int, states uint32) ([]diagSocket, error) {
	if s.proc == "" {
		if all, err := listDiag(Of(pid), states); err == nil {
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
			addrPort(l.LocalAddr, l.LocalPort), addrPort(l.RemAddr, l.RemPort), uint8(l.St),
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

// Listening returns the TCP addresses that processes listen at in this network namespace.
func (s Sockets) Listening() ([]netip.AddrPort, error) {
	all, err := s.list(os.Getpid(), listenStates)
	if err != nil {
		return nil, fmt.Errorf("look at this machine's sockets: %w", err)
	}
	var out []netip.AddrPort
	for _, sock := range all {
		if sock.listening() {
			out = append(out, sock.local)
		}
	}
	return out, nil
}

func addrPort(ip net.IP, port uint64) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port))
}
