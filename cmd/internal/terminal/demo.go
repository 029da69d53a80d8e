package terminal

import (
	"fmt"
	"strings"

	"github.com/msupply-foundation/conforma-status/status"
)

var stageWords = map[status.Mode]string{
	status.Online:  "online: the site works as if conforma-status weren't there",
	status.Offline: "offline: visitors are sent to the maintenance page, scripts get a 503, nothing reaches the application",
	status.Admin:   "admin: everyone may log in, only administrators get any further",
}

// DemoAddresses prints where things are and what to try. appURL has no slash at its end, pageURL has one.
func (t *Terminal) DemoAddresses(appURL, pageURL string, commands []string) {
	fmt.Fprintf(t.Out, `
  the application        %s/
  its login page         %s/login   (as admin or as user, with any password)
  the maintenance page   %s

Commands to try:
`, appURL, appURL, pageURL)
	for _, c := range commands {
		fmt.Fprintf(t.Out, "  %s\n", c)
	}
}

// DemoBegins says what the demo is.
func (t *Terminal) DemoBegins() {
	fmt.Fprintln(t.Out, "A small application, nginx in front of it, a maintenance server and a gate, on loopback:")
}

// DemoStays says that the demo goes on, and how it ends.
func (t *Terminal) DemoStays() {
	fmt.Fprintln(t.Out, "\nThe tour is over, the demo stays up. Ctrl-C ends it and leaves nothing behind.")
}

// DemoStage begins a stage of the tour.
func (t *Terminal) DemoStage(mode status.Mode) { fmt.Fprintf(t.Out, "\n== %s\n", stageWords[mode]) }

// DemoCommand shows a command as it is typed.
func (t *Terminal) DemoCommand(line string) { fmt.Fprintf(t.Out, "$ %s\n", line) }

// DemoOutput prints what a command said.
func (t *Terminal) DemoOutput(said string) {
	for line := range strings.Lines(said) {
		fmt.Fprintf(t.Out, "    %s\n", strings.TrimRight(line, "\n"))
	}
}

// DemoCheck says what was looked at, and what differed, nil where nothing did.
func (t *Terminal) DemoCheck(what string, differs error) {
	if differs != nil {
		fmt.Fprintf(t.Out, "DIFFERS  %s: %v\n", what, differs)
		return
	}
	fmt.Fprintf(t.Out, "ok  %s\n", what)
}

// DemoPassed ends the tour.
func (t *Terminal) DemoPassed(checks int) {
	fmt.Fprintf(t.Out, "\nAll %d checks were as they should be.\n", checks)
}
