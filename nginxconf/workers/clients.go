package workers

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Client is a process that isn't nginx's, with connections.
type Client struct {
	Process
	Name string           // of its program, as in proc(5)'s comm
	To   []netip.AddrPort // where its connections lead to, those that it has accepted too
	// Own are those of To that lead to an address of this machine's own: they come from the same one (Linux takes the
	// destination for the source then).
	Own []netip.AddrPort
}

// Clients returns the processes in the network namespace of nginx's master process that aren't nginx's, have
// connections and are of those users. Users are as this process counts, and by whose the processes' sockets are. What
// can't be looked at is left out. The errors are those of Program, or what keeps /proc from being read.
func (s Sockets) Clients(master int, users []uint32) ([]Client, error) {
	program, err := s.Program(master)
	if err != nil {
		return nil, err
	}
	procs, err := s.all()
	if err != nil {
		return nil, err
	}
	there := s.network(master)
	holders := map[uint64][]int{} // of a socket, by where they are in out
	var out []Client
	for _, p := range procs {
		whose, _, err := s.owners(p)
		if err != nil || !slices.Contains(users, whose[fileSystem]) || s.network(p.PID) != there {
			continue
		}
		stat, err := p.Stat()
		if err != nil || stat.Comm == program || strings.HasPrefix(s.title(p), anyTitle) {
			continue
		}
		links, err := s.links(p.PID)
		sockets := inodes(links)
		if err != nil || len(sockets) == 0 {
			continue
		}
		for _, inode := range sockets {
			holders[inode] = append(holders[inode], len(out))
		}
		out = append(out, Client{Process: Process{p.PID, stat.Starttime}, Name: stat.Comm})
	}
	if len(out) == 0 {
		return nil, nil
	}
	all, err := s.list(master, inUse, nil)
	if err != nil {
		return nil, fmt.Errorf("look at this machine's sockets: %w", err)
	}
	for _, sock := range all {
		if sock.inode == 0 || sock.listening() {
			continue
		}
		for _, i := range holders[sock.inode] {
			out[i].To = append(out[i].To, sock.remote)
			if sock.remote.Addr() == sock.local.Addr() {
				out[i].Own = append(out[i].Own, sock.remote)
			}
		}
	}
	return slices.DeleteFunc(out, func(c Client) bool { return len(c.To) == 0 }), nil
}
