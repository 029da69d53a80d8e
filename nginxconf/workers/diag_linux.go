package workers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// By hand: github.com/vishvananda/netlink 1.3 destroys sockets of IPv4 only, and by their addresses alone (see
// destroyDiag), and github.com/mdlayher/netlink 1.7 reads each piece of a long list several times to learn its size.

// What x/sys doesn't name: SOCK_DESTROY of linux/sock_diag.h, and TCPDIAG_GETSOCK of linux/inet_diag.h.
const (
	sockDestroy = 21
	getSockets  = 18
)

// These say which sockets are meant: one bit for each of the kernel's tcp_states.h.
const (
	anyState = ^uint32(0)
	// In TIME_WAIT no process holds a socket. What is bound and no more (Linux 6.8 lists it) isn't in /proc/net/tcp.
	inUse        = ^uint32(1<<6 | 1<<13)
	listenStates = uint32(1 << tcpListen)
)

// noCookie is INET_DIAG_NOCOOKIE: the addresses alone say which socket is meant.
var noCookie = [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Where the fields of struct inet_diag_msg of linux/inet_diag.h stand; ports and addresses are in network byte order.
const (
	diagFamily      = 0
	diagState       = 1
	diagLocalPort   = 4
	diagRemotePort  = 6
	diagLocal       = 8
	diagRemote      = 24
	diagCookie      = 44
	diagInode       = 68
	diagMessageSize = 72
)

func readDiag(msg []byte) (diagSocket, bool) {
	if len(msg) < diagMessageSize {
		return diagSocket{}, false
	}
	addr := func(at, port int) netip.AddrPort {
		ip := netip.AddrFrom16([16]byte(msg[at:])).Unmap()
		if msg[diagFamily] == unix.AF_INET {
			ip = netip.AddrFrom4([4]byte(msg[at:]))
		}
		return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(msg[port:]))
	}
	return diagSocket{
		tcpSocket: tcpSocket{
			addr(diagLocal, diagLocalPort), addr(diagRemote, diagRemotePort), msg[diagState],
		},
		inode:  uint64(binary.NativeEndian.Uint32(msg[diagInode:])),
		cookie: [8]byte(msg[diagCookie:]),
	}, true
}

// openDiag opens a socket to the kernel's sock_diag(7), which acts in the network namespace that it was opened in.
func openDiag(n Network) (fd int, err error) {
	open := func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
		return err
	}
	ours, err := n.IsOurs()
	if ours {
		err = open()
	} else if err == nil {
		err = n.Within(context.Background(), func() {}, open)
	}
	if err != nil {
		return -1, err
	}
	// A kernel that doesn't answer must not hold us.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// diagRequest is the part of a request that differs.
type diagRequest struct {
	kind, flags uint16
	family      uint8
	extensions  uint8 // what else is to be said: one bit for each INET_DIAG_* of linux/inet_diag.h, from 1 on
	states      uint32
	of          Connection
	cookie      [8]byte
}

func (r diagRequest) send(fd int) error {
	// struct inet_diag_req_v2 of linux/inet_diag.h: family, protocol, extensions, an unused byte, states, ports and
	// addresses, interface (any), cookie.
	var body [56]byte
	body[0], body[1], body[2] = r.family, unix.IPPROTO_TCP, r.extensions
	binary.NativeEndian.PutUint32(body[4:], r.states)
	if r.of.Local.IsValid() {
		binary.BigEndian.PutUint16(body[8:], r.of.Local.Port())
		binary.BigEndian.PutUint16(body[10:], r.of.Remote.Port())
		if r.family == unix.AF_INET {
			local, remote := r.of.Local.Addr().As4(), r.of.Remote.Addr().As4()
			copy(body[12:], local[:])
			copy(body[28:], remote[:])
		} else {
			local, remote := r.of.Local.Addr().As16(), r.of.Remote.Addr().As16()
			copy(body[12:], local[:])
			copy(body[28:], remote[:])
		}
	}
	copy(body[48:], r.cookie[:])
	return ask(fd, r.kind, r.flags, body[:])
}

// ask sends the kernel a message of that kind (netlink(7)).
func ask(fd int, kind, flags uint16, body []byte) error {
	msg := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(body))
	binary.NativeEndian.PutUint32(msg[0:], uint32(unix.NLMSG_HDRLEN+len(body)))
	binary.NativeEndian.PutUint16(msg[4:], kind)
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST|flags)
	return unix.Sendto(fd, append(msg, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// errDumpInterrupted is returned by receiveDiag where the tables changed so that the kernel can't vouch for a list.
var errDumpInterrupted = errors.New("the list was interrupted")

// receiveDiag hands what one answer says of each socket, a struct inet_diag_msg and its attributes, to each. It returns
// at the end of the answer: at once, or for a list when it is complete.
func receiveDiag(fd int, list bool, each func(msg []byte)) error {
	buf := make([]byte, 64<<10)
	interrupted := false
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		for rest := buf[:n]; len(rest) >= unix.NLMSG_HDRLEN; { // in place: there may be tens of thousands
			size := int(binary.NativeEndian.Uint32(rest))
			if size < unix.NLMSG_HDRLEN || size > len(rest) {
				return unix.EBADMSG
			}
			kind, flags, data := binary.NativeEndian.Uint16(rest[4:]), binary.NativeEndian.Uint16(rest[6:]), rest[unix.NLMSG_HDRLEN:size]
			rest = rest[min((size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(rest)):]
			interrupted = interrupted || flags&unix.NLM_F_DUMP_INTR != 0
			switch kind {
			case unix.SOCK_DIAG_BY_FAMILY, getSockets:
				each(data)
			case unix.NLMSG_ERROR, unix.NLMSG_DONE: // the end of a list may say what kept the kernel from making it
				if len(data) >= 4 {
					if code := int32(binary.NativeEndian.Uint32(data)); code != 0 {
						return unix.Errno(-code)
					}
				}
				switch done := kind == unix.NLMSG_DONE; {
				case done && interrupted:
					return errDumpInterrupted
				case done:
					return nil
				}
			}
		}
		if !list {
			return nil
		}
	}
}

// listDiag lists the TCP sockets of a network namespace that are in those states and, where ports isn't nil, that
// listen or have one of them at either end. Leaving out TIME_WAIT, of which there may be thousands, makes it much
// quicker than reading /proc, and so does leaving out the clients of nginx.
//
// The kernel looks through all its tables for each list. So one list has IPv4 and IPv6: ss(8) asks for it in the same
// way if no family is given. The newer request, SOCK_DIAG_BY_FAMILY, has no value for both.
func listDiag(n Network, states uint32, ports []uint16) ([]diagSocket, error) {
	fd, err := openDiag(n)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	// struct inet_diag_req: family, two lengths and extensions, all unused; ports and addresses, any; states; a byte code.
	var body [60]byte
	binary.NativeEndian.PutUint32(body[52:], states)
	if err := ask(fd, getSockets, unix.NLM_F_DUMP, append(body[:], portFilter(ports)...)); err != nil {
		return nil, err
	}
	var out []diagSocket
	each := func(msg []byte) {
		if s, ok := readDiag(msg); ok {
			out = append(out, s)
		}
	}
	if err := receiveDiag(fd, true, each); err != nil {
		return nil, err
	}
	return out, nil
}

// destroy destroys the socket of a connection in a network namespace. One that is gone is no error. The error wraps
// ErrCantDestroy where the kernel doesn't do it for us, ErrNoNamespace and ErrCantEnter as Network has them.
func destroy(n Network, c Connection) error {
	fd, err := openDiag(n)
	if errors.Is(err, ErrNoNamespace) || errors.Is(err, ErrCantEnter) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCantDestroy, err)
	}
	defer unix.Close(fd)
	for _, family := range c.families() {
		switch err := destroyDiag(fd, family, c); {
		case err == nil:
			return nil
		case errors.Is(err, unix.ENOENT):
			continue
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES),
			errors.Is(err, unix.EINVAL):
			return fmt.Errorf("%w: %w", ErrCantDestroy, err)
		default:
			return err
		}
	}
	if err := hasDiag(fd); err != nil {
		return fmt.Errorf("%w: %w", ErrCantDestroy, err)
	}
	return nil
}

// families are those that the socket of a connection may have.
func (c Connection) families() []uint8 {
	if c.Local.Addr().Is4() {
		// A socket that listens on [::] holds IPv4 clients under mapped addresses.
		return []uint8{unix.AF_INET, unix.AF_INET6}
	}
	return []uint8{unix.AF_INET6}
}

// destroyDiag destroys the socket of a connection by its cookie. By its addresses alone the kernel would find the
// socket that listens there, of new workers too, where the connection has gone meanwhile. The error is ENOENT where
// there is none.
func destroyDiag(fd int, family uint8, c Connection) error {
	request := diagRequest{kind: unix.SOCK_DIAG_BY_FAMILY, family: family, states: anyState, of: c, cookie: noCookie}
	if err := request.send(fd); err != nil {
		return err
	}
	found := diagSocket{tcpSocket: tcpSocket{state: tcpListen}}
	each := func(msg []byte) {
		if s, ok := readDiag(msg); ok {
			found = s
		}
	}
	if err := receiveDiag(fd, false, each); err != nil {
		return err
	}
	if found.listening() {
		return unix.ENOENT
	}
	// There is no answer but the acknowledgement.
	request.kind, request.flags, request.cookie = sockDestroy, unix.NLM_F_ACK, found.cookie
	if err := request.send(fd); err != nil {
		return err
	}
	return receiveDiag(fd, false, func([]byte) {})
}

// hasDiag returns an error where the kernel has nobody to ask about TCP: without the module tcp_diag it says of any
// socket that there is none.
func hasDiag(fd int) error {
	// No state: a list of none.
	request := diagRequest{kind: unix.SOCK_DIAG_BY_FAMILY, flags: unix.NLM_F_DUMP, family: unix.AF_INET}
	if err := request.send(fd); err != nil {
		return err
	}
	return receiveDiag(fd, true, func([]byte) {})
}
