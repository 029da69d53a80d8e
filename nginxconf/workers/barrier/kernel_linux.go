package barrier

import (
	"context"
	"fmt"
	"slices"

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

// Prove is Table.Prove for those sites of the rules, and then Look.
func (b Barrier) Prove(ctx context.Context, master int, r Rules, sites []string, users []User) (Seen, error) {
	theirs := Rules{}
	for _, s := range r.Sites {
		if slices.Contains(sites, s.Name) {
			theirs.Sites = append(theirs.Sites, s)
		}
	}
	seen := Seen{}
	err := b.tables(master, r, func(t Table, of Rules) error {
		state, err := t.proven(ctx, theirs, users)
		theirs = Rules{} // around nginx's network namespace there is nothing to prove
		if err == nil {
			seen.add(state, of)
		}
		return err
	})
	return seen, err
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
	seen := Seen{}
	err := b.tables(master, r, func(t Table, r Rules) error {
		state, err := t.Read(ctx)
		if err == nil {
			seen.add(state, r)
		}
		return err
	})
	return seen, err
}

// add adds what one of the tables has, beside the rules that it is to follow.
func (s *Seen) add(state State, r Rules) {
	if s.Nginx == nil {
		s.Nginx, s.Outside = map[string]Traffic{}, map[string]Traffic{}
	}
	how, less := state.Differs(r)
	if s.Differs == "" {
		s.Differs = how
	}
	s.There, s.Less = s.There || state.There, s.Less || less
	for _, site := range r.Sites {
		s.Nginx[site.Name] = s.Nginx[site.Name].plus(state.Nginx(site))
		s.Outside[site.Name] = s.Outside[site.Name].plus(state.Outside(site))
	}
}

// IsContainer reports whether nginx is in another network namespace than this process.
func (b Barrier) IsContainer(master int) bool {
	ours, err := workers.Of(master).IsOurs()
	return err == nil && !ours
}
