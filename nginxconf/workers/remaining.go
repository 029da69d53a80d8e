package workers

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Connection is one TCP connection, seen from nginx.
type Connection struct {
	Local, Remote netip.AddrPort
	Process       Process
}

// Remaining is what there still is of the time before a reload.
type Remaining struct {
	Connections       []Connection // of clients of the site, and to its upstreams
	ListeningWorkers  []Process    // old workers that could still be given a new client
	UnreadableWorkers []Process    // old workers whose sockets can't be looked at: what they hold is not known
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
	return len(l.Connections) == 0 && l.Workers() == 0 && !l.NoNewWorkerSeen
}

// Workers counts the old workers that are left.
func (l Remaining) Workers() int {
	return len(l.ListeningWorkers) + len(l.UnreadableWorkers) + len(l.OtherMasters)
}

// Remaining finds what workers from before a reload still hold of a site's, in the network namespace of the master
// process.
func (s Sockets) Remaining(before Snapshot, scope Scope) (Remaining, error) {
	processes, err := s.processes(before.program)
	if err != nil {
		return Remaining{}, err
	}
	sockets, err := s.sockets(scope, before.master)
	if err != nil {
		return Remaining{}, err
	}
	left := Remaining{NoNewWorkerSeen: true}
	since := before.since(processes)
	for _, w := range processes.workersOf(before.master) {
		connections, listening, err := s.held(w.Process, sockets)
		switch {
		case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ESRCH):
			continue // it has exited: that needs no further proof
		case err != nil:
			left.ReadErr = err
			if before.old(w, since) {
				left.UnreadableWorkers = append(left.UnreadableWorkers, w.Process)
			}
			continue
		}
		switch {
		case processes.ofOtherMaster(w, before.master):
			left.Connections = append(left.Connections, connections...)
			if listening {
				left.OtherMasters = append(left.OtherMasters, w.Process)
			}
		case before.old(w, since):
			left.Connections = append(left.Connections, connections...)
			if listening || scope.WorkersMustEnd {
				left.ListeningWorkers = append(left.ListeningWorkers, w.Process)
			}
		case listening || scope.WorkersMustEnd:
			left.NoNewWorkerSeen = false
		}
	}
	return left, nil
}

// held are the connections of a process among those sockets, and whether it listens at any of them.
func (s Sockets) held(p Process, sockets map[uint64]tcpSocket) (connections []Connection, listening bool, err error) {
	inodes, err := s.inodes(p)
	for _, inode := range inodes {
		sock, ok := sockets[inode]
		switch {
		case !ok:
		case sock.listening:
			listening = true
		default:
			connections = append(connections, Connection{sock.local, sock.remote, p})
		}
	}
	return connections, listening, err
}

// inodes are the sockets that a process holds.
func (s Sockets) inodes(p Process) ([]uint64, error) {
	dir := filepath.Join(s.procDir(), strconv.Itoa(p.PID), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []uint64
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join(dir, e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // closed meanwhile
		}
		if err != nil {
			return nil, err
		}
		if number, ok := strings.CutPrefix(to, "socket:["); ok {
			if n, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64); err == nil {
				out = append(out, n)
			}
		}
	}
	return out, nil
}
