package workers

import (
	"fmt"
	"net/netip"
	"slices"
)

// Listener is a TCP socket that listens.
type Listener struct {
	Addr  netip.AddrPort // unspecified for every address; then [::] may stand for IPv4 too
	inode uint64
}

// Listeners returns the TCP sockets that listen in the network namespace of a process.
func (s Sockets) Listeners(pid int) ([]Listener, error) {
	all, err := s.list(pid, listenStates, nil)
	if err != nil {
		return nil, fmt.Errorf("look at this machine's sockets: %w", err)
	}
	var out []Listener
	for _, sock := range all {
		if sock.listening() {
			out = append(out, Listener{sock.local, sock.inode})
		}
	}
	return out, nil
}

// Holders returns the processes that have the user of a worker of nginx, aren't one, and hold any of the sockets, by
// their ids. What can't be looked at is left out.
func (s Sockets) Holders(listeners []Listener, nginx []Worker) ([]int, error) {
	procs, err := s.all()
	if err != nil {
		return nil, err
	}
	var out []int
	for _, p := range procs {
		if slices.ContainsFunc(nginx, func(w Worker) bool { return w.PID == p.PID }) {
			continue // it may have tens of thousands of clients
		}
		whose, _, err := s.owners(p)
		if err != nil || !slices.ContainsFunc(nginx, func(w Worker) bool { return w.User == whose[fileSystem] }) {
			continue
		}
		links, err := s.links(p.PID)
		if err != nil {
			continue
		}
		held := inodes(links)
		if slices.ContainsFunc(listeners, func(l Listener) bool { return slices.Contains(held, l.inode) }) {
			out = append(out, p.PID)
		}
	}
	return out, nil
}
