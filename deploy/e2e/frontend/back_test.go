package frontend

import (
	"slices"
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
