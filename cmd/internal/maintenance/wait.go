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
