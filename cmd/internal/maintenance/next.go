package maintenance

import (
	"context"
	"errors"
	"fmt"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/status"
)

// noteNext has the record announce the next window, without telling anybody yet.
func (h *Host) noteNext(a *agenda) error {
	r, known, err := h.Dir().Record(a.site.Name)
	if err != nil || !known || sameWindow(r.Document.Next, a.Schedule.Next()) {
		return err
	}
	r.Document.Next = a.Schedule.Next()
	return h.Dir().WriteRecord(a.site.Name, r)
}

func sameWindow(a, b *status.Window) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.From.Equal(b.From) && (a.Until == nil) == (b.Until == nil) && (a.Until == nil || a.Until.Equal(*b.Until))
}

// announceNext has status.json announce the next window. What can't be published now is published by the next
// reconcile.
func (h *Host) announceNext(ctx context.Context, a *agenda) error {
	r, known, err := h.Dir().Record(a.site.Name)
	switch {
	case err != nil || a.first && len(a.Schedule.Windows) == 0:
		return nil // the repair of that record says why; and there was never a window
	case h.Config.Fleet != nil && sameWindow(r.Document.Next, a.Schedule.Next()):
		return nil
	case !known, h.Config.Fleet != nil: // the record of one host of a fleet is not what all of them do
		if a.fresh {
			err = h.publishNext(ctx, a.site)
		}
		return err
	case sameWindow(r.Document.Next, a.Schedule.Next()):
		return nil
	}
	h.isOutdated(ctx, a.site, &r) // for newer words, which are not to be lost
	r.Document.Next = a.Schedule.Next()
	r.Document.Seq, r.Document.UpdatedAt = r.Document.Seq+1, h.now()
	if _, err := h.publishRecord(ctx, a.site, &r); err == nil {
		return nil
	}
	r.Unpublished = true
	return errors.Join(h.Dir().WriteRecord(a.site.Name, r), h.Dir().WriteAnswers(h.Dir().Announced(r.Document, r.Hold)))
}

// publishNext puts the next window into a status.json of which this machine has no record, and changes nothing else in
// it. It reads the schedule after the document that it replaces: of several machines, the last to write has also read
// last.
func (h *Host) publishNext(ctx context.Context, s config.Site) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	d, _, err := h.changePublished(ctx, s, func(d *status.Document) error {
		schedule, err := h.Schedule(ctx, s)
		d.Next = schedule.Next()
		return err
	})
	if err == nil && h.Serves(s) && !d.Mode.Closed() {
		_ = h.Dir().WriteAnswers(d)
	}
	return err
}

// changePublished has change alter what a site's status.json says, where this machine has no record of the site. If
// nothing is published, it makes a first document. It reports whether anything was changed.
func (h *Host) changePublished(ctx context.Context, s config.Site, change func(*status.Document) error) (d status.Document, changed bool, err error) {
	changed, err = h.update(ctx, StatusKey(s), StatusMeta, func(data []byte) (_ []byte, err error) {
		if d, err = status.Parse(data); data == nil {
			d, err = firstDocument(s, h.Clock.Now()), nil
			d.Seq = 1
		}
		if err != nil {
			return nil, fmt.Errorf("change %s: %w: %w", StatusKey(s), errNotDocument, err)
		}
		was := d
		if err := change(&d); err != nil {
			return nil, err
		}
		if !d.Same(was) {
			d.Seq, d.UpdatedAt = d.Seq+1, h.now()
		} else if data != nil {
			return nil, nil
		}
		return d.Marshal(), nil
	})
	return d, changed, err
}
