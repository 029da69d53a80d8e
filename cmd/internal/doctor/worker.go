package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/nginxconf"
)

// usualWorkers are where frameworks put the service worker of an application: vite-plugin-pwa, Workbox and Next.js;
// Create React App; Angular; OneSignal. At the top of a site its scope is all of it.
var usualWorkers = []string{"/sw.js", "/service-worker.js", "/serviceworker.js", "/ngsw-worker.js", "/OneSignalSDKWorker.js"}

// serviceWorker sees whether the site's service worker is served, and whether the application has one that takes its
// place.
func (e *examination) serviceWorker(ctx context.Context, s config.Site) {
	if !s.ServiceWorker {
		e.ok(checkServiceWorker, "the site has none, and nginx serves what ends one")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	at := maintenance.Target(s)
	served, err := e.Nginx.FetchScript(ctx, at, nginxconf.WorkerPath)
	switch {
	case err != nil:
		e.warn(checkServiceWorker, err.Error(), "see that nginx answers at the site's listen")
		return
	case served != s.Worker():
		e.fault(checkServiceWorker, "nginx doesn't serve the site's service worker at "+nginxconf.WorkerPath, "conforma-status render, then reload nginx")
		return
	}
	for _, path := range usualWorkers {
		script, err := e.Nginx.FetchScript(ctx, at, path)
		if err == nil && script != "" && !strings.Contains(script, nginxconf.WorkerPath) {
			e.warn(checkServiceWorker, fmt.Sprintf("the application has a service worker of its own, %s: the whole site can be the scope of one alone, and ours is not registered beside it", path),
				fmt.Sprintf("add importScripts(%q) at its end: the client's README says more; or set service_worker = false", nginxconf.WorkerPath))
			return
		}
	}
	e.ok(checkServiceWorker, "nginx serves it, and the application has none in its place")
}
