//go:build linux

package barrier_test

import (
	"context"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
)

// A site is closed: what is on its way is counted first, and refused once what was let in has finished.
func Example() {
	ctx, sockets, master := context.Background(), workers.Sockets{}, 4711
	network := workers.Of(master)
	found, _ := barrier.Resolver{Network: network, Sockets: sockets}.Resolve(ctx, []string{"127.0.0.1:8000"})
	nginx, _ := sockets.Workers(master)
	users, _ := barrier.Users(nginx)
	exempt, _ := barrier.Exempt(sockets, master, nginx, found[0].Ends)
	rules := barrier.Rules{Users: barrier.IDs(users), Exempt: exempt, Sites: []barrier.Site{
		{Name: "demo", Nginx: barrier.Count, Outside: barrier.Count, Ends: found[0].Ends},
	}}
	table := barrier.Table{StateDir: "/var/lib/conforma-status", Network: network}
	_ = table.Load(ctx, rules)

	// ... until what was let in has finished ...

	rules.Sites[0].Nginx, rules.Sites[0].Outside = barrier.Refuse, barrier.Refuse
	_ = table.Load(ctx, rules)
	if err := table.Prove(ctx, rules, users); err != nil {
		return // there is no barrier, and the error says why
	}
	state, _ := table.Read(ctx)
	_ = state.Nginx(rules.Sites[0]).Passed() // connections that came about between the two
}
