package terminal

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// Receipts prints what came of a change: what is wrong, what the sites are now, and last whether it is safe to take a
// snapshot.
func (t *Terminal) Receipts(rs []*maintenance.Receipt) {
	t.receipts(rs)
	documentOf(t, rs)
}

// ReceiptsAndFail prints what came of a change, and the error that ended it.
func (t *Terminal) ReceiptsAndFail(rs []*maintenance.Receipt, err error) {
	t.receipts(rs)
	failAfter(t, rs, err)
}

// receipts is Receipts without a document.
func (t *Terminal) receipts(rs []*maintenance.Receipt) {
	t.live.end()
	t.wentWell()
	for _, r := range rs {
		if r.Err != nil {
			t.problem(fmt.Sprintf("set %s %s: %s", r.Site, r.Mode, r.Error), receiptHints(r))
		}
		for _, w := range r.Warnings {
			t.Warn(w)
		}
		t.unpublished("not published yet", r.PublishErr, hintMadeUpFor)
	}
	w := t.people()
	if t.Words != Quiet || slices.ContainsFunc(rs, wanting) {
		for _, r := range rs {
			t.lines(w, receiptLine(r))
			t.barrier(w, r)
		}
		t.verdict(w, rs)
	}
}

// unpublished warns that something isn't published, nil for nothing, and says who makes up for it.
func (t *Terminal) unpublished(what string, err error, madeUpFor string) {
	if err == nil {
		return
	}
	t.Warn(fmt.Sprintf("%s: %v", what, err))
	if hint := store.Hint(err); hint != "" {
		t.hint(hint)
	}
	t.hint(madeUpFor)
}

// barrier says why a closed site has no kernel barrier, and of one that opens what the barrier has refused.
func (t *Terminal) barrier(w io.Writer, r *maintenance.Receipt) {
	if r.NoBarrier != "" {
		t.lines(w, "  no kernel barrier: "+r.NoBarrier)
	}
	if r.Tried != nil && r.Tried.Nginx+r.Tried.Outside > 0 {
		t.lines(w, fmt.Sprintf("  the kernel barrier refused %s from nginx and %d from outside",
			count(int(r.Tried.Nginx), "connection"), r.Tried.Outside))
	}
}

// wanting reports whether there is more to do about a site than was done.
func wanting(r *maintenance.Receipt) bool {
	return r.Err != nil || r.PublishErr != nil || !r.Published || r.Mode.Closed() && r.SafeSince == nil && r.On != maintenance.OnAnother
}

// verdict says whether a snapshot can be taken of the sites that are closed now: what isn't safe comes last.
func (t *Terminal) verdict(w io.Writer, rs []*maintenance.Receipt) {
	var safe, unsafe []*maintenance.Receipt
	for _, r := range rs {
		switch {
		case !r.Mode.Closed() || r.Outcome == state.Planned || r.Outcome == state.Failed || r.On == maintenance.OnAnother:
		case r.SafeSince == nil || r.Outcome == state.Shut:
			unsafe = append(unsafe, r)
		case r.Mode == status.Offline:
			safe = append(safe, r)
		}
	}
	if len(safe) > 0 {
		latest, of := safe[0].SafeSince, ""
		for _, r := range safe[1:] {
			if r.SafeSince.After(*latest) {
				latest = r.SafeSince
			}
		}
		if len(safe) < len(rs) {
			of = names(safe) + ": "
		}
		text := "safe to take a snapshot since " + clock(*latest)
		if safe[0].On == maintenance.OnOneOfFleet {
			text = "safe on this host since " + clock(*latest) + "; conforma-status get has the others"
		}
		fmt.Fprintf(w, "%s%s\n", of, t.paint(w, green, text))
	}
	for _, r := range unsafe {
		of := ""
		if len(rs) > 1 {
			of = r.Site + ": "
		}
		fmt.Fprintf(w, "%s %s%s\n", t.paint(w, red, "NOT SAFE:"), of, unsafeWords(r))
	}
}

func names(rs []*maintenance.Receipt) string {
	var all []string
	for _, r := range rs {
		all = append(all, r.Site)
	}
	return strings.Join(all, ", ")
}

// FoundClosed says of the sites that a run found closed that it leaves them so.
func (t *Terminal) FoundClosed(rs []*maintenance.Receipt) {
	for _, r := range rs {
		if r.Previous.Closed() {
			t.Warn(fmt.Sprintf("%s was %s already: it stays so, and visitors are told the same", r.Site, r.Previous))
		}
	}
}

// LeftClosed says that a run leaves a site as it found it.
func (t *Terminal) LeftClosed(site string, mode status.Mode) {
	fmt.Fprintf(t.people(), "%s stays %s, as it was found\n", site, mode)
}

// receiptLine says what came of the change of one site.
func receiptLine(r *maintenance.Receipt) string {
	var b strings.Builder
	switch {
	case r.Outcome == state.Planned:
		fmt.Fprintf(&b, "%s would go from %s to %s", r.Site, r.Previous, r.Mode)
		if len(r.Steps) == 0 {
			return fmt.Sprintf("%s is %s already: nothing to do", r.Site, r.Mode)
		}
		for i, s := range r.Steps {
			fmt.Fprintf(&b, "\n  %d. %s", i+1, stepWords[s.Step])
		}
		if r.Mode.Closed() {
			b.WriteString("\n" + announcementWords(r))
		}
		return b.String()
	case r.Unfinished():
		fmt.Fprintf(&b, "%s is shut by its closed file; nginx does not use the rules of %s yet", r.Site, r.Mode)
	case r.Outcome == state.Failed:
		fmt.Fprintf(&b, "%s was not changed to %s", r.Site, r.Mode)
		return b.String()
	case r.Outcome == state.Unchanged:
		fmt.Fprintf(&b, "%s is %s already", r.Site, r.Mode)
	default:
		fmt.Fprintf(&b, "%s is %s", r.Site, r.Mode)
	}
	if r.Mode.Closed() && !r.Unfinished() {
		b.WriteString(sinceWords(r.Since, r.ExpectedUntil))
	}
	if r.Mode == status.Admin && r.SafeSince != nil && r.Outcome != state.Shut {
		b.WriteString("; no earlier request is left")
	}
	if !r.Published {
		b.WriteString(" (not published yet)")
	}
	return b.String()
}

// announcementWords are what visitors would be told.
func announcementWords(r *maintenance.Receipt) string {
	text := "visitors would be told no time"
	if r.ExpectedUntil != nil {
		text = "visitors would be told: back " + clock(*r.ExpectedUntil)
	}
	if r.Message != nil {
		text += fmt.Sprintf("\n  %s", oneLine(*r.Message))
	}
	for _, tag := range slices.Sorted(maps.Keys(r.Messages)) {
		text += fmt.Sprintf("\n  %s: %s", tag, oneLine(r.Messages[tag]))
	}
	return text
}

// notSafeWords say why it isn't safe to take a snapshot of a closed site.
var notSafeWords = map[state.NotSafe]string{
	state.NotSafeUnknown:    "it is not known whether an earlier request is still running",
	state.NotSafeUnfinished: "the change is not finished",
	state.NotSafeLeft:       "an earlier request was still left",
	state.NotSafeCut:        "something was cut that the application may still be working on",
	state.NotSafeUnsettled:  "the settled command does not vouch for the application",
	notSafeInFleet:          "not every host is known to be safe",
}

// notSafeInFleet is why it isn't safe on a host of a fleet, on which all is done.
const notSafeInFleet state.NotSafe = "fleet"

// unsafeWords say of a change why it isn't safe to take a snapshot now.
func unsafeWords(r *maintenance.Receipt) string {
	why := r.NotSafe()
	text := notSafeWords[why]
	if why == state.NotSafeLeft && r.Remains != "" {
		text = r.Remains + " still left"
	}
	switch {
	case r.On == maintenance.OnOneAlone && why == state.NotSafeUnknown:
		return aloneWords
	case r.On == maintenance.OnOneAlone:
		return text + "; " + aloneWords
	}
	return text
}

// aloneWords say that one host of a fleet is closed, and that nobody knows what the others do.
const aloneWords = "this host alone is closed; it becomes an order once the store can be reached, unless somebody orders something newer"

// receiptHints says what to do after a change that could not be completed.
func receiptHints(r *maintenance.Receipt) []string {
	hints := hintsAbout(r.Err, r.Site)
	if len(hints) == 0 {
		hints = []string{hintNotTakenUp}
	}
	if errors.Is(r.Err, maintenance.ErrNotShut) {
		hints = append(hints, hintNotShut)
	}
	if errors.Is(r.Err, maintenance.ErrMaybeOpen) {
		hints = append(hints, hintMaybeOpen)
	}
	return hints
}
