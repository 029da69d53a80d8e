package closing

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/bench"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// BenchmarkSwitchWithWebhooks measures "set offline" with a webhook that takes everything, and with one that refuses
// and for which 1,000 events wait.
func BenchmarkSwitchWithWebhooks(b *testing.B) {
	h := rig.NewSingle(b)
	secret := filepath.Join(h.Nginx.Dir, "webhook.secret")
	rig.WriteFile(b, secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
	check(b, os.Chmod(secret, 0o600))
	takes := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer takes.Close()
	told := func(url string) {
		h.Configure(b, rig.Settings{Top: fmt.Sprintf("[[webhook]]\nurl = %q\nsecret_file = %q\n", url, secret)})
	}
	refuses := "http://" + rig.Loopback(rig.Port(b))
	told(refuses)
	h.Install(b)
	h.CLI(b, "set", "offline").Want(b, 0)
	h.CLI(b, "set", "online").Want(b, 0)
	waiting, err := filepath.Glob(filepath.Join(h.State, "webhooks", "*", "*-msg_*.json"))
	check(b, err)
	if len(waiting) == 0 {
		b.Fatal("nothing waits")
	}
	at, id, _ := strings.Cut(strings.TrimSuffix(filepath.Base(waiting[0]), ".json"), "-")
	text, err := os.ReadFile(waiting[0])
	check(b, err)
	for n := range 1000 {
		other := fmt.Sprintf("%s%04d", id, n)
		rig.WriteFile(b, filepath.Join(filepath.Dir(waiting[0]), at+"-"+other+".json"), strings.ReplaceAll(string(text), id, other))
	}
	kept := filepath.Join(h.Nginx.Dir, "webhooks") // while the other one is measured: what has no webhook is deleted
	swap := func(from, to string) {
		check(b, os.RemoveAll(to))
		check(b, os.Rename(from, to))
	}
	queue := filepath.Join(h.State, "webhooks")
	set := func() float64 {
		began := time.Now()
		h.CLI(b, "set", "offline").Want(b, 0)
		took := ms(time.Since(began))
		h.CLI(b, "set", "online").Want(b, 0)
		return took
	}
	var many, none []float64
	for b.Loop() {
		for range benchRounds {
			many = append(many, set())
			swap(queue, kept)
			told(takes.URL)
			none = append(none, set())
			rig.WaitFor(b, "all to be delivered", func() bool { return !delivers(h.Config) })
			swap(kept, queue)
			told(refuses)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(bench.Ratio(many, none), "1000-waiting/none(<=1.05)")
	b.ReportMetric(bench.Median(many), "1000-waiting-ms")
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// delivers reports whether a process delivers the events of that configuration.
func delivers(config string) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, _ := os.ReadFile(file) // it may be gone
		if strings.Contains(string(line), "deliver\x00--config\x00"+config) {
			return true
		}
	}
	return false
}
