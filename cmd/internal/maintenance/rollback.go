package maintenance

import (
	"context"
	"fmt"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/status"
)

// rollBackFiles puts the previous rules back where nginx was not told of the new ones.
func (r *run) rollBackFiles(_ context.Context, changes []*change, failure error) error {
	return r.rolledBack(failure, r.step(StepRollback, changes, r.putBackRules))
}

// rollBack puts the previous rules back after a failure and has nginx take them up. Both errors are reported.
func (r *run) rollBack(ctx context.Context, _ []*change, failure error) error {
	ctx = context.WithoutCancel(ctx)
	changes := r.taking(StepInstall)
	for _, c := range changes {
		if c.from == status.Admin && c.to.Mode == status.Online && !r.Dir().IsShut(c.site.Name) {
			c.record.SafeSince = nil
			c.receipt.warn(fmt.Sprintf("visitors may have been let in to %s meanwhile, and may be there still: conforma-status set admin sees to them", c.site.Name))
		}
	}
	return r.rolledBack(failure, r.step(StepRollback, changes, func() error {
		if err := r.putBackRules(); err != nil {
			return err
		}
		return r.takeUpAgain(ctx, changes)
	}))
}

func (r *run) putBackRules() error {
	if err := r.putBack(); err != nil {
		return fmt.Errorf("put the previous rules back: %w", err)
	}
	return nil
}

func (r *run) rolledBack(failure, err error) error {
	if err != nil {
		return fmt.Errorf("%w; and rolling back: %w", failure, err)
	}
	return failure
}

// takeUpAgain has nginx take up the previous rules, which are in place again.
func (r *run) takeUpAgain(ctx context.Context, changes []*change) error {
	if err := r.Nginx.Test(ctx); err != nil {
		return err
	}
	taken := r.old.AnyAnswered()
	r.noteWorkers() // of an nginx that can't be looked at, its answers are all that there is
	if err := r.Clock.Sleep(ctx, tick); err != nil {
		return err
	}
	if err := r.Nginx.Reload(ctx); err != nil {
		return err
	}
	deadline := r.Clock.Now().Add(takeUpTimeout)
	for _, c := range changes {
		if err := r.awaitBack(ctx, c, taken, deadline); err != nil {
			return fmt.Errorf("nginx did not go back from revision %s of %s within %v: %w", c.rules.revision, c.site.Name, takeUpTimeout, err)
		}
	}
	return nil
}

// backTimeout bounds the wait for newer workers where none has answered by the rules that are given up.
const backTimeout = time.Second

// awaitBack waits until nginx no longer answers by the rules that are given up. After the first reload it may still be
// starting workers that do, so awaitBack waits for newer ones. taken is set if some have answered by those rules.
func (r *run) awaitBack(ctx context.Context, c *change, taken bool, deadline time.Time) error {
	newer := func(a control.Answer) bool {
		taken = taken || a.Revision == c.rules.revision
		if a.Revision == c.rules.revision || r.old.Contains(a.PID) {
			return false
		}
		r.old.NoteAnswer(a.PID)
		return true
	}
	err := r.awaitAnswers(ctx, c, newer, r.Clock.Now().Add(backTimeout))
	switch {
	case err != nil && taken:
		err = r.awaitAnswers(ctx, c, newer, deadline)
	case err != nil:
		return r.awaitAnswers(ctx, c, func(a control.Answer) bool { return a.Revision != c.rules.revision }, deadline)
	}
	if err == nil {
		r.awaitNewWorkers(ctx, []*change{c})
	}
	return err
}
