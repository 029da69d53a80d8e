package maintenance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/webhook"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// elsewhere is who the history names where another machine has published something.
const elsewhere = "another machine"

// takeOver has the record say what another machine has published of a site since: the ETA and the words, never a mode.
// What can't be written down is taken over next time.
func (h *Host) takeOver(s config.Site, r *state.Record, there status.Document) {
	was := r.Document
	if there.Seq <= was.Seq || there.Site != s.Name {
		return
	}
	is := *r
	is.Document.Seq, is.Document.UpdatedAt = there.Seq, there.UpdatedAt
	if was.Mode.Closed() && there.Mode.Closed() {
		is.Document.ExpectedUntil, is.Document.Message, is.Document.Messages = there.ExpectedUntil, there.Message, there.Messages
		is.Published = there.Seq // what is replaced later is our own by then
	}
	told := is.Document
	told.Seq, told.UpdatedAt = was.Seq, was.UpdatedAt
	if h.Dir().WriteRecord(s.Name, is) != nil {
		return
	}
	*r = is
	_ = h.Dir().WriteAnswers(h.Dir().Announced(is.Document, is.Hold))
	if told.Same(was) {
		return
	}
	e := state.Event{
		At: h.moment(), Site: s.Name, From: was.Mode, To: was.Mode, Operator: elsewhere,
		Outcome: state.Done, Seq: there.Seq, ExpectedUntil: there.ExpectedUntil,
	}
	_, _ = h.Dir().AppendHistory([]state.Event{e}, h.Config.AuditLog) // the past is for people: it holds up nothing
	_ = h.notify(eventChange, webhook.Extended, e)
	_ = h.tell(webhook.Of(webhook.Extended, e.At, is.Document, was.Mode), r.SafeSince != nil && h.Config.Fleet == nil)
}

// takeOverWords is takeOver for those of the sites that are closed, before something else is said of them. A store
// that can't be reached holds up nothing.
func (h *Host) takeOverWords(ctx context.Context, sites []config.Site) {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	for _, s := range sites {
		r, known, err := h.Dir().Record(s.Name)
		if err != nil || !known || !r.Document.Mode.Closed() {
			continue
		}
		if there, err := h.published(ctx, s); err == nil {
			h.takeOver(s, &r, there)
		}
	}
}

// Extend gives closed sites another ETA or other words, without touching nginx. For a site that lives on another
// machine it changes only what is published, which has to say that the site is closed; that machine takes it over. The
// errors are those of Set with KeepsMode.
func (h *Host) Extend(ctx context.Context, req Request) ([]*Receipt, error) {
	var here, there []config.Site
	for _, s := range req.Sites {
		if _, known, err := h.Dir().Record(s.Name); known || err != nil {
			here = append(here, s)
		} else {
			there = append(there, s)
		}
	}
	// What can't be done of any is found out before something is done of one.
	for _, s := range there {
		d, err := h.published(ctx, s)
		switch {
		case errors.Is(err, store.ErrNotFound):
			err = fmt.Errorf("change what is said about %s: %w: nothing is published of it", s.Name, ErrOnline)
		case err == nil:
			_, err = req.said(d, h.now())
		}
		if err != nil {
			return nil, err
		}
	}
	var all []*Receipt
	if len(here) > 0 {
		req.Sites = here
		receipts, err := h.Set(ctx, req)
		if err != nil {
			return nil, err
		}
		all = receipts
	}
	for _, s := range there {
		all = append(all, h.extendPublished(ctx, s, req))
	}
	return all, nil
}

// said is the published document with what the request says.
func (req Request) said(d status.Document, now time.Time) (status.Document, error) {
	req.Keeps = KeepsMode
	if err := req.fit(d, now); err != nil {
		return d, err
	}
	return next(d, config.Site{AppURL: d.AppURL, PageURL: d.PageURL}, req, now), nil
}

// extendPublished is Extend for one site that lives on another machine.
func (h *Host) extendPublished(ctx context.Context, s config.Site, req Request) *Receipt {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	d, changed, err := h.changePublished(ctx, s, func(d *status.Document) (err error) {
		*d, err = req.said(*d, h.now())
		return err
	})
	r := &Receipt{
		Site: s.Name, Mode: d.Mode, Previous: d.Mode, Outcome: state.Unchanged, Published: true, On: OnAnother,
		Warnings: []string{}, Steps: []StepTime{},
	}
	r.describe(d)
	if err != nil {
		r.fail(state.Failed, err)
		return r
	}
	if changed {
		r.Outcome = state.Done
	}
	if err := h.extendWindows(ctx, s, d); err != nil {
		r.warn(fmt.Sprintf("the window of %s still has its old end: %v", s.Name, err))
	}
	return r
}

// extendWindows gives the windows of a site that have begun the end that its document announces.
func (h *Host) extendWindows(ctx context.Context, s config.Site, d status.Document) error {
	if d.ExpectedUntil == nil {
		return nil
	}
	changed := false
	_, err := h.changeSchedule(ctx, s, func(schedule status.Schedule) (_ status.Schedule, err error) {
		changed = false
		for _, w := range schedule.In(status.WindowInProgress) {
			if w.Until.Equal(*d.ExpectedUntil) || !d.ExpectedUntil.After(w.From) {
				continue
			}
			if schedule, err = schedule.Extend(w.ID, *d.ExpectedUntil, h.now()); err != nil {
				return schedule, err
			}
			changed = true
		}
		return schedule, nil
	})
	if err == nil && changed {
		_, _, err = h.PublishCalendar(ctx, s)
	}
	return err
}
