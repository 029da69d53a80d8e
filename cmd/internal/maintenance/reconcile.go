package maintenance

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// Reconcile finishes an interrupted change, or undoes it, and then brings each site on record back to what the record
// says: rules, closed file, publication. Where all agrees it changes nothing, so it may run every minute. The
// receipts are of the sites that it did something about.
//
// A window whose time has come is begun, see lookAfterWindows; one that begins in a moment is waited for.
//
// Where nginx doesn't run only its files are put right: see standBy and ErrNginxNeeded.
func (h *Host) Reconcile(ctx context.Context, drain time.Duration) ([]*Receipt, error) {
	receipts, err := h.reconcile(ctx, drain)
	if in, begins := h.beginsIn(); begins && h.Clock.Sleep(ctx, in) == nil {
		more, failure := h.reconcile(ctx, drain)
		receipts, err = append(receipts, more...), errors.Join(err, failure)
	}
	return receipts, err
}

// reconciles is the reason that a change of Reconcile gives.
const reconciles = "reconcile"

func (h *Host) reconcile(ctx context.Context, drain time.Duration) ([]*Receipt, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	forgotten := h.forgetVerdicts()
	if _, err := h.Nginx.Master(); errors.Is(err, workers.ErrNotRunning) {
		return nil, errors.Join(h.standBy(ctx), forgotten)
	}
	finished, err := h.finishInterrupted(ctx, func(state.SiteChange) bool { return false })
	if err != nil {
		return nil, err
	}
	begun, unbegun := h.lookAfterWindows(ctx, drain)
	finished = append(finished, begun...)
	kernel := h.table(ctx)
	changes, damaged, err := h.planRepairs(ctx, kernel, begun)
	if err != nil {
		return finished, errors.Join(err, unbegun)
	}
	if err := h.carryOut(ctx, kernel, changes, state.Intent{Reason: reconciles, Force: true, Drain: drain}); err != nil {
		return finished, errors.Join(err, unbegun)
	}
	for _, c := range changes {
		if c.receipt.Outcome != state.Unchanged {
			finished = append(finished, c.receipt)
		}
	}
	return finished, errors.Join(forgotten, unbegun, damaged, h.keepBarrier(ctx))
}

// planRepairs works out what each site on record needs, except those that were closed just now. It leaves out the sites
// in damaged: for these the operator has to say the mode.
func (h *Host) planRepairs(ctx context.Context, kernel *table, begun []*Receipt) (changes []*change, damaged, err error) {
	var closed []config.Site
	for s, r := range kernel.onRecord() {
		if r.Document.Mode.Closed() {
			closed = append(closed, s)
		}
	}
	kernel.try(ctx, closed)
	var takeUp []*change
	for _, s := range h.Config.Sites {
		r, known, err := h.Dir().Record(s.Name)
		if err != nil {
			damaged = errors.Join(damaged, err)
		}
		if err != nil || !known || slices.ContainsFunc(begun, func(r *Receipt) bool { return r.Site == s.Name }) {
			continue
		}
		if err := h.remind(ctx, s, r); err != nil {
			damaged = errors.Join(damaged, err)
		}
		if waits, err := h.waits(s.Name); err != nil || waits {
			damaged = errors.Join(damaged, err)
			continue // it stays shut until the fleet's order is read
		}
		r.Unpublished = h.isOutdated(ctx, s, &r) || r.Unpublished
		c, err := h.planRepair(ctx, kernel, s, r)
		if err != nil {
			return nil, damaged, err
		}
		changes = append(changes, c)
		if c.has(StepInstall) {
			takeUp = append(takeUp, c)
		}
	}
	kernel.noteSiblings(changes)
	return changes, damaged, h.audit(ctx, takeUp, true)
}

// isOutdated reports whether what is published of a site has to be published anew. Words that are newer than those on
// record are taken over first, into r too.
func (h *Host) isOutdated(ctx context.Context, s config.Site, r *state.Record) bool {
	if h.Config.Fleet != nil { // the agents see to it
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	there, err := h.published(ctx, s)
	switch {
	case errors.Is(err, status.ErrVersion): // a newer conforma-status is at work there
		return false
	case errors.Is(err, store.ErrNotFound), errors.Is(err, errNotDocument):
		return true
	case err != nil: // a store that can't be reached is tried again next time
		return false
	}
	h.takeOver(s, r, there)
	return there.Seq != r.Document.Seq || !there.Same(h.Dir().Announced(r.Document, r.Hold))
}
