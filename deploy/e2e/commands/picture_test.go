package commands

import (
	"flag"
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

var update = flag.Bool("update", false, "draw the terminal in deploy/screenshots anew")

const terminalPicture = "../../screenshots/terminal.svg"

// differs is what each run of the demo says otherwise, and what depends on how busy the machine is.
var differs = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d+ steps|[\d.]+m?s\b`)

// checkPicture sees that the README's picture of a terminal has what the demo's switches say. They may say more.
func checkPicture(t *testing.T, demo string) {
	t.Helper()
	lines := switches(demo)
	if *update {
		rig.WriteFile(t, terminalPicture, drawn(lines))
	}
	said := differs.ReplaceAllString(drawn(lines), "…")
	texts := inPicture.FindAllStringSubmatch(rig.ReadFile(t, terminalPicture), -1)
	for _, text := range texts {
		if line := differs.ReplaceAllString(text[1], "…"); !strings.Contains(said, line) {
			t.Errorf("the demo doesn't say %q, which is in %s: make screenshots", line, terminalPicture)
		}
	}
	if len(texts) < 6 {
		t.Errorf("%s has %d lines", terminalPicture, len(texts))
	}
}

var inPicture = regexp.MustCompile(`<text [^>]*(>.*</text>)`)

// switches are the demo's commands that change the mode, with what they say.
func switches(demo string) (lines []string) {
	within := false
	for line := range strings.Lines(demo) {
		line = strings.TrimRight(line, "\n")
		said, indented := strings.CutPrefix(line, "    ")
		switch {
		case strings.HasPrefix(line, "$ "):
			if within = strings.HasPrefix(line, "$ conforma-status set "); within {
				lines = append(lines, line)
			}
		case within && indented:
			lines = append(lines, said)
		default:
			within = false
		}
	}
	return lines
}

// drawn is a terminal with these lines, as SVG.
func drawn(lines []string) string {
	const high, left, wide = 20, 16, 900
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" font-family="ui-monospace, 'DejaVu Sans Mono', monospace" font-size="13" fill="#d8dee9" xml:space="preserve">`+"\n",
		wide, (len(lines)+2)*high)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="#1e2430"/>`+"\n")
	for i, line := range lines {
		fill := ""
		if strings.HasPrefix(line, "$ ") {
			fill = ` fill="#8fd0ff"`
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d"%s>%s</text>`+"\n", left, (i+2)*high-4, fill, html.EscapeString(line))
	}
	return b.String() + "</svg>\n"
}
