package main

import (
	"fmt"

	"github.com/msupply-foundation/conforma-status/cmd/internal/setup"
)

const (
	helpInit     = "a configuration and the include lines, from the nginx that runs here"
	helpInitLong = `Read what nginx serves here (nginx -T) and Conforma's env files, and print a commented configuration and the include lines
to add. What was guessed is marked as guessed. With --write both are put in place, nginx's files kept as they were, and checked
with nginx -t; where that fails, everything is left as it was. nginx is not reloaded.`
	helpInitWrite    = "put the configuration and the include lines in place"
	helpInitEnvFiles = "where Conforma's env files are"

	wordInitNoSites = "read nginx's configuration: nginx serves nothing here that it hands on to an application"
	wordInitThere   = "write the configuration: there is a configuration at %s already"

	hintInitNginx   = "nginx -T has to print its configuration: mend what it says, or run it as root (sudo)"
	hintInitNoSites = "put the application behind nginx first (proxy_pass), then repeat this command"
	hintInitThere   = "edit it, or move it away; conforma-status doctor says what may be wrong with it"
	hintInitUndone  = "everything was put back as it was: add the lines by hand where conforma-status init says, and see what nginx says"
)

// initial prints the configuration, and on standard error what to do with it.
func (u *ui) initial(text string, lines []setup.Line, file string) {
	fmt.Fprint(u.out, text)
	fmt.Fprintf(u.out, "\n# The lines to add to nginx, each first in its block (conforma-status render writes the files first):\n")
	for _, l := range lines {
		fmt.Fprintf(u.out, "#   %s: %s\n", l.At, l.Text)
	}
	fmt.Fprintf(u.err, "nothing was written; conforma-status init --write puts this in place (%s)\n", file)
}

func (u *ui) initialized(file string, lines []setup.Line, backups string) {
	fmt.Fprintf(u.out, "wrote %s\n", file)
	for _, l := range lines {
		fmt.Fprintf(u.out, "added to %s: %s\n", l.At, l.Text)
	}
	fmt.Fprintf(u.out, "nginx's files as they were are in %s\n", backups)
	fmt.Fprintln(u.out, "next: look at what is marked CHANGE and GUESSED, then nginx -s reload, conforma-status publish and conforma-status doctor")
}
