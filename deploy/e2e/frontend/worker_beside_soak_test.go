//go:build soak

package frontend

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/firefox"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakServiceWorkerBesideAnother has the application register a worker of its own: one that Workbox has generated,
// and one that calls ours as the client's README has it.
func TestSoakServiceWorkerBesideAnother(t *testing.T) {
	t.Parallel()
	s := newWorkerSite(t)
	setting := s.setting(visit{every: never}, "")
	_, after, _ := strings.Cut(rig.ReadFile(t, filepath.Join(clientDir, "README.md")), "Or hand over what your worker asks for.")
	_, after, _ = strings.Cut(after, "```js\n")
	calls, _, _ := strings.Cut(after, "```")
	const deep = "/application/7?tab=2"
	fox := firefox.Start(t, "")
	for _, row := range []struct {
		name    string
		workbox []string // what has it generated
		worker  string   // or else this is it
		shell   bool     // it answers with the shell
		ours    bool     // ours is in it
	}{
		{name: "that answers with the shell", workbox: []string{"shell"}, shell: true},
		{name: "that answers with the shell, and imports ours", workbox: []string{"shell", "imports"}, shell: true, ours: true},
		{name: "that leaves pages to the network, and imports ours", workbox: []string{"network", "imports"}, ours: true},
		{name: "that calls ours", worker: calls, ours: true},
	} {
		dir := rig.Dir(t)
		rig.WriteFile(t, filepath.Join(dir, "shell.html"), fmt.Sprintf(`<!doctype html><title>shell</title><link rel="icon" href="data:,"><script type="module">
			import { watchStatus } from "%[1]s/demo/conforma-status.js";
			navigator.serviceWorker.register("/sw.js");
			watchStatus({ statusUrl: "%[1]s/demo/status.json" });
		</script>`, s.PageURL))
		if row.worker != "" {
			rig.WriteFile(t, filepath.Join(dir, "sw.js"), `addEventListener("install", () => skipWaiting());`+"\n"+row.worker)
		} else {
			cmd := exec.Command("node", append([]string{"build.mjs", dir}, row.workbox...)...)
			cmd.Dir = "../web/workbox"
			cmd.Env = append(os.Environ(), "NODE_OPTIONS=--experimental-global-webcrypto") // the Node.js of Debian 12 has it behind that
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("workbox: %v\n%s", err, out)
			}
		}
		s.mu.Lock()
		s.root = dir
		s.mu.Unlock()
		online, failed := "demo", "error"
		if row.shell {
			online, failed = "shell", "shell"
		}
		play := func(t *testing.T, r reader) {
			r.open(s.URL + "/shell.html")
			r.is(workers, "/ /sw.js activated")
			r.open(s.URL + deep)
			r.is(shown, online)
			r.is(workers, "/ /sw.js activated")
			s.set(t, "offline")
			s.Nginx.Stop(t)
			r.open(s.URL + deep)
			r.is(shown, s.rescued(deep))
			s.Nginx.Start(s.tb)
			s.set(t, "online")
			s.Nginx.Stop(t)
			r.open(s.URL + deep)
			r.is(shown, failed)
			s.Nginx.Start(s.tb)
			if !row.ours || row.shell {
				return
			}
			// Turned off, ours is gone from the application's, which stays.
			s.turn(t, false)
			r.open(s.URL + "/shell.html")
			r.is(`navigator.serviceWorker.ready.then((r) => r.update()).then((r) => r.installing ?? r.waiting)`, "null")
			s.set(t, "offline")
			s.Nginx.Stop(t)
			r.open(s.URL + deep)
			r.is(shown, "error")
			s.Nginx.Start(s.tb)
			s.set(t, "online")
			r.open(s.URL + deep)
			r.is(shown, "demo")
			r.is(workers, "/ /sw.js activated")
			s.turn(t, true)
		}
		t.Run("Chromium: one "+row.name, func(t *testing.T) { play(t, chromeReader{chrome.OpenTab(t, chrome.Browser(t), setting)}) })
		t.Run("Firefox: one "+row.name, func(t *testing.T) { play(t, foxReader{t, fox.Stranger(t, setting)}) })
	}
}
