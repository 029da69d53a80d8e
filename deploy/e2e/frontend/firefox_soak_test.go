//go:build soak

package frontend

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/firefox"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakFirefox has Firefox play what matters most: it is told and leaves, it is moved by a failed query and by
// nothing else that fails, it comes back to where it was with what was typed.
func TestSoakFirefox(t *testing.T) {
	s := newAppSite(t, "apollo4")
	f := firefox.Start(t, "")
	for _, row := range []struct {
		name  string
		every int
		play  func()
		ends  bool
		told  string
	}{
		{"closes while it polls", often, func() {
			s.set(t, "offline")
		}, leaves, afterNotice},
		{"closes in the middle of a query and of a call, and both end before it leaves", often, func() {
			f.Is(`(app.socket.close(), app.query("slow"), app.fetch("/server/api", { method: "POST", body: '{"operationName":"slow"}' }), 1)`, "1")
			s.begin(t)
			s.begin(t)
			ended := make(chan rig.Result)
			go func() { ended <- s.CLI(s.tb, "set", "offline", "--drain", "5m") }()
			f.Is(`until(() => document.querySelector("[role=alert]")).then(() => new Promise((done) => setTimeout(done, 800, 1)))`, "1")
			f.Is(`location.origin + " " + app.outcomes`, s.URL+" nothing,nothing")
			s.finish(t)
			s.finish(t)
			(<-ended).Want(t, 0)
		}, leaves, afterNotice},
		{"a query fails on the closed site", never, func() {
			s.set(t, "offline")
			f.Is(`(app.query(), 1)`, "1")
		}, leaves, atOnce},
		{"nginx stops", often, func() {
			s.Nginx.Stop(t)
			f.Is(`(app.query(), app.fetch("/server/api"), 1)`, "1")
			f.Is(`app.outcomes`, "error,error")
			f.Is(`app.watch.failedQuery(new CloseEvent("close"))`, "trouble")
			s.Nginx.Start(s.tb)
		}, stays, ""},
		{"nginx stops, and the store is away", often, func() {
			s.store.say(true, "")
			s.Nginx.Stop(t)
			f.Is(`app.query()`, "error")
			f.Is(`fetch("/").catch((e) => app.watch.failedQuery(e))`, "connection")
			s.Nginx.Start(s.tb)
		}, stays, ""},
		{"the application answers HTML", often, func() {
			s.code.Store(200)
			f.Is(`(app.query(), app.fetch("/server/api"), 1)`, "1")
			f.Is(`app.outcomes`, "error,error")
		}, stays, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			s.code.Store(0)
			s.store.say(false, "")
			s.set(t, "online")
			token := rig.UserToken(s.Blocks[0].Secret)
			f.Tab(t, s.setting(visit{every: row.every, script: hurry}, token))
			f.Open(s.URL + route)
			f.Is("Boolean("+settled+")", "true")
			f.Is("(() => { "+fill+"; return 1 })()", "1")
			f.Is(filled, "true")
			f.Is(`app.socket.onclose = null`, "null")
			row.play()
			if row.ends == leaves {
				f.Is(`location.origin + location.pathname`, s.PageURL+"/demo/")
				f.Told(row.told)
				s.set(t, "online")
			} else {
				f.Is(`new Promise((done) => setTimeout(done, 1000, 1))`, "1") // for what must not happen
				f.Told(row.told)
			}
			f.Is(`location.href`, s.URL+route)
			f.Is(`Boolean(window.app?.watch.status)`, "true")
			f.Is(filled, "true")
			f.Is(`localStorage.persistJWT`, token)
			f.Call("browsingContext.close", map[string]any{"context": f.Context})
		})
	}
}
