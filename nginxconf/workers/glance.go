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
	sockets   []diagSocket
	found     map[int]descriptors // by process id
	others    map[uint64]bool     // the inodes of sockets that aren't TCP, nil before they are asked for
}

// descriptors are what the descriptors of a process lead to.
type descriptors struct {
	links  []string
	inodes []uint64 // of the sockets among them
}

// glance looks at the processes first: a worker that isn't there any more holds no socket either.
func (s Sockets) glance(before Snapshot) (*glance, error) {
	g := &glance{Sockets: s, before: before, found: map[int]descriptors{}}
	var err error
	if g.processes, err = s.processes(before.program); err != nil {
		return nil, err
	}
	g.workers, g.since = g.processes.workersOf(before.master), before.since(g.processes)
	if g.sockets, err = s.list(before.master, inUse); err != nil {
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

// scoped are the sockets in nginx's network namespace, beside what is the site's.
type scoped struct {
	site    map[uint64]tcpSocket // the site's, by inode
	toApp   map[uint64]bool      // those of site that lead to its upstreams
	others  map[uint64]bool      // the inodes of all other TCP sockets
	givenUp []Connection         // see Remaining.GivenUp
}

// scoped finds the sockets of a site.
func (g *glance) scoped(scope Scope) (*scoped, error) {
	m, err := scope.matcher()
	if err != nil {
		return nil, err
	}
	out := &scoped{site: map[uint64]tcpSocket{}, toApp: map[uint64]bool{}, others: map[uint64]bool{}}
	for _, sock := range g.sockets {
		toApp, fromApp := m.leadsToApp(sock.tcpSocket), m.leadsToApp(tcpSocket{sock.remote, sock.local, sock.state})
		switch {
		case toApp && sock.inode == 0 && sock.state == tcpFinWait2, sock.state == tcpCloseWait && fromApp:
			out.givenUp = append(out.givenUp, Connection{Local: sock.local, Remote: sock.remote, Upstream: true})
		case sock.inode == 0:
		case toApp || m.isListen(sock.tcpSocket):
			out.site[sock.inode], out.toApp[sock.inode] = sock.tcpSocket, toApp
		default:
			out.others[sock.inode] = true
		}
	}
	return out, nil
}

// knows reports whether a socket is in any table of the kernel's. Whoever holds one that isn't may not have noticed
// yet.
func (g *glance) knows(in *scoped, inode uint64) (bool, error) {
	if _, site := in.site[inode]; site || in.others[inode] {
		return true, nil
	}
	if g.others == nil {
		others, err := g.withoutTCP(g.before.master)
		if err != nil {
			return false, err
		}
		g.others = others
	}
	return g.others[inode], nil
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
