package maintenance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// ScheduleKey is where a site's schedule lies in the store.
func ScheduleKey(s config.Site) string { return path.Join(s.Path, status.ScheduleFileName) }

// Schedule returns a site's schedule in the store, an empty one where there is none. The error may wrap
// status.ErrSchedule or status.ErrScheduleVersion, or be one of the store's.
func (h *Host) Schedule(ctx context.Context, s config.Site) (status.Schedule, error) {
	there, err := h.readSchedule(ctx, s)
	return there.schedule, err
}

// stored is a site's schedule as it was found in the store.
type stored struct {
	schedule status.Schedule
	absent   bool            // there is none; schedule is an empty one
	cond     store.Condition // under which it may be replaced
	date     time.Time       // by the store's clock, zero where that isn't known
}

// readSchedule returns a site's schedule as it is in the store.
func (h *Host) readSchedule(ctx context.Context, s config.Site) (there stored, err error) {
	var data []byte
	var etag string
	if dated, ok := h.Store.(store.Dated); ok {
		data, etag, there.date, err = dated.GetDated(ctx, ScheduleKey(s))
	} else {
		data, etag, err = h.Store.Get(ctx, ScheduleKey(s))
	}
	switch {
	case err == nil:
		there.cond = store.IfMatch(etag)
	case errors.Is(err, store.ErrNotFound):
		data, there.absent, there.cond = nil, true, store.IfAbsent()
	default:
		return there, err
	}
	there.schedule, err = parseSchedule(s, data)
	return there, err
}

// maxClockOff is how far this machine's clock may be from the store's for a window to be begun by it.
const maxClockOff = 5 * time.Minute

// ErrClock is returned (wrapped) where this machine's clock is too far from the store's.
var ErrClock = errors.New("this machine's clock is wrong")

// clockAgrees returns an error wrapping ErrClock where this machine's clock is too far from the date that the store
// has said, nil where it has said none.
func (h *Host) clockAgrees(date time.Time) error {
	off := h.Clock.Now().Sub(date).Round(time.Second)
	if date.IsZero() || off.Abs() <= maxClockOff {
		return nil
	}
	return fmt.Errorf("compare the clock with the store's: %w: it is off by %v", ErrClock, off)
}

// changeSchedule replaces a site's schedule with what change makes of it, and returns the new one. If somebody else
// gets in between, it reads the schedule and calls change again. An error of change comes back as it is. Nothing is
// written then, or where nothing has changed.
func (h *Host) changeSchedule(ctx context.Context, s config.Site, change func(status.Schedule) (status.Schedule, error)) (schedule status.Schedule, err error) {
	_, err = h.update(ctx, ScheduleKey(s), StatusMeta, func(data []byte) ([]byte, error) {
		was, err := parseSchedule(s, data)
		if err != nil {
			return nil, err
		}
		schedule, err = change(was)
		if changed := schedule.Marshal(); err == nil && !bytes.Equal(changed, was.Marshal()) {
			return changed, nil
		}
		return nil, err
	})
	return schedule, err
}

// parseSchedule reads a site's schedule in the store, an empty one for nil.
func parseSchedule(s config.Site, data []byte) (status.Schedule, error) {
	if data == nil {
		return status.EmptySchedule(), nil
	}
	schedule, err := status.ParseSchedule(data)
	if err != nil {
		return schedule, fmt.Errorf("read %s: %w", ScheduleKey(s), err)
	}
	return schedule, nil
}

// putSchedule replaces a site's schedule where the condition holds.
func (h *Host) putSchedule(ctx context.Context, s config.Site, schedule status.Schedule, cond store.Condition) error {
	_, err := h.Store.Put(ctx, ScheduleKey(s), schedule.Marshal(), StatusMeta, cond)
	return err
}
