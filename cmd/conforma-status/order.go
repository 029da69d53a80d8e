package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/fleet"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/webhook"
	"github.com/msupply-foundation/conforma-status/status"
)

// defaultWait is how long an order is waited for: a host drains first.
const defaultWait = 2 * time.Minute

// order orders what the request asks for, waits for all hosts, and reports.
func (a *app) order(ctx context.Context, h *maintenance.Host, req maintenance.Request, wait time.Duration) ([]*maintenance.Receipt, error) {
	mine, err := fleetOf(h.Config)
	if err != nil {
		return nil, err
	}
	orders, err := h.Orders(mine, req)
	if err != nil {
		return nil, err
	}
	if req.Keeps == maintenance.KeepsMode {
		said, err := orders.Say(ctx)
		if err == nil {
			a.terminal.Said(said)
		}
		a.tellOrders(ctx, h, orders, nil, req)
		return nil, err
	}
	if err := orders.Put(ctx); err != nil {
		if errors.Is(err, fleet.ErrNotTheOrder) {
			i := slices.IndexFunc(orders, func(g *fleet.Ordering) bool { n, _ := g.Order(); return n == 0 })
			return nil, &ofSite{orders[i].Name, fmt.Errorf("%w: %w", maintenance.ErrClaimed, err)}
		}
		if req.Mode == status.Offline && fleet.IsStoreAway(err) && serves(h, req.Sites) {
			return a.closeAlone(ctx, h, req, err)
		}
		return nil, err
	}
	foretold, err := h.ForetellOrders(orders, wait)
	if err != nil {
		a.terminal.Warn(err.Error())
	}
	orders.Await(ctx, wait, h.Clock.Sleep, func() { a.terminal.Awaiting(orders) })
	a.terminal.Ordered(orders)
	for _, g := range orders {
		if g.Unnoted != nil {
			a.terminal.Warn(fmt.Sprintf("the histories of the hosts don't say who has ordered: %v", g.Unnoted))
		}
	}
	a.tellOrders(ctx, h, orders, foretold, req)
	receipts := maintenance.OrderReceipts(orders)
	if err := h.OrderHistory(req, receipts); err != nil {
		a.terminal.Warn(err.Error())
	}
	if !orders.Done() {
		return receipts, said(exitUnsafe)
	}
	return receipts, nil
}

// ofSite is an error of the order for one site. Those for the sites before it are put.
type ofSite struct {
	site string
	error
}

func (o *ofSite) Unwrap() error { return o.error }

// tellOrders has the webhooks told what came of the orders of a request.
func (a *app) tellOrders(ctx context.Context, h *maintenance.Host, orders fleet.Orders, foretold map[string]webhook.Event, req maintenance.Request) {
	for _, err := range h.TellOrders(ctx, orders, foretold, req.Keeps == maintenance.KeepsMode, sender().Send) {
		a.terminal.Warn(err.Error())
	}
	a.deliver(h.Config)
}

// serves reports whether this machine's nginx serves all of the sites.
func serves(h *maintenance.Host, sites []config.Site) bool {
	return canBeHost && !slices.ContainsFunc(sites, func(s config.Site) bool { return !h.Serves(s) })
}

// closeAlone closes this host where the order can't be put.
func (a *app) closeAlone(ctx context.Context, h *maintenance.Host, req maintenance.Request, why error) ([]*maintenance.Receipt, error) {
	a.terminal.Warn(fmt.Sprintf("nobody else is told: %v", why))
	receipts, err := h.CloseAlone(ctx, req)
	if err != nil {
		return nil, doing(err)
	}
	return receipts, a.report(receipts)
}
