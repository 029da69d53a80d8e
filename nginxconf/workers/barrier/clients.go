//go:build linux

package barrier

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// Clients returns which programs of this machine the table keeps from the upstreams of each site, by its name, beside
// nginx's workers: those that have the user id of one, and are connected now. The errors are those of
// workers.Sockets.
func (b Barrier) Clients(master int, f Found) (map[string][]workers.Client, error) {
	var ids []uint32
	for _, u := range f.Users {
		ids = append(ids, u.Here)
	}
	clients, err := b.Sockets.Clients(master, ids)
	if err != nil {
		return nil, err
	}
	return bySite(clients, f, cgroupOf), nil
}

// bySite are the clients of each site, but for those that are exempt; groupOf is the cgroup of a process.
func bySite(clients []workers.Client, f Found, groupOf func(pid int) string) map[string][]workers.Client {
	clients = slices.DeleteFunc(clients, func(c workers.Client) bool {
		group := groupOf(c.PID)
		return slices.ContainsFunc(f.Exempt, func(e Cgroup) bool { return below(group, e.Path) })
	})
	slices.SortFunc(clients, func(a, b workers.Client) int { return cmp.Compare(a.PID, b.PID) })
	out := map[string][]workers.Client{}
	for site, place := range f.Sites {
		for _, c := range clients {
			if place.leads(c) {
				out[site] = append(out[site], c)
			}
		}
	}
	return out
}

// leads reports whether a connection of the client's is one to the upstreams there.
func (p Place) leads(c workers.Client) bool {
	return slices.ContainsFunc(p.Ends, func(e End) bool {
		return slices.ContainsFunc(c.To, func(to netip.AddrPort) bool {
			own := to.Addr().IsLoopback() || slices.Contains(c.Own, to)
			return to == e.Addr || e.Anywhere && to.Port() == e.Addr.Port() && own
		})
	})
}
