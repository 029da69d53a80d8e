package main

import (
	"fmt"
	"strings"

	"github.com/msupply-foundation/conforma-status/status"
)

// The words of the demo, by the rules of ui.go. Those of its pages are in demo/.

// What the tour tells visitors, and saves.
const (
	wordDemoMessage     = "We are upgrading the demo. Everything that was saved is kept."
	wordDemoApplication = "Renewal of a manufacturing licence"
)

// What went wrong.
const (
	wordDemoNoNginx     = "nginx is not installed"
	wordDemoNotReady    = "it is not ready in time"
	wordDemoEnded       = "it ended by itself"
	wordDemoNoToken     = "there is no token in the answer"
	wordDemoInterrupted = "it was interrupted"
	wordDemoDiffered    = "this differed:\n  %s"
	wordDemoExit        = "exit code %d, want 0"
	wordDemoNumber      = "%s: got %d, want %d"
	wordDemoText        = "%s: got %q, want %q"
	wordDemoRequests    = "requests at the application"
	wordDemoSaved       = "saved"
	wordDemoNothing     = "none"
	wordDemoUntil       = "expectedUntil is %v"

	hintDemoNoNginx = "apt-get install nginx, or make demo, which installs it"
)

// What the tour looks at.
const (
	checkEntered         = "a navigation reaches the application"
	checkRedirected      = "a navigation is redirected to the maintenance page"
	checkPage            = "the maintenance page is served"
	checkQuery           = "a query is answered"
	checkQueryRefused    = "a query gets a 503 that a script can read"
	checkSave            = "a save is accepted"
	checkSaveRefused     = "a save gets a 503, and nothing is written"
	checkKept            = "the application has everything that was saved, and nothing else"
	checkNothingReached  = "nothing of all this reached the application"
	checkLoginShut       = "the login page is shut, too"
	checkLoginOpen       = "the login page is open"
	checkAssetsOpen      = "so are the files that it needs"
	checkGuestRefused    = "a query without a token gets a 503"
	checkUserSignsIn     = "a user can log in"
	checkUserRefused     = "a query with the user's token gets a 503"
	checkUserSaveRefused = "a save with it gets a 503, and nothing is written"
	checkAdminSignsIn    = "an administrator can log in"
	checkAdminQuery      = "a query with the administrator's token is answered"
	checkAdminSave       = "a save with it is accepted"
	checkStatus          = "status.json says so, in the store and from nginx"
	checkGet             = "conforma-status get finds no drift"
)

var stageWords = map[status.Mode]string{
	status.Online:  "online: the site works as if conforma-status weren't there",
	status.Offline: "offline: visitors are sent to the maintenance page, scripts get a 503, nothing reaches the application",
	status.Admin:   "admin: everyone may log in, only administrators get any further",
}

// demoAddresses prints where things are and what to try.
func (u *ui) demoAddresses(d *demo) {
	fmt.Fprintf(u.out, `
  the application        %s/
  its login page         %s/login   (as admin or as user, with any password)
  the maintenance page   %s

Commands to try:
`, d.appURL, d.appURL, d.pageURL)
	for _, args := range [][]string{
		{"set", "offline", "--eta", tourETA, "--message", "Back soon."}, {"set", "admin"}, {"get"}, {"set", "online"},
	} {
		fmt.Fprintf(u.out, "  %s\n", shellWords(append([]string{d.self, "--config", d.path("config.toml")}, args...)))
	}
}

func (u *ui) demoBegins() {
	fmt.Fprintln(u.out, "A small application, nginx in front of it, a maintenance server and a gate, on loopback:")
}

func (u *ui) demoStays() {
	fmt.Fprintln(u.out, "\nThe tour is over, the demo stays up. Ctrl-C ends it and leaves nothing behind.")
}

func (u *ui) demoStage(mode status.Mode) { fmt.Fprintf(u.out, "\n== %s\n", stageWords[mode]) }

func (u *ui) demoCommand(args []string) {
	fmt.Fprintf(u.out, "$ %s\n", shellWords(append([]string{"conforma-status"}, args...)))
}

// demoOutput prints what a command said.
func (u *ui) demoOutput(said string) {
	for line := range strings.Lines(said) {
		fmt.Fprintf(u.out, "    %s\n", strings.TrimRight(line, "\n"))
	}
}

func (u *ui) demoCheck(what string, differs error) {
	if differs != nil {
		fmt.Fprintf(u.out, "DIFFERS  %s: %v\n", what, differs)
		return
	}
	fmt.Fprintf(u.out, "ok  %s\n", what)
}

func (u *ui) demoPassed(checks int) {
	fmt.Fprintf(u.out, "\nAll %d checks were as they should be.\n", checks)
}

// shellWords writes a command line as a POSIX shell reads it.
func shellWords(args []string) string {
	var words []string
	for _, arg := range args {
		if arg == "" || strings.ContainsFunc(arg, oddInPath) {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}
