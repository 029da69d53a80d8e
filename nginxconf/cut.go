package nginxconf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrCantDestroy is returned (wrapped) by Destroy where the kernel doesn't destroy sockets for us: it was built without
// CONFIG_INET_DIAG_DESTROY, or this process lacks CAP_NET_ADMIN.
var ErrCantDestroy = errors.New("the kernel doesn't let us destroy sockets")

// sockDestroy is SOCK_DESTROY of linux/sock_diag.h, which x/sys doesn't name.
const sockDestroy = 21

// noCookie is INET_DIAG_NOCOOKIE: the addresses alone say which socket is meant.
var noCookie = [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Destroy ends a connection as if its peer had reset it (RFC 9293, 3.10.7.4): whoever holds the socket gets an error
// and closes it, and no other connection of that process is touched. One that is gone already is not an
// error. It acts in the network namespace of this process.
func (Sockets) Destroy(c Connection) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return fmt.Errorf("destroy a socket: %w: %w", ErrCantDestroy, err)
	}
	defer unix.Close(fd)
	// A kernel that doesn't answer must not hold us.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return fmt.Errorf("destroy a socket: %w", err)
	}
	families := []uint8{unix.AF_INET6}
	if c.Local.Addr().Is4() {
		// A socket that listens on [::] holds IPv4 clients under mapped addresses.
		families = []uint8{unix.AF_INET, unix.AF_INET6}
	}
	for _, family := range families {
		switch err := destroy(fd, family, c); {
		case err == nil:
			return nil
		case errors.Is(err, unix.ENOENT):
			continue
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.EINVAL):
			return fmt.Errorf("destroy a socket: %w: %w", ErrCantDestroy, err)
		default:
			return fmt.Errorf("destroy a socket: %w", err)
		}
	}
	return nil
}

// destroy destroys the socket by its cookie. By its addresses alone the kernel would find the socket that listens there, of
// new workers too, where the connection has gone meanwhile.
func destroy(fd int, family uint8, c Connection) error {
	found, err := askDiag(fd, unix.SOCK_DIAG_BY_FAMILY, family, c, noCookie)
	if err != nil {
		return err
	}
	// struct inet_diag_msg of linux/inet_diag.h: family, state, two more bytes, then the same as at 8 of the request.
	const state, cookie = 1, 44
	if len(found) < cookie+len(noCookie) || found[state] == tcpListen {
		return unix.ENOENT
	}
	_, err = askDiag(fd, sockDestroy, family, c, [8]byte(found[cookie:]))
	return err
}

// askDiag puts a request about one socket to the kernel and returns what it says of it: nothing where all is said by there being
// no error.
func askDiag(fd int, kind uint16, family uint8, c Connection, cookie [8]byte) ([]byte, error) {
	// struct inet_diag_req_v2 of linux/inet_diag.h: family, protocol, two unused bytes, states (all of them), ports
	// and addresses in network byte order, interface (any), cookie.
	var request [56]byte
	request[0], request[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(request[4:], ^uint32(0))
	binary.BigEndian.PutUint16(request[8:], c.Local.Port())
	binary.BigEndian.PutUint16(request[10:], c.Remote.Port())
	if family == unix.AF_INET {
		local, remote := c.Local.Addr().As4(), c.Remote.Addr().As4()
		copy(request[12:], local[:])
		copy(request[28:], remote[:])
	} else {
		local, remote := c.Local.Addr().As16(), c.Remote.Addr().As16()
		copy(request[12:], local[:])
		copy(request[28:], remote[:])
	}
	copy(request[48:], cookie[:])

	flags := uint16(unix.NLM_F_REQUEST)
	if kind == sockDestroy {
		flags |= unix.NLM_F_ACK // there is no other answer
	}
	msg := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(request))
	binary.NativeEndian.PutUint32(msg[0:], uint32(unix.NLMSG_HDRLEN+len(request)))
	binary.NativeEndian.PutUint16(msg[4:], kind)
	binary.NativeEndian.PutUint16(msg[6:], flags)
	if err := unix.Sendto(fd, append(msg, request[:]...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return nil, err
	}
	messages, err := syscall.ParseNetlinkMessage(buf[:n])
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if m.Header.Type == unix.SOCK_DIAG_BY_FAMILY {
			return m.Data, nil
		}
		if m.Header.Type == unix.NLMSG_ERROR && len(m.Data) >= 4 {
			if code := int32(binary.NativeEndian.Uint32(m.Data)); code != 0 {
				return nil, unix.Errno(-code)
			}
		}
	}
	return nil, nil
}

// End tells a worker to end, with all that it holds: first by SIGTERM, and, when hard is set, by SIGKILL, which also
// ends one that is stopped. A process that is gone, or that is another one by now, is left alone.
func (s Sockets) End(p Process, hard bool) error {
	same, err := s.alive(p)
	if err != nil || !same {
		return err
	}
	signal := syscall.SIGTERM
	if hard {
		signal = syscall.SIGKILL
	}
	if err := syscall.Kill(p.PID, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end worker %d: %w", p.PID, err)
	}
	return nil
}
