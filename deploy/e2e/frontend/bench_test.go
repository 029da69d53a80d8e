package frontend

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/bench"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// conformaOwn is what Conforma's own front end takes until it goes to its fixed page, in seconds: it tries its
// WebSocket six times, five seconds apart (src/containers/Main/ServerStatusListener.tsx).
const conformaOwn = 30

// wallClock is the browser's time in ms since 1970, in fractions, the same in each of its pages.
const wallClock = `performance.timeOrigin + performance.now()`

// BenchmarkFailedQuery is how long it takes from a query that fails on the closed site until the maintenance page
// is there, parsed and with its script run.
func BenchmarkFailedQuery(b *testing.B) {
	browser := chrome.Browser(b)
	s := newAppSite(b, "apollo4")
	var took []float64
	for b.Loop() {
		s.set(b, "online")
		var seats []*visitor
		for range 10 {
			p := s.visit(b, browser, visit{every: never})
			p.deaf()
			seats = append(seats, p)
		}
		s.set(b, "offline")
		for _, p := range seats {
			p.run(`report(String(` + wallClock + `)); app.query()`)
			p.left()
			p.has(`performance.getEntriesByType("navigation")[0]?.domContentLoadedEventEnd`)
			there := chrome.Eval[float64](p.Tab, `performance.timeOrigin + performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd`)
			asked, err := strconv.ParseFloat(p.Heard()[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			took = append(took, there-asked)
			p.leave()
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bench.Median(took), "ms-to-the-page(<150)")
	b.ReportMetric(slices.Max(took), "ms-slowest")
	b.ReportMetric(1000*conformaOwn, "ms-Conforma's-own")
}

// BenchmarkTabsKnow is how long it takes from the beginning of "set offline" until the last of ten visible tabs knows,
// when none of them sends a query: with the default interval of 15 seconds, the tabs of ten visitors, and of one.
func BenchmarkTabsKnow(b *testing.B) {
	const tabs, interval = 10, 15
	for _, visitors := range []int{tabs, 1} {
		b.Run(fmt.Sprintf("visitors=%d", visitors), func(b *testing.B) {
			browser := chrome.Browser(b)
			s := newAppSite(b, "apollo4")
			var last []float64
			for b.Loop() {
				s.set(b, "online")
				var seats []*visitor
				for i := range tabs {
					var p *visitor
					if i < visitors {
						p = s.visit(b, browser, visit{every: interval * 1000})
					} else {
						p = seats[0].beside(b)
					}
					p.deaf()
					seats = append(seats, p)
				}
				began := time.Now()
				go s.CLI(s.tb, "set", "offline", "--drain", "200ms")
				rig.WaitFor(b, "all to know", func() bool {
					return !slices.ContainsFunc(seats, func(p *visitor) bool { return !slices.Contains(p.Heard(), afterNotice) })
				})
				last = append(last, time.Since(began).Seconds())
				for _, p := range seats {
					p.left()
				}
				for _, p := range slices.Backward(seats) {
					p.leave()
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(slices.Max(last), fmt.Sprintf("s-to-the-last(<=%d)", interval))
			b.ReportMetric(conformaOwn, "s-Conforma's-own")
		})
	}
}

// leave closes the tab.
func (p *visitor) leave() {
	p.T.Helper()
	if err := chromedp.Cancel(p.Tab.Ctx); err != nil {
		p.T.Fatalf("close the tab: %v", err)
	}
}
