//go:build soak

package gate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/page"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// stock is a host with an application whose front end does what Conforma's does as it is (web/conforma/stock.js), whose
// pages are sent as Conforma's container sends them, and a browser that trusts the site's certificate.
type stock struct {
	*conformaFlow
	mu       sync.Mutex
	redirect string // its maintenanceMode.redirect
	script   string
}

func newStock(t *testing.T) *stock {
	t.Helper()
	s := &stock{conformaFlow: &conformaFlow{h: rig.NewHost(t)}, script: rig.ReadFile(t, "../web/conforma/stock.js")}
	b := s.h.Block(t, "demo")
	c := newConforma(t, b.Secret)
	b.App.Handle = func(w http.ResponseWriter, r *http.Request) bool {
		var answer any
		switch path := r.URL.Path; {
		case path == "/assets/stock.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write([]byte(s.script))
			return true
		case path == "/server/api/public/get-prefs":
			s.mu.Lock()
			defer s.mu.Unlock()
			answer = map[string]any{"maintenanceMode": map[string]any{"enabled": false, "redirect": s.redirect}}
		case path == "/server/graphql":
			answer = map[string]any{"data": map[string]any{"app": "demo"}}
		case path == "/server/api/data-views":
			answer = []string{"one", "two"}
		case strings.HasPrefix(path, "/server/"), strings.HasPrefix(path, "/websocket/"):
			return c.handle(w, r)
		default:
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Last-Modified", "Wed, 22 Nov 2023 12:00:00 GMT")
			_, _ = w.Write([]byte(`<!doctype html><title>Conforma</title><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/assets/stock.js"></script>`))
			return true
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // who asked may be gone
		return true
	}
	s.h.Install(t)
	s.app, s.origin, s.gate = b.App, b.Origin(), s.h.StartGate(t)
	s.h.CLI(t, "publish").Want(t, 0)
	trusting := chrome.Trusting(t, s.h.Certificate())
	s.open = func(t *testing.T) *chrome.Tab { return chrome.OpenTab(t, trusting, "window.stockEvery = 50;") }
	return s
}

// set changes the mode; an open tab's WebSocket is cut.
func (s *stock) set(t *testing.T, mode string) {
	t.Helper()
	if r := s.h.CLI(t, "set", mode, "--site", "demo", "--drain", "200ms"); r.Code != 0 && r.Code != 4 {
		t.Fatalf("set %s: exit code %d\n%s", mode, r.Code, r.Stderr)
	}
}

// until waits until an expression is true on the page of a tab.
func (s *stock) until(t *testing.T, b *chrome.Tab, expression string) {
	t.Helper()
	rig.WaitFor(t, expression, func() bool {
		is, err := chrome.TryEval[bool](b, "Boolean("+expression+")")
		return err == nil && is
	})
}

func (s *stock) login(t *testing.T, b *chrome.Tab, who string) {
	t.Helper()
	b.Open(s.origin + "/login")
	s.until(t, b, `document.getElementById("root")?.textContent === "login"`)
	_, _ = chrome.TryEval[any](b, fmt.Sprintf(`void stock.login(%q)`, who))
}

// shows waits until the tab shows the application's page at a path.
func (s *stock) shows(t *testing.T, b *chrome.Tab, path string) {
	t.Helper()
	s.until(t, b, fmt.Sprintf(`document.getElementById("root")?.textContent === "%s of demo, 2 views"`, path))
}

// way waits until the tab is on the maintenance page with a way back.
func (s *stock) way(t *testing.T, b *chrome.Tab, back string) {
	t.Helper()
	s.until(t, b, fmt.Sprintf(`location.href === %q`, s.h.PageURL+"/demo/"+back))
}

func reload(b *chrome.Tab) { chrome.Call(b, page.Reload, page.ReloadParams{}) }

// TestSoakStockFrontEnd drives the front end as it is through all modes: where it meets what Conforma's own meets, and
// what of it the handbook's lines for nginx, the doctor and the way back mend.
func TestSoakStockFrontEnd(t *testing.T) {
	t.Parallel()
	s := newStock(t)
	conf := filepath.Join(s.h.Nginx.Dir, "sites-enabled", "conforma.conf")
	edit := func(edit func(string) string) {
		t.Helper()
		was := rig.ReadFile(t, conf)
		now := edit(was)
		if now == was {
			t.Fatal("nothing was changed")
		}
		rig.WriteFile(t, conf, now)
		s.h.Nginx.Stop(t)
		s.h.Nginx.Start(t)
	}
	doctor := func(words string) bool {
		t.Helper()
		r := s.h.CLI(t, "doctor", "--site", "demo")
		return strings.Contains(r.Stdout, words)
	}
	first := s.open(t)
	s.login(t, first, "user")
	s.shows(t, first, "/")
	first.Open(s.origin + "/")
	s.shows(t, first, "/")
	s.until(t, first, "stock.connected")

	// Pages that browsers keep: opened while it is closed, the page comes from the cache, and ends at its first query.
	if !doctor("without asking nginx") {
		t.Error("the doctor doesn't warn of pages that browsers keep")
	}
	s.set(t, "offline")
	first.Open("about:blank")
	first.Open(s.origin + "/")
	s.until(t, first, `location.origin === "`+s.origin+`" && document.title === "Conforma"`)
	if got := chrome.Eval[string](first, `document.getElementById("root").textContent`); strings.Contains(got, "demo") {
		t.Errorf("it shows %q while the site is closed", got)
	}
	s.set(t, "online")
	expire := rig.HandbookLines(t, "Pages that browsers keep")
	edit(func(conf string) string {
		return expire[0] + strings.Replace(conf, "error_page 497", expire[1]+"error_page 497", 1)
	})
	if doctor("without asking nginx") {
		t.Error("the doctor warns of pages that browsers keep, with the handbook's lines in place")
	}
	second := s.open(t)
	s.login(t, second, "user")
	s.shows(t, second, "/")
	second.Open(s.origin + "/application/7?tab=2")
	s.shows(t, second, "/application/7")
	s.set(t, "offline")
	second.Open("about:blank")
	second.Open(s.origin + "/application/7?tab=2")
	s.way(t, second, "#at=/application/7?tab=2")

	// Admin mode: who logs in as an ordinary user sees the page end, and at a reload the maintenance page with the same
	// way back; an administrator's idle tab comes back to its route by "log in".
	s.set(t, "online")
	admin := s.open(t)
	s.login(t, admin, "admin")
	s.shows(t, admin, "/")
	admin.Open(s.origin + "/application/9?tab=3")
	s.shows(t, admin, "/application/9")
	s.set(t, "admin")
	logIn := func(b *chrome.Tab) {
		t.Helper()
		s.until(t, b, `document.querySelector("#admin a") && !document.querySelector("#admin").hidden`)
		_, _ = chrome.TryEval[any](b, `void document.querySelector("#admin a").click()`)
	}
	third := s.open(t)
	third.Open(s.origin + "/application/5?tab=2")
	for range 2 { // who tries again ends where they were
		s.way(t, third, "#at=/application/5?tab=2")
		logIn(third)
		s.until(t, third, `document.getElementById("root")?.textContent === "login"`)
		_, _ = chrome.TryEval[any](third, `void stock.login("user")`)
		s.until(t, third, `window.stock?.crashed && document.getElementById("root").textContent === "" && location.search === "?tab=2"`)
		n := s.app.Count()
		reload(third)
		s.way(t, third, "#at=/application/5?tab=2")
		for _, r := range s.app.Since(n) {
			t.Errorf("a user reached %s", r.URI)
		}
	}
	reload(admin)
	s.way(t, admin, "#at=/application/9?tab=3")
	logIn(admin)
	s.shows(t, admin, "/application/9")
	if got := chrome.Eval[string](admin, `location.href`); got != s.origin+"/application/9?tab=3" {
		t.Errorf("the administrator is at %s", got)
	}
	s.until(t, admin, "stock.connected")

	// The listener: closed, it gives up after six closings; with no redirect of its own it stays, and a reload leads to
	// the maintenance page. Where nginx hands no WebSocket on it goes to its own place while the site is open.
	s.set(t, "online")
	s.shows(t, third, "/application/5") // by itself, with the token that it has got
	fourth := s.open(t)
	s.login(t, fourth, "user")
	s.shows(t, fourth, "/")
	s.until(t, fourth, "stock.connected")
	s.set(t, "offline")
	s.until(t, fourth, "stock.gaveUp")
	if got := chrome.Eval[string](fourth, `location.href`); got != s.origin+"/" {
		t.Errorf("it went to %s", got)
	}
	reload(fourth)
	s.way(t, fourth, "")
	s.set(t, "online")
	s.mu.Lock()
	s.redirect = s.h.PageURL + "/demo/#of-its-own"
	s.mu.Unlock()
	edit(func(conf string) string {
		return regexp.MustCompile(`(?m)^ *proxy_(http_version|set_header (Upgrade|Connection)) .*;$`).ReplaceAllString(conf, "")
	})
	if !doctor("hands on no WebSocket") {
		t.Error("the doctor doesn't warn of a location that hands on no WebSocket")
	}
	fifth := s.open(t)
	fifth.Open(s.origin + "/login")
	s.way(t, fifth, "#of-its-own")
	socket := strings.Replace(rig.HandbookLines(t, "WebSockets that aren't handed on")[0], "127.0.0.1:8000", rig.Loopback(s.app.Port), 1)
	edit(func(conf string) string { return strings.Replace(conf, "error_page 497", socket+"error_page 497", 1) })
	if doctor("hands on no WebSocket") {
		t.Error("the doctor warns of WebSockets, with the handbook's lines in place")
	}
	sixth := s.open(t)
	s.login(t, sixth, "user")
	s.shows(t, sixth, "/")
	s.until(t, sixth, "stock.connected")
}
