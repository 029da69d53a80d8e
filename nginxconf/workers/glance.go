package workers

import (
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/procfs"
)

// glance is one look at the processes and sockets of an nginx, for several sites. Each thing is looked at once, when
// the first site needs it.
type glance struct {
	Sockets
	before    Snapshot // what there was of it before the reload
	processes processes
	workers   []process // what may serve requests
	since     uint64    // see Snapshot.since
	// sockets are those that listen and those of the sites' upstreams; nginx may have tens of thousands of others.
	sockets []diagSocket
	found   map[int]descriptors  // by process id
	all     map[uint64]tcpSocket // the TCP sockets that processes hold, by inode; nil before they are asked for
	others  map[uint64]bool      // the inodes of sockets that aren't TCP, nil before they are asked for
}

// descriptors are what the descriptors of a process lead to.
type descriptors struct {
	links  []string
	inodes []uint64 // of the sockets among them
}

// glance looks at the processes first: a worker that isn't there any more holds no socket either.
func (s Sockets) glance(before Snapshot, sites []matcher) (*glance, error) {
	g := &glance{Sockets: s, before: before, found: map[int]descriptors{}}
	var err error
	if g.processes, err = s.processes(before.program); err != nil {
		return nil, err
	}
	g.workers, g.since = g.processes.workersOf(before.master), before.since(g.processes)
	if g.sockets, err = s.list(before.master, inUse, appPorts(sites)); err != nil {
		return nil, fmt.Errorf("look at nginx's sockets: %w", err)
	}
	return g, nil
}

// isOld reports whether a worker is from before the reload.
func (g *glance) isOld(w process) bool { return g.before.old(w, g.since) }

// descriptors are those of a process.
func (g *glance) descriptors(pid int) (descriptors, error) {
	d, known := g.found[pid]
	if known {
		return d, nil
	}
	var err error
	if d.links, err = g.links(pid); err != nil {
		return d, err
	}
	d.inodes = inodes(d.links)
	g.found[pid] = d
	return d, nil
}

// scoped are sockets of a site in nginx's network namespace.
type scoped struct {
	matcher
	site    map[uint64]tcpSocket // those that listen, and those of its upstreams, by inode
	givenUp []Connection         // see Remaining.GivenUp
}

// scoped finds the sockets of a site.
func (g *glance) scoped(m matcher) *scoped {
	out := &scoped{matcher: m, site: map[uint64]tcpSocket{}}
	for _, sock := range g.sockets {
		toApp, fromApp := m.leadsToApp(sock.tcpSocket), m.leadsToApp(sock.otherEnd())
		switch {
		case toApp && sock.inode == 0 && sock.state == tcpFinWait2, sock.state == tcpCloseWait && fromApp:
			out.givenUp = append(out.givenUp, Connection{Local: sock.local, Remote: sock.remote, Upstream: true})
		case sock.inode != 0 && (toApp || m.isListen(sock.tcpSocket)):
			out.site[sock.inode] = sock.tcpSocket
		}
	}
	return out
}

// socket finds a socket that a process holds; what isn't TCP is the zero value. One that is in no table of the kernel's
// isn't known: whoever holds it may not have noticed yet.
func (g *glance) socket(inode uint64) (found tcpSocket, known bool, err error) {
	if g.others == nil {
		if g.others, err = g.withoutTCP(g.before.master); err != nil {
			return found, false, err
		}
	}
	if g.others[inode] {
		return found, true, nil
	}
	if g.all == nil {
		all, err := g.list(g.before.master, inUse, nil)
		if err != nil {
			return found, false, err
		}
		g.all = make(map[uint64]tcpSocket, len(all))
		for _, sock := range all {
			if sock.inode != 0 {
				g.all[sock.inode] = sock.tcpSocket
			}
		}
	}
	found, known = g.all[inode]
	return found, known, nil
}

// withoutTCP are the sockets that aren't TCP: nginx has such sockets for its own talk, for its resolver, for QUIC and
// for logs.
func (s Sockets) withoutTCP(master int) (map[uint64]bool, error) {
	fs, err := procfs.NewFS(s.file(master, ""))
	if err != nil {
		return nil, err
	}
	unix, err := fs.NetUNIX()
	if err != nil {
		return nil, err
	}
	out := map[uint64]bool{}
	for _, line := range unix.Rows {
		out[line.Inode] = true
	}
	udp, err := fs.NetUDP()
	if err != nil {
		return nil, err
	}
	udp6, err := fs.NetUDP6()
	if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without IPv6 has none
		return nil, err
	}
	for _, line := range append(udp, udp6...) {
		out[line.Inode] = true
	}
	return out, nil
}
