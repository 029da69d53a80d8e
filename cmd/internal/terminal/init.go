package terminal

import (
	"fmt"

	"github.com/msupply-foundation/conforma-status/cmd/internal/setup"
)

// Initial prints the configuration, and on standard error what to do with it.
func (t *Terminal) Initial(d setup.Draft, file string) {
	fmt.Fprint(t.Out, d.Text)
	fmt.Fprintf(t.Out, "\n# The lines to add to nginx, each first in its block (conforma-status render writes the files first):\n")
	for _, l := range d.Lines {
		fmt.Fprintf(t.Out, "#   %s: %s\n", l.At, l.Text)
	}
	fmt.Fprintf(t.Err, "nothing was written; conforma-status init --write puts this in place (%s)\n", file)
}

// Initialized says what was put in place.
func (t *Terminal) Initialized(d setup.Draft, file string) {
	fmt.Fprintf(t.Out, "wrote %s\n", file)
	for _, l := range d.Lines {
		fmt.Fprintf(t.Out, "added to %s: %s\n", l.At, l.Text)
	}
	fmt.Fprintf(t.Out, "nginx's files as they were are in %s\n", d.Backups())
	fmt.Fprintln(t.Out, "next: look at what is marked CHANGE and GUESSED, then nginx -s reload, conforma-status publish and conforma-status doctor")
}
