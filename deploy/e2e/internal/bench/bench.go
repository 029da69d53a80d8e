// Package bench has what the benchmarks share: requests in a hurry, and what is made of the figures.
package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// navigation is what Chrome sends when somebody opens a page. An older browser, or one over plain HTTP, sends no Sec-
// headers.
const (
	OldNavigation = "GET /application HTTP/1.1\r\nHost: " + rig.Hostname + "\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n\r\n"
	secHeaders = "Sec-CH-UA: \"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\nSec-CH-UA-Mobile: ?0\r\nSec-CH-UA-Platform: \"Linux\"\r\n" +
		"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n"
)

var Navigation = strings.Replace(OldNavigation, "Accept-Encoding", secHeaders+"Accept-Encoding", 1)

// OneWorker leaves the client a core of its own, so that what is compared is nginx's work and not who gets the
// processor.
func OneWorker(b *testing.B, conf string) {
	b.Helper()
	rig.Edit(b, conf, "worker_processes 2;", "worker_processes 1;")
}

// Rate is how many requests per second are answered on some connections, each with several requests under way: the
// client is to cost little beside nginx.
func Rate(b *testing.B, addr, request string, d time.Duration) float64 {
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

// Ratio is the median of the ratios of measurements that were taken one after the other.
func Ratio(these, those []float64) float64 {
	var all []float64
	for i := range these {
		all = append(all, these[i]/those[i])
	}
	return Median(all)
}

func Median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// ProcessorTime is how long a process has been on a processor: the first field of its schedstat, in nanoseconds
// (https://docs.kernel.org/scheduler/sched-stats.html).
func ProcessorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		b.Fatal(err)
	}
	first, _, _ := strings.Cut(string(data), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(ns)
}
