package terminal

import (
	"fmt"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/doctor"
)

// siteHealth is what doctor prints of one site.
type siteHealth struct {
	Site  string       `json:"site"`
	Level doctor.Level `json:"level"` // of the worst finding of the site
}

// Findings prints the doctor's table.
func (t *Terminal) Findings(sites []config.Site, all []doctor.Finding) {
	width, faults, warnings := 0, 0, 0
	for _, f := range all {
		width = max(width, len(f.Check))
		switch f.Level {
		case doctor.Fault:
			faults++
		case doctor.Warning:
			warnings++
		}
	}
	w := t.people()
	site := ""
	for _, f := range all {
		if f.Site != site {
			site = f.Site
			fmt.Fprintf(w, "%s\n", site)
		}
		fmt.Fprintf(w, "%-8s %-*s  %s\n", f.Level, width, f.Check, oneLine(f.Text))
		if f.Hint != "" {
			fmt.Fprintf(w, "%-8s %-*s  -> %s\n", "", width, "", f.Hint)
		}
	}
	fmt.Fprintf(w, "%d checks: %d faults, %d warnings\n", len(all), faults, warnings)
	if t.JSON {
		health := []siteHealth{}
		for _, s := range sites {
			own := []doctor.Finding{}
			for _, f := range all {
				if f.Site == s.Name {
					own = append(own, f)
				}
			}
			health = append(health, siteHealth{s.Name, doctor.Worst(own)})
		}
		t.document(struct {
			Version int              `json:"version"`
			Level   doctor.Level     `json:"level"`
			Sites   []siteHealth     `json:"sites"`
			Checks  []doctor.Finding `json:"checks"`
		}{1, doctor.Worst(all), health, all})
	}
}
