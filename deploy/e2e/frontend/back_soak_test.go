//go:build soak

package frontend

import (
	"net/url"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
)

// TestSoakVisitorsComeBackToWhereTheyWere follows a tab to the maintenance page and back to its route, with its
// draft, and counts how often it is sent anywhere.
func TestSoakVisitorsComeBackToWhereTheyWere(t *testing.T) {
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
