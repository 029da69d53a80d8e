package workers

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"syscall"
)

// Connection is one TCP connection, seen from nginx.
type Connection struct {
	Local, Remote netip.AddrPort
	Process       Process
	Upstream      bool // whether it leads to the application; else it is a client's
}

// Remaining is what there still is of the time before a reload.
type Remaining struct {
	Connections []Connection // of clients of the site, and to its upstreams
	// Silent is set where all of Connections are of clients that have never sent a byte, as browsers do that connect
	// ahead. None of them carries a request. nginx 1.22 keeps them in an old worker until client_header_timeout is
	// over (https://nginx.org/r/client_header_timeout), where it closes those that have been answered at once.
	Silent           bool
	ListeningWorkers []Process // old workers that could still be given a new client, or have some that can't be told
	// Gathering are those of ListeningWorkers that hold the body of a request in a file. nginx hands it on once it is
	// whole (https://nginx.org/r/client_body_temp_path).
	Gathering []Process
	// Bare are those of ListeningWorkers that hold no socket and no file that their master doesn't hold: what may be
	// left of them are clients over QUIC, who share the socket at which all workers listen. A client that has gone
	// unheard keeps its worker until it counts as idle (RFC 9000, 10.1).
	Bare []Process
	// Newer are connections to the site's upstreams of workers from after the reload.
	Newer []Connection
	// Lost are old workers with a socket that is in no table of the kernel's any more: its client has reset it, or it
	// was destroyed. nginx may still hold the request (https://nginx.org/r/proxy_cache_lock, and others), and hand it
	// on.
	Lost []Process
	// GivenUp are connections to the site's upstreams that nginx has closed, and the application hasn't yet
	// (FIN_WAIT2 of RFC 9293 on this side, CLOSE_WAIT on the other): it may be at work on what nobody waits for.
	// Their Process is empty.
	GivenUp           []Connection
	UnreadableWorkers []Process // old workers whose sockets can't be looked at: what they hold is not known
	// OtherMasters are workers of another master that listens for the site too, as after the first half of a binary
	// upgrade. They can't be ended: their master would start others.
	OtherMasters []Process
	// NoNewWorkerSeen is set while no worker from after the reload is seen to listen for the site: whoever looks
	// can't see what there is to be seen, and finding nothing proves nothing.
	NoNewWorkerSeen bool
	// ReadErr is why what a worker holds, an old one or not, can't be looked at; nil where that was so of none.
	ReadErr error
}

// Drained reports whether nothing is left.
func (l Remaining) Drained() bool {
	return len(l.Connections)+len(l.GivenUp) == 0 && l.Workers() == 0 && !l.NoNewWorkerSeen
}

// ToApp counts what may still be at work in the application, of old workers.
func (l Remaining) ToApp() int {
	n := len(l.GivenUp)
	for _, c := range l.Connections {
		if c.Upstream {
			n++
		}
	}
	return n
}

// Words say what is left as people count it, "" for nothing. A request is one, though nginx holds two connections for
// it: the client's and the application's.
func (l Remaining) Words() string {
	n, what := l.ToApp(), "request"
	if n == 0 {
		n, what = len(l.Connections), "connection"
	}
	if n == 0 {
		n, what = l.Workers(), "old worker"
	}
	switch n {
	case 0:
		return ""
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Workers counts the old workers that are left.
func (l Remaining) Workers() int {
	return len(l.ListeningWorkers) + len(l.Lost) + len(l.UnreadableWorkers) + len(l.OtherMasters)
}

// Remaining finds what workers from before a reload still hold of a site's, in the network namespace of the master
// process.
func (s Sockets) Remaining(before Snapshot, scope Scope) (Remaining, error) {
	all, err := s.RemainingOf(before, []Scope{scope})
	if err != nil {
		return Remaining{}, err
	}
	return all[0], nil
}

// RemainingOf is Remaining for several sites at one look, in their order.
func (s Sockets) RemainingOf(before Snapshot, scopes []Scope) ([]Remaining, error) {
	sites, err := matchers(scopes)
	if err != nil {
		return nil, err
	}
	g, err := s.glance(before, sites)
	if err != nil {
		return nil, err
	}
	out := make([]Remaining, len(scopes))
	for i, scope := range scopes {
		if out[i], err = g.remaining(scope, g.scoped(sites[i])); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (g *glance) remaining(scope Scope, sockets *scoped) (Remaining, error) {
	left := Remaining{NoNewWorkerSeen: true, GivenUp: sockets.givenUp}
	for _, w := range g.workers {
		held, err := g.held(w.Process, sockets)
		switch {
		case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ESRCH):
			continue // it has exited: that needs no further proof
		case err != nil:
			left.ReadErr = err
			if g.isOld(w) {
				left.UnreadableWorkers = append(left.UnreadableWorkers, w.Process)
			}
			continue
		}
		switch {
		case g.processes.ofOtherMaster(w, g.before.master):
			if held.listening || w.shuttingDown { // else it is given none of the site's clients
				if err := g.findClients(&held, w.Process, sockets); err != nil {
					return Remaining{}, err
				}
			}
			left.Connections = append(left.Connections, held.connections...)
			if held.listening {
				left.OtherMasters = append(left.OtherMasters, w.Process)
			}
		case g.isOld(w):
			if err := g.findClients(&held, w.Process, sockets); err != nil {
				return Remaining{}, err
			}
			left.Connections = append(left.Connections, held.connections...)
			switch {
			case held.listening || scope.WorkersMustEnd:
				left.ListeningWorkers = append(left.ListeningWorkers, w.Process)
				switch {
				case g.gathers(w.Process):
					left.Gathering = append(left.Gathering, w.Process)
				case !held.listening && g.isBare(w.Process):
					left.Bare = append(left.Bare, w.Process)
				}
			case held.loses:
				lost, err := g.isLost(w)
				if err != nil {
					return Remaining{}, err
				}
				if lost {
					left.Lost = append(left.Lost, w.Process)
				}
			}
		default:
			left.Newer = append(left.Newer, held.toApp()...)
			if held.listening || scope.WorkersMustEnd {
				left.NoNewWorkerSeen = false
			}
		}
	}
	left.Silent = g.areSilent(left.Connections)
	return left, nil
}

// isLost reports whether an old worker that doesn't listen for the site, and holds a socket that is in no table,
// belongs to Remaining.Lost. One whose master is gone, and that isn't leaving, is given none of the site's clients.
// One that has ended since its descriptors were read holds nothing.
func (g *glance) isLost(w process) (bool, error) {
	if w.parent != g.before.master && !w.shuttingDown {
		return false, nil
	}
	return g.alive(w.Process)
}

// areSilent reports whether there are connections, and all are of clients that have never sent a byte. Where that
// can't be seen they aren't.
func (g *glance) areSilent(all []Connection) bool {
	if len(all) == 0 || g.proc != "" || slices.ContainsFunc(all, func(c Connection) bool { return c.Upstream }) {
		return false
	}
	return areSilent(Of(g.before.master), all)
}

// holding is what a process holds of a site's.
type holding struct {
	connections []Connection
	listening   bool
	rest        []uint64 // the inodes of its other sockets: the site's clients are among them, see findClients
	loses       bool     // one of rest is in no table of the kernel's, see Remaining.Lost
}

func (h holding) toApp() []Connection {
	return slices.DeleteFunc(h.connections, func(c Connection) bool { return !c.Upstream })
}

// held is what a process holds of those sockets.
func (g *glance) held(p Process, sockets *scoped) (holding, error) {
	var out holding
	d, err := g.descriptors(p.PID)
	for _, inode := range d.inodes {
		if sock, ours := sockets.site[inode]; ours {
			out.add(sock, p, sockets.matcher)
		} else {
			out.rest = append(out.rest, inode)
		}
	}
	return out, err
}

func (h *holding) add(sock tcpSocket, p Process, m matcher) {
	if sock.listening() {
		h.listening = true
		return
	}
	h.connections = append(h.connections, Connection{sock.local, sock.remote, p, m.leadsToApp(sock)})
}

// findClients finds the site's clients among the other sockets of a process, and what has come meanwhile.
func (g *glance) findClients(h *holding, p Process, sockets *scoped) error {
	for _, inode := range h.rest {
		sock, known, err := g.socket(inode)
		switch {
		case err != nil:
			return fmt.Errorf("look at nginx's sockets: %w", err)
		case !known:
			h.loses = true
		case sockets.leadsToApp(sock), sockets.isListen(sock):
			h.add(sock, p, sockets.matcher)
		}
	}
	return nil
}
