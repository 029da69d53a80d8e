package maintenance

import (
	"context"
	"time"
)

// The pauses between two questions: short at first, and longer in a long wait, which then costs the machine little.
const (
	minPause = 5 * time.Millisecond
	maxPause = 50 * time.Millisecond
)

// until asks until the answer is yes, or an error, or the deadline has passed, and reports whether it was yes.
func (h *Host) until(ctx context.Context, deadline time.Time, ask func() (bool, error)) (bool, error) {
	began := h.Clock.Now()
	for {
		yes, err := ask()
		if yes || err != nil {
			return yes, err
		}
		now := h.Clock.Now()
		if !now.Before(deadline) {
			return false, nil
		}
		if err := h.Clock.Sleep(ctx, min(max(now.Sub(began)/10, minPause), maxPause)); err != nil {
			return false, err
		}
	}
}
