package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/status"
)

// Windows that were missed are spoken of for so long, or until they are moved or cancelled.
const missedFor = 7 * 24 * time.Hour

// unbegun is how late a window may be before reconcile, which looks each minute, can't be at work.
const unbegun = 2 * time.Minute

// windows sees whether the windows of a site begin. That the store can't be read is said elsewhere.
func (e *examination) windows(ctx context.Context, s config.Site) {
	schedule, err := e.Host.Schedule(ctx, s)
	switch {
	case errors.Is(err, status.ErrScheduleVersion):
		e.fault(checkWindows, err.Error(), hintNewer)
		return
	case errors.Is(err, status.ErrSchedule):
		e.fault(checkWindows, err.Error(), "put the right file back, or move it away and schedule the windows again")
		return
	case err != nil:
		return
	}
	missed := false
	for _, w := range schedule.Windows {
		from := w.From.UTC().Format(time.RFC3339)
		switch {
		case w.State == status.WindowMissed && e.Now().Sub(w.UpdatedAt) < missedFor:
			missed = true
			e.fault(checkWindows, fmt.Sprintf("window %s was to begin at %s, and was missed", w.ID, from),
				fmt.Sprintf("conforma-status schedule move %s --from WHEN, or conforma-status schedule cancel %s", w.ID, w.ID))
		case w.State == status.WindowScheduled && e.Now().Sub(w.From) > unbegun:
			missed = true
			e.fault(checkWindows, fmt.Sprintf("window %s was to begin at %s, and has not begun", w.ID, from),
				"see why reconcile doesn't begin it: systemctl status conforma-status-reconcile.timer, or conforma-status reconcile")
		}
	}
	if next := schedule.Next(); !missed && next != nil {
		e.ok(checkWindows, "the next window begins at "+next.From.UTC().Format(time.RFC3339))
	} else if !missed {
		e.ok(checkWindows, "none was missed")
	}
}
