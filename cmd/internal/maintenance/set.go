package maintenance

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/status"
)

// Set moves the sites of a request to its mode. The receipts say what came of it. An error means that nothing was
// touched.
func (h *Host) Set(ctx context.Context, req Request) ([]*Receipt, error) {
	lock := h.lock
	if req.DryRun {
		lock = h.lockIfAny
	}
	unlock, err := lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if !req.DryRun {
		if _, err := h.finishInterrupted(ctx, req.supersedes); err != nil {
			return nil, err
		}
		if req.Mode.Closed() || req.Keeps == KeepsMode {
			h.takeOverWords(ctx, req.Sites)
		}
	}
	return h.move(ctx, req)
}

// ErrNotBegun is returned (wrapped) by Set where its context ended before anything was changed.
var ErrNotBegun = errors.New("interrupted before anything was changed")

// move is Set by whoever has the lock.
func (h *Host) move(ctx context.Context, req Request) ([]*Receipt, error) {
	learns := !req.DryRun && req.Keeps != KeepsMode
	// A closing goes by what was noted, and asks once it is shut: nginx has other modules now and then only.
	late := learns && req.Mode == status.Offline && h.Dir().Modules() != nil
	var kernel *table
	var seen []observed
	var err error
	atOnce( // the site is open until all have answered
		func() { kernel = h.tableFor(ctx, req) },
		func() { seen, err = h.lookAll(ctx, req.Sites) },
		func() {
			if learns && !late {
				h.learnModules(ctx)
			}
		},
	)
	if err != nil {
		return nil, err
	}
	changes, err := h.planAll(ctx, kernel, seen, req)
	readsAll := !slices.ContainsFunc(changes, func(c *change) bool { return !c.has(StepRead) })
	if err == nil && late && !readsAll && h.learnModules(ctx) {
		changes, err = h.planAll(ctx, kernel, seen, req)
	}
	if ctx.Err() != nil { // what was looked at may not have answered for that reason alone
		return nil, ErrNotBegun
	}
	if err != nil {
		return nil, err
	}
	if req.DryRun {
		kernel.nameClients(changes)
		for _, c := range changes {
			c.foresee()
		}
		return receipts(changes), nil
	}
	if err := h.carryOut(ctx, kernel, changes, req.intent()); err != nil {
		return nil, err
	}
	h.followAll(ctx, changes)
	return receipts(changes), nil
}

// atOnce calls all of them, and waits for them. A panic of one is the caller's.
func atOnce(all ...func()) {
	panics := make(chan any, len(all))
	for _, do := range all {
		go func() {
			defer func() { panics <- recover() }()
			do()
		}()
	}
	var why any
	for range all {
		why = cmp.Or(<-panics, why)
	}
	if why != nil {
		panic(why)
	}
}

// planAll works out the change of each site of the request, and looks for holes in nginx's configuration, but for sites
// that have a kernel barrier: those are shut first. seen is what is found of each.
func (h *Host) planAll(ctx context.Context, kernel *table, seen []observed, req Request) ([]*change, error) {
	var changes, judge []*change
	for i, s := range req.Sites {
		c, err := h.plan(ctx, kernel, s, seen[i], req)
		if err != nil {
			return nil, err
		}
		if claim, ok := req.Claims[s.Name]; ok && claim != c.record.Claim {
			return nil, fmt.Errorf("open %s: %w", s.Name, ErrClaimed)
		}
		c.record.Claim = rand.Text() // the last that an operator asked for
		c.receipt.Claim = c.record.Claim
		changes = append(changes, c)
		if h.Config.Barrier == config.BarrierRequired && c.has(StepShut) && c.noBarrier != nil {
			return nil, fmt.Errorf("close %s: %w: %w", s.Name, ErrBarrier, c.noBarrier)
		}
		if (c.has(StepInstall) || c.to.Mode.Closed() && req.Keeps != KeepsMode) && (!c.has(StepRead) || req.DryRun) {
			judge = append(judge, c)
		}
	}
	kernel.noteSiblings(changes)
	if err := h.audit(ctx, judge, req.Force); err != nil {
		return nil, err
	}
	return changes, nil
}

// Holds reports whether a site that a change found closed is no more open now than the change left it.
func (h *Host) Holds(ctx context.Context, r *Receipt) (bool, error) {
	if s, is := h.Config.Site(r.Site); is && h.Config.Fleet != nil {
		d, err := h.published(ctx, s)
		return !r.Mode.StricterThan(cmp.Or(d.Wanted, d.Mode)), err
	}
	unlock, err := h.lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	now, known, err := h.Dir().Record(r.Site)
	return known && !r.Mode.StricterThan(now.Document.Mode), err
}

// finishInterrupted completes a change that an earlier command didn't live to end, or undoes an opening that can't be
// completed. A superseded one is left to the change that follows.
func (h *Host) finishInterrupted(ctx context.Context, superseded func(state.SiteChange) bool) ([]*Receipt, error) {
	in, err := h.Dir().Interrupted()
	if errors.Is(err, state.ErrJournal) {
		// What was under way isn't known, but what holds now is seen: every change begins with that.
		return nil, h.setAside(h.Dir().JournalFile(), err)
	}
	if err != nil || in == nil {
		return nil, err
	}
	in.Cut = in.Cut || slices.Contains(in.Begun, string(StepCut))
	opened, err := h.noteOpened(in)
	if err != nil {
		return nil, err
	}
	kernel := h.table(ctx)
	kernel.try(ctx, h.closing(in))
	var changes []*change
	for _, one := range in.Changes {
		s, ok := h.Config.Site(one.Site)
		if !ok {
			continue // the operator took it out of the configuration since
		}
		if superseded(one) {
			if err := h.recordCut(s, in.Cut && one.To.Mode.Closed()); err != nil {
				return nil, err
			}
			continue
		}
		c, err := h.planAgain(ctx, kernel, s, in)
		if err != nil {
			return nil, fmt.Errorf("finish an interrupted change of %s: %w", one.Site, err)
		}
		if opened[s.Name] {
			c.from, c.receipt.Previous = one.From, one.From // the history says so
		}
		changes = append(changes, c)
	}
	if len(changes) == 0 {
		return nil, nil
	}
	h.Progress.Resuming(names(changes))
	kernel.noteSiblings(changes)
	if err := h.audit(ctx, changes, true); err != nil {
		return nil, err
	}
	if err := h.carryOut(ctx, kernel, changes, in.Intent); err != nil {
		return nil, fmt.Errorf("finish an interrupted change: %w", err)
	}
	return receipts(changes), nil
}

// noteOpened writes down which sites an interrupted change has opened: all that it had left to do was to tell visitors,
// who may know by now. They must not be told that a site is open while it is shut because its record says so.
func (h *Host) noteOpened(in *state.Interrupted) (opened map[string]bool, err error) {
	opened = map[string]bool{}
	if !slices.Contains(in.Begun, string(StepPublish)) {
		return opened, nil
	}
	for _, one := range in.Changes {
		s, ok := h.Config.Site(one.Site)
		if !ok || !one.From.Closed() || one.To.Mode != status.Online || h.Dir().IsShut(s.Name) {
			continue
		}
		disk, unread := h.rulesInPlace(s)
		onDisk, revision := nginxconf.ReadHeader(disk)
		r, _, damaged := h.recordOf(s)
		if unread != nil || damaged != nil || onDisk != status.Online || r.Document.Mode == status.Online {
			continue // the change that follows sees to it
		}
		r.ForgetClosing()
		r.Document, r.Hold = one.To, state.HoldNone
		r.Revision, r.Changes, r.Door, r.Unpublished = revision, nginxconf.Order(revision), "", true
		if err := h.Dir().WriteRecord(s.Name, r); err != nil {
			return nil, err
		}
		opened[s.Name] = true
	}
	return opened, nil
}

// closing are the sites that an interrupted change was to close.
func (h *Host) closing(in *state.Interrupted) []config.Site {
	var out []config.Site
	for _, one := range in.Changes {
		if s, ok := h.Config.Site(one.Site); ok && one.To.Mode.Closed() {
			out = append(out, s)
		}
	}
	return out
}

// noteSiblings notes of each change which sites are closed, or become so with it: they are no holes of each other's.
func (t *table) noteSiblings(changes []*change) {
	var closed []string
	changing := names(changes)
	for _, c := range changes {
		if c.to.Mode.Closed() {
			closed = append(closed, c.site.Name)
		}
	}
	for s, r := range t.onRecord() {
		if r.Shut() && !slices.Contains(changing, s.Name) {
			closed = append(closed, s.Name)
		}
	}
	for _, c := range changes {
		c.siblings = closed
	}
}

// recordCut writes down that an interrupted change, which is not finished as it was meant, has cut something.
func (h *Host) recordCut(s config.Site, cut bool) error {
	r, _, err := h.recordOf(s)
	if !cut || errors.Is(err, state.ErrRecord) { // a damaged one is dealt with by the change that follows
		return nil
	}
	if err != nil {
		return err
	}
	r.Cut++
	r.SafeSince = nil
	return h.Dir().WriteRecord(s.Name, r)
}

// setAside moves a file that can't be understood out of the way, for somebody to look at.
func (h *Host) setAside(path string, why error) error {
	aside, err := h.Dir().SetAside(path, why, h.Clock.Now())
	if err == nil {
		h.Progress.SetAside(aside, why)
	}
	return err
}

func names(changes []*change) []string {
	var out []string
	for _, c := range changes {
		out = append(out, c.site.Name)
	}
	return out
}

func receipts(changes []*change) []*Receipt {
	var out []*Receipt
	for _, c := range changes {
		out = append(out, c.receipt)
	}
	return out
}
