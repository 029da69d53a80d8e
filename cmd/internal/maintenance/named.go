package maintenance

import (
	"context"
	"fmt"
	"slices"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
	"github.com/msupply-foundation/conforma-status/status"
)

// What else the kernel barrier of a site does, named before it does it.

// Barrier is whether a site can have the kernel barrier, and what that would do besides.
type Barrier struct {
	// Err is why the site can't have it, nil where it can. It wraps ErrShared where another site that is open has the
	// same upstream.
	Err error
	// Refuses says in words which programs of this machine would be refused with nginx; empty where Err is set.
	Refuses []string
}

// Barriers finds out whether the kernel can keep connections from the application of each of the sites, were it closed
// now, and changes nothing. The answers are by site.
func (h *Host) Barriers(ctx context.Context, sites []config.Site) map[string]Barrier {
	t := h.table(ctx)
	out := map[string]Barrier{}
	var has []string
	for _, s := range sites { // one by one: those that are closed with one command don't share an upstream
		t.readFirst(ctx, []config.Site{s})
		t.try(ctx, []config.Site{s})
		out[s.Name] = Barrier{Err: t.none[s.Name]}
		if t.none[s.Name] == nil {
			has = append(has, s.Name)
		}
	}
	if len(has) == 0 {
		return out
	}
	for name, refuses := range t.clients(has) {
		out[name] = Barrier{Refuses: refuses}
	}
	return out
}

// Detours says in words where nginx sends on what the kernel refuses of a site.
func Detours(s config.Site, serving operator.Serving) []string {
	var out []string
	for _, spare := range serving.Spares {
		out = append(out, fmt.Sprintf("the upstream {} of %s has %s too (%s), which is not among the site's upstreams: nginx sends on to it what the kernel refuses",
			s.Name, spare.Addr, spare.At))
	}
	for _, p := range serving.ErrorPages {
		out = append(out, fmt.Sprintf("the error_page at %s leads a 502 elsewhere, and with it what the kernel refuses of %s", p, s.Name))
	}
	return out
}

// nameClients warns of programs that are refused with nginx.
func (t *table) nameClients(changes []*change) {
	var offline []*change
	for _, c := range changes {
		if c.to.Mode == status.Offline && c.has(StepShut) && c.behindBarrier() {
			offline = append(offline, c)
		}
	}
	if len(offline) == 0 {
		return
	}
	said := t.clients(names(offline))
	for _, c := range offline {
		for _, text := range said[c.site.Name] {
			c.receipt.warn(text)
		}
	}
}

// clients says in words, by site, which programs are refused with nginx. What can't be looked at isn't named.
func (t *table) clients(sites []string) map[string][]string {
	out := map[string][]string{}
	if t.found.Users == nil && t.findUsers() != nil {
		return out
	}
	if slices.ContainsFunc(t.found.Users, func(u barrier.User) bool { return u.ID == 0 }) {
		for _, name := range sites {
			out[name] = append(out[name], fmt.Sprintf("nginx's workers run as root: the kernel refuses root's own programs the application of %s, too", name))
		}
	}
	clients, err := t.Kernel.Clients(t.master, t.found)
	if err != nil {
		return out
	}
	for _, name := range sites {
		of := map[string]int{} // how many there are of a program: of php-fpm dozens
		for _, c := range clients[name] {
			of[c.Name]++
		}
		for _, c := range clients[name] {
			if of[c.Name] > 0 {
				out[name] = append(out[name], fmt.Sprintf("process %d (%s, one of %d) has the user id of nginx's workers and is connected to the application of %s: the kernel refuses it, too",
					c.PID, c.Name, of[c.Name], name))
				delete(of, c.Name)
			}
		}
	}
	return out
}
