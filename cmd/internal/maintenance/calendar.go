package maintenance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/calendar"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// CalendarKey is where a site's calendar lies in the store.
func CalendarKey(s config.Site) string { return path.Join(s.Path, calendar.FileName) }

// CalendarMeta is how a calendar is served.
var CalendarMeta = store.Meta{ContentType: calendar.MediaType, CacheControl: "no-cache"}

// calendarOf is the calendar of a site's schedule.
func calendarOf(s config.Site, schedule status.Schedule) []byte {
	title := s.Name
	if u, err := url.Parse(s.AppURL); err == nil { // it was parsed when the configuration was read
		title = u.Host
	}
	return calendar.Of(schedule, calendar.Site{Name: s.Name, Title: title, PageURL: s.PageURL})
}

// PublishCalendar brings the calendar of a site up to date with its schedule in the store, and returns it; nil if there
// is no schedule. put tells whether it had to write it. The error may wrap status.ErrSchedule or
// status.ErrScheduleVersion, or be one of the store's.
func (h *Host) PublishCalendar(ctx context.Context, s config.Site) (data []byte, put bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	for range publishAttempts {
		// The calendar is read before the schedule: whoever replaces it with a newer one in between is noticed.
		cond := store.IfAbsent()
		was, etag, err := h.Store.Get(ctx, CalendarKey(s))
		switch {
		case err == nil:
			cond = store.IfMatch(etag)
		case !errors.Is(err, store.ErrNotFound):
			return nil, false, err
		}
		text, _, err := h.Store.Get(ctx, ScheduleKey(s))
		if errors.Is(err, store.ErrNotFound) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		schedule, err := status.ParseSchedule(text)
		if err != nil {
			return nil, false, fmt.Errorf("read %s: %w", ScheduleKey(s), err)
		}
		data := calendarOf(s, schedule)
		if bytes.Equal(data, was) {
			return data, false, nil
		}
		_, err = h.Store.Put(ctx, CalendarKey(s), data, CalendarMeta, cond)
		if errors.Is(err, store.ErrPrecondition) {
			continue
		}
		return data, err == nil, err
	}
	return nil, false, fmt.Errorf("publish %s: somebody else changes it at the same time", CalendarKey(s))
}
