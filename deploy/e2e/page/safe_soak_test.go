//go:build soak

package page

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestSoakPageWithHTMLIsSafe: where an author has switched HTML on, the page's policy keeps whatever is in it from
// running, loading anything, or leading anywhere by itself.
func TestSoakPageWithHTMLIsSafe(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	attacker := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer attacker.Close()
	m, b := (*maintenance)(nil), chrome.OpenTab(t, chrome.Browser(t), trap)
	var seen []string
	for _, x := range xss {
		if strings.Contains(x, "http-equiv") {
			continue // no policy keeps an author who writes HTML from leading readers away
		}
		x = strings.ReplaceAll(x, "https://attacker.test", attacker.URL)
		c, err := site.LoadContent(fstest.MapFS{"index.en.md": {Data: []byte("---\ntitle: T\nhtml: true\n---\n\nBefore.\n\n" + x + "\n\nAfter.\n")}})
		if err != nil {
			t.Fatal(err)
		}
		if m == nil {
			m = serveMaintenance(t, c)
			m.say(doc(status.Offline, 1, time.Hour, ""))
		} else {
			m.put(t, c)
		}
		b.Open(m.URL + "/demo/")
		chrome.Eval[any](b, `(document.querySelectorAll("article *").forEach((e) => e.focus?.()), null)`)
		if got := chrome.Eval[[]string](b, `ran`); len(got) > 0 || chrome.Eval[string](b, `location.pathname`) != "/demo/" || len(b.Exceptions()) > 0 {
			t.Errorf("%s: ran %q, threw %q", x, got, b.Exceptions())
		}
		seen = append(seen, chrome.Eval[[]string](b, `violations`)...)
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("%d requests have left the page", n)
	}
	if len(seen) < 10 {
		t.Errorf("the policy had to block %q only: HTML is not on", seen)
	}
}
