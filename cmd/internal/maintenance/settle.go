package maintenance

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// settledRetry is how often a site's own command is asked again.
const settledRetry = 250 * time.Millisecond

// settledInARow is how often in a row it must say that the application is idle.
const settledInARow = 2

// settle has each site's own command say that its application is idle, for at most the time of a drain.
func (r *run) settle(ctx context.Context, changes []*change) error {
	deadline := r.Clock.Now().Add(max(r.intent.Drain, takeUpTimeout))
	var errs []error
	for _, c := range changes {
		err := r.awaitSettled(ctx, c, deadline)
		if err != nil {
			c.receipt.warn(fmt.Sprintf("the settled command of %s does not vouch for the application: %v", c.site.Name, err))
			errs = append(errs, err)
			continue
		}
		c.drain.vouched = true
		c.record.Cut = 0
		now := r.Clock.Now().UTC().Truncate(time.Millisecond)
		c.drain.done = &now
	}
	return errors.Join(errs...)
}

// awaitSettled asks until the command has said twice in a row that it is idle: so it may look between two transactions.
func (r *run) awaitSettled(ctx context.Context, c *change, deadline time.Time) error {
	for idle := 0; ; {
		bounded, cancel := context.WithTimeout(ctx, max(deadline.Sub(r.Clock.Now()), time.Second))
		err := r.Settled(bounded, c.site.Settled)
		cancel()
		if idle++; err != nil {
			idle = 0
		}
		if idle == settledInARow || err != nil && !r.Clock.Now().Before(deadline) {
			return err
		}
		if err := r.Clock.Sleep(ctx, settledRetry); err != nil {
			return err
		}
	}
}

// judge works out since when it is safe to take a snapshot of the sites, if it is.
func (r *run) judge() {
	for _, c := range r.draining() {
		drained := c.drain.done != nil
		c.receipt.WasCut = c.record.Cut > 0
		c.receipt.Unsettled = drained && len(c.site.Settled) > 0 && !c.drain.vouched
		if c.unread != nil {
			c.receipt.warn(fmt.Sprintf("nginx's configuration can't be looked through for other ways to the application: %v", c.unread))
		}
		if drained && !c.receipt.WasCut && !c.receipt.Unsettled && c.unread == nil {
			c.record.SafeSince = c.drain.done
		}
	}
}
