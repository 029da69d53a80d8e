package page

import (
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestPageInPlaceWorks reads the page at the application's own address, as a browser does, and waits there until the
// application is back.
func TestPageInPlaceWorks(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Configure(t, rig.Settings{Site: `navigation = "page"`})
	s.Server = `add_header Content-Security-Policy "default-src 'self'" always;`
	s.Install(t)
	s.CLI(t, "set", "offline", "--eta", "30m", "--message", "We are upgrading.").Want(t, 0)
	// It lives twenty times as fast.
	tab := chrome.OpenTab(t, chrome.Browser(t), `{ const { setTimeout } = window; window.setTimeout = (f, ms, ...more) => setTimeout(f, ms > 1000 ? ms / 20 : ms, ...more); }`)
	for _, path := range []string{"/application/1?x=%2F", "/application/2#draft"} {
		s.CLI(t, "set", "offline").Want(t, 0)
		tab.Open(s.URL + path)
		shows := func(what, expression string) {
			t.Helper()
			rig.WaitFor(t, what, func() bool { ok, err := chrome.TryEval[bool](tab, expression); return err == nil && ok })
		}
		shows("the message", `document.querySelector("#message")?.textContent === "We are upgrading."`)
		shows("the countdown", `document.querySelector("#big")?.checkVisibility() && document.documentElement.dataset.mode === "offline"`)
		if at := chrome.Eval[string](tab, `location.href`); at != s.URL+path {
			t.Errorf("the page is shown at %s", at)
		}
		if way := chrome.Eval[string](tab, `document.querySelector("nav a").href`); !strings.HasPrefix(way, s.PageURL+"/demo/") || !strings.HasSuffix(way, "#at="+path) {
			t.Errorf("another language is at %s", way)
		}
		s.CLI(t, "extend", "45m", "--message", "It takes longer.").Want(t, 0)
		shows("the new message", `document.querySelector("#message")?.textContent === "It takes longer."`)
		s.CLI(t, "set", "online").Want(t, 0)
		shows("the application", `document.title === "demo"`)
		if at := chrome.Eval[string](tab, `location.href`); at != s.URL+path {
			t.Errorf("it came back to %s", at)
		}
		s.CLI(t, "set", "offline", "--eta", "30m", "--message", "We are upgrading.").Want(t, 0)
	}
	for _, asked := range tab.Asked() {
		if !strings.HasPrefix(asked, s.URL+"/") && !strings.HasPrefix(asked, "data:") {
			t.Errorf("it asked for %s", asked)
		}
	}
	if thrown := tab.Exceptions(); len(thrown) > 0 {
		t.Errorf("exceptions: %q", thrown)
	}
}
