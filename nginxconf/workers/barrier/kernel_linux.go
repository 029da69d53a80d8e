package barrier

import (
	"context"
	"fmt"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

func (b Barrier) table(master int) Table {
	return Table{StateDir: b.StateDir, Network: workers.Of(master)}
}

// Places finds out where the upstreams of each site, by its name, are reached. The errors are those of Resolver.
func (b Barrier) Places(ctx context.Context, master int, upstreams map[string][]string) (map[string]Place, error) {
	var all []string
	for _, of := range upstreams {
		all = append(all, of...)
	}
	found, err := Resolver{Network: workers.Of(master), Sockets: b.Sockets}.Resolve(ctx, all)
	if err != nil {
		return nil, err
	}
	at := map[string]Upstream{}
	for _, up := range found {
		at[up.Given] = up
	}
	out := map[string]Place{}
	for site, of := range upstreams {
		place := Place{}
		for _, given := range of {
			up := at[given]
			if place.Err == nil {
				place.Err = up.Err
			}
			place.Ends = append(place.Ends, up.Ends...)
		}
		if len(of) == 0 {
			place.Err = fmt.Errorf("it %w: no upstreams are known", ErrNoAddress)
		}
		if place.Err != nil {
			place.Ends = nil
		}
		out[site] = place
	}
	return out, b.around(ctx, workers.Of(master), out)
}

// Who finds out who nginx's workers are, and who else has their user and is at the ends. The errors are those of
// workers.Sockets.Workers, Users and Exempt.
func (b Barrier) Who(master int, ends []End) ([]User, []Cgroup, error) {
	nginx, err := b.Sockets.Workers(master)
	if err != nil {
		return nil, nil, err
	}
	users, err := Users(nginx)
	if err != nil {
		return nil, nil, err
	}
	exempt, err := Exempt(b.Sockets, master, nginx, ends)
	return users, exempt, err
}

// tables calls f with each table and the rules for it: that of nginx's network namespace, and where this process has
// another one, that of it.
func (b Barrier) tables(master int, r Rules, f func(Table, Rules) error) error {
	if err := f(b.table(master), r); err != nil || !b.IsContainer(master) {
		return err
	}
	return f(b.table(0), r.Around())
}

// Probe is Table.Probe.
func (b Barrier) Probe(ctx context.Context, master int, r Rules) error {
	return b.tables(master, r, func(t Table, r Rules) error { return t.Probe(ctx, r) })
}

// Load is Table.Load.
func (b Barrier) Load(ctx context.Context, master int, r Rules) error {
	return b.tables(master, r, func(t Table, r Rules) error { return t.Load(ctx, r) })
}

// Prove is Table.Prove.
func (b Barrier) Prove(ctx context.Context, master int, r Rules, users []User) error {
	return b.table(master).Prove(ctx, r, users)
}

// Remove is Table.Remove.
func (b Barrier) Remove(ctx context.Context, master int) error {
	return b.tables(master, Rules{}, func(t Table, _ Rules) error { return t.Remove(ctx) })
}

// RemoveAll takes away the tables of all configurations there, and returns their names. The errors are those of Table.
func (Barrier) RemoveAll(ctx context.Context, master int) ([]string, error) {
	return RemoveAll(ctx, workers.Of(master))
}

// Look is Table.Read, beside the rules that the table is to follow.
func (b Barrier) Look(ctx context.Context, master int, r Rules) (Seen, error) {
	seen := Seen{Nginx: map[string]Traffic{}, Outside: map[string]Traffic{}}
	err := b.tables(master, r, func(t Table, r Rules) error {
		state, err := t.Read(ctx)
		if err != nil {
			return err
		}
		how, less := state.Differs(r)
		if seen.Differs == "" {
			seen.Differs = how
		}
		seen.There, seen.Less = seen.There || state.There, seen.Less || less
		for _, s := range r.Sites {
			seen.Nginx[s.Name] = seen.Nginx[s.Name].plus(state.Nginx(s))
			seen.Outside[s.Name] = seen.Outside[s.Name].plus(state.Outside(s))
		}
		return nil
	})
	return seen, err
}

// IsContainer reports whether nginx is in another network namespace than this process.
func (b Barrier) IsContainer(master int) bool {
	ours, err := workers.Of(master).IsOurs()
	return err == nil && !ours
}
