package maintenance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/webhook"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// lookAfterWindows begins the windows whose time has come, notes those that were missed, completes those whose site is
// open again, and puts the next one into status.json. The receipts are of the sites that it closed.
func (h *Host) lookAfterWindows(ctx context.Context, drain time.Duration) (receipts []*Receipt, err error) {
	var all []*agenda
	var errs []error
	away := false // the store: it is asked once
	for _, s := range h.Config.Sites {
		if !h.isHostOf(s) {
			continue
		}
		a, err := h.agendaOf(s)
		errs = append(errs, err)
		if !away {
			switch err := h.sync(ctx, a); {
			case errors.Is(err, store.ErrUnavailable):
				away = true // what was read last holds
			case err != nil:
				errs = append(errs, fmt.Errorf("look after the windows of %s: %w", s.Name, err))
			}
		}
		errs = append(errs, a.clock, h.follow(ctx, a))
		all = append(all, a)
	}
	receipts, err = h.beginDue(ctx, all, drain)
	errs = append(errs, err)
	for _, a := range all {
		errs = append(errs, h.tellFound(ctx, a), h.announceNext(ctx, a))
	}
	return receipts, errors.Join(append(errs, h.keepTimer(ctx, all))...)
}

// isHostOf reports whether the site lives on this machine.
func (h *Host) isHostOf(s config.Site) bool {
	_, known, err := h.Dir().Record(s.Name)
	return known || err != nil || h.Serves(s)
}

// keepTimer has this host look after its windows when they begin.
func (h *Host) keepTimer(ctx context.Context, all []*agenda) error {
	if h.Timer == nil {
		return nil
	}
	var moments []time.Time
	for _, a := range all {
		for _, w := range a.Schedule.In(status.WindowScheduled) {
			if w.From.After(h.Clock.Now()) {
				moments = append(moments, w.From)
			}
		}
	}
	return h.Timer(ctx, moments)
}

// soon is how long reconcile waits at most for a window that is about to begin: what starts it at that moment must not
// find it at work already.
const soon = 5 * time.Second

// beginsIn is how long it takes until the next window begins, and false where none does soon.
func (h *Host) beginsIn() (time.Duration, bool) {
	for _, s := range h.Config.Sites {
		a, _, err := h.Dir().Agenda(s.Name)
		if err != nil || !h.isHostOf(s) {
			continue
		}
		for _, w := range a.Schedule.In(status.WindowScheduled) {
			if in := w.From.Sub(h.Clock.Now()); in > 0 && in <= soon {
				return in, true
			}
		}
	}
	return 0, false
}

// follow brings the windows that have begun up to date with their site: it may be open again, or have another ETA.
func (h *Host) follow(ctx context.Context, a *agenda) error {
	inProgress := a.Schedule.In(status.WindowInProgress)
	if len(inProgress) == 0 {
		return nil
	}
	r, known, err := h.Dir().Record(a.site.Name)
	if err != nil || !known {
		return err
	}
	changed := false
	for _, w := range inProgress {
		change := a.follows(w, r.Document, h.now())
		if change == nil {
			continue
		}
		changed = true
		if err := h.act(a, w.ID, change, nil); err != nil {
			return err
		}
	}
	if !changed {
		return h.keepAgenda(a)
	}
	_ = h.sync(ctx, a) // what isn't published now is published by the next reconcile
	return nil
}

// follows is what a window that has begun becomes by what its site is now, nil for what it is.
func (a *agenda) follows(w status.ScheduledWindow, d status.Document, now time.Time) func(status.Schedule) (status.Schedule, error) {
	deed, own := a.Deeds[w.ID]
	switch {
	case own && deed.Since == nil: // its closing is to be carried out still
		return nil
	case d.Mode.Closed():
		if !own {
			deed.Base = w.Sequence
		}
		deed.Since = &d.Since
		a.Deeds[w.ID] = deed
		if until := d.ExpectedUntil; until != nil && !until.Equal(w.Until) && until.After(w.From) {
			return func(s status.Schedule) (status.Schedule, error) { return s.Extend(w.ID, *until, now) }
		}
		return nil
	case own:
		return func(s status.Schedule) (status.Schedule, error) { return s.Complete(w.ID, *deed.Since, d.Since, now) }
	case d.Since.After(w.From):
		return func(s status.Schedule) (status.Schedule, error) { return s.Complete(w.ID, w.From, d.Since, now) }
	}
	if _, missed := w.Due(now); missed { // whoever began it never closed the site
		return func(s status.Schedule) (status.Schedule, error) { return s.Miss(w.ID, now) }
	}
	return nil
}

// followAll is follow for the sites of a change, once it is over.
func (h *Host) followAll(ctx context.Context, changes []*change) {
	for _, c := range changes {
		if a, err := h.agendaOf(c.site); err == nil && !a.first {
			_ = h.follow(ctx, a) // the next reconcile does what can't be done now
		}
	}
}

// beginning is a window that begins now.
type beginning struct {
	*agenda
	window status.ScheduledWindow
}

// beginDue begins the windows whose time has come, and notes those that are too late as missed. Sites that one command
// has scheduled together are closed together: they may share an upstream.
func (h *Host) beginDue(ctx context.Context, all []*agenda, drain time.Duration) (receipts []*Receipt, err error) {
	var errs []error
	var due []beginning
	for _, a := range all {
		if a.clock != nil {
			continue
		}
		for _, w := range append(a.Schedule.In(status.WindowInProgress), a.Schedule.In(status.WindowScheduled)...) {
			deed, own := a.Deeds[w.ID]
			if w.State == status.WindowInProgress && (!own || deed.Since != nil) {
				continue
			}
			begins, missed := w.Due(h.Clock.Now())
			switch {
			case missed && !deed.Ordered:
				errs = append(errs, h.miss(ctx, a, w))
			case w.State == status.WindowInProgress, begins || h.isClosedInto(a.site, w):
				mine, err := h.begin(ctx, a, w)
				errs = append(errs, err)
				if mine {
					now, _ := a.Schedule.Window(w.ID)
					due = append(due, beginning{a, now})
				}
			}
		}
	}
	for len(due) > 0 {
		var together, rest []beginning
		for _, b := range due {
			if b.window.ID == due[0].window.ID {
				together = append(together, b)
			} else {
				rest = append(rest, b)
			}
		}
		due = rest
		for _, group := range h.alike(together) {
			rs, err := h.closeFor(ctx, group, drain)
			receipts, errs = append(receipts, rs...), append(errs, err)
		}
	}
	return receipts, errors.Join(errs...)
}

// isClosedInto reports whether somebody has closed the site already, and beyond the window's start: the window has
// begun early.
func (h *Host) isClosedInto(s config.Site, w status.ScheduledWindow) bool {
	r, known, err := h.Dir().Record(s.Name)
	until := r.Document.ExpectedUntil
	return err == nil && known && r.Document.Mode.Closed() && until != nil && until.After(w.From)
}

// begin makes a window this host's to begin, and reports whether it is.
func (h *Host) begin(ctx context.Context, a *agenda, w status.ScheduledWindow) (bool, error) {
	if w.State == status.WindowInProgress {
		return true, nil
	}
	err := h.claim(ctx, a, w.ID, func(w status.ScheduledWindow) bool {
		begins, _ := w.Due(h.Clock.Now())
		return begins || h.isClosedInto(a.site, w)
	})
	if errors.Is(err, errLost) {
		return false, h.keepAgenda(a)
	}
	return err == nil, err
}

// alike puts the beginnings into groups that one change can close: with the same mode, end and words. A site that is
// closed already is a group of its own, because it keeps what it says.
func (h *Host) alike(together []beginning) [][]beginning {
	var groups [][]beginning
	for _, b := range together {
		i := slices.IndexFunc(groups, func(g []beginning) bool {
			return g[0].request(h) == nil && b.request(h) == nil && g[0].says(b)
		})
		if i < 0 {
			groups = append(groups, []beginning{b})
		} else {
			groups[i] = append(groups[i], b)
		}
	}
	return groups
}

// says reports whether both begin the same.
func (b beginning) says(other beginning) bool {
	is := func(b beginning) string {
		w := b.window
		w.Sequence, w.UpdatedAt, w.State = 0, time.Time{}, ""
		return string(status.Schedule{Windows: []status.ScheduledWindow{w}}.Marshal())
	}
	return is(b) == is(other)
}

// request is what a site that is closed already is to become by the window, nil for one that is open.
func (b beginning) request(h *Host) *Request {
	r, known, err := h.Dir().Record(b.site.Name)
	if err != nil || !known || !r.Document.Mode.Closed() {
		return nil
	}
	d, w := r.Document, b.window
	req := &Request{Mode: w.Mode, ETA: &w.Until}
	if d.Mode.StricterThan(w.Mode) {
		req.Mode = d.Mode
	}
	if d.ExpectedUntil != nil && d.ExpectedUntil.After(w.Until) {
		req.ETA = d.ExpectedUntil
	}
	if d.Message == nil && d.Messages == nil {
		req.Message, req.Messages = w.Message, w.Messages
	}
	return req
}

// closeFor closes the sites of windows that are alike, and writes down which are closed.
func (h *Host) closeFor(ctx context.Context, group []beginning, drain time.Duration) ([]*Receipt, error) {
	first := group[0]
	req := first.request(h)
	if req == nil {
		w := first.window
		req = &Request{Mode: w.Mode, ETA: &w.Until, Message: w.Message, Messages: w.Messages}
	}
	req.Drain, req.Reason = drain, first.reason()
	group, err := h.orderFor(ctx, group, *req)
	if len(group) == 0 || err != nil {
		return nil, err
	}
	for _, b := range group {
		req.Sites = append(req.Sites, b.site)
		if err := errors.Join(h.noteNext(b.agenda), h.closesForAll(b.site, req.Mode)); err != nil {
			return nil, err
		}
	}
	receipts, failure := h.move(ctx, *req)
	h.closedAlone(receipts) // of a fleet whose order can't be put
	errs := []error{}
	for i, b := range group {
		deed := b.Deeds[b.window.ID]
		if failure == nil && receipts[i].Outcome != state.Failed {
			deed.Since = new(receipts[i].Since)
		}
		switch {
		case failure != nil:
			errs = append(errs, h.tellFailure(b, failure, &deed))
		case receipts[i].Outcome == state.Failed:
			errs = append(errs, h.tellFailure(b, receipts[i].Err, &deed))
		case receipts[i].SafeSince == nil || receipts[i].Outcome == state.Shut:
			errs = append(errs, h.tellUnsafe(b, receipts[i]))
		}
		b.Deeds[b.window.ID] = deed
		errs = append(errs, h.keepAgenda(b.agenda), h.follow(ctx, b.agenda))
	}
	if failure != nil {
		failure = fmt.Errorf("begin window %s of %s: %w", first.window.ID, first.site.Name, failure)
	}
	return receipts, errors.Join(append(errs, failure)...)
}

// reason is why the site is closed, for the history.
func (b beginning) reason() string {
	text := "window " + b.window.ID
	note := b.Notes[b.window.ID]
	if note.Operator != "" {
		text += ", scheduled by " + note.Operator
	}
	if note.Reason != "" {
		text += ": " + note.Reason
	}
	return text
}

// miss says of a window that it did not begin in time.
func (h *Host) miss(ctx context.Context, a *agenda, w status.ScheduledWindow) error {
	miss := func(s status.Schedule) (status.Schedule, error) { return s.Miss(w.ID, h.now()) }
	if err := h.act(a, w.ID, miss, nil); err != nil {
		return err
	}
	_ = h.sync(ctx, a) // what isn't published now is published by the next reconcile
	if now, ok := a.Schedule.Window(w.ID); !ok || now.State != status.WindowMissed {
		return nil // somebody has moved it meanwhile
	}
	w.State = status.WindowMissed
	return h.tellWindow(ctx, webhook.Missed, a, w, "the window did not begin in time")
}
