package closing

import (
	"fmt"
	"path/filepath"
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
	// Behind both sites is the same application: each looks like a hole of the other, and there is no kernel barrier.
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

// BenchmarkOnlineTime measures the processor time that our rules add to a request while the site is online, beside what
// one look at a file of the same directory adds, which is the least that such a design costs.
func BenchmarkOnlineTime(b *testing.B) {
	// nginx answers by itself in all three: what an application costs would be most of what is measured.
	const answer = "location = /application { return 200 ok; }\n"
	plain, look, behind := rig.Port(b), rig.Port(b), &recordingApp{port: rig.Port(b)}
	online := &testSite{name: "online", plain: true, app: behind, extra: answer}
	h := newTestHost(b, online)
	h.CLI(b, "render").Want(b, 0)
	for _, s := range []*testSite{
		{name: "plain", port: plain, extra: answer},
		{name: "look", port: look, extra: "if (-f " + filepath.Join(h.State, "sites", "online", "nothing") + ") { return 503; }\n" + answer},
	} {
		s.plain, s.noRules, s.app, s.names, s.listen = true, true, behind, rig.Hostname, []string{rig.Loopback(s.port)}
		h.sites = append(h.sites, s)
	}
	h.Nginx.Configure(b, h.nginxConf(true)+"    keepalive_requests 1000000000;\n")
	bench.OneWorker(b, h.Nginx.Conf)
	h.Nginx.Start(b)
	var ofMaster []int
	rig.WaitFor(b, "nginx's worker", func() bool { ofMaster = children(b, h.Nginx.PID(b)); return len(ofMaster) == 1 })
	worker := ofMaster[0]
	type served struct {
		name string
		port int
	}
	order := []served{{"plain", plain}, {"look", look}, {"online", online.port}}
	times := map[string][]float64{} // of a request, in microseconds
	for b.Loop() {
		for range 40 {
			for _, s := range order {
				const d = 100 * time.Millisecond
				before := bench.ProcessorTime(b, worker)
				requests := bench.Rate(b, rig.Loopback(s.port), bench.Navigation, d) * d.Seconds()
				times[s.name] = append(times[s.name], float64((bench.ProcessorTime(b, worker)-before).Nanoseconds())/1000/requests)
			}
			slices.Reverse(order)
		}
	}
	b.ReportMetric(0, "ns/op")
	added := func(name string) []float64 {
		var out []float64
		for i, t := range times[name] {
			out = append(out, t-times["plain"][i])
		}
		return out
	}
	rules, one := bench.Median(added("online")), bench.Median(added("look"))
	b.ReportMetric(rules/one, "rules/one-look(<=1.2)")
	b.ReportMetric(rules, "rules-µs")
	b.ReportMetric(one, "one-look-µs")
	b.ReportMetric(bench.Median(times["plain"]), "request-µs")
}
