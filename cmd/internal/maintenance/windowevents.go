package maintenance

import (
	"context"
	"errors"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/webhook"
	"github.com/msupply-foundation/conforma-status/status"
)

// eventUnsafe is what a command of on_change is told, in CONFORMA_STATUS_EVENT, where a window has begun and its site
// is not closed, or not safe to take a snapshot of.
const eventUnsafe = "unsafe"

// tellFailure says, once, that the closing of a window has failed. It is tried again while there is time.
func (h *Host) tellFailure(b beginning, why error, deed *state.Deed) error {
	if deed.Told {
		return nil
	}
	deed.Told = true
	return h.notify(eventUnsafe, "", h.windowEvent(b.agenda, b.window, "THE SITE IS NOT CLOSED: "+why.Error()))
}

// tellUnsafe says that a window has begun whose site is shut, but not safe to take a snapshot of.
func (h *Host) tellUnsafe(b beginning, r *Receipt) error {
	why := "NOT SAFE TO TAKE A SNAPSHOT"
	if r.Err != nil {
		why += ": " + r.Err.Error()
	}
	return h.notify(eventUnsafe, "", h.windowEvent(b.agenda, b.window, why)) // the webhooks know: safe is false
}

// tellFound tells on_change of the windows that somebody has scheduled, moved or cancelled.
func (h *Host) tellFound(ctx context.Context, a *agenda) error {
	var errs []error
	for _, w := range a.found {
		switch {
		case w.State == status.WindowScheduled && w.Sequence == 0:
			errs = append(errs, h.tellWindow(ctx, webhook.Scheduled, a, w, ""))
		case w.State == status.WindowScheduled:
			errs = append(errs, h.tellWindow(ctx, webhook.Moved, a, w, ""))
		case w.State == status.WindowCancelled:
			errs = append(errs, h.tellWindow(ctx, webhook.Cancelled, a, w, ""))
		}
	}
	a.found = nil
	return errors.Join(errs...)
}

// tellWindow tells on_change and the webhooks of a window.
func (h *Host) tellWindow(ctx context.Context, what webhook.Type, a *agenda, w status.ScheduledWindow, problem string) error {
	e := h.windowEvent(a, w, problem)
	r, known, err := h.Dir().Record(a.site.Name)
	if err != nil || !known {
		r.Document = firstDocument(a.site, h.now())
	}
	told := webhook.Of(what, e.At, r.Document, r.Document.Mode)
	told.Data.Window = &w
	err = h.notify(string(what), what, e)
	if len(h.Config.Webhooks) == 0 || !h.speaks(ctx, a.site) {
		return err
	}
	return errors.Join(err, h.tell(told, h.isSafe(ctx, a.site, r)))
}

// windowEvent is what on_change is told of a window: from the mode that its site is in to that which it is to be in.
func (h *Host) windowEvent(a *agenda, w status.ScheduledWindow, problem string) state.Event {
	e := state.Event{
		At: h.moment(), Site: a.site.Name, From: status.Online, To: w.Mode,
		Operator: h.Operator, Outcome: state.Planned, Error: problem, ExpectedUntil: &w.Until,
	}
	if r, known, err := h.Dir().Record(a.site.Name); err == nil && known {
		e.From, e.Seq = r.Document.Mode, r.Document.Seq
	}
	if note := a.Notes[w.ID]; note.Operator != "" {
		e.Operator, e.Reason = note.Operator, note.Reason
	}
	return e
}
