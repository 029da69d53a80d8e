package terminal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/doctor"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/cmd/internal/publishing"
	"github.com/msupply-foundation/conforma-status/cmd/internal/setup"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/cmd/internal/webhook"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/fault"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// Hints of a fleet.
const (
	HintFleet      = "add [fleet] to the configuration of each host that follows the same switch"
	HintHostName   = "set host under [fleet]: letters, digits and - in parts with dots between them"
	HintConfirmOff = "see that %s is off: while it is on, nobody would know whether it lets people in. Then add --confirm-off"
	HintFleetList  = "conforma-status fleet list shows every host"
)

// hintPermission is what to do where a file can't be read or written.
func hintPermission() string {
	if os.Geteuid() == 0 {
		return doctor.HintRootDenied
	}
	return "run it as root (sudo), by su where there is no sudo, or as the user who owns the state directory and nginx's files"
}

// packagedInclude is a file of the package that dpkg puts beside its place until the package is configured.
const packagedInclude = "/etc/nginx/conf.d/conforma-status.conf"

// hintNoFile is what to do where there is no configuration. dpkg has the package's beside its place until the package
// is configured.
func hintNoFile() string {
	if _, err := os.Stat(packagedInclude + ".dpkg-new"); err == nil {
		return "the package is half installed; finish that: sudo dpkg --configure -a"
	}
	return "write one there (conforma-status init guesses it), or name another with --config or CONFORMA_STATUS_CONFIG"
}

// advised is an error that brings what to do about it.
type advised struct {
	error
	hints []string
}

func (a *advised) Unwrap() error { return a.error }

// Advise returns err with what to do about it, a line each, where more is known than its kind. Empty ones don't count.
func Advise(err error, hints ...string) error {
	hints = slices.DeleteFunc(slices.Clone(hints), func(hint string) bool { return hint == "" })
	if len(hints) == 0 {
		return err
	}
	return &advised{err, hints}
}

// hintsAbout is what to do about an error, a line for each thing: the hints that it carries, or else those for errors
// of its kind; nil if there are none. site is the name of the site that the error is about.
func hintsAbout(err error, site string) []string {
	var hints []string
	if a, is := errors.AsType[*advised](err); is {
		hints = slices.Clone(a.hints)
	}
	hints = append(hints, hintsOfFaults(err)...)
	if len(hints) == 0 {
		hints = hintsOfKind(err)
	}
	for i := range hints {
		hints[i] = strings.ReplaceAll(hints[i], "{SITE}", site)
	}
	return hints
}

// hintsOfFaults are those of what is wrong in the configuration, by key and line, or in the content.
func hintsOfFaults(err error) (hints []string) {
	var faults fault.List
	errors.As(err, &faults)
	inContent := errors.Is(err, publishing.ErrFaults)
	for _, f := range faults {
		hint := f.Hint
		if hint != "" && !inContent {
			hint = fmt.Sprintf("%s (line %d): %s", f.Key, f.Line, f.Hint)
		}
		if hint != "" && !slices.Contains(hints, hint) {
			hints = append(hints, hint)
		}
	}
	return hints
}

// hintsOfKind are those of an error that is known.
func hintsOfKind(err error) []string {
	if hint := cmp.Or(gate.Hint(err), store.Hint(err)); hint != "" {
		if errors.Is(err, publishing.ErrUnfinished) {
			return []string{hint, hintPublishAgain}
		}
		return []string{hint}
	}
	for _, a := range known() {
		if !errors.Is(err, a.kind) {
			continue
		}
		if a.kind == workers.ErrNotRunning && errors.Is(err, control.ErrRefused) {
			return []string{a.hint, hintBroken}
		}
		return []string{a.hint}
	}
	if _, is := errors.AsType[fault.List](err); is && !errors.Is(err, publishing.ErrFaults) {
		return []string{hintFaults}
	}
	return nil
}

// advice is what to do about an error of a kind.
type advice struct {
	kind error
	hint string // {SITE} stands for the name of the site
}

// known is what to do about known errors. The first that fits counts: that a file can't be written says more than what
// came of it.
func known() []advice {
	return []advice{
		{state.ErrRecord, "move the damaged file away, then set the site's mode again; until then nginx goes on as it is"},
		{state.ErrJournal, "look at the file, move it away, and set the mode again; a site that is shut stays shut until then"},
		{publishing.ErrContent, "content names a directory of Markdown files; without it the built-in content is used"},
		{publishing.ErrSamePlace, "give one of the two sites another path"},
		{store.ErrUnavailable, hintStore},
		{store.ErrDenied, hintStore},
		{store.ErrNoBucket, hintStore},
		{store.ErrWrongRegion, hintStore},

		{fs.ErrPermission, hintPermission()},
		{syscall.ENOSPC, hintNoRoom},
		{syscall.EDQUOT, hintNoRoom},
		{syscall.EROFS, "that file system is mounted read-only: remount it, then repeat this command"},
		{syscall.EBUSY, hintMountPoint}, // from rename(2)
		{syscall.EXDEV, hintMountPoint},

		{control.ErrNotInstalled, "install nginx, or say in [nginx] how it is tested and reloaded"},
		{maintenance.ErrNginxNeeded, "start nginx: it comes up as it was, or shut; then: conforma-status reconcile"},
		{workers.ErrNotRunning, "start nginx: it comes up shut, because of the closed file; then repeat this command"},
		{workers.ErrCantEnter, "run it as root (sudo); in a unit give it CAP_SYS_ADMIN and RestrictNamespaces=net, in a container of your own CAP_SYS_ADMIN: nginx's container has a network of its own, which has to be entered"},
		{workers.ErrHidden, "mount /proc (mount -t proc proc /proc), or run it as root where it hides other users' processes; without it nobody can prove that no earlier request is left"},
		{workers.ErrNotMaster, hintPIDFile},
		{maintenance.ErrElsewhere, hintPIDFile},
		{control.ErrNeedsClientCert, "give the site's server {} an address that only this machine has, without TLS (listen 127.0.0.1:PORT;), and name it in the site's listen"},
		{control.ErrNotOurs, `put "include CONF_DIR/sites/{SITE}.conf;" first in the site's server {}, see that listen and app_url in the configuration lead there, and try again`},
		{control.ErrInterrupted, "repeat this command"},
		{maintenance.ErrSmoke, HintUnanswered},
		{maintenance.ErrHoles, "include the site's rules first in each server {} that leads to it, and take out of it what keeps the gate out, or say --force if it is known and harmless"},
		{control.ErrRefused, hintBroken},

		{maintenance.ErrClaimed, "it stays closed: see who closed it and why, then open it with: conforma-status set online"},
		{maintenance.ErrInterrupted, "conforma-status reconcile finishes it"},
		{state.ErrBusy, "wait for it, or see what it is doing; its lock goes with it when it ends"},
		{maintenance.ErrOnline, HintOnlineSaysNothing},
		{maintenance.ErrNoETA, "say when: conforma-status extend 30m"},
		{maintenance.ErrETAPassed, "count from now: conforma-status extend 30m"},
		{maintenance.ErrNotAdmin, "a pass is good in admin mode only, and in the window in which it was made: conforma-status set admin"},
		{gate.ErrInUse, "one gate serves every site of a host: stop the other one first (systemctl stop conforma-status-gate.socket, where systemd runs it)"},
		{setup.ErrClosed, "open it first: conforma-status set online, then conforma-status init --undo"},
		{setup.ErrNothingWritten, "include lines that were added by hand are taken out by hand; then: nginx -t && nginx -s reload"},
		{setup.ErrNotMounted, "mount its directory in the container at the same path and start the container anew, or add by hand the lines that conforma-status init prints"},
		{setup.ErrUnitPath, "give the file another name: no control characters, no blank at either end, no backslash as the last"},
		{webhook.ErrExposed, "let nobody but root read it: chmod 600 FILE"},
		{webhook.ErrSecret, "make one, and give it to the receiver: " + webhook.MakeSecret},
		{status.ErrOverlap, "see them with: conforma-status schedule list; then move or cancel one"},
		{status.ErrNoWindow, "conforma-status schedule list shows the windows and their ids"},
		{status.ErrWindowState, "extend changes the end of a window that has begun, and set online ends it; see conforma-status schedule list"},
		{status.ErrScheduleVersion, "a newer version has written it: install that one here, too"},
		{status.ErrSchedule, "look at the file in the store: put the right one back, or move it away and schedule the windows again"},
		{maintenance.ErrTooSoon, "say a later time, or give the command on the site's host"},
		{maintenance.ErrBegun, HintWhen},
		{maintenance.ErrClock, "set this machine's clock (timedatectl set-ntp true), then repeat this command"},
		{config.ErrNoFile, hintNoFile()},
	}
}

// Hints of several errors.
const (
	hintFaults        = "mend the configuration at the lines named above, then repeat this command"
	hintStore         = "see that the store is there and can be written to, then: conforma-status publish"
	hintPublishAgain  = "then run publish again: it goes on where it stopped, and no page points at what isn't there"
	hintNoRoom        = "make room on that file system, then repeat this command"
	hintMountPoint    = "the file is a mount point of its own, and can't be replaced: mount the directory that it is in instead"
	hintPIDFile       = "name in [nginx] the pid_file, and the commands, of the nginx that serves the site; conforma-status doctor says which one that is"
	hintBroken        = "mend what nginx names above, then repeat this command"
	hintNotTakenUp    = "nginx's error log says why it keeps its old configuration; mend it, then repeat this command"
	hintNotShut       = "REQUESTS STILL REACH THE APPLICATION: stop nginx or block the port if it must be closed now"
	hintMaybeOpen     = "it could not be seen whether requests still reach the application: stop nginx or block the port if it must be closed now"
	hintHostAnnounces = "the site's host makes up for it within a minute"
	hintMadeUpFor     = "the next conforma-status publish or set makes up for it"
)

// Hints that a command gives along with an error of its own.
const (
	HintHelp              = "conforma-status --help lists the commands, conforma-status COMMAND --help the flags"
	HintFlags             = "%s --help lists the flags"
	HintMeantCommand      = "did you mean: %s"
	HintEitherWay         = "conforma-status set offline closes a site, conforma-status set online opens it"
	HintMeantMode         = "did you mean: conforma-status set %s"
	HintMeantFlag         = "the flag is --%s: %s"
	HintQuietAndVerbose   = "say --quiet or --verbose, or neither"
	HintWatchJSON         = "call get --json again and again, or get --watch"
	HintLast              = "for example: conforma-status history -n 5"
	HintElsewhere         = "these run here: build, preview, publish, store init, schedule, extend, get of what is published, and for a fleet set and fleet list"
	HintUsage             = "the call is: %s"
	HintNothingOpens      = "schedule offline or admin; once the work is done: conforma-status set online"
	HintScheduleModes     = "the modes of a window are offline and admin; list, move and cancel are about windows that there are"
	HintFrom              = "for example: conforma-status schedule offline --from \"2026-12-05 22:00\" --for 1h"
	HintUntil             = "say when it ends (--until 23:00) or how long it takes (--for 1h)"
	HintFor               = "write a duration of at least a second, such as 30m, 1h30m or 1d"
	HintMove              = "say --from, --until, --for or --message"
	HintSites             = "the configuration knows: %s"
	HintSiteAndAll        = "name the sites, or say --all for every one of them"
	HintModes             = "the modes are online, offline and admin"
	HintWhen              = "write a duration (30m, 1h30m, 1d), a time of day (18:30, 6:30pm), a date and time (2026-12-01 18:30) or RFC 3339 (2026-12-01T18:30:00Z), later than now"
	HintExtendWhen        = "write how long from now (30m), how much longer than announced (+10m), a time of day (18:30, 6:30pm), a date and time (2026-12-01 18:30) or RFC 3339 (2026-12-01T18:30:00Z)"
	HintMessage           = "write plain text of at most 2000 characters, one for everybody and one a language as pt=TEXT; longer texts belong on the maintenance page"
	HintOnlineSaysNothing = "close the site first: conforma-status set offline --eta 30m"
	HintOut               = "for example: conforma-status build --out /tmp/maintenance"
	HintNobody            = "name who is let in: addresses ([site.admin] allow), whoever has a pass (conforma-status secret init), or tokens that its application signs ([site.jwt])"
	HintOtherSocket       = "systemctl daemon-reload && systemctl restart conforma-status-gate.socket"
	HintRunMode           = "for example: conforma-status run --mode offline --eta 30m -- ./upload_snapshot.sh"
	HintNoProgram         = "nothing was closed: name a program that is there and may be run"
	HintStaysAsItWas      = "the site stays as it was: conforma-status get"
	HintStaysClosed       = "the site stays %s; open it with: conforma-status set online"
	HintOpenLater         = "see what it said, then open the site with: conforma-status set online"
	HintOpenedMeanwhile   = "requests reached the application while the command ran: see who opened it with conforma-status history, and run it again"
	HintOtherStays        = "%s stays %s; open it with: conforma-status set online --site %s"
	HintUnanswered        = "see why the application does not answer, then open the site with: conforma-status set online"
	HintInitNginx         = "nginx -T has to print its configuration: mend what it says, or run it as root (sudo)"
	HintStandbyUnknown    = "conforma-status init --write adds the include lines that are missing; a certificate has to be named without variables"
	HintStandbyTaken      = "name a directory of its own: conforma-status render --standby --out DIR"
	HintInitContainers    = "write the configuration for the one that serves the sites by hand: OPERATIONS.md, \"nginx in a container\", has its lines"
	HintInitNoSites       = "put the application behind nginx first (proxy_pass), then repeat this command"
	HintInitThere         = "edit it, or move it away; conforma-status doctor says what may be wrong with it"
	HintInitNone          = "conforma-status init prints what it found, and at CHANGE what is missing: write the configuration from that, then: conforma-status init --write"
	HintInitNotUndone     = "everything was left as it was: see what nginx says"
	HintInitUndone        = "everything was put back as it was: add the lines by hand where conforma-status init says, and see what nginx says"
	HintRevokeTTL         = "revoke first, then make a new one"
	HintTTL               = "write it like 30m or 2h"
	HintPreviewListen     = "name another address with --listen, or 127.0.0.1:0 for any free port"
	HintSecretDir         = "make the directory first, or name the right file in [site.jwt]"
	HintNoWebhook         = "add [[webhook]] with url and secret_file to the configuration"
	HintDemoNoNginx       = "apt-get install nginx, or make demo, which installs it"
)
