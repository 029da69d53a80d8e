package maintenance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// before is what there was of nginx before the reload.
type before struct {
	workers.Before
	program string
	master  int
	at      time.Time // when it was noted
}

// tick is how finely the kernel tells the starts of processes apart; see workers.Sockets.Snapshot.
const tick = 11 * time.Millisecond

// quiet is how many looks in a row must find nothing: the kernel's table of sockets is not read in one piece.
const quiet = 2

// remember notes the workers there are. Those of the reload that is about to come must start a tick later at least.
func (r *run) remember() (err error) {
	b := &r.before
	if b.master, err = r.Nginx.Master(); err != nil {
		return err
	}
	if b.program, err = r.Sockets.Program(b.master); err != nil {
		return err
	}
	b.Before, err = r.Sockets.Snapshot(b.program)
	b.at = r.Clock.Now()
	return err
}

// seen is what has been seen of the connections of one site.
type seen struct {
	all   map[workers.Connection]bool
	cut   map[workers.Connection]bool
	left  workers.Left
	quiet int
}

// drain waits until nothing that was let in before the reload is left of the sites, then cuts what still is. What came
// of it is in the receipts; it is not an error for something to be left.
func (r *run) drain(ctx context.Context, changes []*change, in intent) {
	if len(changes) == 0 {
		return
	}
	watched := map[*change]*seen{}
	for _, c := range changes {
		watched[c] = &seen{all: map[workers.Connection]bool{}, cut: map[workers.Connection]bool{}}
		if r.shutdownIsOver(c) {
			c.record.Cut++ // what was left was ended unseen
		}
	}
	err := r.step(StepDrain, changes, func() error { return r.await(ctx, watched, changes, in.Drain) })
	var rest []*change
	for _, c := range changes {
		if watched[c].quiet < quiet && !c.record.NoCut {
			rest = append(rest, c)
		}
	}
	if err == nil && len(rest) > 0 {
		err = r.step(StepCut, rest, func() error { return r.cut(ctx, watched, rest) })
	}
	for _, c := range changes {
		w := watched[c]
		w.tally(c.receipt)
		c.record.Cut += c.receipt.Cut
		if timeout := c.serving.ShutdownTimeout; timeout > 0 {
			c.record.Cut += len(w.left.Connections) // it is when we are gone
			if c.record.Cut > 0 && (r.shutdownIsOver(c) || len(w.left.Connections) > 0) {
				c.receipt.warn(fmt.Sprintf("nginx itself ends what its old workers still have after %v (worker_shutdown_timeout): only with a longer one is it waited for", timeout))
			}
		}
		c.record.SafeSince = nil
		if w.quiet >= quiet {
			now := r.Clock.Now().UTC().Truncate(time.Millisecond)
			c.drained = &now
		} else if err != nil {
			c.receipt.warn(fmt.Sprintf("it is not known what is left of %s: %v", c.site.Name, err))
		}
	}
}

// ended counts the end of an old worker whose requests can't be seen as a connection that was cut.
func (w *seen) ended(p workers.Process) {
	unseen := workers.Connection{Process: p}
	w.all[unseen], w.cut[unseen] = true, true
}

// tally counts: what was seen and is gone has drained, unless it was cut.
func (w *seen) tally(receipt *Receipt) {
	left := map[workers.Connection]bool{}
	for _, c := range w.left.Connections {
		left[c] = true
	}
	for c := range w.all {
		switch {
		case left[c]:
		case w.cut[c]:
			receipt.Cut++
		default:
			receipt.Drained++
		}
	}
	receipt.Left = len(left) + w.left.Workers()
	if len(w.left.Foreign) > 0 {
		receipt.warn(fmt.Sprintf("another nginx, that of worker %d, listens for %s too: finish the binary upgrade, or end it", w.left.Foreign[0].PID, receipt.Site))
	}
	switch {
	case w.left.Refused != nil && !w.left.Nothing():
		receipt.warn(fmt.Sprintf("what nginx's workers hold can't be seen, nor whether anything is left of %s: %v (root sees it, unless CAP_SYS_PTRACE is kept from it)", receipt.Site, w.left.Refused))
	case w.left.Unseen:
		receipt.warn(fmt.Sprintf("no new worker is seen to listen for %s: whether anything is left can't be told from here", receipt.Site))
	}
}

// lookOnce looks once at what is left of each site.
func (r *run) lookOnce(watched map[*change]*seen, changes []*change) (bool, error) {
	done := true
	for _, c := range changes {
		w := watched[c]
		if w.quiet >= quiet {
			continue
		}
		left, err := r.Sockets.Left(r.before.Before, c.scope(), r.before.program, r.before.master)
		if err != nil {
			return false, err
		}
		r.endedByNginx(c, w, left)
		for _, conn := range left.Connections {
			w.all[conn] = true
		}
		w.left = left
		if left.Nothing() {
			w.quiet++
		} else {
			w.quiet = 0
		}
		done = done && w.quiet >= quiet
	}
	return done, nil
}

// endedByNginx counts as cut what may have been ended by nginx itself, should it be gone at the look that has just been taken: its old
// workers end what they have when worker_shutdown_timeout is over (https://nginx.org/en/docs/ngx_core_module.html), and how long
// those have been at it that were leaving before is not known.
func (r *run) endedByNginx(c *change, w *seen, left workers.Left) {
	over := r.shutdownIsOver(c)
	for _, conn := range w.left.Connections {
		if over || c.serving.ShutdownTimeout > 0 && r.before.Leaving(conn.Process) {
			w.cut[conn] = true
		}
	}
	for _, p := range w.left.Listening {
		if over && c.serving.Hidden && !slices.Contains(left.Listening, p) {
			w.ended(p)
		}
	}
}

// shutdownIsOver reports whether old workers may have ended what they had because of nginx's worker_shutdown_timeout.
func (r *run) shutdownIsOver(c *change) bool {
	timeout := c.serving.ShutdownTimeout
	return timeout > 0 && r.Clock.Now().Sub(r.before.at) >= timeout
}

// await looks until nothing is left, for at most the given time.
func (r *run) await(ctx context.Context, watched map[*change]*seen, changes []*change, atMost time.Duration) error {
	began := r.Clock.Now()
	_, err := r.until(ctx, began.Add(atMost), func() (bool, error) {
		done, err := r.lookOnce(watched, changes)
		if err != nil || done {
			return done, err
		}
		for _, c := range changes {
			if !watched[c].left.Nothing() {
				r.Progress.Draining(c.site.Name, watched[c].left, r.Clock.Now().Sub(began), atMost)
			}
		}
		return false, nil
	})
	return err
}

// cut ends what is left: the connections of the site one by one where the kernel allows it, and otherwise the old workers
// that hold them, which touches other sites and is said.
func (r *run) cut(ctx context.Context, watched map[*change]*seen, changes []*change) error {
	began := r.Clock.Now()
	ended := map[workers.Process]bool{}
	_, err := r.until(ctx, began.Add(cutTimeout), func() (bool, error) {
		hard := r.Clock.Now().Sub(began) >= softTimeout
		for _, c := range changes {
			w := watched[c]
			doomed := append([]workers.Process{}, w.left.Listening...)
			if c.serving.Hidden {
				for _, p := range w.left.Listening {
					w.ended(p)
				}
			}
			for _, conn := range w.left.Connections {
				w.cut[conn] = true
				err := r.Sockets.Destroy(conn)
				if errors.Is(err, workers.ErrCantDestroy) {
					doomed = append(doomed, conn.Process)
				} else if err != nil {
					return false, err
				}
			}
			for _, p := range doomed {
				if err := r.Sockets.End(p, hard); err != nil {
					return false, err
				}
				if !ended[p] {
					ended[p] = true
					c.receipt.warn(fmt.Sprintf("old worker %d was ended, with the connections of every site that it held", p.PID))
				}
			}
		}
		return r.lookOnce(watched, changes)
	})
	return err
}

// settledRetry is how often a site's own command is asked again.
const settledRetry = 250 * time.Millisecond

// settledInARow is how often in a row it must say that the application is idle.
const settledInARow = 2

// settle has each site's own command say that its application is idle, for at most the time of a drain, and works out
// since when it is safe to take a snapshot.
func (r *run) settle(ctx context.Context, changes []*change, in intent) {
	var ask []*change
	for _, c := range changes {
		if c.drained != nil && len(c.site.Settled) > 0 {
			ask = append(ask, c)
		}
	}
	vouched := map[*change]bool{}
	_ = r.step(StepSettle, ask, func() error {
		deadline := r.Clock.Now().Add(max(in.Drain, takeUpTimeout))
		var errs []error
		for _, c := range ask {
			err := r.awaitSettled(ctx, c, deadline)
			if vouched[c] = err == nil; err != nil {
				c.receipt.warn(fmt.Sprintf("the settled command of %s does not vouch for the application: %v", c.site.Name, err))
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
	for _, c := range changes {
		if vouched[c] {
			c.record.Cut = 0
			now := r.Clock.Now().UTC().Truncate(time.Millisecond)
			c.drained = &now
		}
		if c.why != nil {
			c.receipt.warn(fmt.Sprintf("nginx's configuration can't be looked through for other ways to the application: %v", c.why))
		}
		c.receipt.WasCut = c.record.Cut > 0
		c.receipt.Unsettled = c.drained != nil && len(c.site.Settled) > 0 && !vouched[c]
		if c.drained != nil && !c.receipt.WasCut && !c.receipt.Unsettled && c.why == nil {
			c.record.SafeSince = c.drained
		}
	}
}

// awaitSettled asks until the site's own command has said twice in a row that the application is idle: between two
// transactions of one request it may look so for a moment.
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

// scope is which sockets are the site's.
func (c *change) scope() workers.Scope {
	s := workers.Scope{Listens: c.serving.Listens, Upstreams: c.serving.Upstreams, Whole: c.serving.Whole}
	if len(s.Listens) == 0 {
		s.Listens = []string{c.site.Listen}
	}
	if len(s.Upstreams) > 0 {
		return s
	}
	for _, u := range c.site.Upstreams {
		if strings.HasPrefix(u, "unix:") {
			s.Whole = true
		} else {
			s.Upstreams = append(s.Upstreams, u)
		}
	}
	return s
}

// targets are the places where nginx is asked which rules it follows for the site.
func (c *change) targets() []operator.Target {
	if len(c.serving.Targets) > 0 {
		return c.serving.Targets
	}
	return []operator.Target{target(c.site)}
}
