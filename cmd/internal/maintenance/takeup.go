package maintenance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
)

// inARow is how many answers on connections of their own must be the new ones: until the old workers have
// stopped listening, any of them may take the next connection.
const inARow = 3

// shutAll creates the closed files and asks nginx whether it obeys them. Where it doesn't, the new rules have to
// do it alone, and the receipt says so.
func (r *run) shutAll(ctx context.Context, changes []*change) {
	_ = r.step(StepShut, changes, func() error {
		var errs []error
		for _, c := range changes {
			if err := r.shut(c.site.Name); err != nil {
				errs = append(errs, fmt.Errorf("shut %s: %w", c.site.Name, err))
			}
		}
		deadline := r.Clock.Now().Add(shutTimeout)
		for _, c := range changes {
			if err := r.awaitShut(ctx, c, deadline); err != nil {
				errs = append(errs, err)
				c.receipt.warn(err.Error())
			}
		}
		return errors.Join(errs...)
	})
}

// awaitShut waits until nginx says that it sees the site's closed file.
func (r *run) awaitShut(ctx context.Context, c *change, deadline time.Time) error {
	shut, err := r.until(ctx, deadline, func() (bool, error) {
		a, err := r.probeAll(ctx, c, func(a control.Answer) bool { return a.Closed })
		return a.Closed, err
	})
	switch {
	case err != nil:
		return fmt.Errorf("see whether nginx is shut: %w", err)
	case !shut:
		return fmt.Errorf("nginx doesn't see %s: its workers may not be allowed into a directory above it", r.closedFile(c.site.Name))
	}
	r.saw(c)
	return nil
}

// probeAll asks nginx at every address, port and name of the site and returns the first answer that isn't good, or the
// last that is.
func (r *run) probeAll(ctx context.Context, c *change, good func(control.Answer) bool) (control.Answer, error) {
	var a control.Answer
	var err error
	for _, t := range c.targets() {
		if a, err = r.Probe(ctx, t); err != nil || !good(a) {
			return a, err
		}
	}
	return a, nil
}

// saw notes that nginx was seen to be shut just now.
func (r *run) saw(c *change) {
	now := r.Clock.Now().UTC().Truncate(time.Millisecond)
	c.seenShut = &now
}

// takeUp puts the new rules in place and has nginx serve them. On an error the old rules are back.
func (r *run) takeUp(ctx context.Context, changes []*change, in intent) error {
	if len(changes) == 0 {
		return nil
	}
	http, err := nginxconf.HTTP(r.Config.Gate.Socket)
	if err != nil {
		return err
	}
	files := map[string][]byte{nginxconf.HTTPFile(r.Config.Nginx.ConfDir): http}
	for _, c := range changes {
		files[nginxconf.SiteFile(r.Config.Nginx.ConfDir, c.site.Name)] = c.rules
	}
	err = r.step(StepInstall, changes, func() (err error) {
		r.undo, err = nginxconf.Install(files)
		return err
	})
	if err != nil {
		if r.undo != nil { // the files are in place, the journal couldn't say so
			err = errors.Join(err, r.undo())
		}
		return fmt.Errorf("put the rules in place: %w", err)
	}
	// Before the test, whose time the kernel needs to tell the workers of before from those that come.
	noted := r.remember()
	err = r.step(StepTest, changes, func() error {
		switch err := r.Nginx.Test(ctx); {
		case errors.Is(noted, workers.ErrNotRunning) && err != nil: // a container that is stopped can't test anything
			return fmt.Errorf("%w (%w)", err, noted)
		case err != nil:
			return err
		}
		if changes[0].why == nil {
			return nil
		}
		// It could not be read before, perhaps because these rules were missing from it.
		return r.audit(ctx, changes, in.Force)
	})
	if err != nil {
		return r.rollBack(ctx, changes, err, false)
	}
	err = r.step(StepReload, changes, func() error {
		if noted != nil {
			return fmt.Errorf("reload nginx: %w", noted)
		}
		if err := r.Clock.Sleep(ctx, min(max(0, tick-r.Clock.Now().Sub(r.before.at)), tick)); err != nil {
			return fmt.Errorf("reload nginx: %w", err)
		}
		return r.Nginx.Reload(ctx)
	})
	if err != nil {
		return r.rollBack(ctx, changes, err, true)
	}
	err = r.step(StepProbe, changes, func() error {
		deadline := r.Clock.Now().Add(takeUpTimeout)
		for _, c := range changes {
			if err := r.awaitRevision(ctx, c, deadline); err != nil {
				return r.elsewhere(c, err)
			}
		}
		return nil
	})
	if err != nil {
		return r.rollBack(ctx, changes, err, true)
	}
	for _, c := range changes {
		if c.shutFirst && c.seenShut == nil {
			r.saw(c) // by its rules, where it doesn't see the closed file
		}
		if !c.shutFirst {
			r.awaitNewWorkers(ctx, c)
		}
	}
	return nil
}

// ErrElsewhere is returned (wrapped) when a site is served by another nginx than the one that was told of its new rules.
var ErrElsewhere = errors.New("another nginx serves it")

// elsewhere adds to a failure whether that is because the pid file is that of another nginx than the site's.
func (r *run) elsewhere(c *change, failure error) error {
	left, err := r.Sockets.Left(r.before.Before, c.scope(), r.before.program, r.before.master)
	if err != nil || len(left.Foreign) == 0 || len(left.Listening) > 0 || !left.Unseen {
		return failure
	}
	return fmt.Errorf("%w: %w (its worker is process %d, nginx.pid_file names process %d)", failure, ErrElsewhere, left.Foreign[0].PID, r.before.master)
}

// awaitNewWorkers waits until no old worker listens for an opening site's visitors any more: one that does still answers by the
// old rules, and what is announced must not be ahead of any of them.
func (r *run) awaitNewWorkers(ctx context.Context, c *change) {
	scope := c.scope()
	scope.Whole = false // an old worker that only serves out its connections is given no new ones
	gone, err := r.until(ctx, r.Clock.Now().Add(takeUpTimeout), func() (bool, error) {
		left, err := r.Sockets.Left(r.before.Before, scope, r.before.program, r.before.master)
		return len(left.Listening) == 0, err
	})
	if !gone || err != nil {
		c.receipt.warn(fmt.Sprintf("it is not known whether old workers still answer for %s by other rules", c.site.Name))
	}
}

// rollBack puts the previous rules back after a failure, and, if nginx may have been told of the new ones, has
// it take up the previous ones. Both errors are reported.
func (r *run) rollBack(ctx context.Context, changes []*change, failure error, reload bool) error {
	ctx = context.WithoutCancel(ctx)
	for _, c := range changes {
		if reload && c.from == status.Admin && c.to.Mode == status.Online && !r.isShut(c.site.Name) {
			c.record.SafeSince = nil
			c.receipt.warn(fmt.Sprintf("visitors may have been let in to %s meanwhile, and may be there still: conforma-status set admin sees to them", c.site.Name))
		}
	}
	err := r.step(StepRollback, changes, func() error {
		if err := r.undo(); err != nil {
			return fmt.Errorf("put the previous rules back: %w", err)
		}
		if !reload {
			return nil
		}
		if err := r.Nginx.Test(ctx); err != nil {
			return err
		}
		taken := r.before.AnyAnswered()
		_ = r.remember() // of an nginx that can't be looked at, its answers are all that there is
		if err := r.Clock.Sleep(ctx, tick); err != nil {
			return err
		}
		if err := r.Nginx.Reload(ctx); err != nil {
			return err
		}
		deadline := r.Clock.Now().Add(takeUpTimeout)
		for _, c := range changes {
			if err := r.awaitBack(ctx, c, taken, deadline); err != nil {
				return fmt.Errorf("nginx did not go back from revision %s of %s within %v: %w", c.rev, c.site.Name, takeUpTimeout, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w; and rolling back: %w", failure, err)
	}
	return failure
}

// backTimeout bounds the wait for workers that are newer than the rollback, where none has answered by the rules that are given up:
// nginx may have taken up neither.
const backTimeout = time.Second

// awaitBack waits until nginx no longer answers by the rules that are given up. That workers from before the rollback don't, proves nothing:
// nginx may only just be starting others, which do, by the reload that came first. taken is set where some have answered by those rules.
func (r *run) awaitBack(ctx context.Context, c *change, taken bool, deadline time.Time) error {
	newer := func(a control.Answer) bool {
		taken = taken || a.Revision == c.rev
		if a.Revision == c.rev || r.before.There(a.PID) {
			return false
		}
		r.before.Answered(a.PID)
		return true
	}
	err := r.awaitAnswers(ctx, c, newer, r.Clock.Now().Add(backTimeout))
	switch {
	case err != nil && taken:
		err = r.awaitAnswers(ctx, c, newer, deadline)
	case err != nil:
		return r.awaitAnswers(ctx, c, func(a control.Answer) bool { return a.Revision != c.rev }, deadline)
	}
	if err == nil {
		r.awaitNewWorkers(ctx, c)
	}
	return err
}

// awaitRevision waits until nginx answers with the new rules.
func (r *run) awaitRevision(ctx context.Context, c *change, deadline time.Time) error {
	err := r.awaitAnswers(ctx, c, func(a control.Answer) bool {
		if a.Revision == c.rev {
			r.before.Answered(a.PID)
		}
		return a.Revision == c.rev
	}, deadline)
	if err != nil {
		return fmt.Errorf("nginx did not take up revision %s of %s within %v: %w", c.rev, c.site.Name, takeUpTimeout, err)
	}
	return nil
}

// awaitAnswers waits until nginx's answers are good, several times in a row.
func (r *run) awaitAnswers(ctx context.Context, c *change, good func(control.Answer) bool, deadline time.Time) error {
	var why error
	all, err := r.until(ctx, deadline, func() (bool, error) {
		for range inARow {
			a, err := r.probeAll(ctx, c, good)
			if why = err; err == nil && !good(a) {
				why = fmt.Errorf("it goes on serving revision %s", a.Revision)
			}
			if why != nil {
				return false, nil
			}
		}
		return true, nil
	})
	if all || err != nil {
		return err
	}
	return why
}
