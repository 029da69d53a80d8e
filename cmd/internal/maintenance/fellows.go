package maintenance

import (
	"cmp"
	"context"
	"errors"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/fleet"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/webhook"
	"github.com/msupply-foundation/conforma-status/status"
)

// Fellows are the hosts of this host's fleet.
type Fellows interface {
	// Name is what this host is called among them.
	Name() string
	// Members returns what the hosts of a site say.
	Members(context.Context, config.Site) (fleet.Members, error)
	// Order puts what is asked for into the switches, for all hosts, and returns what each says then, in the order of
	// the sites.
	Order(context.Context, Request) ([]fleet.Change, error)
}

// speaks reports whether this host tells the webhooks what happens to a site on all hosts alike: of those that have
// got to the newest order, the first by name does. Where that isn't known each does, for it is better told twice.
func (h *Host) speaks(ctx context.Context, s config.Site) bool {
	if h.Fellows == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	all, err := h.Fellows.Members(ctx, s)
	if err != nil {
		return true
	}
	first := ""
	for _, r := range all.Receipts {
		if r.Order == all.Highest() && (first == "" || r.Host < first) {
			first = r.Host
		}
	}
	return first == "" || first == h.Fellows.Name()
}

// tellsChange reports whether this host tells the webhooks of a change that it makes. What is ordered is told by
// whoever has put it into the switch.
func (h *Host) tellsChange(site string) bool {
	if h.Config.Fleet == nil {
		return true
	}
	on, err := h.Dir().Followed(site)
	return err == nil && on.Pending
}

// ofMode is what it comes to that a site goes to a mode.
func ofMode(mode status.Mode) webhook.Type {
	switch {
	case mode == status.Admin:
		return webhook.Admin
	case mode.Closed():
		return webhook.Closed
	}
	return webhook.Opened
}

// Tells is what the webhooks are told of a change of a switch, false for nothing. safe is whether a snapshot can be
// taken on all hosts: that of a site that was offline before it can, is told too.
func (h *Host) Tells(c fleet.Change, safe bool) (e webhook.Event, concerns bool) {
	was, now := cmp.Or(c.Was.Mode, status.Online), c.Now
	what := ofMode(now.Mode)
	switch {
	case now.Site == "":
		return e, false
	case was != now.Mode:
	case now.Mode.Closed() && !samePromise(c.Was, now):
		what = webhook.Extended
	case now.Mode != status.Offline || now.Wanted != status.Offline || !safe:
		return e, false
	}
	e = webhook.Of(what, h.moment(), now, was)
	if now.Mode.Closed() {
		e.Data.Safe = &safe
	}
	return e, true
}

// Tell has an event wait for the webhooks.
func (h *Host) Tell(e webhook.Event) error {
	return h.queue().Add(h.Config.Webhooks, e)
}

func (h *Host) queue() webhook.Queue { return webhook.QueueIn(h.Config.StateDir) }

// Announced is part of fleet.Site.
func (f followedSite) Announced(c fleet.Change) error {
	e, concerns := f.Host.Tells(c, true)
	if !concerns {
		return nil
	}
	err := f.Host.Tell(e)
	if f.Deliver != nil {
		f.Deliver()
	}
	return err
}

// orderFor has all hosts of the fleet close for windows that are alike, and returns those of them for which the order
// can't be put: there this host is to close alone. A window whose order was put has begun once this host's agent has
// carried it out.
func (h *Host) orderFor(ctx context.Context, group []beginning, req Request) (alone []beginning, err error) {
	if h.Fellows == nil {
		return group, nil
	}
	var put []beginning
	var errs []error
	for _, b := range group {
		deed := b.Deeds[b.window.ID]
		r, known, err := h.Dir().Record(b.site.Name)
		switch {
		case err != nil:
			errs = append(errs, err)
		case deed.Ordered && known && r.Document.Mode.Closed():
			deed.Since = new(r.Document.Since)
			b.Deeds[b.window.ID] = deed
			errs = append(errs, h.keepAgenda(b.agenda), h.tellSafe(ctx, b.site, r))
		case deed.Ordered: // its agent is at it
		default:
			put = append(put, b)
		}
	}
	if len(put) == 0 {
		return nil, errors.Join(errs...)
	}
	req.Sites = nil
	for _, b := range put {
		req.Sites = append(req.Sites, b.site)
	}
	said, err := h.Fellows.Order(ctx, req)
	if err != nil {
		if !fleet.IsStoreAway(err) {
			errs = append(errs, err)
		}
		return put, errors.Join(errs...)
	}
	for i, b := range put {
		deed := b.Deeds[b.window.ID]
		deed.Ordered = true
		b.Deeds[b.window.ID] = deed
		errs = append(errs, h.keepAgenda(b.agenda))
		if e, concerns := h.Tells(said[i], false); concerns {
			errs = append(errs, h.Tell(e))
		}
	}
	return nil, errors.Join(errs...)
}

// tellSafe tells the webhooks that a window's closing is safe, where it is on all hosts by now.
func (h *Host) tellSafe(ctx context.Context, s config.Site, r state.Record) error {
	if r.Document.Mode != status.Offline || !h.isSafe(ctx, s, r) {
		return nil // get says who is missing
	}
	return h.tell(webhook.Of(webhook.Closed, h.moment(), r.Document, r.Document.Mode), true)
}

// isSafe reports whether a snapshot can be taken of a site that is closed: in a fleet, on all hosts.
func (h *Host) isSafe(ctx context.Context, s config.Site, r state.Record) bool {
	if h.Config.Fleet == nil || r.SafeSince == nil {
		return r.SafeSince != nil
	}
	on, err := h.Dir().Followed(s.Name)
	if err != nil || on.Pending || h.Fellows == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	all, err := h.Fellows.Members(ctx, s)
	return err == nil && all.All(on.Order, on.Wanted)
}
