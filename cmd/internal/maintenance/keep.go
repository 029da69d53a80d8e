package maintenance

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
)

// ErrBarrierLost is returned (wrapped) by Reconcile where the kernel barrier is required, sites are closed behind it,
// and the kernel no longer does what is wanted, or can't be asked. nginx keeps the sites shut.
var ErrBarrierLost = errors.New("the kernel barrier is required, and closed sites are no longer known to have it")

// keepBarrier keeps the barrier, see keepAll.
func (h *Host) keepBarrier(ctx context.Context) error {
	err := h.keepAll(ctx)
	if err != nil && h.Config.Barrier == config.BarrierRequired {
		return fmt.Errorf("%w: %w", ErrBarrierLost, err)
	}
	return err
}

// keepAll brings the kernel barrier of closed sites up to date: workers may have other users now, and names other
// addresses. A site that was closed when there could be no barrier gets one.
func (h *Host) keepAll(ctx context.Context) error {
	t := h.table(ctx)
	records := map[string]state.Record{}
	barred := false
	for s, r := range t.onRecord() {
		barred = barred || r.Barrier
		records[s.Name] = r
	}
	if t.err != nil && barred {
		return t.err
	}
	if t.err != nil || len(t.found.Sites) == 0 {
		return nil
	}
	var without []config.Site
	for _, s := range h.Config.Sites {
		r, known := records[s.Name]
		if known && r.Document.Mode.Closed() && r.Safe() && !r.Barrier && len(s.Upstreams) > 0 && t.none[s.Name] == nil {
			without = append(without, s)
		}
	}
	t.readFirst(ctx, without)
	t.try(ctx, without) // all at once: they may share an upstream
	var gets []string
	for _, s := range without {
		if t.none[s.Name] == nil {
			gets = append(gets, s.Name)
		}
	}
	for _, name := range gets {
		r := records[name]
		r.Barrier = true
		records[name], t.wants[name] = r, treatmentOf(r)
	}
	return t.keep(ctx, records, gets)
}

// keep has the kernel do what is wanted where it doesn't, and proves it. gets are the sites that get a barrier by it.
func (t *table) keep(ctx context.Context, records map[string]state.Record, gets []string) error {
	if isWanted(t.rules()) {
		if err := t.findUsers(); err != nil {
			return err
		}
		if t.differs == "" && len(gets) == 0 && t.known.Tells(t.rules()) {
			return nil
		}
	} else if !t.there {
		return nil
	}
	var offline []string
	for name, w := range t.wants {
		if w == refused {
			offline = append(offline, name)
		}
	}
	err := t.load(ctx)
	if err == nil && len(offline) > 0 {
		_, err = t.prove(ctx, offline)
	}
	errs := []error{err}
	for name, rec := range records {
		switch got := slices.Contains(gets, name); {
		case err == nil && got:
		case err != nil && rec.Barrier && !got:
			rec.Barrier, rec.SafeSince = false, nil
		default:
			continue
		}
		errs = append(errs, t.Dir().WriteRecord(name, rec))
	}
	return errors.Join(errs...)
}
