package frontend

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

const (
	route  = "/applications/7?tab=2#part"
	typing = "half a sentence"

	often = 800        // ms between two polls where the poll is to bring the news
	never = 600 * 1000 // where a failed query is
)

// tab is one of either browser.
type tab interface {
	Open(url string)
	// eval returns what the expression, or its promise, comes to, as JSON. An error may be one of a page that is just
	// being left.
	eval(expression string) (string, error)
	// Heard returns what its pages said to "report", since ForgetHeard.
	Heard() []string
	ForgetHeard()
	// network breaks its network, or mends it.
	network(broken bool)
	// beside opens one more of the same user.
	beside(t testing.TB) tab
}

type chromeTab struct{ *chrome.Tab }

// chromium opens tabs, each with cookies and storage of its own, that run the script before those of each page.
func chromium(browser context.Context) func(t testing.TB, script string) tab {
	return func(t testing.TB, script string) tab { return reporting(chrome.OpenTab(t, browser, script)) }
}

func reporting(b *chrome.Tab) chromeTab {
	chrome.Call(b, runtime.AddBinding, runtime.AddBindingParams{Name: "report"})
	return chromeTab{b}
}

func (b chromeTab) eval(expression string) (string, error) {
	return chrome.TryEval[string](b.Tab, asJSON(expression))
}

func (b chromeTab) network(broken bool) {
	chrome.Call(b.Tab, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: -1, Offline: broken}},
	})
}

func (b chromeTab) beside(t testing.TB) tab { return reporting(chrome.NewTab(t, b.Ctx, b.Script)) }

// asJSON is an expression for what the expression, or its promise, comes to, as JSON.
func asJSON(expression string) string {
	return "Promise.resolve(" + expression + `).then((value) => JSON.stringify(value) ?? "null")`
}

// value returns what the expression, or its promise, comes to.
func value[T any](p *visitor, expression string) (v T) {
	p.T.Helper()
	got, err := p.eval(expression)
	if err == nil {
		err = json.Unmarshal([]byte(got), &v)
	}
	if err != nil {
		p.T.Fatalf("evaluate %s: %v", expression, err)
	}
	return v
}

// visitor is one tab with the application open, its form half filled and its WebSocket open.
type visitor struct {
	tab
	Tab   *chrome.Tab // where it is one of Chromium
	T     testing.TB
	s     *appSite
	path  string
	token string // of its session
}

type visit struct {
	every  int    // ms
	path   string // default: route
	admin  bool   // with an administrator's token
	veto   bool   // the application won't have the page left
	arrive bool   // without using the application
	script string // runs in each page, last before its own
}

// setting is what a test has the application and the page find in their windows.
func (s *appSite) setting(v visit, token string) string {
	return fmt.Sprintf(`
		window.config = { app: %q, statusUrl: %q, every: %d, veto: %t, isAdmin: %t };
		if (location.origin === config.app) localStorage.persistJWT ??= %q;
		window.away = false;
		Object.defineProperty(Document.prototype, "hidden", { get: () => away });
		window.until = (holds) => new Promise((done) => {
			const look = () => { if (holds()) done(true); else setTimeout(look, 10); };
			look();
		});
	`, s.URL, s.PageURL+"/demo/status.json", v.every, v.veto, v.admin, token) + v.script
}

const (
	// settled holds once the application is there, with all that it opens.
	settled = `document.querySelector("h1")?.innerText === "Hello from demo" && app.socket.readyState === 1 && app.watch.status`
	// fill types into its form.
	fill = `const e = document.querySelector("textarea");
		Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(e, "` + typing + `");
		e.dispatchEvent(new Event("input", { bubbles: true }))`
	filled = `document.querySelector("textarea").value === "` + typing + `"`
)

func (s *appSite) visit(t testing.TB, browser context.Context, v visit) *visitor {
	t.Helper()
	return s.visitBy(t, chromium(browser), v)
}

func newVisitor(p visitor) *visitor {
	if b, ok := p.tab.(chromeTab); ok {
		p.Tab = b.Tab
	}
	return &p
}

func (s *appSite) visitBy(t testing.TB, open func(testing.TB, string) tab, v visit) *visitor {
	t.Helper()
	if v.path == "" {
		v.path = route
	}
	token := rig.UserToken(s.Blocks[0].Secret)
	if v.admin {
		token = rig.AdminToken(s.Blocks[0].Secret)
	}
	p := newVisitor(visitor{tab: open(t, s.setting(v, token)), T: t, s: s, path: v.path, token: token})
	p.sit(v)
	return p
}

// beside opens a second tab of the same visitor.
func (p *visitor) beside(t testing.TB) *visitor {
	t.Helper()
	q := newVisitor(visitor{tab: p.tab.beside(t), T: t, s: p.s, path: p.path, token: p.token})
	q.sit(visit{})
	return q
}

func (p *visitor) sit(v visit) {
	p.T.Helper()
	p.Open(p.s.URL + p.path)
	if v.arrive {
		return
	}
	p.has(settled)
	p.run(fill)
	p.has(filled)
}

func (p *visitor) run(script string) {
	p.T.Helper()
	value[bool](p, `(() => { `+script+`; return true })()`)
}

// has waits until the condition holds.
func (p *visitor) has(condition string) {
	p.T.Helper()
	value[bool](p, `until(() => `+condition+`).then(Boolean)`)
}

// passes waits until so many milliseconds have passed in the life of the page: see chrome.Passes.
func (p *visitor) passes(ms int) {
	p.T.Helper()
	value[bool](p, fmt.Sprintf(`new Promise((done) => setTimeout(done, %d, true))`, ms))
}

// deaf has the application not notice the end of its WebSocket, which a closing cuts.
func (p *visitor) deaf() {
	p.T.Helper()
	p.run(`app.socket.onclose = null`)
}

func (p *visitor) show(hidden bool) {
	p.T.Helper()
	p.run(fmt.Sprintf(`away = %t; document.dispatchEvent(new Event("visibilitychange", { bubbles: true }))`, hidden))
}

// at waits until the tab's address is one that passes.
func (p *visitor) at(what string, passes func(at string) bool) {
	p.T.Helper()
	rig.WaitFor(p.T, what, func() bool {
		// An error is one of a page that is just being left.
		var at string
		got, err := p.eval(`location.href`)
		return err == nil && json.Unmarshal([]byte(got), &at) == nil && at != "about:blank" && passes(at) // where Firefox is in between
	})
}

// left waits until the tab is on the maintenance page, and checks what it took along.
func (p *visitor) left() {
	p.T.Helper()
	want := p.s.PageURL + "/demo/#from=" + strings.ReplaceAll(url.QueryEscape(p.s.URL+p.path), "+", "%20")
	p.at("the maintenance page", func(at string) bool {
		if !strings.HasPrefix(at, p.s.URL) && at != want {
			p.T.Fatalf("the tab is at %s, want %s", at, want)
		}
		return at == want
	})
}

// kept checks that who left has lost neither the draft nor the session.
func (p *visitor) kept() {
	p.T.Helper()
	p.Open(p.s.URL + "/.conforma-status/status.json") // of the same origin, and there in every mode
	if got := value[string](p, `String(sessionStorage.draft)`); got != typing {
		p.T.Errorf("the draft is %q", got)
	}
	if got := value[string](p, `String(localStorage.persistJWT)`); got != p.token {
		p.T.Errorf("the session's token is %q", got)
	}
}

// stays checks that the tab never left, and that nothing that was typed is lost.
func (p *visitor) stays() {
	p.T.Helper()
	p.passes(300) // for what must not happen
	if at := value[string](p, `location.href`); at != p.s.URL+p.path {
		p.T.Fatalf("the tab is at %s", at)
	}
	if got := value[string](p, `document.querySelector("textarea").value`); got != typing {
		p.T.Errorf("the form holds %q", got)
	}
	if got := value[string](p, `String(localStorage.persistJWT)`); got != p.token {
		p.T.Errorf("the session's token is %q", got)
	}
}

// told compares what the client told the application.
func (p *visitor) told(want ...string) {
	p.T.Helper()
	rig.WaitFor(p.T, "the application to be told", func() bool { return len(p.Heard()) >= len(want) })
	if got := p.Heard(); len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		p.T.Errorf("the application was told %q, want %q", got, want)
	}
}

// ends waits for each operation of the application to end so.
func (p *visitor) ends(want ...string) {
	p.T.Helper()
	p.has(`app.outcomes.every((o) => o !== "nothing")`)
	if got := value[[]string](p, `app.outcomes`); len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		p.T.Errorf("the operations ended in %q, want %q", got, want)
	}
}

// documents counts the pages that the tab asked for: how often it was at the application, and at the maintenance page.
func (p *visitor) documents() (app, maintenance int) {
	route, _, _ := strings.Cut(p.path, "#")
	for _, u := range p.Tab.Sent() {
		u, _, _ = strings.Cut(u, "#")
		switch u {
		case p.s.URL + route:
			app++
		case p.s.PageURL + "/demo/":
			maintenance++
		}
	}
	return app, maintenance
}

func (p *visitor) visited(app, maintenance int) {
	p.T.Helper()
	if a, m := p.documents(); a != app || m != maintenance {
		p.T.Errorf("%d times at the application and %d times at the page, want %d and %d", a, m, app, maintenance)
	}
}
