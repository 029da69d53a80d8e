package maintenance

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// agenda is what this host knows of a site's schedule, while it is being looked after.
type agenda struct {
	state.Agenda
	site config.Site
	// first is set where this host hasn't known the schedule before.
	first bool
	// fresh is set once the schedule was read from the store.
	fresh bool
	// clock is why windows are not to be begun by this machine's clock, nil where they may.
	clock error
	// found are the windows that somebody else has added or changed.
	found []status.ScheduledWindow
}

// agendaOf reads what this host knows of a site's schedule. A damaged copy is set aside: the store has the schedule.
func (h *Host) agendaOf(s config.Site) (*agenda, error) {
	a, known, err := h.Dir().Agenda(s.Name)
	if errors.Is(err, state.ErrAgenda) {
		err = h.setAside(h.Dir().AgendaFile(s.Name), err)
	}
	return &agenda{Agenda: a, site: s, first: !known}, err
}

// keepAgenda writes down what this host knows. Where nothing was ever scheduled there is nothing to keep.
func (h *Host) keepAgenda(a *agenda) error {
	if a.first && len(a.Schedule.Windows) == 0 {
		return nil
	}
	return h.Dir().WriteAgenda(a.site.Name, a.Agenda)
}

// sync brings the agenda and the schedule in the store together. It publishes what this host has made of its windows,
// unless somebody has changed them since, and takes over what others have changed. If the store can't be reached, the
// agenda stays as it is.
func (h *Host) sync(ctx context.Context, a *agenda) error {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	for range publishAttempts {
		there, err := h.readSchedule(ctx, a.site)
		a.clock = h.clockAgrees(there.date)
		if err != nil {
			return err
		}
		schedule := there.schedule
		if there.absent { // whoever emptied the store has cancelled nothing
			schedule = a.Schedule
		}
		merged, deeds := a.merge(schedule, h.now())
		if string(merged.Marshal()) != string(there.schedule.Marshal()) {
			err = h.putSchedule(ctx, a.site, merged, there.cond)
			if errors.Is(err, store.ErrPrecondition) {
				continue
			}
			if err != nil {
				return err
			}
		}
		a.take(there.schedule)
		a.Schedule, a.Deeds, a.fresh = merged, deeds, true
		h.syncCalendar(ctx, a)
		return h.keepAgenda(a)
	}
	return errChanging(ScheduleKey(a.site))
}

// syncCalendar publishes the schedule in the store as a calendar, where that wasn't done yet. What fails is tried again
// by the next reconcile.
func (h *Host) syncCalendar(ctx context.Context, a *agenda) {
	tag := store.ContentETag(a.Schedule.Marshal())
	if tag == a.Calendar || len(a.Schedule.Windows) == 0 && a.Calendar == "" {
		return
	}
	if _, _, err := h.PublishCalendar(ctx, a.site); err == nil {
		a.Calendar = tag
	}
}

// take notes which windows of the schedule in the store are new, or were changed by somebody else.
func (a *agenda) take(there status.Schedule) {
	for _, w := range there.Windows {
		was, known := a.Schedule.Window(w.ID)
		if _, own := a.Deeds[w.ID]; !own && (!known || was.Sequence != w.Sequence) {
			a.found = append(a.found, w)
		}
	}
}

// merge is the schedule in the store with what this host has made of its windows, and what remains of that to be
// known.
func (a *agenda) merge(there status.Schedule, now time.Time) (status.Schedule, map[string]state.Deed) {
	deeds := map[string]state.Deed{}
	for id, deed := range a.Deeds {
		own, _ := a.Schedule.Window(id)
		if deed.Unpublished {
			done, err := replay(there, own, deed.Base, now)
			if err != nil {
				continue // somebody else has changed it meanwhile: theirs stands
			}
			there, deed.Unpublished = done, false
		}
		if w, ok := there.Window(id); ok && w.State == status.WindowInProgress {
			deed.Base = w.Sequence
			deeds[id] = deed
		}
	}
	return there, deeds
}

// errOthers is returned where a window isn't as it was when this host made something of it.
var errOthers = errors.New("somebody else has changed it since")

// replay does to the window in the store what this host has done to it, from the sequence number that it had.
func replay(there status.Schedule, own status.ScheduledWindow, base uint64, now time.Time) (status.Schedule, error) {
	w, ok := there.Window(own.ID)
	if !ok || w.State.Over() || w.State == status.WindowScheduled && w.Sequence != base {
		return there, errOthers
	}
	var err error
	if w.State == status.WindowScheduled && own.State != status.WindowMissed {
		if there, err = there.Begin(own.ID, now); err != nil {
			return there, err
		}
	}
	switch {
	case own.State == status.WindowMissed:
		return there.Miss(own.ID, now)
	case own.State == status.WindowCompleted:
		return there.Complete(own.ID, own.From, own.Until, now)
	case !own.Until.Equal(w.Until):
		return there.Extend(own.ID, own.Until, now)
	}
	return there, nil
}

// act has this host make something of a window, and writes that down. sync publishes it.
func (h *Host) act(a *agenda, id string, change func(status.Schedule) (status.Schedule, error), since *time.Time) error {
	w, _ := a.Schedule.Window(id)
	schedule, err := change(a.Schedule)
	if err != nil {
		return err
	}
	deed, own := a.Deeds[id]
	if !own || !deed.Unpublished {
		deed.Base = w.Sequence
	}
	deed.Unpublished = true
	if since != nil {
		deed.Since = since
	}
	a.Schedule, a.Deeds[id] = schedule, deed
	return h.keepAgenda(a)
}

// errLost is returned by claim where a window isn't this host's to begin, or not any more.
var errLost = errors.New("somebody has moved or cancelled it meanwhile")

// claim puts a window from scheduled to in progress, so that it begins only once. due is asked about the window as it
// is at that moment. If the store can't be reached, this host begins it by what it read last. The error wraps errLost
// where the window isn't this host's to begin.
func (h *Host) claim(ctx context.Context, a *agenda, id string, due func(status.ScheduledWindow) bool) error {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	was, deeds := a.Schedule, a.Deeds
	begin := func(s status.Schedule) (status.Schedule, error) { return s.Begin(id, h.now()) }
	for range publishAttempts {
		there, unread := h.readSchedule(ctx, a.site)
		if unread == nil && !there.absent {
			was, deeds = a.merge(there.schedule, h.now())
			a.take(there.schedule)
			a.Schedule, a.Deeds = was, deeds
		}
		w, ok := a.Schedule.Window(id)
		if !ok || w.State != status.WindowScheduled || !due(w) {
			return errLost
		}
		a.Deeds = maps.Clone(deeds)
		if err := h.act(a, id, begin, nil); err != nil {
			return err
		}
		if unread != nil {
			return nil
		}
		err := h.putSchedule(ctx, a.site, a.Schedule, there.cond)
		if errors.Is(err, store.ErrPrecondition) {
			a.Schedule, a.Deeds = was, deeds
			continue
		}
		if err == nil {
			deed := a.Deeds[id]
			now, _ := a.Schedule.Window(id)
			deed.Base, deed.Unpublished = now.Sequence, false
			a.Deeds[id] = deed
			return h.keepAgenda(a)
		}
		return nil // it may be written or not: sync finds out
	}
	a.Schedule, a.Deeds = was, deeds
	return errors.Join(errChanging(ScheduleKey(a.site)), h.keepAgenda(a))
}
