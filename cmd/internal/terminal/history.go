package terminal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
)

// siteHistory is what history prints of one site.
type siteHistory struct {
	Site    string         `json:"site"`
	Windows []state.Window `json:"windows"` // the times that it was closed, the oldest first
	Events  []state.Event  `json:"events"`  // every change, the oldest first
}

// UnreadableHistory warns of lines that can't be read.
func (t *Terminal) UnreadableHistory(lines int) {
	t.Warn(fmt.Sprintf("%d of the history's lines can't be read: the machine may have lost power while they were written", lines))
}

// History prints the past of each of the sites: its last changes, all of them where last is 0, and the times that it
// was closed since.
func (t *Terminal) History(sites []string, events []state.Event, last int) {
	var all []siteHistory
	for _, name := range sites {
		own := []state.Event{}
		for _, e := range events {
			if e.Site == name {
				own = append(own, e)
			}
		}
		windows := state.Windows(own)
		if last > 0 && len(own) > last {
			own = own[len(own)-last:]
			windows = slices.DeleteFunc(windows, func(w state.Window) bool { return w.Until != nil && w.Until.Before(own[0].At) })
		}
		all = append(all, siteHistory{Site: name, Windows: windows, Events: own})
	}
	if t.JSON {
		documentOf(t, all)
		return
	}
	for _, s := range all {
		fmt.Fprintf(t.Out, "%s\n", s.Site)
		if len(s.Events) == 0 {
			fmt.Fprintln(t.Out, "  nothing on record")
		}
		for _, e := range s.Events {
			fmt.Fprintf(t.Out, "  %s\n", eventWords(e))
			for _, w := range s.Windows {
				if w.Until != nil && w.Until.Equal(e.At) {
					fmt.Fprintf(t.Out, "    %s\n", windowWords(w))
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
