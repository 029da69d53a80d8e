package maintenance

import (
	"slices"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/status"
)

// facts is what is found of a site before a change.
type facts struct {
	// known is whether this machine has a record of the site.
	known bool
	// onDisk is the mode of the rules in place, "" where there are none or they are not ours.
	onDisk status.Mode
	// inNginx is the mode of the rules that nginx follows, "" where it doesn't answer.
	inNginx status.Mode
	// found is the mode that visitors find, "" where nginx doesn't answer.
	found status.Mode
	// shut is whether the closed file is there.
	shut bool
	// inForce is whether disk and nginx have the rules on record, the closed file is as it belongs, and the kernel
	// barrier on record is there.
	inForce bool
	// barred is whether there is a kernel barrier, of this site or of others.
	barred bool
}

// wish is what is asked of a site.
type wish struct {
	mode  status.Mode
	scope scope
	// news is whether visitors are to be told something that isn't published yet.
	news bool
	// checks are those of StepSettle, StepGrace, StepSmoke, and StepRefuse with what belongs to it, that the site is
	// to have.
	checks []Step
}

// scope is how far a change may go.
type scope int

const (
	// wholeChange takes whatever steps lead to the mode.
	wholeChange scope = iota
	// repair takes them only where the rules on record are not in force: reconcile doesn't drain a site again and
	// again.
	repair
	// wordsOnly doesn't touch nginx.
	wordsOnly
)

// decide lists the steps from what is found and on record to what is asked for; none if there is nothing to do.
// StepRecord ends each change and is not in the list.
//
// A site is shut before anything more open than what is asked for could go on serving. Visitors are never told that a
// site is more open than they find it.
func decide(f facts, r state.Record, w wish) []Step {
	takesUp := f.takesUp(r, w)
	if !takesUp && !w.news {
		return nil
	}
	shuts := takesUp && w.mode.Closed() && !f.mostOpen(r).StricterThan(w.mode)
	announces := w.mode.Closed() && !f.foundBy(r).StricterThan(w.mode)
	// A site that goes admin is closed by that, unless it was offline: then this finishes an opening that was
	// interrupted.
	opensDoor := takesUp && f.shut && w.mode != status.Offline && (!shuts || r.Document.Mode.StricterThan(w.mode))

	lifts := takesUp && f.barred && w.mode != status.Offline && (!shuts || f.shut)

	var steps []Step
	add := func(when bool, more ...Step) {
		if when {
			steps = append(steps, more...)
		}
	}
	asked := func(s Step) bool { return slices.Contains(w.checks, s) }
	add(announces, StepAnnounce)
	add(shuts, StepShut)
	add(shuts && asked(StepRefuse), StepCount)
	add(shuts && asked(StepRead), StepRead)
	add(takesUp, StepInstall, StepTest)
	add(lifts, StepLift)
	add(takesUp, StepReload, StepProbe)
	add(shuts, StepDrain)
	add(shuts && asked(StepRefuse), StepRefuse)
	add(shuts && asked(StepSettle), StepSettle)
	add(shuts && asked(StepGrace) && w.mode == status.Offline, StepGrace)
	add(opensDoor && asked(StepSmoke), StepSmoke)
	add(takesUp && w.mode != status.Offline, StepOpen)
	add(takesUp && w.mode == status.Online, StepSee)
	add(!announces, StepPublish)
	return steps
}

// takesUp reports whether nginx has to take up rules.
func (f facts) takesUp(r state.Record, w wish) bool {
	switch {
	case w.scope == wordsOnly:
		return false
	case w.scope == repair:
		return !f.inForce
	}
	return !f.known || r.Document.Mode != w.mode || !f.inForce || !r.Safe()
}

// mostOpen is the most open mode that any request may still be following, but for the closed file.
func (f facts) mostOpen(r state.Record) status.Mode {
	if f.known && (!r.Safe() || r.Barrier) {
		return status.Online // what was let in before it closed may still be there; behind the barrier it was left in peace
	}
	open := r.Document.Mode
	for _, m := range []status.Mode{f.onDisk, f.inNginx} {
		if m != "" && open.StricterThan(m) {
			open = m
		}
	}
	return open
}

// foundBy is the mode that visitors find. Where nginx says nothing it is the strictest of disk and record.
func (f facts) foundBy(r state.Record) status.Mode {
	switch {
	case f.found != "":
		return f.found
	case f.shut:
		return status.Offline
	case f.onDisk != "" && f.onDisk.StricterThan(r.Document.Mode):
		return f.onDisk
	}
	return r.Document.Mode
}
