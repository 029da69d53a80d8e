//go:build soak

package frontend

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/firefox"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

type foxReader struct {
	t *testing.T
	*firefox.Fox
}

func (r foxReader) open(url string) {
	if err := r.TryOpen(url); err != nil && !strings.Contains(err.Error(), "NS_ERROR_") && !strings.Contains(err.Error(), "neterror") {
		r.t.Fatalf("open %s: %v", url, err)
	}
}

func (r foxReader) is(expression, want string) { r.Is(expression, want) }

// TestSoakServiceWorker has Chromium and Firefox open a site with everything that can become of its host and of the
// status, with the worker and without: who has it is led to the page where the status says that the site is closed,
// and nobody else is led anywhere.
func TestSoakServiceWorker(t *testing.T) {
	t.Parallel()
	s := newWorkerSite(t)
	certificate := rig.NewCertificate(t, filepath.Join(s.Nginx.Dir, "cert"), siteName)
	port := rig.Port(t)
	s.Server = fmt.Sprintf("access_log log/access.log; location /dead/ { proxy_pass http://127.0.0.1:1; } listen %s ssl; ssl_certificate %s; ssl_certificate_key %s;",
		rig.Loopback(port), certificate.Fullchain, certificate.Privkey)
	s.WriteNginx(t)
	s.turn(t, true)
	named := fmt.Sprintf("https://%s:%d", siteName, port)
	setting := s.setting(visit{every: never, script: `if (location.href.startsWith(config.statusUrl.replace("status.json", ""))) ` + hurry}, "")
	t.Run("Chromium", func(t *testing.T) {
		browser := chrome.Browser(t)
		known := chromeReader{chrome.OpenTab(t, browser, setting)} // which is a private window, too
		stranger := chromeReader{chrome.OpenTab(t, browser, setting)}
		s.everything(t, known, stranger)
		t.Run("its name is gone", func(t *testing.T) {
			dir := rig.Dir(t)
			browser, end := chrome.Kept(t, certificate, dir)
			s.nameGoes(t, named, chromeReader{chrome.NewTab(t, browser, setting)}, func() (reader, func() error) {
				end()
				browser, _ := chrome.Kept(t, certificate, dir, chrome.NoNames)
				stranger := chrome.OpenTab(t, browser, setting)
				return chromeReader{chrome.NewTab(t, browser, setting)}, func() error { return stranger.TryOpen(named + "/plain") }
			}, "ERR_NAME_NOT_RESOLVED")
		})
	})
	t.Run("Firefox", func(t *testing.T) {
		// Of names it knows one, as this machine.
		fox := firefox.Start(t, `user_pref("network.proxy.no_proxies_on", "127.0.0.1, `+siteName+`");
			user_pref("network.dns.localDomains", "`+siteName+`");
		`)
		fox.Tab(t, setting)
		s.everything(t, foxReader{t, fox}, foxReader{t, fox.Stranger(t, setting)})
		t.Run("its name is gone", func(t *testing.T) {
			stranger := fox.Stranger(t, setting)
			s.nameGoes(t, named, foxReader{t, fox}, func() (reader, func() error) {
				fox.Inside(`Services.prefs.clearUserPref("network.dns.localDomains")`)
				fox.Inside(`Services.dns.clearCache(true)`)
				return foxReader{t, fox}, func() error { return stranger.TryOpen(named + "/plain") }
			}, "NS_ERROR_UNKNOWN_HOST")
		})
		t.Run("in a private window", func(t *testing.T) {
			private := foxReader{t, fox.Private(t, setting)}
			private.open(s.URL + "/plain")
			private.is(workers, ownWorker)
			s.set(t, "offline")
			s.Nginx.Stop(t)
			private.open(s.URL + "/application/7")
			private.is(shown, s.rescued("/application/7"))
			s.Nginx.Start(s.tb)
			s.set(t, "online")
			private.is(shown, "demo")
			private.Close()
		})
	})
}

// siteName leads to the site by https, as long as a browser knows it.
const siteName = "demo.test"

// nameGoes has a visitor of the site at url come back when its name leads nowhere any more. gone sees to that, and
// returns the visitor as of then, and what has a stranger open the site.
func (s workerSite) nameGoes(t *testing.T, url string, known reader, gone func() (known reader, stranger func() error), says string) {
	closed := strings.Replace(s.Published(t, "demo"), `"mode":"online"`, `"mode":"offline"`, 1)
	known.open(url + "/plain")
	known.is(workers, ownWorker)
	s.Nginx.Stop(t) // or a connection to it goes on
	defer s.Nginx.Start(s.tb)
	known, stranger := gone()
	if err := stranger(); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("a stranger gets %v", err)
	}
	known.open(url + "/application/7")
	known.is(shown, "error")
	s.store.say(false, closed)
	defer s.store.say(false, "")
	known.open(url + "/application/7")
	known.is(shown, rescuedFrom(url+"/application/7"))
	known.open("about:blank")
}

// everything goes through what can happen. stranger has no worker.
func (s workerSite) everything(t *testing.T, known, stranger reader) {
	open := s.Published(t, "demo")
	closed := strings.Replace(open, `"mode":"online"`, `"mode":"offline"`, 1)
	known.open(s.URL + "/plain")
	known.is(workers, ownWorker)
	const deep = "/application/7?tab=2&x=%C3%A9#part"
	stop := func() func() { s.Nginx.Stop(t); return func() { s.Nginx.Start(s.tb) } }
	says := func(status string) func() func() {
		return func() func() {
			s.store.say(false, status)
			return func() { s.store.say(false, "") }
		}
	}
	offSays := func(status string) func() func() {
		return func() func() {
			start, heard := stop(), says(status)()
			return func() { start(); heard() }
		}
	}
	hangs := func() (goesOn func()) {
		signal := func(what syscall.Signal) {
			for _, id := range append(rig.WorkerIDs(t, s.Single), strconv.Itoa(s.Nginx.PID(t))) {
				pid, err := strconv.Atoi(id)
				rig.Check(t, err)
				rig.Check(t, syscall.Kill(pid, what))
			}
		}
		signal(syscall.SIGSTOP)
		return sync.OnceFunc(func() { signal(syscall.SIGCONT) })
	}
	for _, row := range []struct {
		name            string
		happens         func() (undo func())
		path            string
		known, stranger string // what they are shown
	}{
		{"nothing", func() func() { return func() {} }, "/plain", "plain", "plain"},
		{"a redirect of the application's own", func() func() { return func() {} }, "/moved", "plain", "plain"},
		{"the site closes", func() func() { s.set(t, "offline"); return func() { s.set(t, "online") } }, deep, "page#at=/application/7?tab=2&x=%C3%A9", "page#at=/application/7?tab=2&x=%C3%A9"},
		{"its host is stopped", func() func() {
			s.set(t, "offline")
			start := stop()
			return func() { start(); s.set(t, "online") }
		}, deep, s.rescued(deep), "error"},
		{"the host of an open site is stopped", stop, deep, "error", "error"},
		{"that of one that is closed for all but administrators", offSays(strings.Replace(open, `"mode":"online"`, `"mode":"admin"`, 1)), deep, s.rescued(deep), "error"},
		{"the application is dead", says(open), "/dead/", "502 Bad Gateway", "502 Bad Gateway"},
		{"the application is dead, and the site is closed", says(closed), "/dead/", s.rescued("/dead/"), "502 Bad Gateway"},
		{"the application refuses by itself, and the site is closed", func() func() {
			s.code.Store(500)
			heard := says(closed)()
			return func() { heard(); s.code.Store(0) }
		}, "/server/", "no", "no"},
		{"the status is HTML", offSays("<!doctype html><title>no</title>"), deep, "error", "error"},
		{"the status is of another version", offSays(strings.Replace(closed, `"version":1`, `"version":2`, 1)), deep, "error", "error"},
		{"the status names another mode", offSays(strings.Replace(open, `"mode":"online"`, `"mode":"later"`, 1)), deep, "error", "error"},
		{"the status leads to a script", offSays(strings.Replace(closed, s.PageURL+"/demo/", "javascript:alert(1)//", 1)), deep, "error", "error"},
		{"the store is away as well", func() func() {
			start := stop()
			s.store.say(true, "")
			return func() { start(); s.store.say(false, "") }
		}, deep, "error", "error"},
	} {
		t.Run(row.name, func(t *testing.T) {
			undo := row.happens()
			defer undo()
			for r, want := range map[reader]string{known: row.known, stranger: row.stranger} {
				r.open(s.URL + row.path)
				r.is(shown, want)
				r.open("about:blank")
			}
		})
	}
	t.Run("however often it failed, the worker stays", func(t *testing.T) {
		known.open(s.URL + "/application/7") // which doesn't bring it back
		known.is(workers, ownWorker)
	})
	goes := func(r reader) {
		t.Helper()
		r.is(fmt.Sprintf(`(location.href = %q, "goes")`, s.URL+deep), "goes")
	}
	t.Run("its host hangs", func(t *testing.T) {
		stranger.open(s.URL + "/application/1")
		s.set(t, "offline")
		goesOn := hangs()
		defer goesOn()
		goes(stranger)
		known.open(s.URL + deep)
		known.is(shown, s.rescued(deep))
		goesOn() // for which the other browser has waited
		stranger.is(shown, "page#at=/application/7?tab=2&x=%C3%A9")
		s.set(t, "online")
		for _, r := range []reader{known, stranger} { // the pages have gone back by themselves
			r.is(shown, "demo")
			r.is(`location.pathname + location.search`, "/application/7?tab=2&x=%C3%A9")
		}
	})
	t.Run("the host of an open site hangs", func(t *testing.T) {
		known.open(s.URL + "/plain")
		known.is(`String(window.watch?.status?.mode)`, "online") // and it doesn't ask again
		s.store.say(false, open)
		defer s.store.say(false, "")
		goesOn := hangs()
		defer goesOn()
		goes(known)
		s.store.heard(t)
		goesOn()
		known.is(shown, "demo")
	})
	t.Run("a form, and a frame", func(t *testing.T) {
		known.open(s.URL + "/plain")
		known.is(`String(window.watch?.status?.mode)`, "online") // and it doesn't ask again
		s.store.say(false, closed)
		s.Nginx.Stop(t)
		defer func() { s.Nginx.Start(s.tb); s.store.say(false, "") }()
		was := s.store.loads()
		// Firefox tells nobody that a frame has failed.
		known.is(`new Promise((done) => { const f = document.createElement("iframe"); f.src = "/application/8"; f.onload = () => done("over"); document.body.append(f); setTimeout(done, 1000, "over"); })`, "over")
		if n := s.store.loads() - was; n > 0 {
			t.Errorf("a frame was led to the page")
		}
		known.is(`(() => { const f = document.createElement("form"); f.method = "POST"; f.action = "/application/7"; document.body.append(f); f.submit(); return "sent"; })()`, "sent")
		known.is(shown, "error")
	})
	t.Run("one request", func(t *testing.T) {
		got := func() int {
			return strings.Count(rig.ReadFile(t, filepath.Join(s.Nginx.Dir, "log", "access.log")), "GET /application/once ")
		}
		was := got()
		known.open(s.URL + "/application/once")
		known.is(shown, "demo")
		s.Nginx.Stop(t) // it has written by then what it answered
		defer s.Nginx.Start(s.tb)
		if n := got() - was; n != 1 {
			t.Errorf("nginx got %d requests for one page", n)
		}
	})
	t.Run("turned off", func(t *testing.T) {
		s.turn(t, false)
		defer s.turn(t, true)
		known.open(s.URL + "/plain")
		known.is(workers, "")
	})
}
