package main

// The words of --help, beside those of ui.go.
const (
	helpRoot     = "put a web application behind nginx into maintenance, and back"
	helpRootLong = `conforma-status closes a web application behind nginx for maintenance without losing a write
or a visitor, tells everyone until when, lets administrators in early, and opens it again.

  conforma-status set offline --eta 30m     close the site
  conforma-status set admin                 let administrators in
  conforma-status set online                open it
  conforma-status get                       see what is wanted, on disk, live and published

Exit codes: 0 done; 1 failed, nothing changed or rolled back; 2 usage or configuration; 3 nginx is as asked
but the status is not published yet; 4 shut, but not safe to snapshot; 5 drift or faults found.`
	helpConfig  = "configuration file (default $CONFORMA_STATUS_CONFIG, or /etc/conforma-status/config.toml)"
	helpSites   = "the site, by its name in the configuration; may be repeated"
	helpAll     = "every site of the configuration"
	helpJSON    = "print one JSON document on standard output"
	helpETA     = "when the site is expected back: 30m, 1h30m, 1d, 18:30 or RFC 3339"
	helpMessage = "plain text for visitors, at most 2000 characters; pt=TEXT is for readers of Portuguese; may be repeated"
	helpReason  = "why, for the record; visitors don't see it"
	helpDrain   = "how long to wait for what was let in earlier, before it is cut"
	helpNoCut   = "cut nothing: what is left after --drain stays, and the exit code is 4"
	helpForce   = "go on where nginx's configuration is known to have holes"
	helpDryRun  = "say what would be done, and do nothing"

	helpSet     = "switch a site to online, offline or admin"
	helpSetLong = `Switch a site to a mode, see that nginx took it up, and tell visitors.

  online   normal functioning
  offline  every navigation goes to the maintenance page, everything else gets a 503
  admin    everyone may log in, only administrators get any further

Closing is announced before it happens, opening after. A flag that is not given keeps its value while the
site stays closed.`
	helpExtend     = "announce a new ETA for a site that is closed"
	helpExtendLong = "Announce a new ETA for a site that is closed, without touching nginx."
	helpGet        = "compare what is wanted, on disk, live in nginx, and published"
	helpGetLong    = "Show for each site what is wanted, on disk, live in nginx, and published. Exits 5 where they differ."
	helpRun        = "close a site, run a command, and open it again if the command succeeded"
	helpRunLong    = `Close a site, run a command once nothing of before is left, and open the site again if the command exited 0 and the
application answers. Otherwise the site stays closed. The exit code is the command's once it has started.`
	helpRunMode       = "offline or admin"
	helpReconcile     = "finish or undo an interrupted change, and mend what differs from the record"
	helpReconcileLong = `Finish a change that was interrupted, or undo it when it can't be finished, then bring every site back to what is on record:
its rules, its closed file, and what is published. It is safe to run every minute.`
	helpRender     = "write the nginx files for the modes on record, and nothing else"
	helpRenderLong = `Write http.conf and sites/NAME.conf for the modes on record (online for a new site), and nothing else:
before the include lines are first added, and to look at.`
	helpRenderOut   = "write here instead of nginx.conf_dir"
	helpPreview     = "show the maintenance site in a browser, reloaded on each save"
	helpPreviewLong = `Serve the maintenance site on this machine, with a bar above it to try every mode, an end that has
passed, a long message, each language, and no JavaScript. It is built anew whenever the content is saved, and
what is wrong with the content is shown with file and line. Nothing is published.`
	helpPreviewListen = "address to serve it at"

	helpBuild       = "render the maintenance site into a directory"
	helpBuildLong   = "Render the maintenance page of every site into a directory, as it would be published."
	helpBuildOut    = "the directory to write to"
	helpPublish     = "build and upload what changed, and the current status"
	helpPublishLong = `Build the maintenance site, upload what changed, pages last, and then the current status of each site. Then see whether
the world gets what was sent, and send again what the store has with other headers.`
	helpPrune         = "delete pages that are no longer built"
	helpPublishDryRun = "say what would be uploaded, and upload nothing"
	helpGate          = "answer nginx's questions about tokens in admin mode"
	helpGateLong      = `Answer nginx's auth_request on a unix socket: 204 for the token of an administrator, 401 for anything else. One gate
serves every site of the host. While it is down nobody is let in.`
	helpDemo     = "the whole thing on this machine, on loopback, as an ordinary user"
	helpDemoLong = `Start a small application, nginx in front of it, a maintenance server and a gate, all on loopback and as an ordinary
user, and take the site through online, offline, admin and back. Nothing is left behind.`
	helpDemoOnce = "take the tour, check each step over HTTP, and end: exit 0, or 1 with what differed"
)
