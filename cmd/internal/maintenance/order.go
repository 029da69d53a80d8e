package maintenance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/fleet"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/webhook"
	"github.com/msupply-foundation/conforma-status/status"
)

// fellows are the hosts of this host's fleet.
type fellows struct {
	*Fleet
	host *Host
}

// Meet has this host ask and tell the other hosts of its fleet.
func (h *Host) Meet(f *Fleet) { h.Fellows = fellows{f, h} }

// Name is part of Fellows.
func (f fellows) Name() string { return f.Fleet.Name }

// Members is part of Fellows.
func (f fellows) Members(ctx context.Context, s config.Site) (fleet.Members, error) {
	return (&fleet.Receipts{Store: f.Receipts, Path: s.Path}).Members(ctx)
}

// Order is part of Fellows.
func (f fellows) Order(ctx context.Context, req Request) (said []fleet.Change, err error) {
	orders, err := f.host.Orders(f.Fleet, req)
	if err == nil {
		err = orders.Put(ctx)
	}
	for _, g := range orders {
		said = append(said, g.Said)
	}
	return said, err
}

// Orders are the orders of a request to a fleet, one for each site and in their order. None is in its switch yet.
func (h *Host) Orders(f *Fleet, req Request) (orders fleet.Orders, err error) {
	for _, s := range req.Sites {
		on, err := h.Dir().Followed(s.Name)
		if err != nil {
			return nil, err
		}
		g := &fleet.Ordering{
			Name: s.Name, Public: h.Store, Receipts: fleet.Receipts{Store: f.Receipts, Path: s.Path}, Key: f.Key, Now: h.Clock.Now,
			Meta: StatusMeta, SwitchKey: StatusKey(s), Own: on.Order,
			By: h.Operator + " on " + f.Name, Reason: req.Reason,
			Words: func(was status.Document) (status.Document, status.Mode, error) { return h.orderWords(was, s, req) },
		}
		if claim, is := req.Claims[s.Name]; is {
			if g.Only, err = strconv.ParseUint(claim, 10, 64); err != nil {
				return nil, err
			}
		}
		g.Begin(req.Mode)
		orders = append(orders, g)
	}
	return orders, nil
}

// OrderReceipts are the receipts of orders, and the claims that they give on their sites.
func OrderReceipts(orders fleet.Orders) (receipts []*Receipt) {
	for _, g := range orders {
		order, wanted := g.Order()
		r := &Receipt{
			Site: g.Name, Mode: wanted, Previous: cmp.Or(g.Was.Wanted, g.Was.Mode, status.Online), Outcome: state.Done, Published: true,
			Claim: strconv.FormatUint(order, 10), ExpectedUntil: g.Document().ExpectedUntil, Seq: g.Document().Seq,
		}
		if g.Ended != fleet.Done {
			r.Outcome = state.Shut
		}
		receipts = append(receipts, r)
	}
	return receipts
}

// tellAfter is how long after an order was waited for its event is delivered, where whoever gave it is gone.
const tellAfter = 15 * time.Second

// ForetellOrders keeps what TellOrders has to say, as far as it is known once orders are put, for as long as they may
// be waited for: whoever gave them may be killed meanwhile. It returns that by site, for TellOrders. Where there is no
// state directory it does nothing.
func (h *Host) ForetellOrders(orders fleet.Orders, wait time.Duration) (map[string]webhook.Event, error) {
	if len(h.Config.Webhooks) == 0 || !h.Dir().Exists() {
		return nil, nil
	}
	foretold := map[string]webhook.Event{}
	var errs []error
	for _, g := range orders {
		if e, concerns := h.Tells(g.Said, false); concerns {
			foretold[g.Name] = e
			errs = append(errs, h.queue().AddFor(h.Config.Webhooks, e, h.now().Add(wait+tellAfter)))
		}
	}
	return foretold, errors.Join(errs...)
}

// TellOrders has the webhooks told what came of orders: whoever has put it into the switch does, for all hosts. They
// wait in the state directory, instead of what was foretold. Where there is none they go to send, one after the other.
// It returns what could not be told.
func (h *Host) TellOrders(ctx context.Context, orders fleet.Orders, foretold map[string]webhook.Event, wordsOnly bool,
	send func(context.Context, config.Webhook, webhook.Event) error) (errs []error) {
	if len(h.Config.Webhooks) == 0 {
		return nil
	}
	keeps := h.Dir().Exists()
	for _, g := range orders {
		safe := g.Ended == fleet.Done
		if wordsOnly { // its members were not asked yet
			order, wanted := g.Said.Now.Order, g.Said.Now.Wanted
			members, err := g.Receipts.Members(ctx)
			safe = err == nil && order > 0 && members.All(order, wanted)
		}
		e, concerns := h.Tells(g.Said, safe)
		if !concerns {
			continue
		}
		if was, is := foretold[g.Name]; is && keeps {
			errs = append(errs, h.queue().Replace(h.Config.Webhooks, was, e))
			continue
		}
		if keeps {
			errs = append(errs, h.Tell(e))
			continue
		}
		for _, hook := range h.Config.Webhooks {
			if err := send(context.WithoutCancel(ctx), hook, e); err != nil {
				errs = append(errs, fmt.Errorf("the webhook %s isn't told: %w", webhook.Where(hook.URL), err))
			}
		}
	}
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}
