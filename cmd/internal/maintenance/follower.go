package maintenance

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/fleet"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// Fleet is what this host takes part in its fleet with.
type Fleet struct {
	Name     string      // what this host is called in it
	Receipts store.Store // where the hosts' receipts are
	Key      gate.Secret
}

// Follower follows the switches of all sites of this host.
type Follower struct {
	Host  *Host
	Fleet *Fleet
	// Drain is how long a closing waits for what was let in earlier before it cuts it.
	Drain time.Duration
	Log   *slog.Logger
	// KeepPages keeps the pages of sites where their nginx can show them. The sites close also where it fails.
	KeepPages func([]config.Site) error
	// Deliver has what waits for the webhooks delivered, without waiting for that.
	Deliver func()

	sites []*followed
	beat  atomic.Int64 // when it was last seen to go on, in seconds since 1970
}

// followed is one site that is followed.
type followed struct {
	*fleet.Agent
	site     config.Site
	step     fleet.Step      // that is being taken
	doc      status.Document // of that step
	said     string          // what was last logged about it
	reported time.Time       // when it was last told how much is left
}

// Run follows the switches, poll after poll, until ctx is done. It calls ready after the first round. An error says why
// it could not begin.
func (f *Follower) Run(ctx context.Context, poll time.Duration, ready func()) error {
	if err := f.begin(); err != nil {
		return err
	}
	f.Host.Progress = &drains{Progress: f.Host.Progress, ctx: ctx, follower: f}
	f.Log.Info("this host follows its fleet", "host", f.Fleet.Name, "sites", len(f.sites), "poll", poll.String())
	for first := true; ; first = false {
		f.beat.Store(f.Host.Clock.Now().Unix())
		f.round(ctx)
		if first {
			ready()
		}
		if err := f.Host.Clock.Sleep(ctx, poll); err != nil {
			return nil
		}
	}
}

// begin has an agent for each site.
func (f *Follower) begin() error {
	h := f.Host
	instance, err := h.Dir().ThisInstance()
	if err != nil {
		return err
	}
	for _, s := range h.Config.Sites {
		one := &followed{site: s, Agent: &fleet.Agent{
			Name: s.Name, Path: s.Path, Site: followedSite{Host: h, Site: s, Deliver: f.Deliver}, Public: h.Store, Private: f.Fleet.Receipts,
			Key: f.Fleet.Key, Now: h.Clock.Now, Meta: StatusMeta, SwitchKey: StatusKey(s),
		}}
		one.Start(f.Fleet.Name, instance)
		if err := h.keepPassKey(f.Fleet.Key, s); err != nil {
			return err
		}
		f.sites = append(f.sites, one)
	}
	return nil
}

// hungAfter is how long a change may take until it is taken for hung: it waits for the lock, drains, and asks the
// application.
const hungAfter = state.LockTimeout + 5*time.Minute

// GoesOn reports whether it still follows, and doesn't hang. It may be called at any time.
func (f *Follower) GoesOn() bool {
	return f.Host.Clock.Now().Sub(time.Unix(f.beat.Load(), 0)) < hungAfter
}

// round looks at all switches, and then does to nginx what there is to do, one mode after the other: what is to close
// comes first.
func (f *Follower) round(ctx context.Context) {
	todo := map[status.Mode][]*followed{}
	for _, one := range f.sites {
		step, doc, err := one.Round(ctx)
		if err != nil {
			f.say(one, err)
			continue
		}
		if step.Do != fleet.Apply {
			f.say(one, nil)
			continue
		}
		one.step, one.doc = step, doc
		if err := one.Site.Keep(ctx, one.Before(step)); err != nil {
			f.say(one, err)
			continue
		}
		todo[step.Mode] = append(todo[step.Mode], one)
	}
	for _, mode := range slices.Backward(status.Modes()) {
		if len(todo[mode]) > 0 {
			f.apply(ctx, mode, todo[mode])
		}
	}
}

// apply brings the sites to a mode.
func (f *Follower) apply(ctx context.Context, mode status.Mode, those []*followed) {
	var orders []following
	var sites []config.Site
	for _, one := range those {
		orders = append(orders, following{Site: one.site, Document: one.doc, Who: one.who})
		sites = append(sites, one.site)
	}
	if mode.Closed() {
		if err := f.KeepPages(sites); err != nil {
			f.Log.Warn("nginx shows the page as it was before, or none", "error", err)
		}
	}
	locals := f.Host.applyOrders(ctx, mode, orders, f.Drain)
	for _, one := range those {
		local := locals[one.site.Name]
		err := one.Applied(ctx, one.step, local)
		f.Log.Info("ordered", "site", one.site.Name, "order", one.step.Kept.Order, "mode", mode, "is", local.Mode,
			"safe", local.SafeSince != nil, "left", local.Left, "error", local.Error)
		if mode == status.Admin {
			err = errors.Join(err, f.Host.keepEpoch(f.Fleet.Key, one.site.Name, one.step.Kept.Order))
		}
		f.say(one, err)
	}
}

// whoBound is how long a change waits to know who has ordered it: it is for the history.
const whoBound = 2 * time.Second

// who returns who has given the order that is being carried out, and why.
func (one *followed) who(ctx context.Context) (by, reason string) {
	ctx, cancel := context.WithTimeout(ctx, whoBound)
	defer cancel()
	return one.Who(ctx, one.step.Kept.Order)
}

// say logs what keeps a site from being followed, once, and that nothing does any more.
func (f *Follower) say(one *followed, err error) {
	text := ""
	if err != nil {
		text = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	switch {
	case text == one.said:
		return
	case err == nil:
		f.Log.Info("the switch is followed again", "site", one.site.Name)
	default:
		f.Log.Error("the switch can't be followed", "site", one.site.Name, "error", text)
	}
	one.said = text
}

// drains tells whoever waits for a host how much there is left on it.
type drains struct {
	Progress
	ctx      context.Context
	follower *Follower
}

// How often a host that drains tells so, and how long that may take.
const (
	drainingEvery = 2 * time.Second
	drainingBound = time.Second
)

// Draining is part of Progress.
func (d *drains) Draining(site string, left workers.Remaining, after, atMost time.Duration) {
	now := d.follower.Host.Clock.Now()
	for _, one := range d.follower.sites {
		if one.site.Name != site || one.step.Do != fleet.Apply || now.Sub(one.reported) < drainingEvery {
			continue
		}
		one.reported = now
		ctx, cancel := context.WithTimeout(d.ctx, drainingBound)
		_ = one.Agent.Draining(ctx, one.step, len(left.Connections)) // the receipt itself comes once it is drained
		cancel()
	}
	d.Progress.Draining(site, left, after, atMost)
}
