package frontend

import (
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// workerSite is a site with a service worker. Its page imports the published client.
type workerSite struct{ *appSite }

func newWorkerSite(t testing.TB) workerSite {
	t.Helper()
	s := workerSite{newAppSite(t, "")}
	s.turn(t, true)
	return s
}

// turn turns the site's service worker on or off, as the handbook says.
func (s workerSite) turn(t testing.TB, on bool) {
	t.Helper()
	s.Configure(t, rig.Settings{Site: fmt.Sprintf("service_worker = %t", on)})
	s.CLI(t, "render").Want(t, 0)
	reload := s.Nginx.Args("-s", "reload")
	rig.Reloaded(t, s.Single, func() {
		if err := exec.Command(reload[0], reload[1:]...).Run(); err != nil {
			t.Fatal(err)
		}
	})
	s.CLI(t, "publish").Want(t, 0)
}

// reader is a tab of either browser.
type reader interface {
	// open goes to the address, and comes back once the browser shows something.
	open(url string)
	// is waits until the expression, or its promise, comes to the text.
	is(expression, want string)
}

type chromeReader struct{ *chrome.Tab }

func (r chromeReader) open(url string) {
	if err := r.TryOpen(url); err != nil && !strings.Contains(err.Error(), "net::ERR_") {
		r.T.Fatalf("open %s: %v", url, err)
	}
}

func (r chromeReader) is(expression, want string) {
	r.T.Helper()
	var got string
	var err error
	defer func() {
		if got != want {
			r.T.Logf("%s comes to %q, want %q (%v)", expression, got, want, err)
		}
	}()
	rig.WaitFor(r.T, expression, func() bool {
		got, err = chrome.TryEval[string](r.Tab, "Promise.resolve("+expression+").then(String)")
		return err == nil && got == want
	})
}

const (
	// workers are those of the site, as their scopes, scripts and states.
	workers = `navigator.serviceWorker.getRegistrations().then((all) => all.map((r) => new URL(r.scope).pathname + " " +
		new URL((r.installing ?? r.waiting ?? r.active).scriptURL).pathname + " " + r.active?.state).join())`
	ownWorker = "/ /.conforma-status/sw.js activated"

	// shown is what the browser shows: the maintenance page with its fragment, an error of its own, or else the title.
	shown = `document.documentURI.startsWith(config.statusUrl.replace("status.json", "")) ? "page" + location.hash :
		/^(chrome-error|about:neterror)/.test(document.documentURI) ? "error" : document.title`
)

// rescued is what is shown to whom the worker leads from there to the page.
func (s workerSite) rescued(path string) string { return rescuedFrom(s.URL + path) }

func rescuedFrom(address string) string {
	return "page#from=" + strings.ReplaceAll(url.QueryEscape(address), "+", "%20")
}

// TestServiceWorker: who has been on the site finds the page while the host is off, by the way that keeps where they
// were going. Nobody is led there from an open site, whatever is broken; and once it is turned off, no worker is
// left.
func TestServiceWorker(t *testing.T) {
	t.Parallel()
	s := newWorkerSite(t)
	browser := chrome.Browser(t)
	known := chromeReader{chrome.OpenTab(t, browser, s.setting(visit{every: never}, ""))}
	stranger := chromeReader{chrome.OpenTab(t, browser, s.setting(visit{every: never}, ""))}

	known.open(s.URL + "/plain")
	known.is(workers, ownWorker)
	was := s.pages.Load()
	known.open(s.URL + "/moved?x=1")
	known.is(shown, "plain")
	if got := s.pages.Load() - was; got != 2 {
		t.Errorf("a navigation to a redirect reached the application %d times, want twice: one request for each of its two pages", got)
	}
	known.open(s.URL + "/application/7")
	known.is(`performance.getEntriesByType("navigation")[0].workerMatchedSourceType + " " + performance.getEntriesByType("resource")[0]?.workerMatchedSourceType`,
		"race-network-and-fetch-handler network")

	const path = "/application/7?tab=2&x=%C3%A9#part"
	s.Nginx.Stop(t)
	for _, r := range []reader{known, stranger} {
		r.open(s.URL + path)
		r.is(shown, "error")
	}
	s.Nginx.Start(t)
	s.set(t, "offline")
	known.open(s.URL + path)
	known.is(shown, "page#at=/application/7?tab=2&x=%C3%A9")
	s.Nginx.Stop(t)
	known.open(s.URL + path)
	known.is(shown, s.rescued(path))
	stranger.open(s.URL + path)
	stranger.is(shown, "error")
	s.Nginx.Start(t)
	s.set(t, "online")

	s.turn(t, false)
	known.open(s.URL + "/plain")
	known.is(workers, "")
	s.Nginx.Stop(t)
	known.open(s.URL + path)
	known.is(shown, "error")
}
