package frontend

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
)

// back waits until the tab is where it was, with what was typed.
func (p *visitor) back() {
	p.T.Helper()
	p.at("the application", func(at string) bool { return at == p.s.URL+p.path })
	p.has(`window.app?.watch.status`)
	p.has(filled)
}

// hurry has the maintenance page live twenty times as fast.
const hurry = `{ const { setTimeout } = window; window.setTimeout = (f, ms, ...more) => setTimeout(f, ms > 1000 ? ms / 20 : ms, ...more); }`

// minute is one in the life of such a page, in ms.
const minute = 60_000

// TestVisitorsComeBackToWhereTheyWere follows a tab to the maintenance page and back to its route, with its
// draft, and counts how often it is sent anywhere.
func TestVisitorsComeBackToWhereTheyWere(t *testing.T) {
	t.Parallel()
	browser := chrome.Browser(t)
	s := newAppSite(t, "apollo4")
	t.Run("when it opens", func(t *testing.T) {
		p := s.visit(t, browser, visit{every: often, script: hurry})
		s.set(t, "offline")
		p.left()
		s.set(t, "online")
		p.back()
		p.visited(2, 1)
	})
	t.Run("when it is looked at", func(t *testing.T) {
		p := s.visit(t, browser, visit{every: often, script: hurry})
		s.set(t, "offline")
		p.left()
		p.show(true)
		s.set(t, "online")
		chrome.Passes(p.Tab, minute)
		p.left()
		p.show(false)
		p.back()
		p.visited(2, 1)
	})
	t.Run("not while the site itself says that it is closed", func(t *testing.T) {
		p := s.visit(t, browser, visit{every: often, script: hurry})
		s.set(t, "offline")
		p.left()
		s.store.say(false, strings.Replace(s.Published(t, "demo"), `"mode":"offline"`, `"mode":"online"`, 1))
		p.has(`document.documentElement.dataset.mode === "online"`)
		chrome.Passes(p.Tab, minute)
		p.left()
		p.visited(1, 1)
		s.store.say(false, "")
		s.set(t, "online")
		p.back()
		p.visited(2, 1)
	})
	t.Run("once, where the application disagrees", func(t *testing.T) {
		// The application is told another status than the page: it leaves again, and the page has a link.
		p := s.visit(t, browser, visit{every: often, arrive: true, script: hurry + `
			const { fetch } = window;
			window.fetch = async (...request) => {
				const r = await fetch(...request);
				if (location.origin !== config.app || request[0] !== config.statusUrl) return r;
				const text = await r.text();
				return new Response(text.replace('"mode":"online"', '"mode":"offline"'), { status: r.status, headers: r.headers });
			};`})
		p.left()
		p.at("the page again", func(string) bool { _, maintenance := p.documents(); return maintenance == 2 })
		chrome.Passes(p.Tab, minute)
		p.left()
		p.visited(2, 2)
		if got := chrome.Eval[string](p.Tab, `document.querySelector(".go a").checkVisibility() && document.querySelector(".go a").href`); got != s.URL+p.path {
			t.Errorf("the link leads to %s", got)
		}
	})
	t.Run("nowhere else", func(t *testing.T) {
		b := chrome.OpenTab(t, browser, hurry)
		for _, from := range []string{"https://evil.test/", "//evil.test", "javascript:alert(1)", s.URL + "0/", s.URL + "@evil.test/", "%", ""} {
			b.Open("about:blank")
			page := s.PageURL + "/demo/#from=" + url.QueryEscape(from)
			b.Open(page)
			chrome.Arrives(b, page)
			if got := chrome.Eval[string](b, `document.querySelector(".go a").href`); got != s.URL+"/" {
				t.Errorf("from %q: the link leads to %s", from, got)
			}
		}
	})
}

// TestVisitorsAreMovedWithoutABundler has a page import the published client from the maintenance site, under a strict
// content security policy.
func TestVisitorsAreMovedWithoutABundler(t *testing.T) {
	t.Parallel()
	browser := chrome.Browser(t)
	s := newAppSite(t, "")
	p := s.visit(t, browser, visit{every: often, path: "/plain", arrive: true, script: `
		window.violations = [];
		addEventListener("securitypolicyviolation", (e) => violations.push(e.effectiveDirective + " " + e.blockedURI));
		new MutationObserver((_, seen) => {
			const notice = document.querySelector("[role=alert]");
			if (!notice || !window.closing) return;
			seen.disconnect();
			setTimeout(() => report(getComputedStyle(notice).position + " " + violations), 50); // before it leaves, by the same clock
		}).observe(document, { subtree: true, childList: true });`})
	p.has(`window.watch?.status`)
	// Under a modal dialog nothing else can be pressed. When the innermost closes, the notice stays.
	places := chrome.Eval[[]string](p.Tab, `(async () => {
		const { notice } = await import("`+s.PageURL+`/demo/conforma-status-notice.js");
		const dialogs = ["outer", "inner"].map((id) => {
			const dialog = document.createElement("dialog");
			dialog.id = id;
			document.body.append(dialog);
			dialog.showModal();
			return dialog;
		});
		notice().onWait();
		const button = document.querySelector("[role=alert] button");
		const places = [];
		const look = () => {
			const { x, y } = button.getBoundingClientRect();
			places.push(button.closest("[role=alert]").parentElement.id + (document.elementFromPoint(x + 5, y + 5) === button ? "" : ", out of reach"));
		};
		document.body.id = "body";
		look();
		for (const dialog of dialogs.reverse()) {
			const closed = new Promise((done) => dialog.addEventListener("close", done));
			dialog.close();
			await closed;
			look();
		}
		button.click();
		places.push(document.querySelectorAll("[role=alert]").length + " left");
		return places;
	})()`)
	if want := []string{"inner", "outer", "body", "0 left"}; !slices.Equal(places, want) {
		t.Errorf("the notice was in %q, want %q", places, want)
	}
	p.run(`window.closing = true`)
	s.set(t, "offline")
	p.told("fixed ") // where the notice is, and what the policy has blocked by then
	p.left()
}
