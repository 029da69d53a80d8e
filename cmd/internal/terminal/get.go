package terminal

import (
	"fmt"

	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/status"
)

// Views prints what get found.
func (t *Terminal) Views(vs []maintenance.View) {
	if t.JSON {
		t.document(siteDocument[maintenance.View]{1, vs})
	}
	for _, v := range vs {
		w := t.people()
		fmt.Fprintf(w, "%s\n", v.Site)
		fmt.Fprintf(w, "  %-10s %s\n", "wanted", wantedWords(v))
		fmt.Fprintf(w, "  %-10s %s\n", "on disk", rulesWords(v.OnDisk.Mode, v.OnDisk.Revision, v.OnDisk.Closed))
		fmt.Fprintf(w, "  %-10s %s\n", "nginx", rulesWords(v.Live.Mode, v.Live.Revision, v.Live.Closed))
		fmt.Fprintf(w, "  %-10s %s\n", "published", publishedWords(v.Published))
		for _, d := range v.Drift {
			fmt.Fprintf(w, "  drift: %s\n", d)
		}
	}
}

func wantedWords(v maintenance.View) string {
	text := string(v.Wanted.Mode)
	if !v.Wanted.OnRecord {
		return text + " (not on record)"
	}
	text += " since " + clock(*v.Wanted.Since)
	if v.Wanted.ExpectedUntil != nil {
		text += ", expected back " + clock(*v.Wanted.ExpectedUntil)
	}
	if v.Wanted.Mode == status.Offline {
		if v.Wanted.SafeSince != nil {
			text += ", safe to take a snapshot since " + clock(*v.Wanted.SafeSince)
		} else {
			text += ", NOT SAFE to take a snapshot"
		}
	}
	return text
}

func rulesWords(mode status.Mode, revision string, closed bool) string {
	if mode == "" {
		return "no answer"
	}
	text := fmt.Sprintf("%s (revision %s)", mode, revision)
	if closed {
		text += ", shut by the closed file"
	}
	return text
}

func publishedWords(d *status.Document) string {
	if d == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s (seq %d)", d.Mode, d.Seq)
}
