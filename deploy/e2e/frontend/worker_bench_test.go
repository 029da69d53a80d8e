package frontend

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/serviceworker"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/bench"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// BenchmarkServiceWorker is what the service worker costs while the site is open: the time to a page's first byte
// with it and without it, where it runs and where it has to be started, and how often nginx is asked for a page. And
// it is how long it takes until the maintenance page is there, parsed and with its script run, when the host is off.
func BenchmarkServiceWorker(b *testing.B) {
	s := newWorkerSite(b)
	s.Server = "access_log log/access.log;"
	s.WriteNginx(b)
	s.turn(b, true)
	browser := chrome.Browser(b)
	setting := s.setting(visit{every: never}, "")
	known, stranger := chromeReader{chrome.OpenTab(b, browser, setting)}, chromeReader{chrome.OpenTab(b, browser, setting)}
	known.open(s.URL + "/plain")
	known.is(workers, ownWorker)
	chrome.Call(known.Tab, serviceworker.Enable, cdp.Empty{})
	navigations := 0
	firstByte := func(r chromeReader) float64 {
		navigations++
		r.open(s.URL + "/application/7")
		return chrome.Eval[float64](r.Tab, `performance.getEntriesByType("navigation")[0].responseStart`)
	}
	var without, running, stopped, off []float64
	for b.Loop() {
		for range 20 {
			without = append(without, firstByte(stranger))
			firstByte(known) // which starts it
			running = append(running, firstByte(known))
			chrome.Call(known.Tab, serviceworker.StopAllWorkers, cdp.Empty{})
			stopped = append(stopped, firstByte(known))
		}
		s.set(b, "offline")
		s.Nginx.Stop(b)
		for range 10 {
			began := float64(time.Now().UnixMicro()) / 1000
			known.open(s.URL + "/application/7")
			known.is(shown, s.rescued("/application/7"))
			off = append(off, chrome.Eval[float64](known.Tab, `performance.timeOrigin + performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd`)-began)
			known.open("about:blank")
		}
		s.Nginx.Start(b)
		s.set(b, "online")
	}
	requests := strings.Count(rig.ReadFile(b, filepath.Join(s.Nginx.Dir, "log", "access.log")), "GET /application/7 ")
	script := s.Client().Get(b, "/.conforma-status/sw.js")
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(requests)/float64(navigations), "requests-per-navigation(1)")
	b.ReportMetric(float64(len(script.Body)), "worker-bytes(<=1000)")
	b.ReportMetric(bench.Median(without), "ms-first-byte")
	// On loopback a ratio is of next to nothing: what is added is the same for who is far away.
	b.ReportMetric(bench.Median(running)-bench.Median(without), "running-adds-ms(<=5)")
	b.ReportMetric(bench.Median(stopped)-bench.Median(without), "stopped-adds-ms(<=5)")
	b.ReportMetric(bench.Median(running)/bench.Median(without), "running/without")
	b.ReportMetric(bench.Median(stopped)/bench.Median(without), "stopped/without")
	b.ReportMetric(bench.Median(off), "ms-off-to-the-page(<=100)")
}
