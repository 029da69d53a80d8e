package terminal

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/doctor"
)

// siteHealth is what doctor prints of one site.
type siteHealth struct {
	Site  string       `json:"site"`
	Level doctor.Level `json:"level"` // of the worst finding of the site
}

// Examining says that the doctor is at it, where a line can be shown anew.
func (t *Terminal) Examining(sites []config.Site) {
	if t.live.rewrites && t.Words != Quiet {
		t.live.show("looking at this host, its store and " + count(len(sites), "site") + " …")
	}
}

// Findings prints what the doctor found: what isn't in order, and in one line how much is.
func (t *Terminal) Findings(sites []config.Site, all []doctor.Finding) {
	t.live.end()
	w := t.people()
	shown, levels := t.table(all), map[doctor.Level]int{}
	width := 0
	for _, f := range shown {
		width = max(width, len(f.Check))
	}
	of := ""
	for _, f := range shown {
		if f.Site != of {
			of = f.Site
			fmt.Fprintln(w, of)
		}
		t.finding(w, f, width)
	}
	for _, f := range all {
		levels[f.Level]++
	}
	if t.Words == Plain {
		fmt.Fprintf(w, "in order: %s; --verbose names them\n", count(levels[doctor.OK], "check"))
	}
	if t.Words != Quiet || len(shown) > 0 {
		fmt.Fprintf(w, "%s: %s, %s\n", count(len(all), "check"), count(levels[doctor.Fault], "fault"), count(levels[doctor.Warning], "warning"))
	}
	health := []siteHealth{}
	for _, s := range sites {
		own := slices.DeleteFunc(slices.Clone(all), func(f doctor.Finding) bool { return f.Site != s.Name })
		health = append(health, siteHealth{s.Name, doctor.Worst(own)})
	}
	t.document(struct {
		Version int              `json:"version"`
		Level   doctor.Level     `json:"level"`
		Sites   []siteHealth     `json:"sites"`
		Checks  []doctor.Finding `json:"checks"`
	}{1, doctor.Worst(all), health, all})
}

// table is what is shown of the findings. Findings that are in order are left out, unless all are wanted. What several
// sites have in the same words is shown once, under all their names.
func (t *Terminal) table(all []doctor.Finding) (shown []doctor.Finding) {
	for i, f := range all {
		same := func(g doctor.Finding) bool {
			return g.Check == f.Check && g.Level == f.Level && g.Text == f.Text && g.Hint == f.Hint
		}
		if f.Level == doctor.OK && t.Words != Verbose || f.Level != doctor.OK && slices.ContainsFunc(all[:i], same) {
			continue
		}
		for _, g := range all[i+1:] {
			if f.Level != doctor.OK && same(g) && g.Site != "" {
				f.Site = strings.TrimPrefix(f.Site+", "+g.Site, ", ")
			}
		}
		shown = append(shown, f)
	}
	// The host comes first, then what several sites have, then each site.
	slices.SortStableFunc(shown, func(a, b doctor.Finding) int { return rank(a.Site) - rank(b.Site) })
	return shown
}

func rank(site string) int {
	switch {
	case site == "":
		return 0
	case strings.Contains(site, ", "):
		return 1
	}
	return 2
}

// finding prints one finding. On a terminal that is narrow its words stand below it.
func (t *Terminal) finding(w io.Writer, f doctor.Finding, width int) {
	level := map[doctor.Level]string{doctor.Fault: red, doctor.Warning: yellow, doctor.OK: green}[f.Level]
	mark := t.paint(w, level, fmt.Sprintf("%-8s", f.Level))
	if columns := t.columns(w); columns > 0 && columns < narrow {
		fmt.Fprintf(w, "%s %s\n%s", mark, f.Check, wrapped(oneLine(f.Text), columns, "  "))
	} else {
		indent := strings.Repeat(" ", len("warning  ")+width+2)
		text := strings.TrimPrefix(wrapped(oneLine(f.Text), columns, indent), indent)
		fmt.Fprintf(w, "%s %-*s  %s", mark, width, f.Check, text)
	}
	if f.Hint != "" {
		fmt.Fprintf(w, "  -> %s\n", f.Hint) // in one line: a command in it is to be copied
	}
}
