package maintenance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/status"
)

// run is one change of one or more sites under way.
type run struct {
	*Host
	intent  state.Intent
	changes []*change
	journal *state.Journal
	old     oldWorkers // of nginx, from before the reload
	kernel  *table
	putBack func() error // puts the previous rules back, nil before the new ones are in place
}

// action is how the steps of one name are taken, for all sites whose change has it.
type action struct {
	step Step
	take func(*run, context.Context, []*change) error
	// undo sees to what holds after the step has failed. The changes are given up with its error. Where nil they go
	// on.
	undo func(*run, context.Context, []*change, error) error
	// after is called once the step was taken, or wasn't needed; it may be nil.
	after func(*run)
}

// actions lists the steps in the order in which they are taken. Record and rollback are not among them: finish takes
// the one, and an undo the other.
var actions = []action{
	{step: StepAnnounce, take: (*run).announce},
	{step: StepShut, take: (*run).shutAll},
	{step: StepCount, take: (*run).count},
	{step: StepRead, take: (*run).read},
	{step: StepInstall, take: (*run).install, undo: (*run).uninstall},
	{step: StepTest, take: (*run).test, undo: (*run).rollBackFiles},
	{step: StepLift, take: (*run).lift, undo: (*run).rollBackFiles},
	{step: StepReload, take: (*run).reload, undo: (*run).rollBack},
	{step: StepProbe, take: (*run).probe, undo: (*run).rollBack},
	{step: StepDrain, take: (*run).awaitDrained},
	{step: StepRefuse, take: (*run).refuse},
	{step: StepCut, take: (*run).cut, after: (*run).countDrained},
	{step: StepSettle, take: (*run).settle},
	{step: StepGrace, take: (*run).grace, after: (*run).judge},
	{step: StepSmoke, take: (*run).smoke, undo: (*run).rollBack},
	{step: StepOpen, take: (*run).openAll, undo: (*run).shutAgain},
	{step: StepSee, take: (*run).seeAnswers, undo: (*run).shutAgain},
	{step: StepPublish, take: (*run).publishAll},
}

// carryOut takes the steps of the changes. An error means that nothing was begun. The receipts say the rest.
func (h *Host) carryOut(ctx context.Context, kernel *table, changes []*change, in state.Intent) error {
	in.Changes = nil
	var active []*change
	for _, c := range changes {
		if len(c.steps) == 0 {
			if err := h.leave(c); err != nil {
				return err
			}
			continue
		}
		active = append(active, c)
		in.Changes = append(in.Changes, state.SiteChange{Site: c.site.Name, From: c.from, To: c.to, NoCut: c.leavesAlone, Forced: c.forced})
	}
	if len(active) == 0 {
		return h.Dir().ForgetJournal()
	}
	in.Started, in.Operator = h.Clock.Now().UTC(), h.Operator
	r := &run{Host: h, intent: in, changes: active, kernel: kernel}
	var err error
	if r.journal, err = h.Dir().Begin(in, string(r.first())); err != nil {
		return err
	}
	for _, a := range actions {
		r.act(ctx, a)
	}
	r.handOver(ctx)
	r.finish()
	return nil
}

// first is the step that is taken first.
func (r *run) first() Step {
	for _, a := range actions {
		if len(r.taking(a.step)) > 0 {
			return a.step
		}
	}
	return StepRecord
}

// leave sees to a change for which there is nothing to do.
func (h *Host) leave(c *change) error {
	c.receipt.Outcome, c.receipt.Published, c.receipt.Revision = state.Unchanged, true, c.record.Revision
	c.receipt.SafeSince = c.record.SafeSince
	c.receipt.describe(c.to)
	if c.receipt.Claim == "" { // only a new claim has to be written down: reconcile, which makes none, leaves no trace
		return nil
	}
	return h.Dir().WriteRecord(c.site.Name, c.record)
}

// act takes one step of all changes that need it.
func (r *run) act(ctx context.Context, a action) {
	changes := r.taking(a.step)
	err := r.step(a.step, changes, func() error { return a.take(r, ctx, changes) })
	if err != nil && a.undo != nil {
		r.giveUp(ctx, a.undo(r, ctx, changes, err))
	}
	if a.after != nil {
		a.after(r)
	}
}

// taking returns the changes that take the step: it is in their plan, and nothing keeps them from it by now.
func (r *run) taking(step Step) []*change {
	var out []*change
	for _, c := range r.changes {
		if c.receipt.Err == nil && c.takes(step) {
			out = append(out, c)
		}
	}
	return out
}

func (c *change) takes(step Step) bool {
	switch step {
	case StepRefuse:
		return c.has(step) && c.noBarrier == nil && (c.drain.isEmpty() || !c.leavesAlone)
	case StepCut:
		return c.has(StepDrain) && c.drain.cuts(c.leavesAlone)
	case StepGrace:
		return c.has(step) && c.drain.done != nil && c.record.Cut == 0
	case StepSettle, StepSmoke, StepOpen, StepSee:
		return c.has(step) && (!c.has(StepDrain) || c.drain.done != nil) // with something left a site stays shut
	}
	return c.has(step)
}

// step takes one step, and writes it down before and after. If it can't be written down, the step isn't taken. Rollback
// and record are taken all the same: a full disk must not keep the site from what held before.
func (r *run) step(step Step, changes []*change, take func() error) error {
	if len(changes) == 0 {
		return nil
	}
	began := r.Clock.Now()
	r.Progress.Begin(step, names(changes))
	unwritten := r.journal.Write(state.JournalLine{Step: string(step), Event: state.StepBegins})
	inAnyCase := step == StepRollback || step == StepRecord
	crashpoint("before", step)
	var err error
	if unwritten == nil || inAnyCase {
		err = take()
		line := state.JournalLine{Step: string(step), Event: state.StepEnds}
		if err != nil {
			line.Event, line.Error = state.StepFailed, err.Error()
		}
		crashpoint("after", step)
		unwritten = errors.Join(unwritten, r.journal.Write(line))
	}
	if !inAnyCase {
		err = errors.Join(err, unwritten)
	}
	took := r.Clock.Now().Sub(began)
	r.Progress.End(step, took, err)
	for _, c := range changes {
		c.receipt.Steps = append(c.receipt.Steps, StepTime{step, float64(took.Microseconds()) / 1000})
	}
	return err
}

// giveUp settles what holds where nginx kept its old rules: a closing stays shut and announced, an opening is undone.
func (r *run) giveUp(ctx context.Context, failure error) {
	for _, c := range r.changes {
		switch {
		case !c.has(StepInstall):
		case !c.closes():
			c.receipt.fail(state.Failed, failure)
			c.to = c.record.Document
			r.refuseAgain(ctx, c)
			if r.kernel.lost[c.site.Name] { // an earlier command has lifted it: reconcile drains the site, and puts it back
				c.record.Barrier = true
			}
		case r.isClosedNow(ctx, c):
			c.receipt.fail(state.Shut, failure)
		default:
			c.receipt.fail(state.Failed, r.notClosed(ctx, c, failure))
		}
	}
}

// closes reports whether the change lets nobody in who wasn't let in before.
func (c *change) closes() bool {
	return c.has(StepShut) && (c.has(StepAnnounce) || !c.from.StricterThan(c.to.Mode))
}

// finish writes down what now holds. What can't be written down stays in the journal.
func (r *run) finish() {
	kept := false
	_ = r.step(StepRecord, r.changes, func() error {
		var errs []error
		if err := r.writeHistory(); err != nil {
			errs = append(errs, err) // the past is for people: it holds up nothing
		}
		for _, c := range r.changes {
			if err := r.recordChange(c); err != nil {
				kept = true
				c.receipt.warn(fmt.Sprintf("what was done is not on record yet: %v", err))
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
	if kept {
		r.journal.Keep()
		return
	}
	if err := r.journal.End(); err != nil {
		for _, c := range r.changes {
			c.receipt.warn(err.Error())
		}
	}
}

func (r *run) recordChange(c *change) error {
	rec := &c.record
	hold := r.hold(c)
	rec.Document, rec.Hold = c.to, hold
	if c.receipt.Err == nil && c.has(StepInstall) {
		rec.Revision, rec.Changes, rec.Door = c.rules.revision, c.rules.number, c.rules.door
	}
	if c.has(StepInstall) && c.receipt.Outcome != state.Failed {
		rec.Forced = c.forced
	}
	// It may have had one in another mode. Of a closing that isn't finished it is missed, so that reconcile drains again.
	if c.has(StepShut) && c.noBarrier != nil && c.receipt.Err == nil {
		rec.Barrier = false
	}
	if rec.ClosedAt = c.closedAt(); c.to.Mode == status.Online {
		rec.ForgetClosing()
	}
	if c.receipt.Outcome == state.Shut {
		rec.SafeSince = nil
	}
	if rec.NotSafe = c.receipt.NotSafe(); rec.SafeSince != nil || c.to.Mode == status.Online {
		rec.NotSafe = state.NotSafeUnknown
	}
	c.receipt.ClosedAt, c.receipt.SafeSince, c.receipt.Revision = rec.ClosedAt, rec.SafeSince, rec.Revision
	if c.receipt.Barrier = rec.Barrier; !rec.Barrier && c.to.Mode.Closed() && c.has(StepShut) {
		c.receipt.withoutBarrier(c.noBarrier)
	}
	c.receipt.Published = !rec.Unpublished
	c.receipt.describe(c.to)
	if !c.known && c.receipt.Outcome == state.Failed && !c.has(StepShut) {
		return nil // a site that could not be opened for the first time stays unknown
	}
	return r.journal.WriteRecord(c.site.Name, *rec)
}

// closedAt is when nginx was seen to be shut by the closing that the site is in, nil where it wasn't, or is open.
func (c *change) closedAt() *time.Time {
	switch {
	case c.to.Mode == status.Online:
		return nil
	case c.shutAt != nil && (c.record.ClosedAt == nil || c.from == status.Online):
		return c.shutAt
	}
	return c.record.ClosedAt
}

// hold is what is done about requests from before the closing, now that the steps are taken. A site on its way from
// offline to admin is announced once it is open. On the way from online, visitors know already.
func (r *run) hold(c *change) state.Hold {
	was := c.record.Hold
	if c.receipt.Err != nil {
		return state.HoldOf(c.leavesAlone, was.KeepsShut(), was.Announced())
	}
	shut := c.to.Mode == status.Admin && r.Dir().IsShut(c.site.Name)
	kept := shut
	if !c.has(StepInstall) {
		kept = was.KeepsShut()
	}
	waits := c.has(StepPublish) && shut && (c.record.Document.Mode != status.Admin || !was.Announced())
	return state.HoldOf(c.leavesAlone, kept, !waits)
}
