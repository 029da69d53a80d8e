package e2e

import (
	"context"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

const (
	route  = "/applications/7?tab=2#part"
	typing = "half a sentence"

	often = 800        // ms between two polls where the poll is to bring the news
	never = 600 * 1000 // where a failed query is
)

// seat is one tab with the application open, its form half filled and its WebSocket open.
type seat struct {
	*tab
	s    *stage
	path string
}

type visit struct {
	every  int
	path   string // default: route
	admin  bool   // with an administrator's token
	veto   bool   // the application won't have the page left
	lies   bool   // for script
	arrive bool   // without using the application
	script string // runs in each page, first
}

func (s *stage) visit(t *testing.T, browser context.Context, v visit) *seat {
	t.Helper()
	if v.path == "" {
		v.path = route
	}
	token := ""
	if v.admin {
		token = rig.AdminToken(s.Blocks[0].Secret)
	}
	p := &seat{tab: openTab(t, browser, fmt.Sprintf(`
		window.config = { statusUrl: %q, every: %d, veto: %t, token: %q, lies: %t, app: %q };
		window.away = false;
		Object.defineProperty(Document.prototype, "hidden", { get: () => away });
		window.until = (holds) => new Promise((done) => {
			const look = () => { if (holds()) done(true); else setTimeout(look, 10); };
			look();
		});
	`, s.PageURL+"/demo/status.json", v.every, v.veto, token, v.lies, s.URL)+v.script), s: s, path: v.path}
	p.open(s.URL + v.path)
	if v.arrive {
		return p
	}
	p.has(`document.querySelector("h1")?.innerText === "Hello from demo" && app.socket.readyState === 1 && app.watch.status`)
	p.run(`const e = document.querySelector("textarea");
		Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(e, "` + typing + `");
		e.dispatchEvent(new Event("input", { bubbles: true }))`)
	p.has(`document.querySelector("textarea").value === "` + typing + `"`)
	return p
}

func (p *seat) run(script string) {
	p.t.Helper()
	eval[bool](p.tab, `(() => { `+script+`; return true })()`)
}

// has waits until the condition holds.
func (p *seat) has(condition string) {
	p.t.Helper()
	eval[bool](p.tab, `until(() => `+condition+`).then(Boolean)`)
}

// deaf has the application not notice the end of its WebSocket, which a closing cuts.
func (p *seat) deaf() {
	p.t.Helper()
	p.run(`app.socket.onclose = null`)
}

func (p *seat) show(hidden bool) {
	p.t.Helper()
	p.run(fmt.Sprintf(`away = %t; document.dispatchEvent(new Event("visibilitychange", { bubbles: true }))`, hidden))
}

// beside opens a second tab of the same visitor.
func (p *seat) beside(t *testing.T) *seat {
	t.Helper()
	q := &seat{tab: newTab(t, p.ctx, p.script), s: p.s, path: p.path}
	q.open(p.s.URL + p.path)
	q.has(`app.watch.status`)
	return q
}

// left waits until the tab is on the maintenance page, and checks what it took along.
func (p *seat) left() {
	p.t.Helper()
	want := p.s.PageURL + "/demo/#from=" + strings.ReplaceAll(url.QueryEscape(p.s.URL+p.path), "+", "%20")
	var at string
	rig.WaitFor(p.t, "the maintenance page", func() bool {
		// An error is one of a page that is just being left.
		now, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`location.href`))
		at = now
		return err == nil && !strings.HasPrefix(at, p.s.URL)
	})
	if at != want {
		p.t.Errorf("the tab is at %s, want %s", at, want)
	}
}

// stays checks that the tab never left, and that nothing that was typed is lost.
func (p *seat) stays() {
	p.t.Helper()
	time.Sleep(300 * time.Millisecond) // for what must not happen
	if at := eval[string](p.tab, `location.href`); at != p.s.URL+p.path {
		p.t.Fatalf("the tab is at %s", at)
	}
	if got := eval[string](p.tab, `document.querySelector("textarea").value`); got != typing {
		p.t.Errorf("the form holds %q", got)
	}
}

// told compares what the client told the application.
func (p *seat) told(want ...string) {
	p.t.Helper()
	got := eval[[]string](p.tab, `app.events`)
	if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		p.t.Errorf("the application was told %q, want %q", got, want)
	}
}

// ends waits for each operation of the application to end so.
func (p *seat) ends(want ...string) {
	p.t.Helper()
	p.has(`app.outcomes.every((o) => o !== "nothing")`)
	if got := eval[[]string](p.tab, `app.outcomes`); !reflect.DeepEqual(got, want) {
		p.t.Errorf("the operations ended in %q, want %q", got, want)
	}
}

func (p *seat) network(broken bool) {
	p.t.Helper()
	call(p.tab, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: -1, Offline: broken}},
	})
}

type frontendRow struct {
	name  string
	visit visit
	play  func(t *testing.T, s *stage, p *seat)
}

// frontendRows has what may happen to people who are on the site, and what comes of it for each.
func frontendRows() []frontendRow {
	return []frontendRow{
		{"closes while it polls", visit{every: often}, func(t *testing.T, s *stage, p *seat) {
			s.set(t, "offline")
			p.left()
		}},
		{"closes while a query runs", visit{every: often}, func(t *testing.T, s *stage, p *seat) {
			p.run(`app.query("slow")`)
			s.set(t, "offline")
			p.left()
		}},
		{"a query fails on the closed site", visit{every: never}, func(t *testing.T, s *stage, p *seat) {
			p.deaf()
			s.set(t, "offline")
			p.run(`app.query()`)
			p.left()
		}},
		{"five queries fail at once", visit{every: never}, func(t *testing.T, s *stage, p *seat) {
			p.deaf()
			s.set(t, "offline")
			before := s.store.polls()
			p.run(`for (let i = 0; i < 5; i++) app.query("q" + i)`)
			p.left()
			// The page asks as well, once it is there.
			if n := s.store.polls() - before; n > 2 {
				t.Errorf("the status was asked for %d times", n)
			}
		}},
		{"a REST call fails on the closed site", visit{every: never}, func(t *testing.T, s *stage, p *seat) {
			p.deaf()
			s.set(t, "offline")
			p.run(`app.fetch("/server/api/public/get-prefs")`)
			p.left()
		}},
		{"closes with two tabs open", visit{every: often}, func(t *testing.T, s *stage, p *seat) {
			second := p.beside(t)
			s.set(t, "offline")
			p.left()
			second.left()
		}},
		{"closes while hidden", visit{every: often}, func(t *testing.T, s *stage, p *seat) {
			p.deaf()
			p.show(true)
			s.set(t, "offline")
			time.Sleep(2 * often * time.Millisecond)
			p.stays()
			p.told()
			p.show(false)
			p.left()
		}},
		{"closes while asleep", visit{every: often}, func(t *testing.T, s *stage, p *seat) {
			p.deaf()
			call(p.tab, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: "frozen"})
			s.set(t, "offline")
			call(p.tab, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: "active"})
			p.left()
		}},
		{"closes, and the application says no", visit{every: often, veto: true}, func(t *testing.T, s *stage, p *seat) {
			p.deaf()
			s.set(t, "offline")
			p.has(`app.events.length`)
			p.stays()
			p.told("leave")
			p.run(`app.query()`)
			p.ends("error")
			p.stays()
		}},
		{"nginx stops", visit{every: often}, func(t *testing.T, s *stage, p *seat) {
			s.Nginx.Stop(t)
			p.run(`app.query(); app.fetch("/server/api")`)
			p.ends("error", "error")
			p.stays()
			p.told("socket: trouble")
			s.Nginx.Start(s.tb)
		}},
		{"the store is away", visit{every: often}, func(t *testing.T, s *stage, p *seat) {
			s.store.say(true, "")
			time.Sleep(2 * often * time.Millisecond)
			p.run(`app.query()`)
			p.ends("data")
			s.code.Store(500)
			p.run(`app.query()`)
			p.ends("data", "error")
			p.stays()
			p.told()
		}},
		{"the store is away and the site is closed", visit{every: often}, func(t *testing.T, s *stage, p *seat) {
			p.deaf()
			s.store.say(true, "")
			s.set(t, "offline")
			p.run(`app.query()`)
			p.ends("error")
			p.stays()
			s.store.say(false, "")
			p.left()
		}},
		{"the network breaks", visit{every: often}, func(t *testing.T, s *stage, p *seat) {
			p.deaf()
			p.network(true)
			p.run(`app.watch.failedQuery(new TypeError("Failed to fetch")).then((v) => app.events.push(v)); app.query()`)
			p.ends("error")
			p.has(`app.events.length`)
			p.told("connection")
			p.network(false)
			p.run(`app.query()`)
			p.ends("error", "data")
			p.stays()
		}},
		{"the application answers 404", visit{every: often}, func(t *testing.T, s *stage, p *seat) {
			s.code.Store(404)
			p.run(`app.query(); app.fetch("/server/api")`)
			p.ends("error", "error")
			p.stays()
			p.told()
		}},
		{"the application answers 500", visit{every: often}, func(t *testing.T, s *stage, p *seat) {
			s.code.Store(500)
			p.run(`app.query(); app.fetch("/server/api")`)
			p.ends("error", "error")
			p.stays()
			p.told()
		}},
		{"an old copy of the status comes from a cache", visit{every: often}, func(t *testing.T, s *stage, p *seat) {
			now := s.Published(t, "demo")
			seq := parse(t, now).Seq
			s.store.say(false, strings.NewReplacer(`"mode":"online"`, `"mode":"offline"`, fmt.Sprintf(`"seq":%d`, seq), fmt.Sprintf(`"seq":%d`, seq-1)).Replace(now))
			s.code.Store(500)
			time.Sleep(2 * often * time.Millisecond)
			p.run(`app.query()`)
			p.ends("error")
			p.stays()
			p.told()
		}},
		{"the WebSocket is cut", visit{every: often}, func(t *testing.T, s *stage, p *seat) {
			s.cut <- struct{}{}
			p.has(`app.events.length`)
			p.stays()
			p.told("socket: trouble")
		}},
		{"goes to admin, for a user", visit{every: often}, func(t *testing.T, s *stage, p *seat) {
			s.set(t, "admin")
			p.left()
		}},
		{"goes to admin, for a user whose query fails", visit{every: never}, func(t *testing.T, s *stage, p *seat) {
			p.deaf()
			s.set(t, "admin")
			p.run(`app.query()`)
			p.left()
		}},
		{"goes to admin, for an administrator", visit{every: often, admin: true}, func(t *testing.T, s *stage, p *seat) {
			p.deaf()
			s.set(t, "admin")
			p.has(`app.watch.status.mode === "admin"`)
			p.run(`app.query()`)
			p.ends("data")
			p.stays()
			p.told()
			s.code.Store(503)
			p.run(`app.query()`)
			p.ends("data", "error")
			p.told("wait")
			p.stays()
		}},
		{"goes to admin, on the login page", visit{every: often, path: "/login"}, func(t *testing.T, s *stage, p *seat) {
			p.deaf()
			s.set(t, "admin")
			p.has(`app.watch.status.mode === "admin"`)
			p.stays()
		}},
	}
}

// documents counts the pages that the tab asked for: how often it was at the application, and at the maintenance page.
func (p *seat) documents() (app, maintenance int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range p.requests {
		u, _, _ = strings.Cut(u, "#")
		switch u {
		case p.s.URL + strings.TrimSuffix(p.path, "#part"):
			app++
		case p.s.PageURL + "/demo/":
			maintenance++
		}
	}
	return app, maintenance
}

// back waits until the tab is where it was.
func (p *seat) back() {
	p.t.Helper()
	rig.WaitFor(p.t, "the application", func() bool {
		at, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`location.href`))
		return err == nil && at == p.s.URL+p.path
	})
	p.has(`window.app?.watch.status`)
	if got := eval[string](p.tab, `document.querySelector("textarea").value`); got != typing {
		p.t.Errorf("the form holds %q", got)
	}
}

// hurry has the maintenance page ask often.
const hurry = `{ const { setTimeout } = window; window.setTimeout = (f, ms) => setTimeout(f, ms > 1000 ? ms / 20 : ms); }`

// TestFrontEndComesBack follows a tab to the maintenance page and back to its route, with its draft.
func TestFrontEndComesBack(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	s := newStage(t, "apollo4")
	t.Run("when it opens", func(t *testing.T) {
		p := s.visit(t, browser, visit{every: often, script: hurry})
		s.set(t, "offline")
		p.left()
		s.set(t, "online")
		p.back()
		if app, maintenance := p.documents(); app != 2 || maintenance != 1 {
			t.Errorf("%d times at the application and %d times at the page", app, maintenance)
		}
	})
	t.Run("not while the site itself says that it is closed", func(t *testing.T) {
		p := s.visit(t, browser, visit{every: often, script: hurry})
		s.set(t, "offline")
		p.left()
		d := s.Published(t, "demo")
		s.store.say(false, strings.NewReplacer(`"mode":"offline"`, `"mode":"online"`, `"seq":`, `"seq":1`).Replace(d))
		time.Sleep(4 * time.Second)
		p.left()
		if app, maintenance := p.documents(); app != 1 || maintenance != 1 {
			t.Errorf("%d times at the application and %d times at the page", app, maintenance)
		}
		s.store.say(false, "")
		s.set(t, "online")
		p.open(s.URL + p.path) // the made-up status was newer than any that is to come
	})
	t.Run("once, where the application disagrees", func(t *testing.T) {
		// The application is told another status than the page: it leaves again, and the page has a link.
		p := s.visit(t, browser, visit{every: often, script: hurry + `
			const { fetch } = window;
			window.fetch = async (...request) => {
				if (!location.port || !window.config.lies || location.origin !== config.app) return fetch(...request);
				const r = await fetch(...request);
				const text = await r.text();
				return new Response(text.replace('"mode":"online"', '"mode":"offline"'), { status: r.status, headers: r.headers });
			};`, lies: true, arrive: true})
		p.left()
		time.Sleep(4 * time.Second)
		p.left()
		if app, maintenance := p.documents(); app != 2 || maintenance != 2 {
			t.Errorf("%d times at the application and %d times at the page", app, maintenance)
		}
	})
	t.Run("nowhere else", func(t *testing.T) {
		for _, from := range []string{"https://evil.test/", "//evil.test", "javascript:alert(1)", s.URL + "0/", s.URL + "@evil.test/", "%", ""} {
			b := openTab(t, browser, hurry)
			b.open(s.PageURL + "/demo/#from=" + url.QueryEscape(from))
			time.Sleep(300 * time.Millisecond)
			if got := eval[string](b, `document.querySelector(".go a").href`); got != s.URL+"/" {
				t.Errorf("from %q: the link leads to %s", from, got)
			}
		}
	})
}

// TestFrontEnd plays each row in Chromium with Apollo Client 4, and with 3 those where a query brings the news;
// TestSoakFrontEnd plays the others with 3.
func TestFrontEnd(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	for apollo, plays := range map[string]func(frontendRow) bool{
		"apollo3": func(row frontendRow) bool { return row.visit.every == never },
		"apollo4": func(frontendRow) bool { return true },
	} {
		t.Run(apollo, func(t *testing.T) {
			t.Parallel()
			playRows(t, browser, apollo, plays)
		})
	}
}

func playRows(t *testing.T, browser context.Context, apollo string, plays func(frontendRow) bool) {
	s := newStage(t, apollo)
	for _, row := range frontendRows() {
		if !plays(row) {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			s.code.Store(0)
			s.store.say(false, "")
			s.set(t, "online")
			row.play(t, s, s.visit(t, browser, row.visit))
		})
	}
}
