package frontend

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/esbuild"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestGuidedModule runs the module that the guide for Conforma's front end has an application write, behind whatever
// may answer where nginx says the site's status: the application starts, and a failing query is no more than one,
// unless the site is closed.
func TestGuidedModule(t *testing.T) {
	t.Parallel()
	client, err := filepath.Abs(clientDir)
	if err != nil {
		t.Fatal(err)
	}
	script := esbuild.Run(t, []byte(guided(t)), "", "--loader=ts", "--bundle", "--format=esm", "--target=es2022",
		"--alias:conforma-status="+client+"/conforma-status.js", "--alias:conforma-status/notice="+client+"/notice.js")
	browser := chrome.Browser(t)
	for name, test := range map[string]struct {
		code int
		body string // "" breaks the connection
		want string
	}{
		"open":                           {200, document(status.Online), "trouble"},
		"closed":                         {200, document(status.Offline), "left"},
		"a host without, its index.html": {200, "<!doctype html><title>Conforma</title>", "trouble"},
		"a host without, nothing there":  {404, "404 page not found", "trouble"},
		"a host without, an API that isn't there": {404, `{"message":"not found"}`, "trouble"},
		"a host without, something else":          {200, `{}`, "trouble"},
		"a host without, nothing":                 {200, `null`, "trouble"},
		"nobody":                                  {0, "", "trouble"},
	} {
		t.Run(name, func(t *testing.T) {
			var site *httptest.Server
			site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/":
					w.Header().Set("Content-Type", "text/html")
					w.Write([]byte(`<!doctype html><title>app</title><script type="module">
						import("/app.js").then(async ({ siteStatus }) => {
							const verdict = await siteStatus.failedQuery(new TypeError("Failed to fetch"));
							document.title = verdict;
						}).catch((error) => document.title = "broken: " + error);
					</script>`))
				case "/app.js":
					w.Header().Set("Content-Type", "text/javascript")
					w.Write(script)
				case "/maintenance/":
					w.Header().Set("Content-Type", "text/html")
					w.Write([]byte("<!doctype html><html data-mode=offline><title>left</title>"))
				case "/.conforma-status/status.json", "/maintenance/status.json":
					if test.body == "" {
						panic(http.ErrAbortHandler)
					}
					w.WriteHeader(test.code)
					w.Write([]byte(strings.ReplaceAll(test.body, "https://elsewhere.example.org/", site.URL+"/maintenance/")))
				}
			}))
			defer site.Close()
			b := chrome.OpenTab(t, browser, "")
			b.Open(site.URL + "/")
			if test.want == "left" {
				chrome.Arrives(b, site.URL+"/maintenance/#from="+url.QueryEscape(site.URL+"/"))
				return
			}
			if got := chrome.Eval[string](b, `new Promise((done) => setInterval(() => document.title !== "app" && done(document.title), 5))`); got != test.want {
				t.Errorf("it comes to %q, want %q", got, test.want)
			}
		})
	}
}

// document is the status.json of a site in that mode, whose page is elsewhere.
func document(mode status.Mode) string {
	began := time.Date(2026, 11, 22, 21, 15, 0, 0, time.UTC)
	d := status.Document{
		Version: status.Version, Site: "demo", Mode: mode, Seq: 1, Since: began, UpdatedAt: began,
		AppURL: "https://elsewhere.example.org", PageURL: "https://elsewhere.example.org/",
	}
	return string(d.Marshal())
}

// guided returns the module that the guide for Conforma's front end has an application write.
func guided(t *testing.T) string {
	t.Helper()
	guide, err := os.ReadFile("../../conforma-front-end.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(guide), "```ts\n")
	code, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("the guide has no code")
	}
	return code
}
