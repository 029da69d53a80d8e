package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// BenchmarkServing compares how many requests per second nginx serves with our rules and without, in turns within one run.
// Behind the sites is nginx itself, which is quicker than any application: the rules weigh the more.
func BenchmarkServing(b *testing.B) {
	upstream, plain, redirect := rig.Port(b), rig.Port(b), rig.Port(b)
	behind := &witness{port: upstream} // only its port: nginx answers there
	online := &yardSite{name: "online", plain: true, app: behind}
	closed := &yardSite{name: "closed", plain: true, app: behind}
	bare := &yardSite{name: "bare", plain: true, app: behind, noRules: true, port: plain, names: rig.Hostname, listen: []string{rig.Loopback(plain)}}
	y := newYard(b, online, closed)
	y.CLI(b, "render").Want(b, 0)
	with := y.nginxConf(true)
	y.sites = []*yardSite{bare}
	_, without, _ := strings.Cut(y.nginxConf(false), "    server {\n")
	y.Nginx.Configure(b, with+"    keepalive_requests 1000000000;\n    server {\n"+without+fmt.Sprintf(
		"    server { listen 127.0.0.1:%d; location / { return 200 ok; } }\n    server { listen 127.0.0.1:%d; return 302 %s/closed/; }\n", upstream, redirect, y.PageURL))
	y.Nginx.Start(b)
	// Behind both sites is the same application, so that each looks like a hole of the other.
	y.CLI(b, "set", "offline", "--site", "closed", "--force").Want(b, 0)

	ports := map[string]int{"plain": plain, "online": online.port, "redirect": redirect, "offline": closed.port}
	rates := map[string][]float64{}
	for b.Loop() {
		order := []string{"plain", "online", "redirect", "offline"}
		for range 40 {
			for _, name := range order {
				rates[name] = append(rates[name], rate(b, rig.Loopback(ports[name]), 100*time.Millisecond))
			}
			slices.Reverse(order) // so that none always comes after the same
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ratio(rates["online"], rates["plain"]), "online/plain(>=0.97)")
	b.ReportMetric(ratio(rates["offline"], rates["redirect"]), "offline/302(>=0.85)")
	for name, all := range rates {
		b.ReportMetric(median(all), name+"-req/s")
	}
}

// rate is how many requests per second are answered on some connections, each with several requests under way: the
// client is to cost little beside nginx.
func rate(b *testing.B, addr string, d time.Duration) float64 {
	b.Helper()
	const connections, ahead = 8, 16
	request := strings.Repeat("GET /application HTTP/1.1\r\nHost: "+rig.Hostname+"\r\nAccept: text/html\r\n\r\n", ahead)
	var wait sync.WaitGroup
	var mu sync.Mutex
	total, failed := 0, error(nil)
	began := time.Now()
	for range connections {
		wait.Go(func() {
			n, err := exchangeUntil(addr, request, ahead, began.Add(d))
			mu.Lock()
			defer mu.Unlock()
			total += n
			if err != nil {
				failed = err
			}
		})
	}
	wait.Wait()
	if failed != nil {
		b.Fatal(failed)
	}
	return float64(total) / time.Since(began).Seconds()
}

// exchangeUntil sends the requests, waits for their answers, all of one length, and so on until the time has come.
func exchangeUntil(addr, requests string, ahead int, end time.Time) (answers int, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10)
	length := 0
	for time.Now().Before(end) {
		if _, err := io.WriteString(conn, requests); err != nil {
			return answers, err
		}
		left := ahead
		if length == 0 {
			if length, err = answerLength(r); err != nil {
				return answers, err
			}
			left--
		}
		if _, err := r.Discard(left * length); err != nil {
			return answers, err
		}
		answers += ahead
	}
	return answers, nil
}

// answerLength reads one answer with a Content-Length and returns its length in bytes.
func answerLength(r *bufio.Reader) (int, error) {
	length, body := 0, 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return 0, err
		}
		length += len(line)
		if _, err := fmt.Sscanf(strings.ToLower(line), "content-length: %d", &body); err == nil {
			continue
		}
		if line == "\r\n" {
			break
		}
	}
	_, err := r.Discard(body)
	return length + body, err
}

// ratio is the median of the ratios of measurements that were taken one after the other.
func ratio(these, those []float64) float64 {
	var all []float64
	for i := range these {
		all = append(all, these[i]/those[i])
	}
	return median(all)
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
