//go:build linux

package barrier

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// way is how this thread's network namespace gets to an address.
type way struct {
	local bool   // it is this machine's own
	iface string // by which it is reached, "" where there is no way
}

// remembered asks once for each address.
func remembered(wayTo func(netip.Addr) (way, error)) func(netip.Addr) (way, error) {
	known := map[netip.Addr]way{}
	return func(to netip.Addr) (way, error) {
		w, is := known[to]
		if is {
			return w, nil
		}
		w, err := wayTo(to)
		if err == nil {
			known[to] = w
		}
		return w, err
	}
}

// wayTo asks the kernel for the way to an address: rtnetlink(7).
func wayTo(to netip.Addr) (way, error) {
	if to.IsLoopback() {
		return way{local: true}, nil
	}
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return way{}, err
	}
	defer c.Close()
	family := byte(unix.AF_INET6)
	if to.Is4() {
		family = unix.AF_INET
	}
	destination, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: unix.RTA_DST, Data: to.AsSlice()}})
	if err != nil {
		return way{}, err
	}
	request := make([]byte, unix.SizeofRtMsg)
	request[0], request[1] = family, byte(to.BitLen())
	answers, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETROUTE, Flags: netlink.Request},
		Data:   append(request, destination...),
	})
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL) {
		return way{}, nil
	}
	if err != nil || len(answers) == 0 {
		return way{}, err
	}
	local, index, err := readRoute(answers[0].Data)
	if err != nil || index == 0 {
		return way{local: local}, err
	}
	iface, err := net.InterfaceByIndex(index)
	if err != nil {
		return way{}, err
	}
	return way{local, iface.Name}, nil
}

// readRoute reads struct rtmsg of linux/rtnetlink.h and what follows it: whether the route is local, and the index of
// the interface.
func readRoute(data []byte) (local bool, iface int, err error) {
	if len(data) < unix.SizeofRtMsg {
		return false, 0, errors.New("the kernel's answer about a route is too short")
	}
	attributes, err := netlink.NewAttributeDecoder(data[unix.SizeofRtMsg:])
	if err != nil {
		return false, 0, err
	}
	attributes.ByteOrder = binary.NativeEndian
	for attributes.Next() {
		if attributes.Type() == unix.RTA_OIF {
			iface = int(attributes.Uint32())
		}
	}
	return data[7] == unix.RTN_LOCAL, iface, attributes.Err()
}
