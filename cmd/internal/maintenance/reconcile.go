package maintenance

import (
	"context"
	"errors"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// Reconcile finishes an interrupted change, or undoes it when it can't be finished, and then brings every site that this
// machine has a record of back to what the record says: its rules, its closed file, and what is published. Where all
// agrees it changes nothing, so that it may run every minute. The receipts are of the sites that it did something about.
//
// Where nginx doesn't run only its files are put right, as at boot before it starts: see standBy and ErrWaits.
func (h *Host) Reconcile(ctx context.Context, drain time.Duration) ([]*Receipt, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	forgotten := h.forgetVerdicts()
	if _, err := h.Nginx.Master(); errors.Is(err, workers.ErrNotRunning) {
		return nil, errors.Join(h.standBy(ctx), forgotten)
	}
	finished, err := h.finishInterrupted(ctx, func(intendedOne) bool { return false })
	if err != nil {
		return nil, err
	}
	var changes, reapply []*change
	damaged := []error{forgotten}
	for _, s := range h.Config.Sites {
		r, known, err := h.record(s.Name)
		if err != nil {
			damaged = append(damaged, err) // which mode is wanted isn't known: that is for the operator to say
		}
		if err != nil || !known {
			continue
		}
		if err := h.remind(s.Name, r); err != nil {
			damaged = append(damaged, err)
		}
		c, err := h.plan(ctx, s, Request{Mode: r.Document.Mode}, &r.Document)
		if err != nil {
			return nil, err
		}
		h.unsettle(ctx, c)
		changes = append(changes, c)
		if c.reapply {
			reapply = append(reapply, c)
		}
	}
	if err := h.audit(ctx, reapply, true); err != nil {
		return nil, err
	}
	if err := h.carryOut(ctx, changes, intent{Reason: "reconcile", Force: true, Drain: drain}); err != nil {
		return nil, err
	}
	for _, c := range changes {
		if c.receipt.Outcome != Unchanged {
			finished = append(finished, c.receipt)
		}
	}
	return finished, errors.Join(damaged...)
}

// unsettle works out what of a site has to be mended. What is merely not known to be safe stays as it is: that is for
// the operator to decide, and doing it again each minute would help nobody.
func (h *Host) unsettle(ctx context.Context, c *change) {
	if c.inForce {
		c.reapply, c.shutFirst = false, false
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	there, err := h.published(ctx, c.site)
	switch {
	case errors.Is(err, status.ErrVersion): // a newer conforma-status is at work there
	case errors.Is(err, store.ErrNotFound), errors.Is(err, errNotDocument):
		c.record.Unpublished = true
	case err != nil: // a store that can't be reached is tried again next time
	case there.Seq != c.record.Document.Seq, !there.Same(h.announced(c.record.Document, c.record.Waits)):
		c.record.Unpublished = true
	}
}
