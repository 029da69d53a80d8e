package page

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestPageInATextBrowser: who has neither styles nor scripts reads what is true at any time, and finds the way back and
// the other languages.
func TestPageInATextBrowser(t *testing.T) {
	t.Parallel()
	m := serveMaintenance(t, pageContent(t))
	for place, want := range map[string][]string{
		"": {"Site maintenance", "Closed for maintenance, or just open again", "it leads to the site as soon as that is open", "Go to the site",
			"Your work is kept.", "Whom to ask: ", "]help@example.org", "Português", appURL, m.URL + "/demo/pt/"},
		"pt/": {"Site em manutenção", "Fechado para manutenção, ou acabado de reabrir", "Ir para o site", "O seu trabalho está guardado.", "A quem perguntar:", m.URL + "/demo/"},
	} {
		cmd := exec.Command("w3m", "-dump", "-cols", "200", "-o", "display_link_number=1", m.URL+"/demo/"+place)
		cmd.Env = append(os.Environ(), "HOME="+rig.Dir(t), "LC_ALL=C.UTF-8")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("w3m: %v", err)
		}
		for _, w := range want {
			if !strings.Contains(string(out), w) {
				t.Errorf("%q: it doesn't say %q:\n%s", place, w, out)
			}
		}
		for _, never := range []string{"Administrators can", "Expected back", "{", "Welcome back"} {
			if strings.Contains(string(out), never) {
				t.Errorf("%q: it says %q:\n%s", place, never, out)
			}
		}
	}
}

// TestPageAsAScreenReaderHasIt: the tree that the browser hands to assistive technology has the essential sentences, by
// their roles.
func TestPageAsAScreenReaderHasIt(t *testing.T) {
	t.Parallel()
	m := serveMaintenance(t, pageContent(t))
	b := chrome.OpenTab(t, chrome.Browser(t), ownClock)
	on := screen{1280, "light"}
	for _, s := range pageStates() {
		s.show(b, m, "", on)
		var tree []string
		for _, n := range chrome.Call(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
			if n.Role != nil && n.Name != nil && !n.Ignored {
				var role, name string
				_ = json.Unmarshal(n.Role.Value, &role) // what isn't text has no name
				_ = json.Unmarshal(n.Name.Value, &name)
				if name != "" {
					tree = append(tree, role+": "+name)
				}
			}
		}
		all := strings.Join(tree, "\n")
		want := map[string][]string{
			"eta":           {"heading: Site maintenance", "StaticText: Closed for maintenance", "StaticText: 25 minutes", "progressbar: Expected back in 25 minutes", "link: Check if it is open"},
			"no-eta":        {"StaticText: No end announced yet"},
			"late":          {"progressbar: Taking longer than planned", "StaticText: Nearly there."},
			"message":       {"region: Closed for maintenance"},
			"admin":         {"link: log in"},
			"online":        {"heading: The site is open", "StaticText: Welcome back", "link: Go to the site"},
			"unknown":       {"StaticText: State unknown"},
			"no-javascript": {"StaticText: Closed for maintenance, or just open again", "link: Go to the site"},
		}[s.name]
		for _, w := range append(want, "navigation: Languages", "link: Português", "link: help@example.org") {
			if !strings.Contains(all, w) {
				t.Errorf("%s: the tree lacks %q:\n%s", s.name, w, all)
			}
		}
	}
}

// TestPageOnASlowStatus: the page is there, and says what is true, before the status is.
func TestPageOnASlowStatus(t *testing.T) {
	t.Parallel()
	m := serveMaintenance(t, pageContent(t))
	m.say(doc(status.Offline, 1, time.Hour, ""))
	held := make(chan bool)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/status.json") {
			<-held
		}
		m.Config.Handler.ServeHTTP(w, r)
	}))
	defer front.Close()
	b := chrome.OpenTab(t, chrome.Browser(t), ownClock)
	b.Open(front.URL + "/demo/")
	if got := chrome.Eval[string](b, `document.querySelector("main").innerText`); !strings.Contains(got, "Your work is kept.") {
		t.Errorf("it says %s", got)
	}
	// What waits for the script waits for two seconds at most.
	chrome.Eval[bool](b, `until(() => getComputedStyle(document.getElementById("state")).visibility === "visible")`)
	if got := chrome.Eval[view](b, look); got.State != "Closed for maintenance, or just open again" || got.Mode != "" {
		t.Errorf("it says %+v", got)
	}
	before := chrome.Eval[float64](b, `document.querySelector("article").getBoundingClientRect().top`)
	close(held)
	chrome.Eval[bool](b, `until(() => document.documentElement.dataset.mode)`)
	if after := chrome.Eval[float64](b, `document.querySelector("article").getBoundingClientRect().top`); after-before > 40 || before-after > 40 {
		t.Errorf("the text jumps from %v to %v px", before, after)
	}
}
