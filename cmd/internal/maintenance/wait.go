package maintenance

import (
	"context"
	"time"
)

// The pauses between two questions: short at first, and longer in a long wait, which then costs the machine little.
// Where asking takes long, as on a machine with many processes, most of a long wait is pause all the same.
const (
	minPause  = 5 * time.Millisecond
	maxPause  = 50 * time.Millisecond
	restShare = 9 // of pause to one of asking
	mostPause = 250 * time.Millisecond
)

// until asks until the answer is yes, or an error, or the deadline has passed, and reports whether it was yes.
func (h *Host) until(ctx context.Context, deadline time.Time, ask func() (bool, error)) (bool, error) {
	began := h.Clock.Now()
	for {
		asked := h.Clock.Now()
		yes, err := ask()
		if yes || err != nil {
			return yes, err
		}
		now := h.Clock.Now()
		if !now.Before(deadline) {
			return false, nil
		}
		longest := min(max(restShare*now.Sub(asked), maxPause), mostPause)
		if err := h.Clock.Sleep(ctx, min(max(now.Sub(began)/10, minPause), longest)); err != nil {
			return false, err
		}
	}
}

const (
	// many is how many sockets have a look at them take long.
	many = 1000
	// toldAfter is when nginx has told its old workers to leave, at the latest, since a new one has answered: see
	// handoverTimeout.
	toldAfter = 110 * time.Millisecond
	// fewerAtOnce is how many fewer sockets there are after closingPause while nginx closes them.
	fewerAtOnce  = 50
	closingPause = 10 * time.Millisecond
)

// awaitFewer waits while old workers close the connections of clients that are idle, where there are many, for no
// longer than any pause. A look at all of them would take the processor from nginx, and find what has gone by then.
// Where something leads to an application it doesn't wait: when that was last seen counts.
func (r *run) awaitFewer(ctx context.Context, changes []*change) {
	first, err := r.Sockets.Held(r.old.Snapshot)
	if err != nil || first < many {
		return
	}
	if busy, err := r.Sockets.Busy(r.old.Snapshot, r.scopes(changes)); err != nil || busy {
		return
	}
	began, last := r.Clock.Now(), first
	for waited := time.Duration(0); waited < min(mostPause, r.intent.Drain); waited = r.Clock.Now().Sub(began) {
		if r.Clock.Sleep(ctx, closingPause) != nil {
			return // whoever looks next says so
		}
		now, err := r.Sockets.Held(r.old.Snapshot)
		started, goesOn := now <= first-fewerAtOnce, now <= last-fewerAtOnce
		if err != nil || now < many || started && !goesOn || !started && waited >= toldAfter {
			return
		}
		last = now
	}
}
