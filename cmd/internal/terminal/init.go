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
		fmt.Fprintf(t.Out, "#   %s\n", l)
	}
	fmt.Fprintf(t.Err, "nothing was written; conforma-status init --write puts this in place (%s)\n", file)
}

// nextSteps are those of the handbook's Install.
const nextSteps = `next, when you have looked at what is marked CHANGE and GUESSED in it:
  conforma-status render         write the rules of the configuration
  nginx -t && nginx -s reload
  conforma-status secret init    where a site has a [site.jwt], or is to have passes
  conforma-status store init     the bucket, or the directory
  conforma-status publish        the maintenance page, and the first status
  conforma-status doctor         has to end with 0 faults
`

// Initialized says what was put in place.
func (t *Terminal) Initialized(d setup.Draft, file string) {
	if d.Text != "" {
		fmt.Fprintf(t.Out, "wrote %s\n", file)
	} else {
		fmt.Fprintf(t.Out, "%s is left as it is\n", file)
	}
	for _, l := range d.Lines {
		fmt.Fprintf(t.Out, "added to %s\n", l)
	}
	fmt.Fprintf(t.Out, "nginx's files as they were are in %s; conforma-status init --undo takes all of this back\n", d.Backups())
	fmt.Fprint(t.Out, nextSteps)
}

// InitUndone says what was taken back.
func (t *Terminal) InitUndone(d setup.Undone) {
	for _, line := range d.Lines {
		fmt.Fprintf(t.Out, "took out of %s\n", line)
	}
	for _, path := range d.Rules {
		fmt.Fprintf(t.Out, "removed %s\n", path)
	}
	switch {
	case d.Config == "":
	case d.Kept:
		fmt.Fprintf(t.Out, "%s was edited since, and stays\n", d.Config)
	default:
		fmt.Fprintf(t.Out, "put %s back as it was\n", d.Config)
	}
	fmt.Fprintln(t.Out, "next: nginx -s reload")
}
