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
	"path/filepath"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
)

// What is said when something is asked for that can't be.
const (
	wordUnknownCommand    = "there is no command %q"
	wordUnknownSite       = "%s: there is no site %q"
	wordWhichSite         = "there are several sites: say which with --site, or --all"
	wordSiteAndAll        = "--site and --all exclude each other"
	wordOnlineSaysNothing = "a site that is online has neither an ETA nor a message"
	wordNoOut             = "build needs --out: the directory to write to"
	wordNotADirectory     = "%s is not a directory"
	wordBuiltIn           = "the built-in content"
	wordNothingToGuard    = "%s: no site has a [site.jwt]: there is nothing to guard"
	wordRunMode           = "run needs --mode offline or --mode admin"
	wordCommandFailed     = "%s ended with exit code %d: the site stays %s"
	wordOpenedUnanswered  = "%s is open, but its application does not answer"
	wordGateListens       = "the gate answers"
	wordNoGate            = "no gate answers at %s: nobody but those who log in newly is let near, and administrators are refused too, until it runs (conforma-status gate)"
	wordNoLogin           = "site %s has neither preset nor login_paths: nobody can reach a login page in admin mode"
)

// What can be done about it.
const (
	hintHelp              = "conforma-status --help lists the commands, conforma-status COMMAND --help the flags"
	hintUsage             = "the call is: %s"
	hintSites             = "the configuration knows: %s"
	hintModes             = "the modes are online, offline and admin"
	hintWhen              = "write a duration (30m, 1h30m, 1d), a time of day (18:30) or RFC 3339 (2026-11-22T21:45:00Z), later than now"
	hintMessage           = "write one plain text of at most 2000 characters; longer texts belong on the maintenance page"
	hintOnlineSaysNothing = "close the site first: conforma-status set offline --eta 30m"
	hintOut               = "for example: conforma-status build --out /tmp/maintenance"
	hintContent           = "content names a directory of Markdown files; without it the built-in content is used"
	hintNoJWT             = "add a [site.jwt] with secret_env_file, so that administrators can be told from others"
	hintGateInUse         = "one gate serves every site of a host: stop the other one first"
	hintRecord            = "set the site's mode after moving the damaged file away; what nginx does is not changed by that"
	hintJournal           = "look at the file, move it away, and set the mode again; a site that is shut stays shut until then"
	hintBusy              = "wait for it, or see what it is doing; its lock goes with it when it ends"
	hintInterrupted       = "conforma-status set finishes it before it does anything else"
	hintNotRunning        = "start nginx: it comes up shut, because of the closed file; then repeat this command"
	hintNotInstalled      = "install nginx, or say in [nginx] how it is tested and reloaded"
	hintBroken            = "mend what nginx names above, then repeat this command"
	hintNotOurs           = "put \"include %s;\" first in the site's server {}, see that listen and app_url in the configuration lead there, and try again"
	hintNotTakenUp        = "nginx's error log says why it keeps its old configuration; mend it, then repeat this command"
	hintRunMode           = "for example: conforma-status run --mode offline --eta 30m -- ./upload_snapshot.sh"
	hintStaysClosed       = "the site stays %s; open it with: conforma-status set online"
	hintOpenLater         = "see what it said, then run it again, or open the site with: conforma-status set online"
	hintUnanswered        = "see why the application does not answer, then open the site with: conforma-status set online"
	hintHoles             = "include the site's rules first in that server {} too, or say --force if it is known and harmless"
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
		hints = c.hints
	}
	var faults config.Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			if f.Hint != "" {
				hints = append(hints, fmt.Sprintf("%s (line %d): %s", f.Key, f.Line, f.Hint))
			}
		}
	}
	if errors.Is(err, config.ErrNoFile) {
		hints = append(hints, "write one there, or name another with --config or CONFORMA_STATUS_CONFIG")
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
	fmt.Fprintf(u.err, "  %-28s %8s  %s\n", stepWords[step], took.Round(100*time.Microsecond), mark)
}

// Draining is part of maintenance.Progress.
func (u *ui) Draining(site string, left nginxconf.Left, after, atMost time.Duration) {
	what := fmt.Sprintf("%d connections", len(left.Connections))
	if len(left.Connections) == 1 {
		what = "1 connection"
	}
	if n := len(left.Listening) + len(left.Unreadable); n > 0 && len(left.Connections) == 0 {
		what = fmt.Sprintf("%d old workers", n)
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
// new stands below it.
func (u *ui) live(line string) {
	if line == u.last {
		return
	}
	u.last = line
	if u.terminal {
		fmt.Fprintf(u.err, "\r\x1b[K  %s", line)
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
func (u *ui) Waiting(h maintenance.Holder) {
	fmt.Fprintf(u.err, "waiting for %s (process %d, \"%s\", since %s)\n", h.Operator, h.PID, h.Command, clock(h.Since))
}

// receipts prints what came of a change.
func (u *ui) receipts(rs []*maintenance.Receipt) {
	for _, r := range rs {
		if r.Err != nil {
			u.problem(fmt.Sprintf("set %s %s: %s", r.Site, r.Mode, r.Error), receiptHints(r))
		}
		for _, w := range r.Warnings {
			u.warn(w)
		}
		if r.PublishErr != nil {
			u.warn(fmt.Sprintf("not published yet: %v", r.PublishErr))
			for _, hint := range append(hintFor(r.PublishErr), "it is made up for by the next conforma-status publish or set") {
				fmt.Fprintf(u.err, "hint: %s\n", hint)
			}
		}
		fmt.Fprintln(u.people(), receiptLine(r))
	}
	if u.json {
		u.document(siteDocument[*maintenance.Receipt]{1, rs})
	}
}

func receiptLine(r *maintenance.Receipt) string {
	var b strings.Builder
	switch r.Outcome {
	case maintenance.Planned:
		fmt.Fprintf(&b, "%s would go from %s to %s", r.Site, r.Previous, r.Mode)
		if len(r.Steps) == 0 {
			return fmt.Sprintf("%s is %s already: nothing to do", r.Site, r.Mode)
		}
		for i, s := range r.Steps {
			fmt.Fprintf(&b, "\n  %d. %s", i+1, stepWords[s.Step])
		}
		return b.String()
	case maintenance.Shut:
		fmt.Fprintf(&b, "%s is shut by its closed file; the rules of %s are not in force", r.Site, r.Mode)
	case maintenance.Failed:
		fmt.Fprintf(&b, "%s was not changed to %s", r.Site, r.Mode)
		return b.String()
	case maintenance.Unchanged:
		fmt.Fprintf(&b, "%s is %s already", r.Site, r.Mode)
	default:
		fmt.Fprintf(&b, "%s is %s", r.Site, r.Mode)
	}
	if r.Mode.Closed() {
		fmt.Fprintf(&b, " since %s", clock(r.Since))
		if r.ExpectedUntil != nil {
			fmt.Fprintf(&b, ", expected back %s", clock(*r.ExpectedUntil))
		}
	}
	switch {
	case !r.Mode.Closed():
	case r.Outcome == maintenance.Shut:
		b.WriteString("; NOT SAFE to take a snapshot until it is finished")
	case r.Mode == status.Admin && r.SafeSince != nil:
		fmt.Fprintf(&b, "; of before nothing is left since %s", clock(*r.SafeSince))
	case r.SafeSince != nil:
		fmt.Fprintf(&b, "; safe to take a snapshot since %s", clock(*r.SafeSince))
	case r.Left > 0:
		fmt.Fprintf(&b, "; NOT SAFE to take a snapshot: %d still left", r.Left)
	default:
		b.WriteString("; NOT SAFE to take a snapshot: something was cut that the application may still be working on")
	}
	if !r.Published {
		b.WriteString(" (not published yet)")
	}
	return b.String()
}

// receiptHints says what to do after a change that could not be completed.
func receiptHints(r *maintenance.Receipt) []string {
	var hints []string
	switch {
	case errors.Is(r.Err, nginxconf.ErrNotInstalled):
		hints = append(hints, hintNotInstalled)
	case errors.Is(r.Err, nginxconf.ErrNotRunning):
		hints = append(hints, hintNotRunning)
	case errors.Is(r.Err, nginxconf.ErrNotOurs):
		hints = append(hints, fmt.Sprintf(hintNotOurs, filepath.Join("CONF_DIR/sites", r.Site+".conf")))
	case errors.Is(r.Err, maintenance.ErrSmoke):
		hints = append(hints, hintUnanswered)
	case errors.Is(r.Err, nginxconf.ErrRefused):
		hints = append(hints, hintBroken)
	default:
		hints = append(hints, hintNotTakenUp)
	}
	if errors.Is(r.Err, maintenance.ErrNotShut) {
		hints = append(hints, hintNotShut)
	}
	return hints
}

// clock is a time as an operator reads it: in the machine's zone, with the date.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// views prints what get found.
func (u *ui) views(vs []maintenance.View) {
	if u.json {
		u.document(siteDocument[maintenance.View]{1, vs})
	}
	for _, v := range vs {
		w := u.people()
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

// rendered prints where the rules were written and what to do with them.
func (u *ui) rendered(paths []string, http string, siteFile func(string) string, sites []config.Site) {
	for _, p := range paths {
		fmt.Fprintf(u.out, "wrote %s\n", p)
	}
	if len(paths) == 0 {
		fmt.Fprintln(u.out, "the rules on disk are up to date")
	}
	fmt.Fprintf(u.out, "in http {}:                    include %s;\n", http)
	for _, s := range sites {
		fmt.Fprintf(u.out, "first in %s's server {}: include %s;\n", s.Name, siteFile(s.Name))
	}
}

func (u *ui) built(path string, size int) { fmt.Fprintf(u.out, "wrote %s (%d bytes)\n", path, size) }

// published prints what publish did.
func (u *ui) published(ps []publication, dryRun bool) {
	if u.json {
		u.document(siteDocument[publication]{1, ps})
	}
	marks := map[site.Action]string{site.New: "+", site.Changed: "~", site.Unchanged: "=", site.Stale: "?"}
	for _, p := range ps {
		w := u.people()
		fmt.Fprintf(w, "%s\n", p.Site)
		for _, f := range p.Files {
			fmt.Fprintf(w, "  %s %-10s %s (%d bytes)\n", marks[f.Action], f.Action, f.Key, f.Size)
		}
		switch {
		case dryRun:
			fmt.Fprintln(w, "  nothing was uploaded: this was a dry run")
		case p.Status.Written:
			fmt.Fprintf(w, "  + %-10s %s (%s, seq %d)\n", "status", p.Status.Key, p.Status.Mode, p.Status.Seq)
		default:
			fmt.Fprintf(w, "  = %-10s %s (%s, seq %d)\n", "status", p.Status.Key, p.Status.Mode, p.Status.Seq)
		}
	}
}
