package maintenance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/status"
)

// Set moves the sites of a request to its mode, one change at a time on this host. The receipts say for each site
// what came of it. The error is of what kept every site from being changed: nothing was touched then.
func (h *Host) Set(ctx context.Context, req Request) ([]*Receipt, error) {
	lock := h.lock
	if req.DryRun {
		lock = h.lockIfAny
	}
	unlock, err := lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if !req.DryRun {
		if _, err := h.finishInterrupted(ctx, req.overrules); err != nil {
			return nil, err
		}
	}
	changes, err := h.planAll(ctx, req)
	if err != nil {
		return nil, err
	}
	if req.DryRun {
		for _, c := range changes {
			c.foresee()
		}
		return receipts(changes), nil
	}
	in := intent{Reason: req.Reason, Force: req.Force, Drain: req.Drain, MustAnswer: req.MustAnswer}
	if err := h.carryOut(ctx, changes, in); err != nil {
		return nil, err
	}
	return receipts(changes), nil
}

func (h *Host) planAll(ctx context.Context, req Request) ([]*change, error) {
	var changes, judge []*change
	for _, s := range req.Sites {
		c, err := h.plan(ctx, s, req, nil)
		if err != nil {
			return nil, err
		}
		if claim, ok := req.Claims[s.Name]; ok && claim != c.record.Claim {
			return nil, fmt.Errorf("open %s: %w", s.Name, ErrClaimed)
		}
		c.record.Claim = rand.Text()
		c.receipt.Claim = c.record.Claim
		if c.reapply {
			c.record.NoCut = req.NoCut
		}
		changes = append(changes, c)
		if c.reapply || c.to.Mode.Closed() && !req.WordsOnly {
			judge = append(judge, c)
		}
	}
	if err := h.audit(ctx, judge, req.Force); err != nil {
		return nil, err
	}
	return changes, nil
}

// overrules reports whether the request closes a site that an interrupted change was about to open further: opening it
// first would let people in whom the operator is about to shut out.
func (req Request) overrules(one intendedOne) bool {
	return req.Mode.StricterThan(one.To.Mode) && slices.ContainsFunc(req.Sites, func(s config.Site) bool { return s.Name == one.Site })
}

// finishInterrupted completes a change that a command before this one began and didn't live to end. What can't be
// completed is undone by the rules of every change: an opening goes back, a closing stays shut. What is overruled is left to the
// change that follows, which sees for itself what holds.
func (h *Host) finishInterrupted(ctx context.Context, overruled func(intendedOne) bool) ([]*Receipt, error) {
	in, err := h.interrupted()
	if errors.Is(err, ErrJournal) {
		// What was under way isn't known, but what holds now is seen: every change begins with that.
		return nil, h.setAside(h.journalFile(), err)
	}
	if err != nil || in == nil {
		return nil, err
	}
	var changes []*change
	for _, one := range in.Changes {
		s, ok := h.Config.Site(one.Site)
		if !ok {
			continue // the operator took it out of the configuration since
		}
		if overruled(one) {
			if err := h.noteCut(s, *in); err != nil {
				return nil, err
			}
			continue
		}
		c, err := h.plan(ctx, s, Request{Mode: one.To.Mode}, &one.To)
		if err != nil {
			return nil, fmt.Errorf("finish an interrupted change of %s: %w", one.Site, err)
		}
		if in.Cut && c.reapply { // else the record has all of it
			c.record.Cut++
		}
		c.record.Claim = rand.Text()
		c.record.NoCut = one.NoCut
		changes = append(changes, c)
	}
	if len(changes) == 0 {
		return nil, nil
	}
	h.Progress.Resuming(names(changes))
	if err := h.audit(ctx, changes, true); err != nil {
		return nil, err
	}
	if err := h.carryOut(ctx, changes, *in); err != nil {
		return nil, fmt.Errorf("finish an interrupted change: %w", err)
	}
	return receipts(changes), nil
}

// noteCut writes down that an interrupted change, which is not finished as it was meant, may have cut something.
func (h *Host) noteCut(s config.Site, in intent) error {
	r, known, err := h.record(s.Name)
	if !in.Cut || errors.Is(err, ErrRecord) { // a damaged one is dealt with by the change that follows
		return nil
	}
	if err != nil {
		return err
	}
	if !known {
		r.Document = unknown(s, h.Clock.Now().UTC().Truncate(time.Second))
	}
	r.Cut++
	r.SafeSince = nil
	if err := h.writeRecord(s.Name, r); err != nil {
		return fmt.Errorf("write the record of %s: %w", s.Name, err)
	}
	return nil
}

// setAside moves a file that can't be understood out of the way, for somebody to look at.
func (h *Host) setAside(path string, why error) error {
	aside := fmt.Sprintf("%s.damaged-%s", path, h.Clock.Now().UTC().Format("20060102T150405.000000000"))
	if err := os.Rename(path, aside); err != nil {
		return errors.Join(why, err)
	}
	h.Progress.SetAside(aside, why)
	return nil
}

func names(changes []*change) []string {
	var out []string
	for _, c := range changes {
		out = append(out, c.site.Name)
	}
	return out
}

func receipts(changes []*change) []*Receipt {
	var out []*Receipt
	for _, c := range changes {
		out = append(out, c.receipt)
	}
	return out
}

// foresee fills in the receipt of a dry run.
func (c *change) foresee() {
	steps := []Step{}
	add := func(when bool, more ...Step) {
		if when {
			steps = append(steps, more...)
		}
	}
	differs := !c.to.Same(c.record.Document) || c.record.Unpublished || !c.known
	add(c.announceFirst && (differs || c.reapply), StepAnnounce)
	add(c.shutFirst, StepShut)
	add(c.reapply, StepInstall, StepTest, StepReload, StepProbe)
	add(c.shutFirst, StepDrain)
	add(c.shutFirst && len(c.site.Settled) > 0, StepSettle)
	add(c.door != "" && c.site.Smoke != "", StepSmoke)
	add(c.reapply && c.to.Mode != status.Offline, StepOpen)
	add(c.reapply && c.to.Mode == status.Online, StepSee)
	add(!c.announceFirst && (differs || c.reapply), StepPublish)
	for _, s := range steps {
		c.receipt.Steps = append(c.receipt.Steps, StepTime{Step: s})
	}
	c.receipt.Outcome = Planned
	c.receipt.describe(c.to)
	c.receipt.Published = !c.record.Unpublished
}

// run is one change of one or more sites under way.
type run struct {
	*Host
	journal *journal
	before  before       // what there was of nginx before the reload
	undo    func() error // puts the previous rules back, nil before the new ones are in place
}

// carryOut takes the steps of the changes. An error means that nothing was begun.
func (h *Host) carryOut(ctx context.Context, changes []*change, in intent) error {
	var all, reapply, shutFirst, early, late, opened []*change
	for _, c := range changes {
		if !c.reapply && c.known && !c.record.Unpublished && c.to.Same(c.record.Document) {
			c.receipt.Outcome, c.receipt.Published, c.receipt.Revision = Unchanged, true, c.record.Revision
			c.receipt.SafeSince = c.record.SafeSince
			c.receipt.describe(c.to)
			if c.receipt.Claim != "" { // a new one: reconcile, which makes none, leaves no trace
				if err := h.writeRecord(c.site.Name, c.record); err != nil {
					return fmt.Errorf("write the record of %s: %w", c.site.Name, err)
				}
			}
			continue
		}
		all = append(all, c)
		in.Changes = append(in.Changes[:len(all)-1:len(all)-1], intendedOne{Site: c.site.Name, From: c.from, To: c.to, NoCut: c.record.NoCut})
		if c.reapply {
			reapply = append(reapply, c)
			if c.to.Mode != status.Offline {
				opened = append(opened, c)
			}
		}
		if c.shutFirst {
			shutFirst = append(shutFirst, c)
		}
		if c.announceFirst {
			early = append(early, c)
		} else {
			late = append(late, c)
		}
	}
	if len(all) == 0 {
		return h.forgetJournal()
	}
	in.Started, in.Operator = h.Clock.Now().UTC(), h.Operator
	j, err := h.begin(in)
	if err != nil {
		return err
	}
	r := &run{Host: h, journal: j}
	r.announce(ctx, early)
	r.shutAll(ctx, shutFirst)
	failed := r.takeUp(ctx, reapply, in)
	if failed == nil {
		r.drain(ctx, shutFirst, in)
		r.settle(ctx, shutFirst, in)
		opened = slices.DeleteFunc(opened, func(c *change) bool { return c.shutFirst && c.drained == nil })
		failed = r.smoke(ctx, opened, in)
	}
	if failed == nil {
		if failed = r.openAll(ctx, opened); failed != nil {
			failed = r.shutAgain(ctx, opened, failed)
		}
	}
	done := all
	if failed != nil {
		r.giveUp(ctx, reapply, failed)
		late, done = without(late, reapply), without(all, reapply)
	}
	for _, c := range done {
		c.record.Waits = slices.Contains(late, c) && r.waits(c)
	}
	r.publishAll(ctx, late)
	return r.finish(all, in)
}

// waits reports whether a site is to be in admin mode, is still shut, and visitors don't know it otherwise than offline. (On the way
// from online they know already.)
func (r *run) waits(c *change) bool {
	return c.to.Mode == status.Admin && r.isShut(c.site.Name) && (c.record.Document.Mode != status.Admin || c.record.Waits)
}

// step takes one step: it is written down before and after.
func (r *run) step(step Step, changes []*change, take func() error) error {
	if len(changes) == 0 {
		return nil
	}
	began := r.Clock.Now()
	r.Progress.Begin(step, names(changes))
	err := r.journal.write(journalLine{Step: step, Event: "begin"})
	crashpoint("before", step)
	if err == nil {
		err = take()
		line := journalLine{Step: step, Event: "end"}
		if err != nil {
			line.Event, line.Error = "failed", err.Error()
		}
		crashpoint("after", step)
		err = errors.Join(err, r.journal.write(line))
	}
	took := r.Clock.Now().Sub(began)
	r.Progress.End(step, took, err)
	for _, c := range changes {
		c.receipt.Steps = append(c.receipt.Steps, StepTime{step, float64(took.Microseconds()) / 1000})
	}
	return err
}

// announce publishes closings before they happen. A store that can't be reached holds up nothing.
func (r *run) announce(ctx context.Context, changes []*change) {
	_ = r.step(StepAnnounce, changes, func() error {
		ctx, cancel := context.WithTimeout(ctx, announceTimeout)
		defer cancel()
		return r.publishEach(ctx, changes)
	})
}

func (r *run) publishAll(ctx context.Context, changes []*change) {
	_ = r.step(StepPublish, changes, func() error {
		ctx, cancel := context.WithTimeout(ctx, publishTimeout)
		defer cancel()
		return r.publishEach(ctx, changes)
	})
}

// publishEach publishes each change's document and gives it to nginx. What couldn't be published is marked for
// later.
func (r *run) publishEach(ctx context.Context, changes []*change) error {
	var errs []error
	for _, c := range changes {
		told := r.announced(c.to, c.record.Waits)
		done, err := r.publish(ctx, c.site, told, c.record.Published)
		if err == nil {
			told = done.doc
			c.to.Seq, c.to.UpdatedAt = told.Seq, told.UpdatedAt
			c.record.Published, c.record.Unpublished = told.Seq, false
			c.receipt.Published = true
			if done.foreign != nil {
				c.receipt.warn(fmt.Sprintf("somebody else had published %s (seq %d) for %s; it is replaced", done.foreign.Mode, done.foreign.Seq, c.site.Name))
			}
		} else {
			c.record.Unpublished, c.receipt.Published = true, false
			c.receipt.PublishErr = err
			errs = append(errs, err)
		}
		if err := r.writeAnswers(told); err != nil {
			c.receipt.warn(fmt.Sprintf("nginx goes on giving its last answers for %s: %v", c.site.Name, err))
		}
	}
	return errors.Join(errs...)
}
