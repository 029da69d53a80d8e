package main

// This file holds every word that people read. The rules are:
//
//   - With --json exactly one document goes to standard output, and all that is meant for people to
//     standard error.
//   - Errors read "conforma-status: doing what: why", in lower case and without a full stop, followed
//     by a "hint:" line where there is something to do.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

// What is said when something is asked for that can't be.
const (
	wordVersion           = "%s (commit %s, %s, %s/%s)"
	wordUnknownCommand    = "there is no command %q"
	wordWantsMore         = "%s alone does nothing"
	wordUnknownSite       = "there is no site %q"
	wordNoJWT             = "site %s has no [site.jwt]"
	wordWhichSite         = "there are several sites: say which with --site, or --all"
	wordSiteAndAll        = "--site and --all exclude each other"
	wordOnlineSaysNothing = "a site that is online has neither an ETA nor a message"
	wordNoOut             = "build needs --out: the directory to write to"
	wordNotADirectory     = "%s is not a directory"
	wordBuiltIn           = "the built-in content"
	wordSamePlace         = "build the maintenance site: %s:%d: site.path: the page of site %s would lie at %s, where one of site %s lies already"
	wordNothingToGuard    = "read the configuration: %s: no site has a [site.jwt]: there is nothing to guard"
	wordRunMode           = "run needs --mode offline or --mode admin"
	wordWasClosed         = "%s was %s already: it opens when the command has succeeded, whoever closed it"
	wordNotStarted        = "run %s: interrupted before it was started"
	wordCommandFailed     = "run %[1]s: %[1]s ended with exit code %[2]d: the site stays %[3]s"
	wordOpenedUnanswered  = "open %[1]s: %[1]s is open, but its application does not answer"
	wordGateListens       = "the gate answers"
	wordOtherSocket       = "take over the socket from systemd: systemd hands over another socket than %s, the one in the configuration"
	wordNoGate            = "no gate answers at %s: nobody but those who log in newly is let near, and administrators are refused too, until it runs (conforma-status gate)"
	wordUntranslated      = "%s: the message has no text for readers of %s: they get it in another language, until there is a --message TEXT for everybody"
	wordNoLogin           = "site %s has neither preset nor login_paths: nobody can reach a login page in admin mode"
)

// What can be done about it.
const (
	hintHelp              = "conforma-status --help lists the commands, conforma-status COMMAND --help the flags"
	hintUsage             = "the call is: %s"
	hintSites             = "the configuration knows: %s"
	hintSiteAndAll        = "name the sites, or say --all for every one of them"
	hintFaults            = "mend the configuration at the lines named above, then repeat this command"
	hintStore             = "see that the store is there and can be written to, then: conforma-status publish"
	hintPublishAgain      = "then run publish again: it goes on where it stopped, and no page points at what isn't there"
	hintModes             = "the modes are online, offline and admin"
	hintWhen              = "write a duration (30m, 1h30m, 1d), a time of day (18:30) or RFC 3339 (2026-11-22T21:45:00Z), later than now"
	hintMessage           = "write plain text of at most 2000 characters, one for everybody and one a language as pt=TEXT; longer texts belong on the maintenance page"
	hintOnlineSaysNothing = "close the site first: conforma-status set offline --eta 30m"
	hintOut               = "for example: conforma-status build --out /tmp/maintenance"
	hintSamePlace         = "give one of the two sites another path"
	hintContent           = "content names a directory of Markdown files; without it the built-in content is used"
	hintNoJWT             = "add a [site.jwt] with secret_env_file, so that administrators can be told from others"
	hintOtherSocket       = "systemctl daemon-reload && systemctl restart conforma-status-gate.socket"
	hintGateInUse         = "one gate serves every site of a host: stop the other one first (systemctl stop conforma-status-gate.socket, where systemd runs it)"
	hintRecord            = "set the site's mode after moving the damaged file away; what nginx does is not changed by that"
	hintJournal           = "look at the file, move it away, and set the mode again; a site that is shut stays shut until then"
	hintBusy              = "wait for it, or see what it is doing; its lock goes with it when it ends"
	hintInterrupted       = "conforma-status reconcile finishes it"
	hintNotRunning        = "start nginx: it comes up shut, because of the closed file; then repeat this command"
	hintWaits             = "start nginx: it comes up as it was, or shut; then: conforma-status reconcile"
	hintNotInstalled      = "install nginx, or say in [nginx] how it is tested and reloaded"
	hintBroken            = "mend what nginx names above, then repeat this command"
	hintNotOurs           = "put \"include %s;\" first in the site's server {}, see that listen and app_url in the configuration lead there, and try again"
	hintCertificate       = "give the site's server {} an address that only this machine has, without TLS (listen 127.0.0.1:PORT;), and name it in the site's listen"
	hintNotTakenUp        = "nginx's error log says why it keeps its old configuration; mend it, then repeat this command"
	hintRunMode           = "for example: conforma-status run --mode offline --eta 30m -- ./upload_snapshot.sh"
	hintNoProgram         = "nothing was closed: name a program that is there and may be run"
	hintStaysClosed       = "the site stays %s; open it with: conforma-status set online"
	hintOpenLater         = "see what it said, then run it again, or open the site with: conforma-status set online"
	hintUnanswered        = "see why the application does not answer, then open the site with: conforma-status set online"
	hintClaimed           = "it stays closed: see who closed it and why, then open it with: conforma-status set online"
	hintRoot              = "run it as root (sudo), by su where there is no sudo, or as the user who owns the state directory and nginx's files"
	hintModule            = "root may do that, so a security module (AppArmor, SELinux) or a sandbox refuses it: journalctl -k | grep -e apparmor -e avc says which rule"
	hintHidden            = "mount /proc (mount -t proc proc /proc), or run it as root where it hides other users' processes; without it nobody can prove that nothing of before is left"
	hintPIDFile           = "name in [nginx] the pid_file, and the commands, of the nginx that serves the site; conforma-status doctor says which one that is"
	hintNoRoom            = "make room on that file system, then repeat this command"
	hintReadOnly          = "that file system is mounted read-only: remount it, then repeat this command"
	hintMountPoint        = "the file is a mount point of its own, and can't be replaced: mount the directory that it is in instead"
	hintHoles             = "include the site's rules first in each server {} that leads to it, and take out of it what keeps the gate out, or say --force if it is known and harmless"
	hintNotShut           = "REQUESTS STILL REACH THE APPLICATION: stop nginx or block the port if it must be closed now"
)

// errSaid ends a command whose output has said everything already.
var errSaid = errors.New("said")

// ui talks to people, and in JSON to programs.
type ui struct {
	out, err io.Writer
	json     bool
	quiet    bool   // keeps words for people off standard output
	terminal bool   // whether err is a terminal
	last     string // the live line that is shown
}

// people is where words for people go.
func (u *ui) people() io.Writer {
	if u.json || u.quiet {
		return u.err
	}
	return u.out
}

func (u *ui) warn(text string) { fmt.Fprintf(u.err, "warning: %s\n", text) }

// fail prints the error that ended a command.
func (u *ui) fail(err error) {
	if errors.Is(err, errSaid) {
		return
	}
	var c *coded
	var hints []string
	if errors.As(err, &c) {
		hints = slices.DeleteFunc(slices.Clone(c.hints), func(hint string) bool { return hint == "" })
	}
	var faults fault.List
	if errors.As(err, &faults) {
		for _, f := range faults {
			if f.Hint != "" {
				hints = append(hints, fmt.Sprintf("%s (line %d): %s", f.Key, f.Line, f.Hint))
			}
		}
	}
	if len(faults) > 0 && len(hints) == 0 {
		hints = append(hints, hintFaults)
	}
	if errors.Is(err, config.ErrNoFile) {
		hints = append(hints, hintNoFile())
	}
	u.problem(err.Error(), hints)
	if u.json {
		u.document(struct {
			Version int      `json:"version"`
			Sites   []string `json:"sites"`
			Error   string   `json:"error"`
			Hints   []string `json:"hints"`
		}{1, []string{}, err.Error(), append([]string{}, hints...)})
	}
}

// hintNoFile is what to do where there is no configuration. dpkg has the package's beside its place until the package is configured.
func hintNoFile() string {
	if _, err := os.Stat(config.DefaultFile + ".dpkg-new"); err == nil {
		return "the package is half installed; finish that: sudo dpkg --configure -a"
	}
	return "write one there (conforma-status init guesses it), or name another with --config or CONFORMA_STATUS_CONFIG"
}

func (u *ui) problem(text string, hints []string) {
	fmt.Fprintf(u.err, "conforma-status: %s\n", text)
	for _, hint := range hints {
		if hint != "" {
			fmt.Fprintf(u.err, "hint: %s\n", hint)
		}
	}
}

// document prints the one JSON document of a command.
func (u *ui) document(v any) {
	e := json.NewEncoder(u.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // who reads standard output may be gone
}

type siteDocument[T any] struct {
	Version int `json:"version"`
	Sites   []T `json:"sites"`
}

var stepWords = map[maintenance.Step]string{
	maintenance.StepAnnounce: "tell visitors",
	maintenance.StepShut:     "let nobody in any more",
	maintenance.StepInstall:  "put the new rules in place",
	maintenance.StepTest:     "have nginx check them",
	maintenance.StepReload:   "have nginx take them up",
	maintenance.StepProbe:    "see that it did",
	maintenance.StepDrain:    "wait for what was let in",
	maintenance.StepCut:      "cut what is left",
	maintenance.StepSettle:   "ask whether it is idle",
	maintenance.StepSmoke:    "try the application",
	maintenance.StepOpen:     "let people in again",
	maintenance.StepSee:      "see that the site answers",
	maintenance.StepPublish:  "tell visitors",
	maintenance.StepRecord:   "write it down",
	maintenance.StepRollback: "put the previous rules back",
}

// Begin is part of maintenance.Progress.
func (u *ui) Begin(maintenance.Step, []string) {}

// End is part of maintenance.Progress.
func (u *ui) End(step maintenance.Step, took time.Duration, err error) {
	u.endLive()
	mark := "ok"
	if err != nil {
		mark = "FAILED"
	}
	fmt.Fprintf(u.err, "  %-28s %8s  %s\n", stepWords[step], lasted(took), mark)
}

// lasted is how long a step took. It has no µ, which not every terminal can show.
func lasted(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1fms", d.Seconds()*1000)
	}
	return d.Round(100 * time.Millisecond).String()
}

// Draining is part of maintenance.Progress.
func (u *ui) Draining(site string, left workers.Remaining, after, atMost time.Duration) {
	what := fmt.Sprintf("%d connections", len(left.Connections))
	if len(left.Connections) == 1 {
		what = "1 connection"
	}
	if n := len(left.ListeningWorkers) + len(left.UnreadableWorkers); n > 0 && len(left.Connections) == 0 {
		what = fmt.Sprintf("%d old workers", n)
		if n == 1 {
			what = "1 old worker"
		}
	}
	u.live(fmt.Sprintf("draining: %s, %d s of %d s", what, int(after.Seconds()), int(atMost.Seconds())))
}

// Resuming is part of maintenance.Progress.
func (u *ui) Resuming(sites []string) {
	fmt.Fprintf(u.err, "an earlier change of %s was interrupted: it is finished first\n", strings.Join(sites, ", "))
}

// SetAside is part of maintenance.Progress.
func (u *ui) SetAside(path string, why error) {
	u.warn(fmt.Sprintf("%v; it is kept as %s", why, path))
}

// live shows a line that takes the place of the one before it on a terminal; elsewhere one that says something
// new stands below it. It isn't wrapped (DECAWM, see console_codes(4)): what stood on a narrow terminal's further rows would stay.
func (u *ui) live(line string) {
	if line == u.last {
		return
	}
	u.last = line
	if u.terminal {
		fmt.Fprint(u.err, "\r\x1b[K\x1b[?7l  ", line, "\x1b[?7h")
		return
	}
	fmt.Fprintf(u.err, "  %s\n", line)
}

// endLive makes room below a live line.
func (u *ui) endLive() {
	if u.last != "" && u.terminal {
		fmt.Fprint(u.err, "\r\x1b[K")
	}
	u.last = ""
}

// Waiting is part of maintenance.Progress.
func (u *ui) Waiting(h state.Holder) {
	fmt.Fprintf(u.err, "waiting for %s (process %d, \"%s\", since %s)\n", oneLine(h.Operator), h.PID, oneLine(h.Command), clock(h.Since))
}
