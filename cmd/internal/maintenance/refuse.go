package maintenance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/msupply-foundation/conforma-status/status"
)

// count has the kernel count connections to the applications of sites that are shut. What it refuses already it goes
// on refusing.
func (r *run) count(ctx context.Context, changes []*change) error {
	for _, c := range changes {
		r.kernel.wants[c.site.Name] = r.kernel.wants[c.site.Name].atLeast(counted)
	}
	for _, name := range r.kernel.joins { // or the milder treatment, none, would be that of both
		r.kernel.wants[name] = counted
	}
	return r.load(ctx, changes)
}

// read looks through nginx's configuration, once the sites are shut: the kernel holds what it can't say. If nginx has
// other modules than were noted, the rules are made anew.
func (r *run) read(ctx context.Context, changes []*change) error {
	var unread, unmade error
	atOnce(
		func() { unread = r.audit(ctx, changes, r.intent.Force) },
		func() {
			if r.learnModules(ctx) {
				for _, c := range r.changes {
					unmade = errors.Join(unmade, r.renderRules(c))
				}
			}
		},
	)
	return errors.Join(unread, unmade)
}

// refuse has the kernel refuse new connections to the applications, and looks again at what nginx holds: behind the
// barrier that has to be other things than without it.
func (r *run) refuse(ctx context.Context, changes []*change) error {
	return errors.Join(r.bar(ctx, changes), r.lookAgain(ctx, changes))
}

// bar has the kernel refuse new connections to the applications, and proves that it does.
func (r *run) bar(ctx context.Context, changes []*change) error {
	err := errors.Join(r.kernel.find(ctx), r.kernel.findUsers()) // workers came with the reload
	if err != nil {
		r.noBarrier(changes, err)
		return err
	}
	var offline []*change
	r.kernel.nameClients(changes)
	for _, c := range changes {
		r.kernel.wants[c.site.Name] = gated
		if c.to.Mode == status.Offline {
			r.kernel.wants[c.site.Name] = refused
			offline = append(offline, c)
		}
	}
	for _, name := range r.kernel.joins {
		r.kernel.wants[name] = refused
		delete(r.kernel.none, name)
	}
	if err := r.load(ctx, changes); err != nil {
		return err
	}
	passed, err := r.kernel.prove(ctx, append(names(offline), r.kernel.joins...))
	if err != nil {
		r.noBarrier(offline, err)
	} else {
		err = r.noteJoined()
	}
	for _, c := range changes {
		if c.noBarrier != nil {
			continue
		}
		c.record.Barrier = true
		if c.to.Mode == status.Offline {
			c.drain.finish()
		}
		if passed[c.site.Name] > 0 { // it may have come and gone between two looks
			c.drain.busy = r.Clock.Now()
		}
	}
	return err
}

// lookAgain looks whether anything is left that reached the application before the kernel refused it.
func (r *run) lookAgain(ctx context.Context, changes []*change) error {
	for _, c := range changes {
		c.drain.empty = 0
	}
	began, looks := r.Clock.Now(), 0
	_, err := r.until(ctx, began.Add(cutTimeout), func() (bool, error) {
		looks++
		done, err := r.lookOnce(changes, 0)
		return done || looks == emptyLooks, err
	})
	noteUnseen(changes, err)
	return err
}

// noBarrier notes why the sites have no barrier.
func (r *run) noBarrier(changes []*change, why error) {
	for _, c := range changes {
		c.noBarrier, c.record.Barrier = why, false
	}
}

// load has the kernel do what is wanted. Sites that it doesn't do it for have no barrier.
func (r *run) load(ctx context.Context, changes []*change) error {
	if err := r.kernel.load(ctx); err != nil {
		r.noBarrier(changes, err)
		for _, c := range changes {
			r.kernel.wants[c.site.Name] = left
		}
		return err
	}
	for _, c := range changes {
		if why := r.kernel.none[c.site.Name]; why != nil {
			r.noBarrier([]*change{c}, why)
		}
	}
	return r.noteLifted(changes)
}

// noteLifted writes down of other sites that they have no barrier any more, since they share an upstream with one that
// opens.
func (r *run) noteLifted(changes []*change) error {
	changing := names(changes)
	for s := range r.kernel.onRecord() {
		if slices.Contains(changing, s.Name) {
			continue
		}
		rec, known, err := r.Dir().Record(s.Name) // it may have been written since
		if err != nil || !known || !rec.Barrier || r.kernel.wants[s.Name] == treatmentOf(rec) {
			continue
		}
		rec.Barrier, rec.SafeSince = false, nil
		if err := r.Dir().WriteRecord(s.Name, rec); err != nil {
			return err
		}
		for _, c := range changes {
			why := ""
			if err := r.kernel.none[s.Name]; err != nil {
				why = ": " + err.Error()
			}
			c.receipt.warn(fmt.Sprintf("%s has no kernel barrier any more, and is not known to be safe%s", s.Name, why))
		}
	}
	return nil
}

// noteJoined writes down of sites that were closed before that they have the barrier from now on.
func (r *run) noteJoined() error {
	for _, name := range r.kernel.joins {
		rec, known, err := r.Dir().Record(name)
		if err == nil && known && r.kernel.none[name] == nil && !rec.Barrier {
			rec.Barrier = true
			err = r.Dir().WriteRecord(name, rec)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lift has the kernel let nginx through again to applications of sites that open, and reports how often it had refused.
// It comes before the reload: a worker that meets a refusal takes the upstream for down
// (https://nginx.org/r/fail_timeout).
func (r *run) lift(ctx context.Context, changes []*change) error {
	r.noteTried(ctx, slices.DeleteFunc(slices.Clone(changes), func(c *change) bool { return !c.record.Barrier }))
	for _, c := range changes {
		was := r.kernel.wants[c.site.Name]
		r.kernel.wants[c.site.Name] = left
		if c.to.Mode == status.Admin && was.outside != left.outside {
			r.kernel.wants[c.site.Name] = gated
		}
	}
	if err := r.kernel.load(ctx); err != nil {
		return err
	}
	for _, c := range changes {
		c.lifted = true
		if r.kernel.wants[c.site.Name] == left && c.to.Mode == status.Admin {
			c.record.Barrier = false
		}
	}
	return r.noteLifted(changes)
}

// noteTried writes into the receipts how often the kernel has refused a connection to the applications, where it says.
func (r *run) noteTried(ctx context.Context, changes []*change) {
	if len(changes) == 0 || r.kernel.err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, kernelTimeout)
	defer cancel()
	seen, err := r.Kernel.Look(ctx, r.kernel.master, r.kernel.rules())
	if err != nil {
		return
	}
	for _, c := range changes {
		t := &Tried{Nginx: seen.Nginx[c.site.Name].Refused, Outside: seen.Outside[c.site.Name].Refused}
		if c.receipt.Tried = t; t.Nginx > 0 {
			times := "once"
			if t.Nginx > 1 {
				times = strconv.FormatUint(t.Nginx, 10) + " times"
			}
			c.receipt.warn(fmt.Sprintf("nginx tried %s to reach the application of %s while it was closed, and the kernel refused it: "+
				"a certificate authority's question (/.well-known/acme-challenge/), or a way past the site's rules", times, c.site.Name))
		}
	}
}

// refuseAgain has the kernel do what it did before an opening that failed.
func (r *run) refuseAgain(ctx context.Context, c *change) {
	if !c.lifted {
		return
	}
	c.lifted = false
	was, _, err := r.Dir().Record(c.site.Name)
	if err == nil {
		r.kernel.wants[c.site.Name] = treatmentOf(was)
		err = r.kernel.load(ctx)
	}
	if c.record.Barrier = err == nil && was.Barrier; err != nil {
		c.record.SafeSince = nil
		c.receipt.warn(fmt.Sprintf("the kernel barrier of %s is not back: %v", c.site.Name, err))
	}
}

// ForgetBarrier writes down that no site has a kernel barrier any more. From now on something may get through and be at
// work: a closed site isn't known to be safe until it has drained again.
func (h *Host) ForgetBarrier(ctx context.Context) error {
	unlock, err := h.lockIfAny(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	errs := []error{h.Dir().ForgetBarrier()}
	for s, r := range h.onRecord() {
		if r.Barrier {
			r.Barrier, r.SafeSince = false, nil
			errs = append(errs, h.Dir().WriteRecord(s.Name, r))
		}
	}
	return errors.Join(errs...)
}
