package maintenance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
)

// emptyLooks is how many looks in a row must find nothing: the kernel's table of sockets is not read in one piece.
const emptyLooks = 2

// drain is what was seen of the connections of one site from before the reload.
type drain struct {
	all   map[workers.Connection]bool
	ended map[workers.Connection]bool // by us, or by nginx itself, while they may have been at work
	left  workers.Remaining           // at the last look, what concerns the site
	// silent are clients that have sent nothing by the last look: nobody has to wait for them. They stay as they are.
	silent []workers.Connection
	empty  int   // looks in a row that found nothing
	err    error // why no more could be seen, nil where it could
	// done is when nothing was left, nil before.
	done *time.Time
	// busy is when something was last seen to lead to the application, or may have without being seen; zero for never.
	busy time.Time
	// bare is since when old workers are seen to be workers.Remaining.Bare.
	bare map[workers.Process]time.Time
	// refused is whether the kernel refuses new connections to the application, which is proven; finished how many
	// clients had drained by then.
	refused  bool
	finished int
	// vouched is whether the site's own command says that the application is idle.
	vouched bool
}

func (d *drain) isEmpty() bool { return d.empty >= emptyLooks }

// cuts reports whether something is left that has to be ended.
func (d *drain) cuts(leavesAlone bool) bool { return !d.isEmpty() && d.err == nil && !leavesAlone }

// look takes note of what is left now.
func (d *drain) look(left workers.Remaining) {
	for _, conn := range slices.Concat(left.Connections, left.GivenUp) {
		d.all[conn] = true
	}
	d.left = left
	if d.empty++; !left.Drained() {
		d.empty = 0
	}
}

// endWorker counts the end of an old worker whose requests can't be seen as a connection that was cut.
func (d *drain) endWorker(p workers.Process) {
	unseen := workers.Connection{Process: p}
	d.all[unseen], d.ended[unseen] = true, true
}

// hasEnded reports whether a connection that nginx has given up is one that was ended. It may be seen from either end,
// and has no process any more.
func (d *drain) hasEnded(givenUp workers.Connection) bool {
	for conn := range d.ended {
		same := conn.Local == givenUp.Local && conn.Remote == givenUp.Remote
		if same || conn.Local == givenUp.Remote && conn.Remote == givenUp.Local {
			return true
		}
	}
	return false
}

// awaitDrained waits until nothing from before the reload is left of the sites. Something may be left.
func (r *run) awaitDrained(ctx context.Context, changes []*change) error {
	for _, c := range changes {
		c.drain.all, c.drain.ended = map[workers.Connection]bool{}, map[workers.Connection]bool{}
		c.drain.bare = map[workers.Process]time.Time{}
		if r.shutdownIsOver(c) {
			c.record.Cut++ // what was left was ended unseen
		}
	}
	began := r.Clock.Now()
	r.awaitFewer(ctx, changes)
	_, err := r.until(ctx, began.Add(r.intent.Drain), func() (bool, error) {
		done, err := r.lookOnce(changes, r.Clock.Now().Sub(began))
		if err != nil || done {
			return done, err
		}
		for _, c := range changes {
			r.endBare(c)
			if !c.drain.left.Drained() {
				r.Progress.Draining(c.site.Name, c.drain.left, r.Clock.Now().Sub(began), r.intent.Drain)
			}
		}
		return false, nil
	})
	noteUnseen(changes, err)
	return err
}

// endBare ends old workers that are bare for a while. One of them may serve who stays by its old rules, so it has to
// go where the kernel doesn't keep it from the application. One that can't be ended is waited for: the cut says why.
func (r *run) endBare(c *change) {
	now, is := r.Clock.Now(), c.drain.left.Bare
	maps.DeleteFunc(c.drain.bare, func(p workers.Process, _ time.Time) bool { return !slices.Contains(is, p) })
	if c.leavesAlone || c.behindBarrier() {
		return
	}
	for _, p := range is {
		since, known := c.drain.bare[p]
		switch {
		case !known:
			c.drain.bare[p] = now
		case now.Sub(since) >= strangersTimeout:
			c.drain.bare[p] = now
			if r.Sockets.End(p, false) != nil {
				continue
			}
			c.receipt.warn(fmt.Sprintf("old worker %d was ended: for %v it had no client that can be seen, at most some over QUIC", p.PID, strangersTimeout))
		}
	}
}

// noteUnseen notes of each site that isn't drained why no more could be seen of it, nil where it could.
func noteUnseen(changes []*change, why error) {
	for _, c := range changes {
		if !c.drain.isEmpty() {
			c.drain.err = why
		}
	}
}

// lookOnce looks once at what is left of each site after waiting so long, and reports whether all are drained.
func (r *run) lookOnce(changes []*change, waited time.Duration) (bool, error) {
	changes = slices.DeleteFunc(slices.Clone(changes), func(c *change) bool { return c.drain.isEmpty() })
	if len(changes) == 0 {
		return true, nil
	}
	all, err := r.Sockets.RemainingOf(r.old.Snapshot, r.scopes(changes))
	if err != nil {
		return false, err
	}
	done := true
	for i, c := range changes {
		left := c.concerning(all[i], waited)
		if left.ToApp() > 0 || c.drain.left.ToApp() > 0 { // what has gone since the last look has gone by now
			c.drain.busy = r.Clock.Now()
		}
		r.countEndedByNginx(c, left)
		c.drain.look(left)
		done = done && c.drain.isEmpty()
	}
	return done, nil
}

// countEndedByNginx counts as cut what is gone at this look because nginx itself may have ended it: its old workers
// end everything after worker_shutdown_timeout (https://nginx.org/en/docs/ngx_core_module.html).
func (r *run) countEndedByNginx(c *change, left workers.Remaining) {
	over := r.shutdownIsOver(c)
	for _, conn := range c.drain.left.Connections {
		if c.isHarmless(conn) {
			continue
		}
		if over || c.serving.ShutdownTimeout > 0 && r.old.WasShuttingDown(conn.Process) {
			c.drain.ended[conn] = true
		}
	}
	for _, p := range c.drain.left.ListeningWorkers {
		if over && c.serving.RequestsInvisible && !slices.Contains(left.ListeningWorkers, p) {
			c.drain.endWorker(p)
		}
	}
}

// shutdownIsOver reports whether old workers may have ended what they had because of nginx's worker_shutdown_timeout.
func (r *run) shutdownIsOver(c *change) bool {
	timeout := c.serving.ShutdownTimeout
	return timeout > 0 && r.Clock.Now().Sub(r.old.at) >= timeout
}

// cut ends what is left: each connection of the site where the kernel allows it, else the old workers that hold them.
func (r *run) cut(ctx context.Context, changes []*change) error {
	began := r.Clock.Now()
	told := map[workers.Process]bool{}
	_, err := r.until(ctx, began.Add(cutTimeout), func() (bool, error) {
		waited := r.Clock.Now().Sub(began)
		for _, c := range changes {
			doomed, err := r.cutConnections(c)
			if err != nil {
				return false, err
			}
			if waited >= softTimeout { // until then a worker may just not have noticed what we have cut
				doomed = append(doomed, c.drain.left.Lost...)
			}
			for _, p := range doomed {
				if err := r.Sockets.End(p, waited >= softTimeout && told[p]); err != nil {
					return false, err
				}
				if !told[p] {
					told[p] = true
					c.receipt.warn(fmt.Sprintf("old worker %d was ended, with the connections of every site that it held", p.PID))
				}
			}
		}
		return r.lookOnce(changes, r.intent.Drain)
	})
	noteUnseen(changes, err)
	return err
}

// cutConnections ends the connections left of a site, and returns the old workers that have to be ended for it.
func (r *run) cutConnections(c *change) (doomed []workers.Process, err error) {
	d := &c.drain
	doomed = append(doomed, d.left.ListeningWorkers...)
	for _, conn := range d.left.GivenUp {
		d.ended[conn] = true // by nginx, which nobody can undo
	}
	if c.serving.RequestsInvisible {
		for _, p := range d.left.ListeningWorkers {
			d.endWorker(p)
		}
	}
	for _, conn := range d.left.Connections {
		if !c.isHarmless(conn) {
			d.ended[conn] = true
		}
		err := r.Sockets.Destroy(conn)
		if errors.Is(err, workers.ErrCantDestroy) {
			doomed = append(doomed, conn.Process)
		} else if err != nil {
			return nil, err
		}
	}
	return doomed, nil
}

// countDrained says in the receipts what became of what was let in before.
func (r *run) countDrained() {
	for _, c := range r.taking(StepDrain) {
		d := &c.drain
		d.count(c.receipt)
		c.record.Cut += c.receipt.Cut
		if timeout := c.serving.ShutdownTimeout; timeout > 0 {
			c.record.Cut += len(d.left.Connections) // it is when we are gone
			if c.record.Cut > 0 && (r.shutdownIsOver(c) || len(d.left.Connections) > 0) {
				c.receipt.warn(fmt.Sprintf("nginx itself ends what its old workers still have after %v (worker_shutdown_timeout): make that longer, so that requests can finish", timeout))
			}
		}
		c.record.SafeSince = nil
		if d.isEmpty() {
			d.done = new(r.moment())
		} else if d.err != nil {
			c.receipt.warn(fmt.Sprintf("it is not known what is left of %s: %v", c.site.Name, d.err))
		}
	}
}

// finish has the kernel refuse what comes from now on. Clients that are gone by now have drained; of those that are
// left only what led to the application counts.
func (d *drain) finish() {
	still := slices.Concat(d.left.Connections, d.silent)
	for conn := range d.all {
		if !conn.Upstream && !slices.Contains(still, conn) {
			d.finished++
		}
	}
	d.refused = true
}

// count counts: what was seen and is gone has drained, unless it was cut.
func (d *drain) count(receipt *Receipt) {
	receipt.Drained += d.finished
	left := map[workers.Connection]bool{}
	for _, c := range d.left.Connections {
		left[c] = true
	}
	for c := range d.all {
		switch {
		case left[c], d.refused && !c.Upstream:
		case d.ended[c]:
			receipt.Cut++
		default:
			receipt.Drained++
		}
	}
	receipt.Left, receipt.Remains = len(left)+d.left.Workers(), d.left.Words()
	if len(d.left.OtherMasters) > 0 {
		receipt.warn(fmt.Sprintf("another nginx, that of worker %d, listens for %s too: finish its upgrade, or stop it", d.left.OtherMasters[0].PID, receipt.Site))
	}
	switch {
	case d.left.ReadErr != nil && !d.left.Drained():
		receipt.warn(fmt.Sprintf("what nginx's workers hold can't be seen, so it is not known whether a request to %s is left: %v (root can see it, but not without CAP_SYS_PTRACE)", receipt.Site, d.left.ReadErr))
	case d.left.NoNewWorkerSeen:
		receipt.warn(fmt.Sprintf("no new worker is seen to listen for %s: it is not known whether an earlier request is left", receipt.Site))
	}
}

// strangersTimeout bounds the wait for what can't be told from another site's, where the kernel keeps it from the
// application afterwards, and for workers of which nothing can be seen.
const strangersTimeout = 5 * time.Second

// behindBarrier reports whether the kernel keeps everybody from the application once it has drained.
func (c *change) behindBarrier() bool {
	return c.has(StepRefuse) && c.to.Mode == status.Offline && c.noBarrier == nil
}

// isHarmless reports whether the end of a connection ends no work of the application's: it is a client's that hasn't
// got to the application, by the kernel's doing.
func (c *change) isHarmless(conn workers.Connection) bool {
	return !conn.Upstream && (c.behindBarrier() || c.wasBarred)
}

// concerning is the part of left that concerns the site, after waiting so long. Behind the kernel barrier no worker has
// to end: only connections to the application count, and clients that may still be sending. Sockets such as those of
// QUIC can't be told from others: then the worker stands for its clients, for a while, or for as long as it holds a
// request.
func (c *change) concerning(left workers.Remaining, waited time.Duration) workers.Remaining {
	left.GivenUp = slices.DeleteFunc(left.GivenUp, c.drain.hasEnded)
	if !c.behindBarrier() {
		left.Newer = nil
		return left
	}
	left.OtherMasters = nil
	c.drain.silent = nil
	if left.Silent {
		c.drain.silent, left.Connections = left.Connections, nil
	}
	refused := c.drain.refused
	switch {
	case refused || !c.serving.WorkersMustEnd:
		left.ListeningWorkers = nil
	case waited >= strangersTimeout:
		left.ListeningWorkers = left.Gathering
	}
	if refused || waited >= strangersTimeout {
		left.Lost = nil
	}
	if refused || waited >= strangersTimeout && len(c.serving.SamePort) > 0 {
		left.Connections = slices.DeleteFunc(left.Connections, func(conn workers.Connection) bool { return !conn.Upstream })
	}
	if refused {
		left.Connections = append(left.Connections, left.Newer...)
	}
	left.Newer = nil
	return left
}

// scope is which sockets are the site's, by nginx's configuration and by the addresses of its upstreams.
func (r *run) scope(c *change) workers.Scope {
	s := c.scope()
	if c.noBarrier == nil {
		r.kernel.scope(c.site.Name, &s)
	}
	return s
}

// scopes are those of several sites, in their order.
func (r *run) scopes(changes []*change) (out []workers.Scope) {
	for _, c := range changes {
		out = append(out, r.scope(c))
	}
	return out
}

// scope is which sockets are the site's by nginx's configuration.
func (c *change) scope() workers.Scope {
	s := workers.Scope{Listens: c.serving.Listens, Upstreams: c.serving.Upstreams, WorkersMustEnd: c.serving.WorkersMustEnd}
	if len(s.Listens) == 0 {
		s.Listens = []string{c.site.Listen}
	}
	if len(s.Upstreams) > 0 {
		return s
	}
	for _, u := range c.site.Upstreams {
		if strings.HasPrefix(u, "unix:") {
			s.WorkersMustEnd = true
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
	return []operator.Target{Target(c.site)}
}
