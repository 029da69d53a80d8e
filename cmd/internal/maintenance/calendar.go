package maintenance

import (
	"bytes"
	"context"
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
	put, err = h.update(ctx, CalendarKey(s), CalendarMeta, func(was []byte) ([]byte, error) {
		// The calendar was read before the schedule: whoever replaces it with a newer one in between is noticed.
		there, err := h.readSchedule(ctx, s)
		if err != nil || there.absent {
			return nil, err
		}
		if data = calendarOf(s, there.schedule); bytes.Equal(data, was) {
			return nil, nil
		}
		return data, nil
	})
	return data, put, err
}
