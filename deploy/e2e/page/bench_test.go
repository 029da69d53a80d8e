package page

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/bench"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
)

// BenchmarkFirstPaint is how long the page takes to be seen over a link of 400 ms and 400 kbit/s (each way there and
// back), as Chromium emulates it, with the connection open, and how many requests it makes, from when a reader opens
// the main page: one of English, who stays there, and one of French, whom it sends on.
func BenchmarkFirstPaint(b *testing.B) {
	b.Run("English", func(b *testing.B) { firstPaint(b, "en", "", "requests(2)") })
	b.Run("French", func(b *testing.B) { firstPaint(b, "fr", "fr/", "requests(3)") })
}

func firstPaint(b *testing.B, language, place, asked string) {
	c := builtIn(b)
	files := map[string]site.File{}
	body := doc(status.Offline, 1, 25*time.Minute, "").body
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[r.URL.Path]
		switch {
		case strings.HasSuffix(r.URL.Path, "/status.json"):
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(body))
		case ok:
			w.Header().Set("Content-Type", f.ContentType)
			w.Header().Set("Content-Encoding", f.Encoding)
			_, _ = w.Write(f.Data)
		default:
			http.NotFound(w, r)
		}
	}))
	b.Cleanup(server.Close)
	built, err := site.Build(c, site.Site{Name: "demo", Path: "demo", AppURL: appURL, PageURL: server.URL + "/demo/"})
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range site.Compressed(built) {
		files["/"+strings.TrimSuffix(f.Key, "index.html")] = f
	}
	browser := chrome.Browser(b)
	var painted, known []float64
	requests := 0
	for b.Loop() {
		// The time of the first page, which hands over to the next.
		t := chrome.OpenTab(b, browser, fmt.Sprintf(`Object.defineProperty(Navigator.prototype, "languages", { get: () => [%q] });
			if (location.pathname.startsWith("/demo/") && !location.pathname.endsWith("/none")) sessionStorage.began ??= performance.timeOrigin;
			new MutationObserver(() => { if (document.documentElement?.dataset.mode) window.known ??= performance.timeOrigin + performance.now(); })
				.observe(document, { subtree: true, attributes: true });`, language))
		chrome.Call(t, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true})
		chrome.Call(t, page.Enable, page.EnableParams{})
		t.Open(server.URL + "/demo/none") // opens the connection
		chrome.Call(t, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
			MatchedNetworkConditions: []*network.Conditions{{Latency: 400, DownloadThroughput: 400e3 / 8, UploadThroughput: 400e3 / 8}}})
		t.ForgetSent()
		t.Open(server.URL + "/demo/")
		chrome.Arrives(t, server.URL+"/demo/"+place)
		painted = append(painted, chrome.Eval[float64](t, `performance.timeOrigin + performance.getEntriesByName("first-contentful-paint")[0].startTime - sessionStorage.began`))
		known = append(known, chrome.Eval[float64](t, `known - sessionStorage.began`))
		requests = len(t.Sent())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bench.Median(painted), "first-paint-ms(<=1000)")
	b.ReportMetric(bench.Median(known), "status-ms")
	b.ReportMetric(float64(requests), asked)
}
