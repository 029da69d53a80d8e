package workers

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/prometheus/procfs"
)

// Held counts the TCP sockets that processes hold in the network namespace of nginx's master: about, and for much less
// than RemainingOf costs where there are many (proc(5), /proc/net/sockstat). Sockets that no process holds any more are
// counted by the kernel for all namespaces together. The errors are those of reading /proc.
func (s Sockets) Held(before Snapshot) (int, error) {
	fs, err := procfs.NewFS(s.file(before.master, ""))
	if err != nil {
		return 0, err
	}
	ipv4, err := fs.NetSockstat()
	if err != nil {
		return 0, err
	}
	all := ipv4.Protocols
	if ipv6, err := fs.NetSockstat6(); err == nil {
		all = append(all, ipv6.Protocols...)
	} else if !errors.Is(err, os.ErrNotExist) { // a kernel without IPv6 has none
		return 0, err
	}
	n := 0
	for _, p := range all {
		if p.Protocol != "TCP" && p.Protocol != "TCP6" {
			continue
		}
		if n += p.InUse; p.Orphan != nil {
			n -= *p.Orphan
		}
	}
	return n, nil
}

// Busy reports whether a connection leads to the upstreams of one of the sites, or may without being seen. Whose it is
// isn't looked at, which RemainingOf does for each that nginx has. The errors are those of RemainingOf.
func (s Sockets) Busy(before Snapshot, scopes []Scope) (bool, error) {
	if slices.ContainsFunc(scopes, func(sc Scope) bool { return sc.WorkersMustEnd }) {
		return true, nil
	}
	sites, err := matchers(scopes)
	if err != nil {
		return false, err
	}
	all, err := s.list(before.master, inUse, appPorts(sites))
	if err != nil {
		return false, fmt.Errorf("look at nginx's sockets: %w", err)
	}
	return slices.ContainsFunc(all, func(sock diagSocket) bool {
		return slices.ContainsFunc(sites, func(m matcher) bool {
			return m.leadsToApp(sock.tcpSocket) || m.leadsToApp(sock.otherEnd())
		})
	}), nil
}
