package maintenance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
)

// inARow is how many answers in a row must be new: an old worker may take any connection until it stops listening.
const inARow = 3

// passByPause is the pause before nginx is asked again because the wrong worker has answered: each question may come to
// its access log.
const passByPause = 10 * time.Millisecond

// oldWorkers is what there was of nginx before the reload.
type oldWorkers struct {
	workers.Snapshot
	master int
	at     time.Time // when it was noted
	err    error     // why it could not be, nil where it was
}

// tick is how finely the kernel tells the starts of processes apart; see workers.Sockets.Snapshot.
const tick = 11 * time.Millisecond

// noteWorkers notes the workers there are. Those of the reload that is about to come must start at least one tick
// later.
func (r *run) noteWorkers() {
	old := &r.old
	if old.master, old.err = r.Nginx.Master(); old.err != nil {
		return
	}
	old.Snapshot, old.err = r.Sockets.Snapshot(old.master)
	old.at = r.Clock.Now()
}

// install puts the new rules in place.
func (r *run) install(_ context.Context, changes []*change) error {
	http, err := r.httpConf(names(changes))
	if err != nil {
		return err
	}
	files := map[string][]byte{nginxconf.HTTPFile(r.Config.Nginx.ConfDir): http}
	for _, c := range changes {
		files[nginxconf.SiteFile(r.Config.Nginx.ConfDir, c.site.Name)] = c.rules.text
	}
	if r.putBack, err = nginxconf.Install(files); err != nil {
		return err
	}
	// Before the test, whose time the kernel needs to tell the old workers from those that come.
	r.noteWorkers()
	return nil
}

// uninstall takes the new rules away again where they are in place and the journal couldn't say so.
func (r *run) uninstall(_ context.Context, _ []*change, failure error) error {
	if r.putBack != nil {
		failure = errors.Join(failure, r.putBack())
	}
	return fmt.Errorf("put the rules in place: %w", failure)
}

// test has nginx check the new rules.
func (r *run) test(ctx context.Context, changes []*change) error {
	err := r.Nginx.Test(ctx)
	switch {
	case err != nil && errors.Is(r.old.err, workers.ErrNotRunning): // a container that is stopped can't test anything
		return fmt.Errorf("%w (%w)", err, r.old.err)
	case err != nil:
		return err
	}
	if changes[0].unread == nil {
		return nil
	}
	// It could not be read before, perhaps because these rules were missing from it.
	return r.audit(ctx, changes, r.intent.Force)
}

// reload has nginx take up the new rules.
func (r *run) reload(ctx context.Context, _ []*change) error {
	if r.old.err != nil {
		return fmt.Errorf("reload nginx: %w", r.old.err)
	}
	if err := r.Clock.Sleep(ctx, min(max(0, tick-r.Clock.Now().Sub(r.old.at)), tick)); err != nil {
		return fmt.Errorf("reload nginx: %w", err)
	}
	return r.Nginx.Reload(ctx)
}

// probe waits until nginx says that it follows the new rules.
func (r *run) probe(ctx context.Context, changes []*change) error {
	deadline := r.Clock.Now().Add(takeUpTimeout)
	for _, c := range changes {
		if err := r.awaitRevision(ctx, c, deadline); err != nil {
			if !c.has(StepShut) { // a closing has said so before
				for _, why := range c.unasked() {
					c.receipt.warn(why)
				}
			}
			return r.elsewhere(c, err)
		}
	}
	var opening []*change
	for _, c := range changes {
		if c.has(StepShut) && c.shutAt == nil {
			r.noteShut(c) // by its rules, where it doesn't see the closed file
		}
		if !c.has(StepShut) {
			opening = append(opening, c)
		}
	}
	r.awaitNewWorkers(ctx, opening)
	return nil
}

// ErrElsewhere is returned (wrapped) when another nginx serves the site than the one that was told of its new rules.
var ErrElsewhere = errors.New("another nginx serves it")

// elsewhere adds the likely cause to a failure: the pid file is that of another nginx than the one that serves the
// site.
func (r *run) elsewhere(c *change, failure error) error {
	left, err := r.Sockets.Remaining(r.old.Snapshot, c.scope())
	if err != nil || len(left.OtherMasters) == 0 || len(left.ListeningWorkers) > 0 || !left.NoNewWorkerSeen {
		return failure
	}
	return fmt.Errorf("%w: %w (its worker is process %d, nginx.pid_file names process %d)", failure, ErrElsewhere, left.OtherMasters[0].PID, r.old.master)
}

// awaitNewWorkers waits until no old worker listens for visitors of opening sites: it would answer by the old rules.
func (r *run) awaitNewWorkers(ctx context.Context, changes []*change) {
	for _, c := range r.awaitHandover(ctx, changes, takeUpTimeout) {
		c.receipt.warn(fmt.Sprintf("it is not known whether old workers still answer for %s by other rules", c.site.Name))
	}
}

// handoverTimeout bounds the wait for old workers that a closing leaves alone: nginx's master tells them to leave
// 100 ms after it has new ones (ngx_master_process_cycle).
const handoverTimeout = 2 * time.Second

// handOver waits until nobody who asks next about a site that has drained is answered by an old worker: get would find
// nginx at earlier rules.
func (r *run) handOver(ctx context.Context) {
	var closed []*change
	for _, c := range r.taking(StepProbe) {
		if c.drain.done != nil {
			closed = append(closed, c)
		}
	}
	_ = r.awaitHandover(ctx, closed, handoverTimeout) // they let nobody in
}

// awaitHandover waits until no old worker listens for the sites, and returns those of which one still does, or may.
func (r *run) awaitHandover(ctx context.Context, changes []*change, atMost time.Duration) []*change {
	_, _ = r.until(ctx, r.Clock.Now().Add(atMost), func() (bool, error) { // who is left in changes tells
		if len(changes) == 0 {
			return true, nil
		}
		var scopes []workers.Scope
		for _, c := range changes {
			scope := c.scope()
			scope.WorkersMustEnd = false // an old worker that only serves out its connections is given no new ones
			scopes = append(scopes, scope)
		}
		all, err := r.Sockets.RemainingOf(r.old.Snapshot, scopes)
		if err != nil {
			return false, err
		}
		var waiting []*change
		for i, left := range all {
			if len(left.ListeningWorkers) > 0 {
				waiting = append(waiting, changes[i])
			}
		}
		changes = waiting
		return len(changes) == 0, nil
	})
	return changes
}

// awaitRevision waits until nginx answers with the new rules.
func (r *run) awaitRevision(ctx context.Context, c *change, deadline time.Time) error {
	err := r.awaitAnswers(ctx, c, func(a control.Answer) bool {
		if a.Revision == c.rules.revision {
			r.old.NoteAnswer(a.PID)
		}
		return a.Revision == c.rules.revision
	}, deadline)
	if err != nil {
		return fmt.Errorf("nginx did not take up revision %s of %s within %v: %w", c.rules.revision, c.site.Name, takeUpTimeout, err)
	}
	return nil
}

// awaitAnswers waits until nginx's answers are good, several times in a row. What a worker answers that never learns of
// a reload doesn't count.
func (r *run) awaitAnswers(ctx context.Context, c *change, good func(control.Answer) bool, deadline time.Time) error {
	var why error
	all, err := r.until(ctx, deadline, func() (bool, error) {
		for range inARow {
			a, err := r.probeAll(ctx, c, good)
			for err == nil && !good(a) && r.old.NotTold(a.PID) && r.Clock.Now().Before(deadline) {
				a, err = r.passBy(ctx, c, a.PID, good)
			}
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

// passBy asks again where a worker has answered that never learns of the reload. It may be given many connections in a
// row (ngx_reorder_accept_events). One whose master is gone is told what that would have told it.
func (r *run) passBy(ctx context.Context, c *change, pid int, good func(control.Answer) bool) (control.Answer, error) {
	if orphan, is := r.old.Orphan(pid); is && r.Sockets.ShutDown(orphan) == nil {
		c.receipt.warn(fmt.Sprintf("old worker %d, whose master process is gone, was told to shut down", pid))
	}
	if err := r.Clock.Sleep(ctx, passByPause); err != nil {
		return control.Answer{}, err
	}
	return r.probeAll(ctx, c, good)
}

// probeAll asks nginx at each address and name of the site. It returns the first answer that isn't good, else the last.
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
