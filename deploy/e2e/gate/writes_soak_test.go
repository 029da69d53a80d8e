//go:build soak

package gate

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/security"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestSoakAdmissionByWritingInBrowser has Chromium send bodies of all kinds, over plain HTTP and over TLS.
// TestSoakFirefoxWrites has Firefox do so.
func TestSoakAdmissionByWritingInBrowser(t *testing.T) {
	t.Parallel()
	chromium := chrome.Browser(t)
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			s := newWritingSite(t, scheme)
			open := func(t *testing.T, url string) *chrome.Tab {
				b := chrome.OpenTab(t, chromium, "")
				if scheme == "https" { // its authority exists for this test only
					chrome.Call(b, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true})
				}
				b.Open(url)
				return b
			}
			for _, row := range browserWrites {
				t.Run(row.name, func(t *testing.T) {
					b := open(t, s.page(row.name))
					n := s.App.Count()
					if got := chrome.Eval[string](b, row.script); got != row.want {
						t.Errorf("comes to %q, want %q", got, row.want)
					}
					if got := s.App.Count() - n; got != row.received {
						t.Errorf("the application received %d, want %d", got, row.received)
					}
					if got := chrome.Eval[bool](b, `admitted()`); got != row.admitted {
						t.Errorf("there is a cookie: %v", got)
					}
				})
			}
			t.Run("in another site's frame, where the cookie is refused", func(t *testing.T) {
				b := open(t, "http://"+rig.Loopback(s.App.Port)+"/assets/page")
				got := chrome.Eval[string](b, fmt.Sprintf(`new Promise((done) => {
					onmessage = ({ data }) => done(data);
					const frame = document.createElement("iframe");
					frame.src = %q;
					document.body.append(frame);
				})`, s.page("framed")))
				if want := "POST 1 true own,true POST 2 true own,false false"; got != want {
					t.Errorf("comes to %q, want %q", got, want)
				}
			})
			t.Run("by a page that is being left", func(t *testing.T) {
				b := open(t, s.page("left"))
				n := s.App.Count()
				chrome.Eval[bool](b, `(addEventListener("pagehide", () => write("~", { keepalive: true })), true)`)
				b.Open("about:blank")
				rig.WaitFor(t, "what it sent", func() bool { return s.App.Count() > n })
				if got := s.App.Since(n); len(got) != 1 || got[0].Method != "POST" || got[0].Header.Get("Cookie") == "" {
					t.Errorf("the application received %+v", got)
				}
			})
		})
	}
}
