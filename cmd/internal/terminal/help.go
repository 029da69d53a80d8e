package terminal

// The words of --help.
const (
	HelpRoot     = "put a web application behind nginx into maintenance, and back"
	HelpRootLong = `conforma-status closes a web application behind nginx for maintenance without losing a write
or a visitor, tells everyone until when, lets administrators in early, and opens it again.

  conforma-status set offline --eta 30m     close the site
  conforma-status set admin                 let administrators in
  conforma-status set online                open it
  conforma-status get                       see what is wanted, on disk, live and published

Exit codes: 0 done; 1 failed, nothing changed or rolled back; 2 usage or configuration; 3 nginx is as asked
but the status is not published yet; 4 shut, but not safe to snapshot; 5 drift or faults found.`
	HelpEveryDay     = "Every day"
	HelpSettingUp    = "Setting up"
	HelpLookingAfter = "Looking after it"
	HelpVersion      = "which version this is"
	HelpWatch        = "look again every 2 seconds, until Ctrl-C"
	HelpLast         = "only the last changes of each site: -n 5"
	HelpQuiet        = "say only what is wrong, and what was asked for"
	HelpVerbose      = "say each step, and each check, that went well too"
	HelpConfig       = "configuration file (default $CONFORMA_STATUS_CONFIG, or /etc/conforma-status/config.toml)"
	HelpSites        = "the site, by its name in the configuration; may be repeated"
	HelpAll          = "every site of the configuration"
	HelpJSON         = "print one JSON document on standard output"
	HelpETA          = "when the site is expected back: 30m, 1h30m, 1d, 18:30, 6:30pm, \"2026-12-01 18:30\" or RFC 3339"
	HelpMessage      = "plain text for visitors, at most 2000 characters; pt=TEXT is for readers of Portuguese; may be repeated"
	HelpReason       = "why, for the record; visitors don't see it"
	HelpDrain        = "how long to wait for earlier requests to end, before they are cut"
	HelpNoCut        = "cut nothing: requests that are left after --drain go on, and the exit code is 4"
	HelpForce        = "go on although nginx's configuration has ways around the rules"
	HelpDryRun       = "say what would be done, and do nothing"

	HelpWait       = "in a fleet: how long to wait for all hosts"
	HelpFollow     = "carry out the orders of this host's fleet, as a service"
	HelpFollowLong = `Look at the switch of each site every few seconds (poll in [fleet]), do on this host what is ordered there, and write into
the fleet's store how far it has got. It is a service: conforma-status-follow. A host that starts stays shut until it has
read the order.`
	HelpFleet           = "the hosts that follow one switch"
	HelpFleetList       = "every host of each site, and how far it has got"
	HelpFleetListLong   = "Show every host of each site, and how far it has got with the order. Exits 5 where a host has not done what was ordered."
	HelpFleetForget     = "take a host that is gone out of the fleet"
	HelpFleetForgetLong = `Take a host that is gone out of the fleet: nothing waits for it any more. It has to be off: otherwise nobody would know whether
it lets people in. If it comes back it joins as a new one.`
	HelpConfirmOff = "the host is off"

	HelpSet     = "switch a site to online, offline or admin"
	HelpSetLong = `Switch a site to a mode, check that nginx uses the new rules, and tell visitors.

  online   normal functioning
  offline  every navigation goes to the maintenance page, everything else gets a 503
  admin    everyone may log in, only administrators get any further

Closing is announced before it happens, opening after. A flag that is not given keeps its value while the
site stays closed.`
	HelpExtend     = "announce a new ETA for a site that is closed"
	HelpExtendLong = `Announce a new ETA for a site that is closed, without touching nginx. WHEN counts from now (30m, 18:30,
"2026-12-01 18:30"); +10m counts from the ETA that is announced.`
	HelpSchedule     = "announce a maintenance window ahead, which then begins by itself"
	HelpScheduleLong = `Announce a maintenance window ahead. Visitors are told of it from now on, and the site's host closes the site when it
begins, late by at most 15 minutes. Nothing opens the site by itself: set online does.

  conforma-status schedule offline --from "2026-12-05 22:00" --for 1h --message "We are upgrading."
  conforma-status schedule list
  conforma-status schedule move ID --from "2026-12-05 23:00"
  conforma-status schedule cancel ID

It works on every machine that may write to the store. From another machine than the site's host, say it two minutes ahead at least.`
	HelpFrom             = "when the window begins: 2h, 22:00, 10pm, \"2026-12-05 22:00\" or RFC 3339"
	HelpUntil            = "when it ends, written likewise; a time of day is the next one after --from"
	HelpFor              = "how long it takes, instead of --until: 30m, 1h30m"
	HelpScheduleList     = "show the windows, and those of the last 30 days"
	HelpScheduleMove     = "give a window other times, or other words"
	HelpScheduleMoveLong = `Give a window that has not begun, or that was missed, other times or other words. What is not given stays; with --from alone
it takes as long as before. Without --site it is moved for each site that has it.`
	HelpScheduleCancel     = "cancel a window"
	HelpScheduleCancelLong = `Cancel a window that has not begun. For one that was missed, this ends the reminder. Without --site it is cancelled for each
site that has it.`
	HelpGet     = "compare what is wanted, on disk, live in nginx, and published"
	HelpGetLong = "Show for each site what is wanted, on disk, live in nginx, in the kernel and published, and whether a snapshot is safe. Exits 5 where they differ."
	HelpRun     = "close a site, run a command, and open it again if the command succeeded"
	HelpRunLong = `Close a site, run a command once no earlier request is left, and open the site again if the command exited 0 and the
application answers. Otherwise the site stays closed. Once the command has started, the exit code is the command's. It is 1 or 4
where the command exited 0, and the site can't be opened or somebody else has set its mode meanwhile.

A site that is closed already stays closed, with its ETA and its message: whoever closed it opens it.`
	HelpRunMode       = "offline or admin"
	HelpReconcile     = "finish or undo an interrupted change, and mend what differs from the record"
	HelpReconcileLong = `Finish a change that was interrupted, or undo it when it can't be finished, then bring every site back to what is on record:
its rules, its closed file, and what is published. It is safe to run every minute.`
	HelpRender     = "write the nginx files for the modes on record, and nothing else"
	HelpRenderLong = `Write http.conf and sites/NAME.conf for the modes on record (online for a new site), and nothing else.
Use it before you add the include lines, or to look at the rules.

With --standby: the whole configuration of the nginx of a second machine, into the directory that --out names. It answers for all sites
as in offline while this host is off. How the sites are served is read from the nginx that runs here.`
	HelpRenderOut     = "write here instead of nginx.conf_dir"
	HelpRenderStandby = "for a second machine that answers while this host is off"
	HelpPreview       = "show the maintenance site in a browser, reloaded on each save"
	HelpPreviewLong   = `Serve the maintenance site on this machine, with a bar above it to try every mode, an end that has
passed, a long message, each language, and no JavaScript. It is built anew whenever the content is saved, and
what is wrong with the content is shown with file and line. Nothing is published.`
	HelpPreviewListen = "address to serve it at"

	HelpBuild       = "render the maintenance site into a directory"
	HelpBuildLong   = "Render the maintenance page of every site into a directory, as it would be published."
	HelpBuildOut    = "the directory to write to"
	HelpPublish     = "build and upload what changed, and the current status"
	HelpPublishLong = `Build the maintenance site, upload what changed, pages last, and then the current status of each site. Then check from outside that
visitors get what was sent, and send again what the store has with other headers.`
	HelpPrune         = "delete pages that are no longer built"
	HelpPublishDryRun = "say what would be uploaded, and upload nothing"
	HelpGate          = "answer nginx's questions about tokens in admin mode"
	HelpGateLong      = `Answer nginx's auth_request on a unix socket: 204 for the token of an administrator, 401 for anything else. One gate
serves every site of the host. While it is down nobody gets in by a token or a pass; the addresses in [site.admin] allow do.`
	HelpDemo     = "the whole thing on this machine, on loopback, as an ordinary user"
	HelpDemoLong = `Start a small application, nginx in front of it, a maintenance server and a gate, all on loopback and as an ordinary
user, and take the site through online, offline, admin and back. Nothing is left behind.`
	HelpDemoOnce = "take the tour, check each step over HTTP, and end: exit 0, or 1 with what differed"

	HelpDoctor     = "what is wrong with this host, store or front end, and how to mend it"
	HelpDoctorLong = `Look at the configuration, nginx, the site's rules, what leads past them, the secret, the gate, the store, the pages as
visitors get them, clocks, certificates and disks: one line each, ok, warning or fault, with what to do. Exits 5 where there are
faults. It changes nothing, leaves nothing behind and takes half a minute at most. What an ordinary user may not see
becomes a warning.`

	HelpHistory     = "who changed what, when and why, and how long it took against what was announced"
	HelpHistoryLong = `Show every change of each site, the oldest first: when, who, why (--reason), what came of it. Each time that
a site was closed has a line: for how long, and how late or early it opened against the announced ETA.`

	HelpInit     = "a configuration and the include lines, from the nginx that runs here"
	HelpInitLong = `Read what nginx serves here (nginx -T) and Conforma's env files, and print a commented configuration and the include lines
to add. What was guessed is marked as guessed. With --write both are put in place, nginx's files kept as they were, and checked
with nginx -t; where that fails, everything is left as it was. nginx is not reloaded.

Where there is a configuration already, --write leaves it as it is and adds the include lines that are missing. --undo takes
back what --write did: the lines, the rules, and the configuration unless it was edited since. It refuses while a site is closed.`
	HelpInitWrite    = "put the configuration and the include lines in place"
	HelpInitUndo     = "take back what --write did"
	HelpInitEnvFiles = "where Conforma's env files are"

	HelpPass     = "a short-lived link that lets its holder in while in admin mode"
	HelpPassLong = `Print a link that lets its holder into a site that is in admin mode, for somebody who has no administrator's account. It is good
for --ttl, in this window of admin mode only, and as often as it is opened: whoever has it is let in. The part of the
link behind the # is the secret: browsers send it to no server, so no log has it. The gate logs each admission with the pass's name.

--revoke ends all of a site's passes at once, and shuts out whoever they let in.`
	HelpTTL    = "how long the pass is good: from 1m to 24h"
	HelpRevoke = "end all of the site's passes, and shut out whoever they let in"

	HelpSecret         = "the secret that a site's application and the gate share, or the key of its passes"
	HelpSecretInit     = "write a strong JWT_SECRET to the site's env file, or a key for its passes, once"
	HelpSecretInitLong = `Write a JWT_SECRET of 32 random bytes to the site's env file (0600), if it has none. The application and the gate both use it.
A secret that is there is never replaced: everyone who is logged in would be signed out.

A site without a [site.jwt] gets a key of its own for its passes (0600, in the state directory).`

	HelpWebhook         = "who is told of each change by HTTP"
	HelpWebhookTest     = "send a test event to each webhook now, and say what came of it"
	HelpWebhookTestLong = `Send an event of the type "test" to each [[webhook]] of the configuration, signed as all of them are, and print a row for each.
Exits 1 where one was not taken, 2 where a secret can't be used.`
	HelpWebhookDeliver = "deliver what waits for the webhooks; each change and reconcile starts it"

	HelpStore         = "set up where the maintenance site lies"
	HelpStoreInit     = "set up the store: the bucket, CORS, public read of just what is public"
	HelpStoreInitLong = `Set up the store of the configuration, and say each thing that is done. A bucket is made where there is none; anyone may
then get what is below the store's prefix and list nothing, and pages of any origin may read it. What others have put
into the bucket's policy and CORS rules stays. A directory is made where there is none. It is safe to run again.`
	HelpStorePrivate = "keep the bucket private, for a CDN that has a right of its own to read it"

	HelpLift     = "remove the kernel barriers of this machine"
	HelpLiftLong = `Remove the kernel barriers of every configuration in this network namespace. The package calls it when it is removed: sites that are
closed stay closed by their rules.`
	HelpUnits     = "write what systemd's units have to know of the configuration"
	HelpUnitsLong = `Write drop-ins below DIR for the units of conforma-status: the sites' secrets, which systemd hands to the gate, the files that
it is restarted for, its socket, and the directories that reconcile writes to. systemd calls this whenever it reads its units
(systemd.generator(7)); after a change of the configuration: systemctl daemon-reload.`
)
