package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
)

const (
	helpHistory     = "who changed what, when and why, and what was announced against what it came to"
	helpHistoryLong = `Show every change of each site, the oldest first: when, who, why (--reason), what came of it; and for each time that
a site was closed, for how long, and the ETA that was announced against when it opened.`
)

func (u *ui) unreadableHistory(lines int) {
	u.warn(fmt.Sprintf("%d of the history's lines can't be read: the machine may have lost power while they were written", lines))
}

// history prints the past of each site.
func (u *ui) history(all []siteHistory) {
	if u.json {
		u.document(siteDocument[siteHistory]{1, all})
		return
	}
	for _, s := range all {
		fmt.Fprintf(u.out, "%s\n", s.Site)
		if len(s.Events) == 0 {
			fmt.Fprintln(u.out, "  nothing on record")
		}
		for _, e := range s.Events {
			fmt.Fprintf(u.out, "  %s\n", eventWords(e))
			for _, w := range s.Windows {
				if w.Until != nil && w.Until.Equal(e.At) {
					fmt.Fprintf(u.out, "    %s\n", windowWords(w))
				}
			}
		}
	}
}

func eventWords(e state.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s: %s -> %s", clock(e.At), oneLine(e.Operator), e.From, e.To)
	switch e.Outcome {
	case state.Done:
	case state.Failed:
		fmt.Fprintf(&b, ", failed: %s", oneLine(e.Error))
	case state.Shut:
		fmt.Fprintf(&b, ", shut by its closed file only: %s", oneLine(e.Error))
	default:
		fmt.Fprintf(&b, ", %s", e.Outcome)
	}
	if e.ExpectedUntil != nil {
		fmt.Fprintf(&b, ", expected back %s", clock(*e.ExpectedUntil))
	}
	if e.Cut > 0 {
		fmt.Fprintf(&b, ", %d cut", e.Cut)
	}
	if e.Reason != "" {
		fmt.Fprintf(&b, " (%s)", oneLine(e.Reason))
	}
	return b.String()
}

// windowWords compares what was announced with what it came to.
func windowWords(w state.Window) string {
	text := fmt.Sprintf("closed for %v", w.Until.Sub(w.From).Round(time.Second))
	if w.LateSeconds == nil {
		return text + ", with no time announced"
	}
	late := time.Duration(*w.LateSeconds) * time.Second
	text += ", announced until " + clock(*w.LastAnnounced)
	if !w.FirstAnnounced.Equal(*w.LastAnnounced) {
		text += " (at first " + clock(*w.FirstAnnounced) + ")"
	}
	switch {
	case late > 0:
		return fmt.Sprintf("%s: %v late", text, late)
	case late < 0:
		return fmt.Sprintf("%s: %v early", text, -late)
	}
	return text + ": on time"
}

// oneLine keeps what somebody typed, or what a program said, from taking over the terminal.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, unicode.IsControl), " ")
}
