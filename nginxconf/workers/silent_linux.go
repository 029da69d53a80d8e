package workers

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// diagInfo is INET_DIAG_INFO of linux/inet_diag.h: the attribute that has a struct tcp_info.
const diagInfo = 2

// receivedAt is where a struct tcp_info has how many bytes have come in, since Linux 4.1. What TCP itself sends to open
// and close a connection doesn't count.
const receivedAt = unsafe.Offsetof(unix.TCPInfo{}.Bytes_received)

// areSilent reports whether nothing has ever come in on any of the connections, in the network namespace of nginx. It
// asks of one after the other until it has its answer.
func areSilent(n Network, all []Connection) bool {
	fd, err := openDiag(n)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	for _, c := range all {
		if received, known := receivedBy(fd, c); received > 0 || !known {
			return false
		}
	}
	return true
}

// receivedBy is how many bytes have come in on a connection.
func receivedBy(fd int, c Connection) (n uint64, known bool) {
	for _, family := range c.families() {
		request := diagRequest{
			kind: unix.SOCK_DIAG_BY_FAMILY, family: family, extensions: 1 << (diagInfo - 1), states: anyState, of: c, cookie: noCookie,
		}
		if request.send(fd) != nil {
			return 0, false
		}
		err := receiveDiag(fd, false, func(msg []byte) {
			// Where the connection has gone, this is the socket that listens there.
			if s, ok := readDiag(msg); !ok || s.listening() {
				return
			}
			if info := attribute(msg[diagMessageSize:], diagInfo); len(info) >= int(receivedAt)+8 {
				n, known = binary.NativeEndian.Uint64(info[receivedAt:]), true
			}
		})
		if known || !errors.Is(err, unix.ENOENT) {
			return n, known
		}
	}
	return 0, false
}

// attribute is the value of the first attribute of a kind (rtnetlink(7)), nil where there is none.
func attribute(all []byte, kind uint16) []byte {
	for len(all) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(all))
		if size < unix.SizeofRtAttr || size > len(all) {
			return nil
		}
		if binary.NativeEndian.Uint16(all[2:]) == kind {
			return all[unix.SizeofRtAttr:size]
		}
		all = all[min((size+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1), len(all)):]
	}
	return nil
}
