package maintenance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
)

// settledRetry is how long after an answer a site's own command is asked again: whether it is idle still, or by now.
const (
	settledRetry = 250 * time.Millisecond
	settledAgain = 50 * time.Millisecond
)

// settledAtOnce is how many sites' commands run at a time.
const settledAtOnce = 16

// settle has each site's own command say that its application is idle, for at most the time of a drain.
func (r *run) settle(ctx context.Context, changes []*change) error {
	errs := make([]error, len(changes))
	var all errgroup.Group
	all.SetLimit(settledAtOnce)
	for i, c := range changes {
		all.Go(func() error {
			errs[i] = r.awaitSettled(ctx, c, r.Clock.Now().Add(max(r.intent.Drain, takeUpTimeout)))
			return nil
		})
	}
	_ = all.Wait()
	for i, c := range changes {
		if err := errs[i]; err != nil {
			c.receipt.warn(fmt.Sprintf("the settled command of %s does not vouch for the application: %v", c.site.Name, err))
			continue
		}
		c.drain.vouched = true
		c.record.Cut = 0
		c.drain.done = new(r.moment())
	}
	return errors.Join(errs...)
}

// awaitSettled asks until the command has said that it is idle, see asks.
func (r *run) awaitSettled(ctx context.Context, c *change, deadline time.Time) error {
	asks := c.asks()
	for idle := 0; ; {
		bounded, cancel := context.WithTimeout(ctx, max(deadline.Sub(r.Clock.Now()), time.Second))
		err := r.Settled(bounded, c.site.Settled)
		cancel()
		if idle++; err != nil {
			idle = 0
		}
		if idle == asks || err != nil && !r.Clock.Now().Before(deadline) {
			return err
		}
		pause := settledRetry
		if err == nil {
			pause = settledAgain
		}
		if err := r.Clock.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// asks is how often in a row the command must say that it is idle: twice where something led to the application, or may
// have without being seen. That may be between two transactions, or have got there so late that it is not at work yet.
func (c *change) asks() int {
	if c.drain.refused && c.drain.busy.IsZero() && c.record.Cut == 0 {
		return 1
	}
	return 2
}

// grace gives the application time to end what nobody waits for any more, where no command says that it is idle. From
// outside, a request whose client has left looks like one that was answered.
func (r *run) grace(ctx context.Context, changes []*change) error {
	began := r.Clock.Now()
	end := began
	for _, c := range changes {
		since := c.drain.busy
		if c.shutAt != nil && c.shutAt.After(since) {
			since = *c.shutAt
		}
		if until := since.Add(c.site.Grace); until.After(end) {
			end = until
		}
	}
	_, err := r.until(ctx, end, func() (bool, error) {
		r.Progress.Grace(r.Clock.Now().Sub(began), end.Sub(began))
		return false, nil
	})
	for _, c := range changes {
		if c.drain.done = nil; err == nil {
			c.drain.done = new(r.moment())
		}
	}
	return err
}

// judge works out since when it is safe to take a snapshot of the sites, if it is.
func (r *run) judge() {
	for _, c := range r.taking(StepDrain) {
		drained := c.drain.done != nil
		switch {
		case drained && len(c.site.Settled) > 0 && !c.drain.vouched:
			c.receipt.Doubt = state.NotSafeUnsettled
		case c.record.Cut > 0:
			c.receipt.Doubt = state.NotSafeCut
		default:
			c.receipt.Doubt = state.NotSafeUnknown
		}
		if c.unread != nil {
			c.receipt.warn(fmt.Sprintf("nginx's configuration can't be looked through for other ways to the application: %v", c.unread))
		}
		c.receipt.Vouched = c.drain.vouched
		closed := c.drain.refused || c.unread == nil && !c.open
		if r.Config.Barrier == config.BarrierRequired && !c.record.Barrier {
			closed = false
			c.receipt.warn(fmt.Sprintf("%v: %v", ErrBarrier, c.noBarrier))
		}
		if drained && closed && c.receipt.Doubt == state.NotSafeUnknown {
			c.record.SafeSince = c.drain.done
		}
	}
}
