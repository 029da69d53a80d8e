package maintenance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
)

// ErrNotShut is wrapped by the error of a closing that failed with nginx still letting requests through.
var ErrNotShut = errors.New("the site is not shut")

// smoke tries the applications of sites that are about to open through the door, while everyone else is still shut
// out. On an error the previous rules are back.
func (r *run) smoke(ctx context.Context, changes []*change, in intent) error {
	ask := slices.DeleteFunc(slices.Clone(changes), func(c *change) bool {
		return c.door == "" || c.site.Smoke == "" && !in.MustAnswer
	})
	err := r.step(StepSmoke, ask, func() error {
		for _, c := range ask {
			if err := r.try(ctx, c); err != nil {
				return fmt.Errorf("try %s before it opens: %w", c.site.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		return r.rollBack(ctx, changes, err, true)
	}
	return nil
}

// ErrSmoke is returned (wrapped) when an application doesn't answer as it must before its site opens.
var ErrSmoke = errors.New("the application does not answer as it must")

func (r *run) try(ctx context.Context, c *change) error {
	path := c.site.Smoke
	if path == "" {
		path = "/"
	}
	seen, err := r.See(ctx, c.targets()[0], path, c.door)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrSmoke, err)
	case seen.Maintenance != "":
		return fmt.Errorf("%w: the door for this machine is shut", ErrSmoke)
	case c.site.Smoke != "" && (seen.Status < 200 || seen.Status > 299), isDown(seen.Status):
		return fmt.Errorf("%w: %s answers %d", ErrSmoke, path, seen.Status)
	}
	return nil
}

// isDown reports whether a status is nginx's word for an application that isn't there.
func isDown(code int) bool { return code >= http.StatusBadGateway && code <= http.StatusGatewayTimeout }

// openAll removes the closed files of sites whose new rules are in force and looks whether they answer.
func (r *run) openAll(ctx context.Context, changes []*change) error {
	err := r.step(StepOpen, changes, func() error {
		for _, c := range changes {
			if err := r.open(c.site.Name); err != nil {
				return fmt.Errorf("open %s: %w", c.site.Name, err)
			}
		}
		deadline := r.Clock.Now().Add(shutTimeout)
		for _, c := range changes {
			if err := r.awaitOpen(ctx, c, deadline); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	online := slices.DeleteFunc(slices.Clone(changes), func(c *change) bool { return c.to.Mode != status.Online })
	return r.step(StepSee, online, func() error {
		deadline := r.Clock.Now().Add(takeUpTimeout)
		for _, c := range online {
			if err := r.awaitAnswer(ctx, c, deadline); err != nil {
				return err
			}
		}
		return nil
	})
}

// awaitOpen waits until nginx no longer sees the site's closed file.
func (r *run) awaitOpen(ctx context.Context, c *change, deadline time.Time) error {
	isOpen := func(a control.Answer) bool { return !a.Closed && a.Revision == c.rev }
	why := errors.New("it still is, says nginx")
	open, err := r.until(ctx, deadline, func() (bool, error) {
		a, err := r.probeAll(ctx, c, isOpen)
		if err != nil {
			why = err
		}
		return err == nil && isOpen(a), nil
	})
	if !open && err == nil {
		return fmt.Errorf("see whether %s is no longer shut: %w", c.site.Name, why)
	}
	return err
}

// awaitAnswer waits until the site answers otherwise than with our own refusal. What an application that has not come up
// yet answers is a warning: opening nginx is all that was asked.
func (r *run) awaitAnswer(ctx context.Context, c *change, deadline time.Time) error {
	var seen control.Sight
	answers, err := r.until(ctx, deadline, func() (answers bool, err error) {
		seen, err = r.See(ctx, c.targets()[0], "/", "")
		return seen.Maintenance == "", err
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		c.receipt.Unanswered = true
		c.receipt.warn(fmt.Sprintf("nginx is open, but %s does not answer: %v", c.site.Name, err))
	case !answers:
		return fmt.Errorf("see whether %s answers: nginx still says that it is %s", c.site.Name, seen.Maintenance)
	case isDown(seen.Status):
		c.receipt.Unanswered = true
		c.receipt.warn(fmt.Sprintf("the application behind %s answers %d: nginx is open, but it is not up", c.site.Name, seen.Status))
	}
	return nil
}

// shutAgain undoes an opening that didn't get through: the sites are shut by their files first, then the previous rules
// are put back. Whoever got in meanwhile may still be there.
func (r *run) shutAgain(ctx context.Context, changes []*change, failure error) error {
	for _, c := range changes {
		c.record.SafeSince = nil
		if err := r.shut(c.site.Name); err != nil {
			failure = errors.Join(failure, fmt.Errorf("shut %s again: %w", c.site.Name, err))
		}
	}
	return r.rollBack(ctx, changes, failure, true)
}

// giveUp settles what holds after the rules could not be changed: a closing stays announced and shut by its file, and
// remains what is wanted; an opening didn't happen.
func (r *run) giveUp(ctx context.Context, changes []*change, failure error) {
	for _, c := range changes {
		closing := c.shutFirst && (c.announceFirst || !c.from.StricterThan(c.to.Mode))
		switch {
		case !closing:
			c.receipt.fail(Failed, failure)
			c.to = c.record.Document
		case r.isClosedNow(ctx, c):
			c.receipt.fail(Shut, failure)
		default:
			c.receipt.fail(Failed, fmt.Errorf("%w: %w", ErrNotShut, failure))
		}
	}
}

// isClosedNow reports whether nobody reaches a site whose closed file is there: nginx says so, or nothing answers for the
// site at all, and the closed file waits for an nginx that comes up.
func (r *run) isClosedNow(ctx context.Context, c *change) bool {
	if c.seenShut != nil {
		return true
	}
	a, err := r.Probe(context.WithoutCancel(ctx), target(c.site))
	if err == nil && a.Closed {
		r.saw(c)
		return true
	}
	// Refused by a nginx that runs, the address may be the wrong one to ask.
	_, gone := r.Nginx.Master()
	return errors.Is(err, control.ErrUnreachable) && errors.Is(gone, workers.ErrNotRunning)
}

func without(changes, others []*change) []*change {
	return slices.DeleteFunc(slices.Clone(changes), func(c *change) bool { return slices.Contains(others, c) })
}

// finish writes down what now holds. What can't be written down stays in the journal.
func (r *run) finish(changes []*change, in intent) error {
	kept := false
	_ = r.step(StepRecord, changes, func() error {
		var errs []error
		if err := r.writeHistory(changes, in); err != nil {
			errs = append(errs, err) // the past is for people: it holds up nothing
		}
		for _, c := range changes {
			if err := r.recordChange(c); err != nil {
				kept = true
				c.receipt.warn(fmt.Sprintf("what was done is not on record yet: %v", err))
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
	if kept {
		r.journal.keep()
		return nil
	}
	if err := r.journal.end(); err != nil {
		for _, c := range changes {
			c.receipt.warn(err.Error())
		}
	}
	return nil
}

func (r *run) recordChange(c *change) error {
	rec := &c.record
	rec.Document = c.to
	if c.receipt.Err == nil && c.reapply {
		rec.Revision, rec.Changes, rec.Door = c.rev, c.ordered, c.door
		rec.Held = c.to.Mode == status.Admin && r.isShut(c.site.Name)
	}
	switch {
	case c.to.Mode == status.Online:
		rec.ClosedAt, rec.SafeSince, rec.Cut = nil, nil, 0
	case c.seenShut != nil && (rec.ClosedAt == nil || c.from == status.Online):
		rec.ClosedAt = c.seenShut
	}
	if c.receipt.Outcome == Shut {
		rec.SafeSince = nil
	}
	c.receipt.ClosedAt, c.receipt.SafeSince, c.receipt.Revision = rec.ClosedAt, rec.SafeSince, rec.Revision
	c.receipt.Published = !rec.Unpublished
	c.receipt.describe(c.to)
	if !c.known && c.receipt.Outcome == Failed && !c.shutFirst {
		return nil // a site that could not be opened for the first time stays unknown
	}
	if err := r.writeRecord(c.site.Name, *rec); err != nil {
		return fmt.Errorf("write the record of %s: %w", c.site.Name, err)
	}
	return nil
}

// forgetJournal removes a journal whose change turned out to be complete.
func (h *Host) forgetJournal() error {
	if _, err := os.Stat(h.journalFile()); err != nil {
		return nil
	}
	return (&journal{path: h.journalFile()}).end()
}
