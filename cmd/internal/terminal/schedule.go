package terminal

import (
	"fmt"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/status"
)

// WindowAhead shows a window that is about to be announced, in the machine's time and in UTC; sites are those that it
// is for, nil where that isn't known yet.
func (t *Terminal) WindowAhead(sites []string, w status.ScheduledWindow) {
	of := ""
	if len(sites) > 0 {
		of = strings.Join(sites, ", ") + ": "
	}
	t.lines(t.people(), fmt.Sprintf("%s%s %s", of, w.Mode, timesOf(w)))
}

// timesOf is when a window begins and ends, and how long it takes.
func timesOf(w status.ScheduledWindow) string {
	return fmt.Sprintf("from %s until %s, %v", clock(w.From), clock(w.Until), w.Until.Sub(w.From).Round(time.Second))
}

// Announced prints what came of an announcement.
func (t *Terminal) Announced(all []maintenance.Announced) {
	for _, one := range all {
		for _, warning := range one.Warnings {
			t.Warn(warning)
		}
		t.unpublished(fmt.Sprintf("status.json of %s does not announce it yet", one.Site), one.PublishErr, hintHostAnnounces)
	}
	w := t.unlessQuiet()
	for _, one := range all {
		for _, window := range one.Windows {
			t.lines(w, fmt.Sprintf("%s: window %s is %s", one.Site, window.ID, window.State))
		}
	}
	documentOf(t, all)
}

// siteSchedule is what schedule list prints of one site.
type siteSchedule struct {
	Site    string                   `json:"site"`
	Windows []status.ScheduledWindow `json:"windows"` // the earliest first
}

// Schedules prints the windows of the sites.
func (t *Terminal) Schedules(all []maintenance.Announced) {
	if t.JSON {
		var out []siteSchedule
		for _, one := range all {
			out = append(out, siteSchedule{one.Site, append([]status.ScheduledWindow{}, one.Windows...)})
		}
		documentOf(t, out)
		return
	}
	for _, one := range all {
		fmt.Fprintln(t.Out, one.Site)
		if len(one.Windows) == 0 {
			fmt.Fprintln(t.Out, "  no windows")
		}
		for _, w := range one.Windows {
			t.lines(t.Out, fmt.Sprintf("  %s  %s: %s %s", w.ID, windowWord(w.State), w.Mode, timesOf(w)))
			if w.Message != nil {
				t.lines(t.Out, "    "+oneLine(*w.Message))
			}
		}
	}
}

// windowWord is a state as people read it.
func windowWord(s status.WindowState) string { return strings.ReplaceAll(string(s), "_", " ") }
