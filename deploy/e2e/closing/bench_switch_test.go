package closing

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/bench"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// benchRounds is how often each switch is made; the median counts.
const benchRounds = 11

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// vouched has every site of the host be found idle at once.
func (h *testHost) vouched(b *testing.B) {
	b.Helper()
	h.EditConfig(b, "settled = []", `settled = ["true"]`)
}

// BenchmarkSwitch measures "set offline" with the directory store: from the command's start to the last request that
// the application got, and to the moment from which it is safe when there is nothing to wait for.
func BenchmarkSwitch(b *testing.B) {
	site := &testSite{name: "demo", plain: true}
	h := newTestHost(b, site)
	h.vouched(b)
	h.start(b)
	var lastIn, safe, whole, after []float64
	for b.Loop() {
		for range benchRounds {
			began := time.Now()
			got := receiptOf(b, h.CLI(b, "set", "offline", "--json").Want(b, 0))
			whole = append(whole, ms(time.Since(began)))
			safe = append(safe, ms(got.SafeSince.Sub(began)))
			h.CLI(b, "set", "online").Want(b, 0)
		}
		for range benchRounds {
			in, late := h.lastIn(b, site)
			lastIn, after = append(lastIn, in), append(after, late)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bench.Median(lastIn), "last-in-ms(<=20)")
	b.ReportMetric(bench.Median(safe), "safe-ms(<=250)")
	b.ReportMetric(bench.Median(whole), "command-ms")
	b.ReportMetric(sum(after), "let-in-after-return(0)")
}

// lastIn closes a site while many ask, and opens it again. It returns how many milliseconds the command had run when
// the application got its last request, and how many it got after the command's return.
func (h *testHost) lastIn(b *testing.B, site *testSite) (in, after float64) {
	b.Helper()
	l := h.pounded(b, site, 2*time.Millisecond) // or it would take the processor from what is measured
	began := time.Now()
	h.CLI(b, "set", "offline", "--site", site.name, "--drain", "5s").Want(b, 0)
	returned := time.Now()
	time.Sleep(300 * time.Millisecond)
	l.end()
	arrived := site.app.between(began, time.Now(), true)
	after = float64(len(site.app.between(returned, time.Now(), true)))
	h.CLI(b, "set", "online", "--site", site.name).Want(b, 0)
	return ms(arrived[len(arrived)-1].at.Sub(began)), after
}

// BenchmarkBareReload is what the same site does when its configuration is replaced by one that refuses everything,
// and nginx is told to reload.
func BenchmarkBareReload(b *testing.B) {
	site := &testSite{name: "demo", plain: true}
	h := newTestHost(b, site)
	open, shut := h.nginxConf(false), strings.Replace(h.nginxConf(false), "    server {\n", "    server {\n        return 503;\n", 1)
	h.Nginx.Configure(b, open)
	h.Nginx.Start(b)
	reload := func() {
		args := h.Nginx.Args("-s", "reload")
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	var after []float64
	for b.Loop() {
		for range benchRounds {
			l := h.pounded(b, site, 0)
			h.Nginx.Configure(b, shut)
			reload()
			returned := time.Now()
			time.Sleep(time.Second)
			l.end()
			after = append(after, float64(len(site.app.between(returned, time.Now(), true))))
			h.Nginx.Configure(b, open)
			reload()
			rig.WaitFor(b, "the site to be open again", func() bool { return h.dialer(site).Get(b, "/").Status == 200 })
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bench.Median(after), "let-in-after-return")
}

// pounded sends POSTs on connections that are kept, with a pause after each answer.
func (h *testHost) pounded(b *testing.B, site *testSite, pause time.Duration) *load {
	b.Helper()
	l := newLoad(b, h)
	arrived := site.app.count("request", postPath)
	for range 8 {
		c := l.client(site, "HTTP/1.1", false)
		c.run(pause, func() { c.post() })
	}
	rig.WaitFor(b, "requests", func() bool { return site.app.count("request", postPath) > arrived+200 })
	return l
}

// BenchmarkManySites compares the switch of one site on a host of many with that on a host of one, apart from the
// steps in which nginx itself is waited for: while it prints and tests its configuration, takes it up, and ends its
// old workers. On the largest host all sites are switched at once, too.
func BenchmarkManySites(b *testing.B) {
	counts := []int{1, 20, 300}
	hosts := map[int]*testHost{}
	app := newRecordingApp(b) // nobody uses it
	for _, n := range counts {
		var sites []*testSite
		for i := range n {
			sites = append(sites, &testSite{name: fmt.Sprintf("site%d", i), plain: true})
		}
		sites[0].app = app
		hosts[n] = newTestHost(b, sites...)
		hosts[n].vouched(b)
		hosts[n].start(b)
		hosts[n].CLI(b, "set", "online", "--all").Want(b, 0) // each has a record, as on a host that is in use
	}
	own, whole, lastIn := map[int][]float64{}, map[int][]float64{}, map[int][]float64{}
	var all time.Duration
	for b.Loop() {
		for range 2 * benchRounds {
			for _, n := range counts {
				began := time.Now()
				got := receiptOf(b, hosts[n].CLI(b, "set", "offline", "--site", "site0", "--json").Want(b, 0))
				took := ms(time.Since(began))
				whole[n] = append(whole[n], took)
				own[n] = append(own[n], took-got.took("read")-got.took("test")-got.took("reload")-got.took("probe")-got.took("drain"))
				hosts[n].CLI(b, "set", "online", "--site", "site0").Want(b, 0)
			}
			slices.Reverse(counts) // so that none always comes after the same
		}
		for range benchRounds {
			for _, n := range counts {
				in, _ := hosts[n].lastIn(b, hosts[n].sites[0])
				lastIn[n] = append(lastIn[n], in)
			}
		}
		began := time.Now()
		hosts[300].CLI(b, "set", "offline", "--all").Want(b, 0)
		all = time.Since(began)
		hosts[300].CLI(b, "set", "online", "--all").Want(b, 0)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bench.Ratio(own[20], own[1]), "20-sites/1(<=1.3)")
	b.ReportMetric(bench.Ratio(own[300], own[1]), "300-sites/1(<=1.5)")
	b.ReportMetric(bench.Ratio(lastIn[300], lastIn[1]), "last-in-300/1(<=1.5)")
	b.ReportMetric(ms(all)/1000, "all-300-s(<=10)")
	for n := range hosts {
		b.ReportMetric(bench.Median(own[n]), fmt.Sprintf("own-ms-of-%d", n))
		b.ReportMetric(bench.Median(whole[n]), fmt.Sprintf("command-ms-of-%d", n))
		b.ReportMetric(bench.Median(lastIn[n]), fmt.Sprintf("last-in-ms-of-%d(<=20)", n))
	}
}

func sum(all []float64) (total float64) {
	for _, n := range all {
		total += n
	}
	return total
}
