package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// state compares what is wanted with what is on disk, live and published.
func (e *examination) state(ctx context.Context, s config.Site) {
	v, err := e.view(ctx, s)
	if err != nil {
		e.failed(checkDrift, err,
			"see that the state directory can be read; a damaged record is moved away, and the mode set again")
		return
	}
	for _, d := range v.Drift {
		if d.Shown == maintenance.ByStore && e.UID != 0 && errors.Is(d.Err, store.ErrDenied) {
			e.warn(checkDrift, fmt.Sprintf("user %d may not look at it: %v", e.UID, d.Err), hintAsRoot)
			continue
		}
		e.fault(checkDrift, d.Text, e.remedy(s, v, d))
	}
	if len(v.Drift) == 0 {
		e.ok(checkDrift, "wanted, on disk, live and published agree: "+string(v.Mode))
	}
	if until := v.Wanted.ExpectedUntil; until != nil && v.Mode.Closed() && e.Now().After(*until) {
		e.warn(checkOverdue, "the site was announced to be back at "+until.UTC().Format(time.RFC3339),
			"conforma-status extend WHEN, or open it")
	} else {
		e.ok(checkOverdue, "no announced time has passed")
	}
}

// reloads bounds how often nginx is asked that was told to reload just before: its old workers may answer for a moment.
const reloads = 8

// reloadPause is how long after an answer it is asked again.
const reloadPause = 250 * time.Millisecond

// view compares what is wanted of a site with what holds, and waits for an nginx that is just reloading.
func (e *examination) view(ctx context.Context, s config.Site) (v maintenance.View, err error) {
	for range reloads {
		v, err = e.Host.View(ctx, s)
		old := slices.ContainsFunc(v.Drift, func(d maintenance.Drift) bool {
			return d.Shown == maintenance.ByNginx && (d.Err == nil || errors.Is(d.Err, control.ErrNotOurs))
		})
		if err != nil || !old || e.Host.Clock.Sleep(ctx, reloadPause) != nil {
			break
		}
	}
	return v, err
}

// What mends drift. Without a record only the operator knows which mode is wanted.
const (
	hintReconcile = "conforma-status reconcile brings the site back to what is on record"
	hintFinish    = "conforma-status reconcile finishes it"
	hintSetMode   = "this machine has no record of the site: conforma-status set MODE makes one; " +
		"MODE is the one that it is to be in"
	hintSetElsewhere = hintSetMode + ". (Where another machine has closed it, that is where it is opened.)"
	hintRender       = "this machine has no record of the site: conforma-status render, then reload nginx"
	hintReload       = "reload nginx; its error log says why it keeps its old configuration"
	hintJournal      = "look at the file, move it away, and set the mode again"
	hintStart        = "start nginx, or see that the site's listen is where it serves the site"
	hintCertificate  = "give the site's server {} an address that only this machine has, without TLS " +
		"(listen 127.0.0.1:PORT;), and name it in the site's listen"
	hintInclude = "put \"include %s;\" first in the site's server {}, " +
		"see that the site's listen and app_url lead there, then reload nginx"
	hintEnter   = "nginx's workers don't see the closed file: chmod o+x %s"
	hintNewer   = "a newer version has written it: install that one here, too"
	hintStore   = "see what is said of the store"
	hintPublish = "conforma-status publish tells visitors"
)

// remedy says what mends a drift: reconcile where it is on record what is wanted, and the others can be heard.
func (e *examination) remedy(s config.Site, v maintenance.View, d maintenance.Drift) string {
	hint := ""
	switch d.Shown {
	case maintenance.ByJournal:
		hint = hintFinish
		if d.Err != nil {
			hint = hintJournal
		}
	case maintenance.ByNginx:
		hint = e.mendLive(s, v, d)
	case maintenance.ByDisk:
		hint = mendDisk(v)
	case maintenance.ByStore:
		hint = mendPublished(v, d)
	}
	return cmp.Or(hint, hintReconcile)
}

// mendLive says what to do where nginx does otherwise than it is wanted, "" for a reconcile.
func (e *examination) mendLive(s config.Site, v maintenance.View, d maintenance.Drift) string {
	switch dir := e.closedToWorkers(e.Host.Config.StateDir); {
	case errors.Is(d.Err, control.ErrNeedsClientCert):
		return hintCertificate
	case errors.Is(d.Err, control.ErrNotOurs):
		return fmt.Sprintf(hintInclude, e.rulesOf(s))
	case d.Err != nil:
		return hintStart
	case v.Live.Closed != v.OnDisk.Closed && dir != "":
		return fmt.Sprintf(hintEnter, dir)
	case !v.Wanted.OnRecord:
		return hintReload
	}
	return ""
}

// mendDisk says what to do where the rules on disk are others than wanted, "" for a reconcile.
func mendDisk(v maintenance.View) string {
	switch {
	case v.Wanted.OnRecord:
		return ""
	case v.OnDisk.Closed, v.OnDisk.Mode != "" && v.OnDisk.Mode != v.Mode:
		return hintSetMode
	}
	return hintRender
}

// mendPublished says what to do where another status is published than wanted, "" for a reconcile.
func mendPublished(v maintenance.View, d maintenance.Drift) string {
	switch hint := store.Hint(d.Err); {
	case errors.Is(d.Err, status.ErrVersion):
		return hintNewer
	case errors.Is(d.Err, maintenance.ErrOldAddress):
		return hintPublish
	case hint != "":
		return hint
	case errors.Is(d.Err, store.ErrUnavailable), errors.Is(d.Err, store.ErrDenied):
		return hintStore
	case !v.Wanted.OnRecord:
		return hintSetElsewhere
	}
	return ""
}
