package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/fleet"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/cmd/internal/webhook"
	"github.com/msupply-foundation/conforma-status/status"
)

// orderings are the orders of a request, one for each site.
func orderings(h *maintenance.Host, k *crew, req maintenance.Request) ([]*fleet.Ordering, error) {
	var out []*fleet.Ordering
	for _, s := range req.Sites {
		on, err := h.Dir().Followed(s.Name)
		if err != nil {
			return nil, err
		}
		g := &fleet.Ordering{
			Name: s.Name, Public: h.Store, Receipts: fleet.Receipts{Store: k.private, Path: s.Path}, Key: k.key, Now: time.Now,
			Meta: maintenance.StatusMeta, SwitchKey: maintenance.StatusKey(s), Own: on.Order,
			Words: func(was status.Document) (status.Document, status.Mode, error) { return h.OrderWords(was, s, req) },
		}
		if claim, is := req.Claims[s.Name]; is {
			if g.Only, err = strconv.ParseUint(claim, 10, 64); err != nil {
				return nil, err
			}
		}
		g.Begin(req.Mode)
		out = append(out, g)
	}
	return out, nil
}

// defaultWait is how long an order is waited for: a host drains first.
const defaultWait = 2 * time.Minute

// orderRound is how long an orderer waits until it looks at the hosts again.
const orderRound = 500 * time.Millisecond

// order orders what the request asks for, waits for all hosts, and reports.
func (a *app) order(ctx context.Context, c *config.Config, req maintenance.Request, wait time.Duration) ([]*maintenance.Receipt, error) {
	h, err := a.host(c)
	if err != nil {
		return nil, err
	}
	k, err := crewOf(c)
	if err != nil {
		return nil, err
	}
	all, err := orderings(h, k, req)
	if err != nil {
		return nil, err
	}
	if req.WordsOnly {
		err := a.sayOnly(ctx, all)
		a.tellOrders(ctx, h, all, nil)
		return nil, err
	}
	if err := putOrders(ctx, all); err != nil {
		if errors.Is(err, fleet.ErrNotTheOrder) {
			return nil, fmt.Errorf("%w: %w", maintenance.ErrClaimed, err)
		}
		if req.Mode == status.Offline && fleet.IsStoreAway(err) && serves(h, req.Sites) {
			return a.closeAlone(ctx, h, req, err)
		}
		return nil, err
	}
	results := a.await(ctx, all, wait)
	a.terminal.Ordered(results)
	a.tellOrders(ctx, h, all, results)
	receipts, code := orderReceipts(all, results)
	if err := h.OrderHistory(req, receipts); err != nil {
		a.terminal.Warn(err.Error())
	}
	return receipts, said(code)
}

// tellOrders has the webhooks told what came of orders: whoever has put it into the switch does, for all hosts.
// results may be nil where nothing was to come of them but words.
func (a *app) tellOrders(ctx context.Context, h *maintenance.Host, all []*fleet.Ordering, results []terminal.Fleet) {
	if len(h.Config.Webhooks) == 0 {
		return
	}
	keeps := h.Dir().Exists()
	for i, g := range all {
		safe := results != nil && results[i].Done
		if results == nil {
			order, wanted := g.Said.Now.Order, g.Said.Now.Wanted
			members, err := g.Receipts.Members(ctx)
			safe = err == nil && order > 0 && members.All(order, wanted)
		}
		e, concerns := h.Tells(g.Said, safe)
		if !concerns {
			continue
		}
		if keeps {
			if err := h.Tell(e); err != nil {
				a.terminal.Warn(err.Error())
			}
			continue
		}
		for _, hook := range h.Config.Webhooks { // they can't wait here
			if err := sender().Send(context.WithoutCancel(ctx), hook, e); err != nil {
				a.terminal.Warn(fmt.Sprintf("the webhook %s isn't told: %v", webhook.Where(hook.URL), err))
			}
		}
	}
	if keeps {
		a.deliver(h.Config)
	}
}

// serves reports whether this machine's nginx serves all of the sites.
func serves(h *maintenance.Host, sites []config.Site) bool {
	return canBeHost && !slices.ContainsFunc(sites, func(s config.Site) bool { return !h.Serves(s) })
}

// putTimeout bounds how long it takes to put an order: a store that hangs must not keep this host open.
const putTimeout = 5 * time.Second

// putOrders puts all orders into their switches.
func putOrders(ctx context.Context, all []*fleet.Ordering) error {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	for _, g := range all {
		for {
			_, err := g.Round(ctx)
			if n, _ := g.Order(); n > 0 { // what follows is waited for
				break
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// sayOnly puts other words into the switches.
func (a *app) sayOnly(ctx context.Context, all []*fleet.Ordering) error {
	var said []status.Document
	for _, g := range all {
		if err := g.Say(ctx); err != nil {
			return err
		}
		said = append(said, g.Document())
	}
	a.terminal.Said(said)
	return nil
}

// closeAlone closes this host where the order can't be put.
func (a *app) closeAlone(ctx context.Context, h *maintenance.Host, req maintenance.Request, why error) ([]*maintenance.Receipt, error) {
	a.terminal.Warn(fmt.Sprintf("nobody else is told: %v", why))
	receipts, err := h.CloseAlone(ctx, req)
	if err != nil {
		return nil, doing(err)
	}
	failed := exitCode(a.report(receipts)) == exitFailed
	a.terminal.Alone()
	if failed {
		return receipts, said(exitFailed)
	}
	return receipts, said(exitUnsafe)
}

// await waits until all hosts are where they were ordered to, or for as long as wait says.
func (a *app) await(ctx context.Context, all []*fleet.Ordering, wait time.Duration) []terminal.Fleet {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	ended := map[*fleet.Ordering]fleet.Do{}
	why := map[*fleet.Ordering]error{}
	for {
		for _, g := range all {
			if ended[g] != "" {
				continue
			}
			do, err := g.Round(ctx)
			if err == nil && do != fleet.Wait {
				ended[g] = do
			}
			if ctx.Err() == nil || why[g] == nil {
				why[g] = err
			}
		}
		var views []terminal.Fleet
		for _, g := range all {
			v := terminal.Fleet{Site: g.Name, Reached: map[string]time.Duration{}, Done: ended[g] == fleet.Done, Later: ended[g] == fleet.Later, Err: why[g]}
			v.Order, v.Wanted = g.Order()
			v.Mode = g.Document().Mode
			for host, at := range g.Reached {
				v.Reached[host] = at.Sub(g.Ordered)
			}
			v.Fill(g.Members)
			views = append(views, v)
		}
		if len(ended) == len(all) || ctx.Err() != nil {
			return views
		}
		a.terminal.Awaiting(views)
		if (wallClock{}).Sleep(ctx, orderRound) != nil && ctx.Err() == nil {
			return views
		}
	}
}

// orderReceipts are the receipts of orders, as run wants them, and the exit code.
func orderReceipts(all []*fleet.Ordering, results []terminal.Fleet) (receipts []*maintenance.Receipt, code int) {
	for i, g := range all {
		order, wanted := g.Order()
		r := &maintenance.Receipt{
			Site: g.Name, Mode: wanted, Previous: status.Online, Outcome: state.Done, Published: true, Claim: strconv.FormatUint(order, 10),
			ExpectedUntil: g.Document().ExpectedUntil, Seq: g.Document().Seq,
		}
		if was := g.Was; was.Wanted != "" {
			r.Previous = was.Wanted
		} else if was.Site != "" {
			r.Previous = was.Mode
		}
		if !results[i].Done {
			code = exitUnsafe
			r.Outcome = state.Shut
		}
		receipts = append(receipts, r)
	}
	return receipts, code
}
