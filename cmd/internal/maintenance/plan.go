package maintenance

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/status"
)

// change is the way of one site to its new mode.
type change struct {
	site   config.Site
	known  bool         // whether this machine had a record of the site
	record state.Record // as it was, and, field by field, as it becomes
	from   status.Mode
	to     status.Document
	steps  []Step // as decided
	// who returns who has ordered it, and why, "" where that isn't known; nil for whoever is at work.
	who func() (by, reason string)
	// leavesAlone: earlier requests that are left are not cut.
	leavesAlone bool
	// isOpenAlready is whether visitors find the site in the mode that it is to have, before and throughout the change.
	isOpenAlready bool
	// forced is whether the operator answers for holes in nginx's configuration.
	forced  bool
	rules   rules
	receipt *Receipt

	// serving is what nginx's configuration says of the site; without one it is what ours says.
	serving operator.Serving
	// unread is why nginx's configuration could not be looked through for other ways to the application, nil where it
	// was.
	unread error
	// shutAt is when nginx was first seen to be shut by this change, nil before.
	shutAt *time.Time
	drain  drain
	// noBarrier is why the site has no kernel barrier, nil where it has, or can have one.
	noBarrier error
	// wasBarred is whether the kernel has kept nginx from the application up to this change.
	wasBarred bool
	// lifted is whether the kernel lets nginx through again by this change.
	lifted bool
	// open is whether nginx's configuration is known to have holes.
	open bool
	// siblings are the sites that are closed, or become so with this one.
	siblings []string
}

// rules are the rules that nginx is to take up.
type rules struct {
	text     []byte
	revision string
	number   uint64 // the revision begins with it; it grows with every new one
	door     string // the word that lets the trial of StepSmoke through, "" for none
}

// has reports whether the change has the step in its plan.
func (c *change) has(step Step) bool { return slices.Contains(c.steps, step) }

// observed is what is found of a site at the beginning of a change: the facts, and what they were read from.
type observed struct {
	facts
	disk     []byte // the rules in place, nil where there are none
	revision string // of those rules, "" where they are not ours
	live     control.Answer
	liveErr  error // why nginx doesn't answer, nil where it does
}

func (h *Host) look(ctx context.Context, s config.Site) (observed, error) {
	var seen observed
	var err error
	if seen.disk, err = h.rulesInPlace(s); err != nil {
		return seen, err
	}
	seen.onDisk, seen.revision = nginxconf.ReadHeader(seen.disk)
	seen.shut = h.Dir().IsShut(s.Name)
	seen.live, seen.liveErr = h.Probe(ctx, Target(s))
	if seen.liveErr == nil {
		seen.inNginx, seen.found = seen.live.Mode, seen.live.Mode
		if seen.live.Closed {
			seen.found = status.Offline
		}
	}
	return seen, nil
}

// isInForce reports whether disk and nginx have the rules of r, with the closed file as it belongs.
func (h *Host) isInForce(s config.Site, r state.Record, seen observed) (bool, error) {
	text, err := h.rules(s, r.Door).Render(r.Document.Mode, r.Revision)
	if err != nil {
		return false, err
	}
	http, err := h.httpInPlace()
	if err != nil {
		return false, err
	}
	return http && bytes.Equal(text, seen.disk) && seen.liveErr == nil &&
		seen.live.Mode == r.Document.Mode && seen.live.Revision == r.Revision &&
		seen.shut == r.Shut() && seen.live.Closed == r.Shut(), nil
}

// lookAll looks at sites. What it returns is in their order.
func (h *Host) lookAll(ctx context.Context, sites []config.Site) ([]observed, error) {
	var all []observed
	for _, s := range sites {
		seen, err := h.look(ctx, s)
		if err != nil {
			return nil, err
		}
		all = append(all, seen)
	}
	return all, nil
}

// recall returns what is on record of a site, and how that compares with what is found. With mayWrite it sets a
// damaged record aside: what holds is seen on this machine, and the operator says what is wanted now.
func (h *Host) recall(ctx context.Context, kernel *table, s config.Site, seen observed, mayWrite bool) (state.Record, observed, error) {
	r, known, err := h.recordOf(s)
	if errors.Is(err, state.ErrRecord) && mayWrite {
		r.Document, err = firstDocument(s, h.now()), h.setAside(h.Dir().RecordFile(s.Name), err)
	}
	if err != nil {
		return r, observed{}, err
	}
	seen, err = h.compare(ctx, kernel, s, seen, &r)
	seen.known = known
	return r, seen, err
}

// compare finds out whether the record of a site is in force. If its kernel barrier was lost, the record says so from
// now on: what got through meanwhile may still be at work.
func (h *Host) compare(ctx context.Context, kernel *table, s config.Site, seen observed, r *state.Record) (_ observed, err error) {
	h.withhold(ctx, s, r)
	seen.inForce, err = h.isInForce(s, *r, seen)
	seen.barred = kernel.there
	if kernel.lost[s.Name] {
		r.Barrier, r.SafeSince, seen.inForce = false, nil, false
		if kernel.wants[s.Name] = left; r.Document.Mode.Closed() {
			kernel.wants[s.Name] = kernel.asBeside(s.Name)
		}
	}
	return seen, err
}

// plan works out what a request comes to for one site.
func (h *Host) plan(ctx context.Context, kernel *table, s config.Site, seen observed, req Request) (*change, error) {
	r, seen, err := h.recall(ctx, kernel, s, seen, !req.DryRun)
	if err != nil {
		return nil, err
	}
	req.keep(r.Document)
	if err := req.fit(r.Document, h.now()); err != nil {
		return nil, err
	}
	w := wish{mode: req.Mode, checks: kernel.checks(s, req.Mode, req.MustAnswer)}
	if req.Keeps == KeepsMode {
		w.scope = wordsOnly
	}
	to := next(r.Document, s, req, h.now())
	order, isOrdered := req.ordered[s.Name]
	if isOrdered = isOrdered && order.Document.Site != ""; isOrdered {
		to = ordered(order.Document, s, req.Mode, h.now())
	}
	w.news = !seen.known || r.Unpublished || !to.Same(r.Document)
	steps := decide(seen.facts, r, w)
	if slices.Contains(steps, StepInstall) || !to.Same(r.Document) {
		if !isOrdered {
			to.Seq, to.UpdatedAt = r.Document.Seq+1, h.now()
		}
	} else {
		to = r.Document
	}
	c, err := h.newChange(s, r, seen, to, steps)
	if err != nil {
		return nil, err
	}
	c.noBarrier = kernel.none[s.Name]
	if order.Who != nil {
		c.who = func() (by, reason string) { return order.Who(ctx) }
	}
	if c.has(StepInstall) {
		c.leavesAlone = req.NoCut
	}
	if req.Keeps != KeepsMode {
		c.forced = req.Force
	}
	return c, nil
}

// planAgain works out what is left to do of an interrupted change of one site. It has the document that the change
// had.
func (h *Host) planAgain(ctx context.Context, kernel *table, s config.Site, in *state.Interrupted) (*change, error) {
	one, _ := in.Of(s.Name)
	seen, err := h.look(ctx, s)
	if err != nil {
		return nil, err
	}
	r, seen, err := h.recall(ctx, kernel, s, seen, true)
	if err != nil {
		return nil, err
	}
	w := wish{
		mode: one.To.Mode, checks: kernel.checks(s, one.To.Mode, in.MustAnswer),
		news: !seen.known || r.Unpublished || !one.To.Same(r.Document),
	}
	steps := decide(seen.facts, r, w)
	to := one.To
	if !slices.Contains(steps, StepInstall) && to.Same(r.Document) {
		to = r.Document
	}
	c, err := h.newChange(s, r, seen, to, steps)
	if err != nil {
		return nil, err
	}
	if in.Cut && c.has(StepInstall) { // else the record has all of it
		c.record.Cut++
	}
	c.record.Claim = rand.Text()
	c.leavesAlone, c.noBarrier = one.NoCut, kernel.none[s.Name]
	c.forced = one.Forced || in.Force && in.Reason != reconciles // earlier releases noted it of the whole
	return c, nil
}

// planRepair works out what brings a site back to its record. Visitors are told anew where the record says that they
// weren't told yet.
func (h *Host) planRepair(ctx context.Context, kernel *table, s config.Site, r state.Record) (*change, error) {
	seen, err := h.look(ctx, s)
	if err == nil {
		seen, err = h.compare(ctx, kernel, s, seen, &r)
	}
	if err != nil {
		return nil, err
	}
	seen.known = true
	w := wish{
		mode: r.Document.Mode, scope: repair, checks: kernel.checks(s, r.Document.Mode, false), news: r.Unpublished,
	}
	c, err := h.newChange(s, r, seen, r.Document, decide(seen.facts, r, w))
	if err == nil {
		c.noBarrier = kernel.none[s.Name]
	}
	return c, err
}

// checks are the steps that a site takes only where it asks for them, or can have them.
func (t *table) checks(s config.Site, mode status.Mode, mustAnswer bool) []Step {
	var out []Step
	if t.none[s.Name] == nil {
		out = append(out, StepRefuse)
		if mode == status.Offline && !readsFirst(s) {
			out = append(out, StepRead)
		}
	}
	switch {
	case len(s.Settled) > 0:
		out = append(out, StepSettle)
	case s.Grace > 0:
		out = append(out, StepGrace)
	}
	if s.Smoke != "" || mustAnswer {
		out = append(out, StepSmoke)
	}
	return out
}

// newChange renders the rules of a change whose steps are decided.
func (h *Host) newChange(s config.Site, r state.Record, seen observed, to status.Document, steps []Step) (*change, error) {
	c := &change{
		site: s, known: seen.known, record: r, from: r.Document.Mode, to: to, steps: steps,
		isOpenAlready: r.Document.Mode == to.Mode && !seen.shut && !slices.Contains(steps, StepShut),
		leavesAlone:   r.Hold.LeavesAlone(), forced: r.Forced, wasBarred: r.Barrier && r.Safe() && r.Document.Mode == status.Offline,
		receipt: &Receipt{
			Site: s.Name, Mode: to.Mode, Previous: r.Document.Mode, Outcome: state.Done,
			ClosedAt: r.ClosedAt, Doubt: r.NotSafe, Warnings: []string{}, Steps: []StepTime{},
		},
	}
	if h.Config.Fleet != nil {
		c.receipt.On = OnOneOfFleet
	}
	if r.Cut > 0 {
		c.receipt.Doubt = state.NotSafeCut
	}
	c.rules.number = max(r.Changes, nginxconf.Order(seen.revision), nginxconf.Order(seen.live.Revision)) + 1
	if c.has(StepSmoke) {
		c.rules.door = rand.Text()
	}
	return c, h.renderRules(c)
}

// renderRules makes the rules that nginx is to take up.
func (h *Host) renderRules(c *change) (err error) {
	of := h.rules(c.site, c.rules.door)
	if c.rules.revision, err = of.Revision(c.to.Mode, c.rules.number); err != nil {
		return err
	}
	c.rules.text, err = of.Render(c.to.Mode, c.rules.revision)
	return err
}

// foresee fills in the receipt of a dry run.
func (c *change) foresee() {
	if c.to.Mode.Closed() {
		c.receipt.Barrier = c.noBarrier == nil
		c.receipt.withoutBarrier(c.noBarrier)
	}
	for _, s := range c.steps {
		c.receipt.Steps = append(c.receipt.Steps, StepTime{Step: s})
	}
	c.receipt.Outcome = state.Planned
	c.receipt.describe(c.to)
	c.receipt.Published = !c.record.Unpublished
}
