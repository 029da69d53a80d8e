package maintenance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/fleet"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
)

// followedSite is a site of this host as its fleet's agent needs it.
type followedSite struct {
	Host *Host
	Site config.Site
	// Deliver has what waits for the webhooks delivered, without waiting for that; nil where somebody else does.
	Deliver func()
}

// Kept is part of fleet.Site.
func (f followedSite) Kept() (fleet.Kept, error) {
	on, err := f.Host.Dir().Followed(f.Site.Name)
	return fleet.Kept{Order: on.Order, Wanted: on.Wanted, Waits: on.Waits, Pending: on.Pending}, err
}

// Keep is part of fleet.Site.
func (f followedSite) Keep(ctx context.Context, k fleet.Kept) error {
	return f.update(ctx, func(on *state.Followed) error {
		on.Order, on.Wanted, on.Waits, on.Pending = k.Order, k.Wanted, k.Waits, k.Pending
		return nil
	})
}

// update changes what is on disk of the orders, and writes it only where it has changed.
func (f followedSite) update(ctx context.Context, change func(*state.Followed) error) error {
	unlock, err := f.Host.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	on, err := f.Host.Dir().Followed(f.Site.Name)
	if err != nil {
		return err
	}
	was := on
	if err := change(&on); err != nil || on == was {
		return err
	}
	return f.Host.Dir().WriteFollowed(f.Site.Name, on)
}

// Local is part of fleet.Site.
func (f followedSite) Local() (fleet.Local, error) {
	r, known, err := f.Host.Dir().Record(f.Site.Name)
	if err != nil {
		return fleet.Local{}, err
	}
	if !known {
		return fleet.Local{Mode: status.Online}, nil
	}
	l := fleet.Local{Mode: r.Document.Mode, Cut: r.Cut, Revision: r.Revision}
	if r.Document.Mode.Closed() {
		l.SafeSince = r.SafeSince
	}
	return l, nil
}

// Shut is part of fleet.Site.
func (f followedSite) Shut(ctx context.Context) error {
	return f.update(ctx, func(on *state.Followed) error {
		on.Waits = true
		return f.Host.shutWaiting(f.Site)
	})
}

// shutWaiting shuts a site that waits for the fleet's order, whatever is on record.
func (h *Host) shutWaiting(s config.Site) error {
	if err := h.Dir().Shut(s.Name); err != nil {
		return fmt.Errorf("shut %s: %w", s.Name, err)
	}
	return h.Dir().Unhealthy(s.Name)
}

// Heard is part of fleet.Site.
func (f followedSite) Heard(ctx context.Context, d status.Document) error {
	return f.update(ctx, func(on *state.Followed) error {
		on.Switch = &d
		r, known, err := f.Host.Dir().Record(f.Site.Name)
		if err != nil {
			return err
		}
		if known && r.Document.Mode == d.Mode && !on.Pending {
			asConfigured(&d, f.Site)
			r.Document, r.Published, r.Unpublished = d, d.Seq, false
			if err := f.Host.Dir().WriteRecord(f.Site.Name, r); err != nil {
				return err
			}
		}
		if on.Pending { // this host alone knows that it is closed, and says so
			return nil
		}
		return f.Host.Dir().WriteAnswers(d)
	})
}

// Alone is part of fleet.Site.
func (f followedSite) Alone(there status.Document) (status.Document, error) {
	r, _, err := f.Host.Dir().Record(f.Site.Name)
	if err != nil {
		return r.Document, err
	}
	d := r.Document
	d.Seq, d.Order, d.Wanted, d.Signature = there.Seq+1, there.Order, there.Wanted, there.Signature
	d.Next = there.Next
	return d, nil
}

// following is what a fleet's order asks of one site.
type following struct {
	Site     config.Site
	Document status.Document // as the order has it; the zero Document where there is none yet
	// Who returns who has given the order and why, "" where that isn't known.
	Who func(context.Context) (by, reason string)
}

// applyOrders brings the sites to a mode that was ordered, with the steps of Set, and returns what there is of each by
// its name.
func (h *Host) applyOrders(ctx context.Context, mode status.Mode, orders []following, drain time.Duration) map[string]fleet.Local {
	out := map[string]fleet.Local{}
	req := Request{Mode: mode, Drain: drain, Reason: "the fleet's order", ordered: map[string]following{}}
	for _, o := range orders {
		req.Sites = append(req.Sites, o.Site)
		req.ordered[o.Site.Name] = o
	}
	failed := func(err error) map[string]fleet.Local {
		for _, o := range orders {
			local, unread := followedSite{Host: h, Site: o.Site}.Local()
			local.Error = errors.Join(err, unread).Error()
			out[o.Site.Name] = local
		}
		return out
	}
	if _, err := h.Nginx.Master(); errors.Is(err, workers.ErrNotRunning) && !mode.Closed() {
		return failed(err) // it opens once nginx runs
	}
	receipts, err := h.Set(ctx, req)
	if err != nil {
		return failed(err)
	}
	for i, r := range receipts {
		local, err := followedSite{Host: h, Site: orders[i].Site}.Local()
		local.Left = r.Left
		if err = errors.Join(err, r.Err); err != nil {
			local.Error = err.Error()
		}
		out[r.Site] = local
	}
	return out
}

// CloseAlone takes the sites offline on this host alone, with the store away: that is to become an order once the
// store is back.
func (h *Host) CloseAlone(ctx context.Context, req Request) ([]*Receipt, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range req.Sites {
		err = errors.Join(err, h.closesForAll(s, req.Mode))
	}
	if unlock(); err != nil {
		return nil, err
	}
	receipts, err := h.Set(ctx, req)
	h.closedAlone(receipts)
	return receipts, err
}

// closedAlone says in the receipts of sites that this host of a fleet has closed alone that nothing is safe and nobody
// is told: it isn't known what the other hosts do. Without a fleet it does nothing.
func (h *Host) closedAlone(receipts []*Receipt) {
	if h.Config.Fleet == nil {
		return
	}
	for _, r := range receipts {
		if r.Outcome != state.Failed {
			r.On, r.Outcome, r.SafeSince, r.Published = OnOneAlone, state.Shut, nil, false
		}
	}
}

// closesForAll has the agent make an order for all hosts of a closing that this host begins alone. Without a fleet it
// does nothing.
func (h *Host) closesForAll(s config.Site, mode status.Mode) error {
	if h.Config.Fleet == nil {
		return nil
	}
	on, err := h.Dir().Followed(s.Name)
	if err != nil || on.Waits || on.Wanted == mode && !on.Pending {
		return err
	}
	on.Pending, on.Wanted = true, mode
	return h.Dir().WriteFollowed(s.Name, on)
}

// ordered is the document of an order, as the record has it on a host that is in that mode.
func ordered(d status.Document, s config.Site, mode status.Mode, now time.Time) status.Document {
	asConfigured(&d, s)
	return fleet.Announced(d, mode, now)
}

// toldInFleet is what visitors of this host are told: what the switch says, but for a site that was closed here alone.
func (h *Host) toldInFleet(d status.Document) status.Document {
	on, err := h.Dir().Followed(d.Site)
	if err != nil || on.Switch == nil || on.Pending {
		return d
	}
	return *on.Switch
}

// answerEach gives each document to nginx. Publishing is the orderer's, and the agents': see fleet.Member.
func (r *run) answerEach(changes []*change, hold func(*change) state.Hold) error {
	for _, c := range changes {
		c.record.Published, c.record.Unpublished, c.receipt.Published = c.to.Seq, false, true
		if err := r.Dir().WriteAnswers(r.toldInFleet(r.Dir().Announced(c.to, hold(c)))); err != nil {
			c.receipt.warn(fmt.Sprintf("nginx goes on giving its last answers for %s: %v", c.site.Name, err))
		}
	}
	return nil
}

// waits reports whether a site is shut because this host has begun and has not read its fleet's order yet.
func (h *Host) waits(site string) (bool, error) {
	if h.Config.Fleet == nil {
		return false, nil
	}
	on, err := h.Dir().Followed(site)
	return on.Waits, err
}

// window is what the rules call this time in admin mode where the hosts of a fleet have it in common, "" where there
// is no fleet.
func (h *Host) window(site string) string {
	if h.Config.Fleet == nil {
		return ""
	}
	on, _ := h.Dir().Followed(site)             // what can't be read is said by whoever follows
	return fmt.Sprintf("%d-00000000", on.Order) // in the form of a revision, see nginxconf.Site
}

// orderWords is the document of an order: that in the switch now (the zero Document for none), with what the request
// has it say, and the mode that the order wants. The mode in the document stays.
func (h *Host) orderWords(was status.Document, s config.Site, req Request) (status.Document, status.Mode, error) {
	if was.Site == "" {
		was = firstDocument(s, h.now())
	}
	closed := was
	if was.Wanted != "" {
		closed.Mode = was.Wanted
	}
	req.keep(closed)
	if err := req.fit(was, h.now()); err != nil {
		return was, req.Mode, err
	}
	d := was
	if asConfigured(&d, s); req.Mode.Closed() {
		words := next(was, s, req, h.now())
		d.ExpectedUntil, d.Message, d.Messages = words.ExpectedUntil, words.Message, words.Messages
	}
	return d, req.Mode, nil
}

// OrderHistory puts on record, where this machine has a history, what was ordered from here.
func (h *Host) OrderHistory(req Request, receipts []*Receipt) error {
	if !h.Dir().Exists() {
		return nil
	}
	var events []state.Event
	for _, r := range receipts {
		events = append(events, state.Event{
			At: h.moment(), Site: r.Site, From: r.Previous, To: r.Mode,
			Operator: h.Operator, Reason: req.Reason, Outcome: r.Outcome, Seq: r.Seq, ExpectedUntil: r.ExpectedUntil,
		})
	}
	history, audit := h.Dir().AppendHistory(events, h.Config.AuditLog)
	return errors.Join(history, audit)
}
