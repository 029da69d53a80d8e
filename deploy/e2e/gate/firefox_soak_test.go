//go:build soak

package gate

import (
	"fmt"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/firefox"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakFirefoxWrites has Firefox send bodies of all kinds to a site in admin mode, and again where it keeps no
// cookies.
func TestSoakFirefoxWrites(t *testing.T) {
	s := newWritingSite(t, "https")
	s.origin = "https://" + rig.Loopback(s.Port) // it resolves no names
	play := func(t *testing.T, f *firefox.Fox, name, script, want string, received int, admitted bool) {
		t.Helper()
		f.Tab(t, "")
		f.Open(s.page(name))
		n := s.App.Count()
		f.Once(script, want)
		if got := s.App.Count() - n; got != received {
			t.Errorf("the application received %d, want %d", got, received)
		}
		f.Once(`admitted()`, fmt.Sprint(admitted))
		f.Close()
	}
	f := firefox.Start(t, "")
	for _, row := range browserWrites {
		t.Run(row.name, func(t *testing.T) { play(t, f, row.name, row.script, row.want, row.received, row.admitted) })
	}
	f = firefox.Start(t, `user_pref("network.cookie.cookieBehavior", 2);`)
	t.Run("no cookies at all", func(t *testing.T) {
		play(t, f, "refused", `write("~").then(async (first) => first + " " + await write("~~"))`, "POST 1 true own,true POST 2 true own,false", 2, false)
	})
}
