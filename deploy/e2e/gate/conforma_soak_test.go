//go:build soak

package gate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakIdleTabOfAnAdministrator: a tab that was open before the site went into admin mode, and is reloaded before
// it has asked for anything, has no cookie. It is sent to the maintenance page, and from there by "log in" to where
// it was: at once where the application still keeps the administrator's token, else after logging in. Nothing is open
// to anyone else for it.
func TestSoakIdleTabOfAnAdministrator(t *testing.T) {
	t.Parallel()
	chromium := chrome.Browser(t)
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			f := newConformaFlow(t, chromium, scheme)
			const route = "/application/7?tab=2&name=%C3%A9+x%2Fy"
			open := map[string]*chrome.Tab{}
			for _, who := range []string{"admin", "user"} {
				b := f.open(t)
				b.Open(f.origin + "/login")
				f.wait(t, b, "login page")
				chrome.Eval[bool](b, fmt.Sprintf(`conforma.login(%q).then(() => conforma.go(%q)).then(() => true)`, who, route))
				open[who] = b
			}
			if r := f.h.CLI(t, "set", "admin", "--site", "demo", "--drain", "200ms"); r.Code != 0 && r.Code != 4 { // the WebSockets are cut
				t.Fatalf("exit %d\n%s", r.Code, r.Stderr)
			}
			login := func(b *chrome.Tab) {
				t.Helper()
				chrome.Call(b, page.Reload, page.ReloadParams{IgnoreCache: new(true)})
				f.lands(t, b)
				if got := chrome.Eval[string](b, `location.hash`); got != "#at="+route {
					t.Errorf("the way back is %q", got)
				}
				rig.WaitFor(t, "the link to log in", func() bool {
					there, err := chrome.TryEval[bool](b, `!document.querySelector("#admin").hidden`)
					return err == nil && there
				})
				chrome.Eval[bool](b, `(document.querySelector("#admin a").click(), true)`)
			}
			at := func(b *chrome.Tab, want string) {
				t.Helper()
				rig.WaitFor(t, "being at "+want, func() bool {
					got, err := chrome.TryEval[string](b, `location.href`)
					return err == nil && got == f.origin+want
				})
			}
			login(open["admin"])
			at(open["admin"], route)
			f.wait(t, open["admin"], "route /application/7")
			f.cookie(t, open["admin"], scheme == "https")

			// An ordinary user's token lets nobody in: there is the login page, and behind it where they were.
			n := f.app.Count()
			login(open["user"])
			at(open["user"], "/login")
			f.wait(t, open["user"], "login page")
			for _, r := range f.app.Since(n) {
				if r.URI == route || strings.HasPrefix(r.URI, "/server/graphql") {
					t.Errorf("a user reached %s", r.URI)
				}
			}
			chrome.Eval[bool](open["user"], `conforma.login("admin").then(() => true)`)
			at(open["user"], route)

			// What is no path of the site's leads to its own pages only.
			for _, hash := range []string{"#login=%2Flogin&at=%2F%2Fevil.test%2F", "#login=https%3A%2F%2Fevil.test%2F&at=javascript%3Aalert(1)", "#login=%2F%2Fevil.test"} {
				b := f.open(t)
				b.Open(f.origin + "/.conforma-status/pass" + hash)
				rig.WaitFor(t, "leaving "+hash, func() bool {
					got, err := chrome.TryEval[string](b, `location.href`)
					return err == nil && !strings.Contains(got, "/.conforma-status/pass")
				})
				if got := chrome.Eval[string](b, `location.href`); !strings.HasPrefix(got, f.origin+"/") && !strings.HasPrefix(got, f.h.PageURL+"/demo/") {
					t.Errorf("%s leads to %s", hash, got)
				}
			}
		})
	}
}
