//go:build soak

package frontend

import (
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/firefox"
)

type firefoxTab struct{ *firefox.Fox }

func (f firefoxTab) eval(expression string) (string, error) { return f.TryEval(asJSON(expression)) }

func (f firefoxTab) network(broken bool) {
	var conditions any
	if broken {
		conditions = map[string]any{"type": "offline"}
	}
	f.Call("emulation.setNetworkConditions", map[string]any{"networkConditions": conditions, "contexts": []string{f.Context}})
}

func (f firefoxTab) beside(t testing.TB) tab {
	second := f.Beside(t, f.Script)
	t.Cleanup(second.Close)
	return firefoxTab{second}
}

// TestSoakFirefox has one Firefox play every situation but that in which the page is frozen. Then it comes back to
// where it was, with what was typed.
func TestSoakFirefox(t *testing.T) {
	t.Parallel()
	s := newAppSite(t, "apollo4")
	f := firefox.Start(t, `user_pref("devtools.jsonview.enabled", false);`+"\n") // a page of its own, with no storage
	open := func(t testing.TB, script string) tab {
		f.Tab(t, script)
		t.Cleanup(f.Close) // or it goes on polling
		return firefoxTab{f}
	}
	playSituations(t, s, open, func(c situation) bool { return c.name != asleep })

	t.Run("nginx stops, and the store is away", func(t *testing.T) {
		s.set(t, "online")
		p := s.visitBy(t, open, visit{every: often})
		p.deaf()
		s.store.say(true, "")
		s.Nginx.Stop(t)
		p.run(`app.query()`)
		p.ends("error")
		if got := value[string](p, `fetch("/").catch((e) => app.watch.failedQuery(e))`); got != "connection" {
			t.Errorf("the verdict is %q", got)
		}
		s.Nginx.Start(s.tb)
		s.store.say(false, "")
		p.stays()
		p.told()
	})
	t.Run("comes back when it opens", func(t *testing.T) {
		p := s.visitBy(t, open, visit{every: never, script: hurry})
		closes(t, s, p)
		p.run(`app.query()`)
		p.left()
		s.set(t, "online")
		p.back()
		if got := value[string](p, `localStorage.persistJWT`); got != p.token {
			t.Errorf("the session's token is %q", got)
		}
	})
}
