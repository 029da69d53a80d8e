package closing

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/bench"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// BenchmarkServing compares how many requests per second nginx serves with our rules and without, in turns within one
// run. Behind the sites is nginx itself, which is quicker than any application: the rules weigh the more.
func BenchmarkServing(b *testing.B) {
	upstream, plain, redirect := rig.Port(b), rig.Port(b), rig.Port(b)
	behind := &recordingApp{port: upstream} // only its port: nginx answers there
	online := &testSite{name: "online", plain: true, app: behind}
	closed := &testSite{name: "closed", plain: true, app: behind}
	bare := &testSite{name: "bare", plain: true, app: behind, noRules: true, port: plain, names: rig.Hostname, listen: []string{rig.Loopback(plain)}}
	h := newTestHost(b, online, closed)
	h.CLI(b, "render").Want(b, 0)
	with := h.nginxConf(true)
	h.sites = []*testSite{bare}
	_, without, _ := strings.Cut(h.nginxConf(false), "    server {\n")
	h.Nginx.Configure(b, with+"    keepalive_requests 1000000000;\n    server {\n"+without+fmt.Sprintf(
		"    server { listen 127.0.0.1:%d; location / { return 200 ok; } }\n    server { listen 127.0.0.1:%d; return 302 %s/closed/; }\n", upstream, redirect, h.PageURL))
	bench.OneWorker(b, h.Nginx.Conf)
	h.Nginx.Start(b)
	// Behind both sites is the same application, so that each looks like a hole of the other.
	h.CLI(b, "set", "offline", "--site", "closed", "--force").Want(b, 0)

	// What is compared stands side by side.
	type served struct {
		name, request string
		port          int
	}
	order := []served{
		{"plain", bench.Navigation, plain}, {"online", bench.Navigation, online.port},
		{"redirect", bench.Navigation, redirect}, {"offline", bench.Navigation, closed.port},
		{"redirect, no Sec-Fetch-Mode", bench.OldNavigation, redirect}, {"offline, no Sec-Fetch-Mode", bench.OldNavigation, closed.port},
	}
	rates := map[string][]float64{}
	for b.Loop() {
		for range 150 { // the median of 60 pairs is off by a hundredth in one run of three, which is what online may cost
			for _, s := range order {
				rates[s.name] = append(rates[s.name], bench.Rate(b, rig.Loopback(s.port), s.request, 50*time.Millisecond))
			}
			slices.Reverse(order) // so that none always comes after the same
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bench.Ratio(rates["online"], rates["plain"]), "online/plain(>=0.97)")
	b.ReportMetric(bench.Ratio(rates["offline"], rates["redirect"]), "offline/302(>=0.85)")
	b.ReportMetric(bench.Ratio(rates["offline, no Sec-Fetch-Mode"], rates["redirect, no Sec-Fetch-Mode"]), "offline/302-no-Sec-Fetch-Mode")
	for name, all := range rates {
		if !strings.Contains(name, ",") {
			b.ReportMetric(bench.Median(all), name+"-req/s")
		}
	}
}
