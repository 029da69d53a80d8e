package maintenance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers/barrier"
	"github.com/msupply-foundation/conforma-status/status"
)

// readsFirst reports whether nginx's configuration has to say what the barrier of a site is to be made of.
func readsFirst(s config.Site) bool { return len(s.Upstreams) == 0 || s.SharedUpstream }

// findJoining finds the sites that have had no barrier so far because they share an upstream with one of those that
// close now.
func (t *table) findJoining(closing []config.Site) {
	closes := map[string]bool{}
	for _, s := range closing {
		closes[s.Name] = true
	}
	for _, s := range t.Config.Sites {
		shares := func(o config.Site) bool { return t.shareUpstream(o.Name, s.Name) }
		if closes[s.Name] || t.none[s.Name] != nil || !slices.ContainsFunc(closing, shares) {
			continue
		}
		if r, known, err := t.Dir().Record(s.Name); err == nil && known && r.Document.Mode == status.Offline && !r.Barrier {
			t.joins = append(t.joins, s.Name)
		}
	}
}

// goByRecords wants of the table what the records say, and finds out which sites have lost it.
func (t *table) goByRecords(seen barrier.Seen) {
	var barred, without []string
	for s, r := range t.onRecord() {
		switch {
		case r.Barrier:
			barred = append(barred, s.Name)
			t.wants[s.Name] = treatmentOf(r)
		case r.Document.Mode.Closed():
			without = append(without, s.Name)
		}
	}
	if len(barred) == 0 {
		return
	}
	for _, name := range without {
		t.wants[name] = t.asBeside(name)
	}
	holds := t.holds()
	for _, name := range barred {
		t.lost[name] = seen.Less || !holds[name] || t.leadsElsewhere(name)
	}
}

// asBeside is what the barrier does for a closed site that has none: what it does for those that share an upstream with
// it. It is no open site, for which theirs would be lifted.
func (t *table) asBeside(site string) (w treatment) {
	for name, wanted := range t.wants {
		if name != site && !t.lost[name] && t.shareUpstream(name, site) {
			w = w.atLeast(wanted)
		}
	}
	return w
}

// holds are the sites for which the rules do what is wanted. They don't where an upstream is a unix socket by now, or
// shared with a site that is open.
func (t *table) holds() map[string]bool {
	trial := *t
	trial.wants, trial.none = maps.Clone(t.wants), maps.Clone(t.none)
	out := map[string]bool{}
	for _, s := range trial.rules().Sites {
		out[s.Name] = treatment{s.Nginx, s.Outside} == t.wants[s.Name]
	}
	return out
}

// shareUpstream reports whether two sites lead to one address.
func (t *table) shareUpstream(a, b string) bool {
	return slices.ContainsFunc(t.found.Sites[a].Ends, func(e barrier.End) bool {
		return slices.ContainsFunc(t.found.Sites[b].Ends, func(o barrier.End) bool {
			return e.Addr.Port() == o.Addr.Port() && (e.Addr == o.Addr || e.Anywhere && o.Local || o.Anywhere && e.Local)
		})
	})
}

// readFirst finds out where nginx leads to, for sites whose configuration doesn't say it, and whether an open site
// leads there too. Sites that are closed, or close in the same change, don't count.
func (t *table) readFirst(ctx context.Context, sites []config.Site) {
	if t.err != nil || !slices.ContainsFunc(sites, readsFirst) {
		return
	}
	conf, err := t.Nginx.Config(ctx)
	t.ledTo = map[string][]string{}
	closes := config.SiteNames(sites)
	for s, r := range t.onRecord() {
		if r.Shut() {
			closes = append(closes, s.Name)
		}
	}
	for _, s := range sites {
		if !readsFirst(s) {
			continue
		}
		if err != nil {
			t.none[s.Name] = fmt.Errorf("nginx's configuration doesn't say where it leads to: %w", err)
			continue
		}
		serving := conf.Serving(nginxconf.SiteFile(t.Config.Nginx.ConfDir, s.Name), Target(s), s.Upstreams)
		for _, hole := range serving.Holes {
			if !slices.Contains(closes, hole.Site) {
				t.none[s.Name] = fmt.Errorf("%w: the server at %s leads to %s", ErrShared, hole.Server, hole.Upstream)
			}
		}
		if len(s.Upstreams) == 0 {
			t.ledTo[s.Name] = serving.Upstreams
		}
	}
	if len(t.ledTo) == 0 {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, kernelTimeout)
	defer cancel()
	found, err := t.Kernel.Places(bounded, t.master, t.ledTo)
	for name := range t.ledTo {
		place := found[name]
		if place.Err == nil {
			place.Err = err
		}
		if t.found.Sites[name] = place; place.Err != nil {
			t.none[name] = place.Err
		} else if !errors.Is(t.none[name], ErrShared) {
			delete(t.none, name)
		}
	}
}
