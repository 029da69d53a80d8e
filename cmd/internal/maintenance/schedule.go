package maintenance

import (
	"context"
	"errors"
	"fmt"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// ScheduleKey is where a site's schedule lies in the store.
func ScheduleKey(s config.Site) string {
	if s.Path == "" {
		return status.ScheduleFileName
	}
	return s.Path + "/" + status.ScheduleFileName
}

// Schedule returns a site's schedule in the store, an empty one where there is none. The error may wrap
// status.ErrSchedule or status.ErrScheduleVersion, or be one of the store's.
func (h *Host) Schedule(ctx context.Context, s config.Site) (status.Schedule, error) {
	schedule, _, err := h.readSchedule(ctx, s)
	return schedule, err
}

// readSchedule returns a site's schedule, and under which condition it may be replaced.
func (h *Host) readSchedule(ctx context.Context, s config.Site) (status.Schedule, store.Condition, error) {
	data, etag, err := h.Store.Get(ctx, ScheduleKey(s))
	if errors.Is(err, store.ErrNotFound) {
		return status.EmptySchedule(), store.IfAbsent(), nil
	}
	if err != nil {
		return status.Schedule{}, store.Condition{}, err
	}
	schedule, err := status.ParseSchedule(data)
	if err != nil {
		return status.Schedule{}, store.Condition{}, fmt.Errorf("read %s: %w", ScheduleKey(s), err)
	}
	return schedule, store.IfMatch(etag), nil
}

// changeSchedule replaces a site's schedule with what change makes of it, and returns the new one. Where somebody else
// gets in between it is read, and change asked, again. The error of change comes back as it is, and nothing is written.
func (h *Host) changeSchedule(ctx context.Context, s config.Site, change func(status.Schedule) (status.Schedule, error)) (status.Schedule, error) {
	for range publishAttempts {
		was, cond, err := h.readSchedule(ctx, s)
		if err != nil {
			return status.Schedule{}, err
		}
		schedule, err := change(was)
		if err != nil {
			return status.Schedule{}, err
		}
		_, err = h.Store.Put(ctx, ScheduleKey(s), schedule.Marshal(), StatusMeta, cond)
		if errors.Is(err, store.ErrPrecondition) {
			continue
		}
		return schedule, err
	}
	return status.Schedule{}, fmt.Errorf("publish %s: somebody else changes it at the same time", ScheduleKey(s))
}
