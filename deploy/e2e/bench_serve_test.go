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
	oneWorker(b, y.Nginx.Conf)
	y.Nginx.Start(b)
	// Behind both sites is the same application, so that each looks like a hole of the other.
	y.CLI(b, "set", "offline", "--site", "closed", "--force").Want(b, 0)

	// What is compared stands side by side.
	type served struct {
		name, request string
		port          int
	}
	order := []served{
		{"plain", navigation, plain}, {"online", navigation, online.port},
		{"redirect", navigation, redirect}, {"offline", navigation, closed.port},
		{"redirect, no Sec-Fetch-Mode", oldNavigation, redirect}, {"offline, no Sec-Fetch-Mode", oldNavigation, closed.port},
	}
	rates := map[string][]float64{}
	for b.Loop() {
		for range 150 { // the median of 60 pairs is off by a hundredth in one run of three, which is what online may cost
			for _, s := range order {
				rates[s.name] = append(rates[s.name], rate(b, rig.Loopback(s.port), s.request, 50*time.Millisecond))
			}
			slices.Reverse(order) // so that none always comes after the same
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ratio(rates["online"], rates["plain"]), "online/plain(>=0.97)")
	b.ReportMetric(ratio(rates["offline"], rates["redirect"]), "offline/302(>=0.85)")
	b.ReportMetric(ratio(rates["offline, no Sec-Fetch-Mode"], rates["redirect, no Sec-Fetch-Mode"]), "offline/302-no-Sec-Fetch-Mode")
	for name, all := range rates {
		if !strings.Contains(name, ",") {
			b.ReportMetric(median(all), name+"-req/s")
		}
	}
}

// navigation is what Chrome sends when somebody opens a page. An older browser, or one over plain HTTP, sends no Sec- headers.
const (
	oldNavigation = "GET /application HTTP/1.1\r\nHost: " + rig.Hostname + "\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n\r\n"
	secHeaders = "Sec-CH-UA: \"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\nSec-CH-UA-Mobile: ?0\r\nSec-CH-UA-Platform: \"Linux\"\r\n" +
		"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n"
)

var navigation = strings.Replace(oldNavigation, "Accept-Encoding", secHeaders+"Accept-Encoding", 1)

// oneWorker leaves the client a core of its own, so that what is compared is nginx's work and not who gets the processor.
func oneWorker(b *testing.B, conf string) {
	b.Helper()
	edit(b, conf, "worker_processes 2;", "worker_processes 1;")
}

// rate is how many requests per second are answered on some connections, each with several requests under way: the
// client is to cost little beside nginx.
func rate(b *testing.B, addr, request string, d time.Duration) float64 {
	b.Helper()
	const connections, ahead = 8, 16
	request = strings.Repeat(request, ahead)
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
