package maintenance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// leastAhead is how far ahead a window has to begin that is scheduled on another machine than the site's host: that
// one looks for it once a minute.
const leastAhead = 2 * time.Minute

// ErrTooSoon is returned (wrapped) for a window that begins before its host can know of it.
var ErrTooSoon = errors.New("it begins in less than two minutes, and the site's host looks once a minute")

// ErrBegun is returned (wrapped) for a window that would begin in the past.
var ErrBegun = errors.New("it would begin in the past")

// Announcement is a change of the schedules of sites.
type Announcement struct {
	Sites []config.Site
	// ID is the window's, the same for each site.
	ID string
	// Change makes the new schedule of a site. It may be asked several times. Its errors come back as they are.
	Change func(s status.Schedule, now time.Time) (status.Schedule, error)
	Reason string // for the record of the host, not for visitors
	// IfThere leaves out the sites whose schedule has no window of this ID, as long as another has one.
	IfThere bool
}

// Announced is what came of it for one site.
type Announced struct {
	Site    string                   `json:"site"`
	Windows []status.ScheduledWindow `json:"windows"`
	// Published is whether status.json announces the next window as it is now.
	Published bool `json:"published"`

	PublishErr error    `json:"-"` // why it doesn't, nil otherwise
	Warnings   []string `json:"-"`
}

// Announce changes the schedules of sites, all of them or none, and has status.json announce the next window of each.
// An error means that nothing is as it was asked for.
func (h *Host) Announce(ctx context.Context, req Announcement) ([]Announced, error) {
	var err error
	if req.IfThere {
		if req.Sites, err = h.withWindow(ctx, req.Sites, req.ID); err != nil {
			return nil, err
		}
	}
	for _, s := range req.Sites { // what can't be done of any is found out before something is done of one
		there, err := h.readSchedule(ctx, s)
		if err == nil {
			err = h.clockAgrees(there.date)
		}
		if err == nil {
			_, err = h.changed(s, req, there.schedule)
		}
		if err != nil {
			return nil, err
		}
	}
	unlock, err := h.lockOfHosts(ctx, req.Sites)
	if err != nil {
		return nil, err
	}
	defer unlock()
	before := map[string]status.Schedule{}
	var all []Announced
	for _, s := range req.Sites {
		schedule, err := h.changeSchedule(ctx, s, func(was status.Schedule) (status.Schedule, error) {
			before[s.Name] = was
			return h.changed(s, req, was)
		})
		if err != nil {
			for _, one := range all {
				err = errors.Join(err, h.takeBack(ctx, one, req.ID, before[one.Site]))
			}
			return nil, err
		}
		w, _ := schedule.Window(req.ID)
		all = append(all, Announced{Site: s.Name, Windows: []status.ScheduledWindow{w}})
	}
	for i, s := range req.Sites {
		all[i].Warnings, all[i].PublishErr = h.announceNow(ctx, s, req)
		all[i].Published = all[i].PublishErr == nil
	}
	return all, nil
}

// changed is a site's schedule with the change, or why it can't have it.
func (h *Host) changed(s config.Site, req Announcement, was status.Schedule) (status.Schedule, error) {
	now := h.Clock.Now()
	schedule, err := req.Change(was, now)
	if err != nil {
		return schedule, fmt.Errorf("change the schedule of %s: %w", s.Name, err)
	}
	w, ok := schedule.Window(req.ID)
	switch old, _ := was.Window(req.ID); {
	case !ok || w.State != status.WindowScheduled || old.State == w.State && old.From.Equal(w.From):
		return schedule, nil
	case !w.From.After(now):
		return schedule, fmt.Errorf("change the schedule of %s: %w", s.Name, ErrBegun)
	case w.From.Before(now.Add(leastAhead)) && !h.isHostOf(s):
		return schedule, fmt.Errorf("change the schedule of %s: %w", s.Name, ErrTooSoon)
	}
	return schedule, nil
}

// Window returns the window of an id, of the first of the sites that has one. The error wraps status.ErrNoWindow for
// none.
func (h *Host) Window(ctx context.Context, sites []config.Site, id string) (status.ScheduledWindow, error) {
	found, err := h.withWindow(ctx, sites, id)
	if err != nil {
		return status.ScheduledWindow{}, err
	}
	schedule, err := h.Schedule(ctx, found[0])
	w, _ := schedule.Window(id)
	return w, err
}

// withWindow are the sites whose schedule has a window of the id. The error wraps status.ErrNoWindow for none.
func (h *Host) withWindow(ctx context.Context, sites []config.Site, id string) ([]config.Site, error) {
	var found []config.Site
	for _, s := range sites {
		there, err := h.readSchedule(ctx, s)
		if err != nil {
			return nil, err
		}
		if _, ok := there.schedule.Window(id); ok {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("find window %s: %w", id, status.ErrNoWindow)
	}
	return found, nil
}

// lockOfHosts is the lock where one of the sites lives on this machine: nothing looks after its windows meanwhile.
func (h *Host) lockOfHosts(ctx context.Context, sites []config.Site) (unlock func(), err error) {
	if slices.ContainsFunc(sites, h.isHostOf) {
		return h.lock(ctx)
	}
	return func() {}, nil
}

// takeBack undoes the change of one site's window, where it could not be made for all. Its sequence number grows all
// the same, where it was there before.
func (h *Host) takeBack(ctx context.Context, done Announced, id string, before status.Schedule) error {
	s, _ := h.Config.Site(done.Site)
	_, err := h.changeSchedule(ctx, s, func(now status.Schedule) (status.Schedule, error) {
		was, there := before.Window(id)
		if w, _ := now.Window(id); w.Sequence != done.Windows[0].Sequence {
			return now, nil // somebody else has changed it meanwhile
		}
		now.Windows = slices.DeleteFunc(slices.Clone(now.Windows), func(w status.ScheduledWindow) bool { return w.ID == id })
		if there {
			was.Sequence, was.UpdatedAt = done.Windows[0].Sequence+1, h.now()
			now.Windows = append(now.Windows, was)
		}
		return now, nil
	})
	if err != nil {
		return fmt.Errorf("take back what was announced for %s: %w", done.Site, err)
	}
	return nil
}

// announceNow has status.json announce the next window of a site whose schedule was changed. Where it lives here this
// host takes note of it.
func (h *Host) announceNow(ctx context.Context, s config.Site, req Announcement) (warnings []string, err error) {
	if !h.isHostOf(s) {
		err = h.publishNext(ctx, s)
		if _, _, failed := h.PublishCalendar(ctx, s); failed != nil {
			warnings = append(warnings, fmt.Sprintf("the calendar of %s is not up to date yet: %v", s.Name, failed))
		}
		return warnings, err
	}
	a, err := h.agendaOf(s)
	if err == nil {
		err = h.sync(ctx, a)
	}
	if err != nil {
		return nil, err
	}
	note := state.Note{Operator: h.Operator, Reason: req.Reason}
	if was, ok := a.Notes[req.ID]; ok && req.Reason == "" {
		note.Reason = was.Reason
	}
	a.Notes[req.ID] = note
	err = errors.Join(h.keepAgenda(a), h.announceNext(ctx, a))
	for _, failed := range []error{h.tellFound(ctx, a), h.keepTimer(ctx, h.agendas())} {
		if failed != nil {
			warnings = append(warnings, failed.Error())
		}
	}
	if err != nil {
		return warnings, err
	}
	r, known, err := h.Dir().Record(s.Name)
	if err == nil && known && r.Unpublished {
		err = fmt.Errorf("publish %s: %w", StatusKey(s), store.ErrUnavailable)
	}
	return warnings, err
}

// agendas are what this host knows of the schedules of its sites.
func (h *Host) agendas() (all []*agenda) {
	for _, s := range h.Config.Sites {
		if a, _, err := h.Dir().Agenda(s.Name); err == nil && h.isHostOf(s) {
			all = append(all, &agenda{Agenda: a, site: s})
		}
	}
	return all
}
