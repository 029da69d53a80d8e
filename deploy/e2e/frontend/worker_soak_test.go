//go:build soak

package frontend

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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
	s := newWorkerSite(t)
	s.Server = "location /dead/ { proxy_pass http://127.0.0.1:1; }"
	s.WriteNginx(t)
	s.turn(t, true)
	setting := s.setting(visit{every: never}, "")
	t.Run("Chromium", func(t *testing.T) {
		browser := chrome.Browser(t)
		known := chromeReader{chrome.OpenTab(t, browser, setting)} // which is a private window, too
		stranger := chromeReader{chrome.OpenTab(t, browser, setting)}
		s.everything(t, known, stranger)
	})
	t.Run("Firefox", func(t *testing.T) {
		fox := firefox.Start(t, "")
		fox.Tab(t, setting)
		s.everything(t, foxReader{t, fox}, nil)
	})
}

// everything goes through what can happen. stranger has no worker; nil for none.
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
	t.Run("its host hangs", func(t *testing.T) {
		s.set(t, "offline")
		signal := func(what syscall.Signal) {
			for _, id := range append(rig.WorkerIDs(t, s.Single), strconv.Itoa(s.Nginx.PID(t))) {
				pid, err := strconv.Atoi(id)
				rig.Check(t, err)
				rig.Check(t, syscall.Kill(pid, what))
			}
		}
		signal(syscall.SIGSTOP)
		defer func() { s.set(t, "online") }()
		defer signal(syscall.SIGCONT)
		known.open(s.URL + deep)
		known.is(shown, s.rescued(deep))
	})
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
				if r != nil {
					r.open(s.URL + row.path)
					r.is(shown, want)
					r.open("about:blank")
				}
			}
		})
	}
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
	t.Run("turned off", func(t *testing.T) {
		s.turn(t, false)
		defer s.turn(t, true)
		known.open(s.URL + "/plain")
		known.is(workers, "")
	})
}

// TestSoakServiceWorkerBesideWorkbox has the application register a worker that Workbox has generated.
func TestSoakServiceWorkerBesideWorkbox(t *testing.T) {
	s := newWorkerSite(t)
	setting := s.setting(visit{every: never}, "")
	const deep = "/application/7?tab=2"
	fox := firefox.Start(t, "")
	for _, row := range []struct {
		name string
		args []string
	}{
		{"that answers with the shell", []string{"shell"}},
		{"that answers with the shell, and imports ours", []string{"shell", "imports"}},
		{"that leaves pages to the network, and imports ours", []string{"network", "imports"}},
	} {
		dir := rig.Dir(t)
		rig.WriteFile(t, filepath.Join(dir, "shell.html"), fmt.Sprintf(`<!doctype html><title>shell</title><link rel="icon" href="data:,"><script type="module">
			import { watchStatus } from "%[1]s/demo/conforma-status.js";
			navigator.serviceWorker.register("/sw.js");
			watchStatus({ statusUrl: "%[1]s/demo/status.json" });
		</script>`, s.PageURL))
		cmd := exec.Command("node", append([]string{"build.mjs", dir}, row.args...)...)
		cmd.Dir = "../web/workbox"
		cmd.Env = append(os.Environ(), "NODE_OPTIONS=--experimental-global-webcrypto") // the Node.js of Debian 12 has it behind that
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("workbox: %v\n%s", err, out)
		}
		s.mu.Lock()
		s.root = dir
		s.mu.Unlock()
		play := func(t *testing.T, r reader) {
			r.open(s.URL + "/shell.html")
			r.is(workers, "/ /sw.js activated")
			r.open(s.URL + deep)
			if row.args[0] == "shell" {
				r.is(shown, "shell")
			} else {
				r.is(shown, "demo")
			}
			r.is(workers, "/ /sw.js activated")
			s.set(t, "offline")
			s.Nginx.Stop(t)
			r.open(s.URL + deep)
			r.is(shown, s.rescued(deep))
			s.Nginx.Start(s.tb)
			s.set(t, "online")
			s.Nginx.Stop(t)
			r.open(s.URL + deep)
			if row.args[0] == "shell" {
				r.is(shown, "shell")
			} else {
				r.is(shown, "error")
			}
			s.Nginx.Start(s.tb)
		}
		t.Run("Chromium: one "+row.name, func(t *testing.T) { play(t, chromeReader{chrome.OpenTab(t, chrome.Browser(t), setting)}) })
		t.Run("Firefox: one "+row.name, func(t *testing.T) {
			fox.Tab(t, setting)
			play(t, foxReader{t, fox})
		})
	}
}
