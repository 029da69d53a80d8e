//go:build soak

package gate

import (
	"fmt"
	"reflect"
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

// TestSoakOpenTabOfAnAdministrator: a page that was open before the site went into admin mode, and sends nothing but
// GraphQL by POST since, has the cookie with the first of it; and the application has each mutation once.
func TestSoakOpenTabOfAnAdministrator(t *testing.T) {
	t.Parallel()
	chromium := chrome.Browser(t)
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			f := newConformaFlow(t, chromium, scheme)
			b := f.open(t)
			b.Open(f.origin + "/login")
			f.wait(t, b, "login page")
			chrome.Eval[bool](b, `conforma.login("admin").then(() => true)`)
			for window, modes := range [][]string{{"admin"}, {"offline", "admin"}} { // in the second there is a cookie that is worth nothing any more
				for _, mode := range modes {
					// The page's WebSocket is cut, and a connection that the browser has to spare.
					if r := f.h.CLI(t, "set", mode, "--site", "demo", "--drain", "200ms"); r.Code != 0 && r.Code != 4 {
						t.Fatalf("set %s: exit %d\n%s", mode, r.Code, r.Stderr)
					}
				}
				if got := chrome.Eval[string](b, `conforma.connect()`); got != "no socket" {
					t.Errorf("%d: the WebSocket before any query: %q", window, got)
				}
				n := f.app.Count()
				want := map[string]int{}
				for i := range 4 {
					want[fmt.Sprintf("/server/graphql?dev=save%d", i)] = 1
				}
				if got := chrome.Eval[string](b, `Promise.all([0, 1, 2, 3].map((i) => conforma.mutate("save" + i))).then(String)`); got != "demo,demo,demo,demo" {
					t.Errorf("%d: mutations come to %q", window, got)
				}
				got := map[string]int{}
				for _, r := range f.app.Since(n) {
					got[r.URI]++
					if r.Method != "POST" || r.Body == 0 || len(r.Header.Get("Authorization")) < 1000 || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Origin") != f.origin {
						t.Errorf("%d: %s %s with %d bytes and %v", window, r.Method, r.URI, r.Body, r.Header)
					}
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%d: the application received %v", window, got)
				}
				if got := chrome.Eval[string](b, `conforma.connect()`); got != "socket says ping" {
					t.Errorf("%d: the WebSocket after a mutation: %q", window, got)
				}
				f.cookie(t, b, scheme == "https")
			}
			chrome.Call(b, page.Reload, page.ReloadParams{IgnoreCache: new(true)})
			f.wait(t, b, "route /")
			if got, want := chrome.Eval[[]string](b, `conforma.calls`), []string{"preferences", "graphql demo", "user-info admin", "socket says ping", "route /"}; !reflect.DeepEqual(got, want) {
				t.Errorf("after a hard reload: %q, want %q", got, want)
			}
		})
	}
}
