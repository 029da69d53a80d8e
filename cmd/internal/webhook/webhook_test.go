package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/status"
)

var began = time.Date(2026, 12, 5, 22, 0, 0, 0, time.UTC)

// clock goes on only where somebody sleeps.
type clock struct {
	sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.Lock(); defer c.Unlock(); return c.now }

func (c *clock) Sleep(_ context.Context, d time.Duration) error {
	c.Lock()
	defer c.Unlock()
	c.now = c.now.Add(d)
	return nil
}

// receiver is a webhook that answers as it is told, and notes what it took.
type receiver struct {
	config.Webhook
	Sender
	queue   Queue
	clock   *clock
	answers []int // the next ones; then 204
	took    []Event
	ids     []string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{clock: &clock{now: began.Add(time.Minute)}, queue: QueueIn(t.TempDir())}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var e Event
		if err != nil || json.Unmarshal(body, &e) != nil {
			t.Errorf("%v: %s", err, body)
		}
		r.ids = append(r.ids, req.Header.Get("webhook-id"))
		code := http.StatusNoContent
		if len(r.answers) > 0 {
			code, r.answers = r.answers[0], r.answers[1:]
		}
		if code == http.StatusNoContent {
			r.took = append(r.took, e)
		}
		w.Header().Set("Location", "http://"+req.Host+"/elsewhere")
		w.WriteHeader(code)
	}))
	t.Cleanup(server.Close)
	r.Webhook = config.Webhook{URL: server.URL + "/hook", SecretFile: secretFile(t, goodSecret, 0o600)}
	r.Sender = Sender{Client: NewClient(), Clock: r.clock, Agent: "test"}
	return r
}

const goodSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func secretFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

// add queues the n-th event.
func (r *receiver) add(t *testing.T, n uint64) {
	t.Helper()
	d := status.Document{Version: 1, Site: "demo", Mode: status.Offline, Seq: n}
	if err := r.queue.Add([]config.Webhook{r.Webhook}, Of(Closed, began.Add(time.Duration(n)*time.Second), d, status.Online)); err != nil {
		t.Fatal(err)
	}
}

func (r *receiver) deliver(t *testing.T) {
	t.Helper()
	if err := r.Deliver(t.Context(), r.queue, []config.Webhook{r.Webhook}); err != nil {
		t.Fatal(err)
	}
}

// seqs are the events that it took.
func (r *receiver) seqs() (seqs []uint64) {
	for _, e := range r.took {
		seqs = append(seqs, e.Data.Seq)
	}
	return seqs
}

func (r *receiver) want(t *testing.T, seqs ...uint64) {
	t.Helper()
	if got := r.seqs(); !slices.Equal(got, seqs) {
		t.Errorf("it took %v, want %v", got, seqs)
	}
}

// TestSign has the example of the Standard Webhooks specification.
func TestSign(t *testing.T) {
	secret, err := parseSecret(goodSecret)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	sign(h, secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got, want := h.Get("webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
}

func TestSecret(t *testing.T) {
	of := func(bytes int) string {
		return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", bytes)))
	}
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		want       error
	}{
		{"as it should be", goodSecret + "\n", 0o600, nil},
		{"for a group", goodSecret, 0o640, nil},
		{"the shortest", of(24), 0o600, nil},
		{"the longest", of(64), 0o600, nil},
		{"for all to read", goodSecret, 0o604, ErrExposed},
		{"for all to write", goodSecret, 0o602, ErrExposed},
		{"without its prefix", strings.TrimPrefix(goodSecret, "whsec_"), 0o600, ErrSecret},
		{"not base64", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa%w", 0o600, ErrSecret},
		{"two of them", goodSecret + "\n" + goodSecret, 0o600, ErrSecret},
		{"too short", of(23), 0o600, ErrSecret},
		{"too long", of(65), 0o600, ErrSecret},
		{"empty", "", 0o600, ErrSecret},
		{"malformed and for all to read", "geheim", 0o604, ErrSecret},
	} {
		path := secretFile(t, c.text, c.mode)
		_, err := ReadSecret(path)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err != nil && (!strings.Contains(err.Error(), path) || c.text != "" && strings.Contains(err.Error(), c.text) || !IsOfSecret(err)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, path := range []string{"/nowhere/secret", t.TempDir()} {
		if _, err := ReadSecret(path); err == nil || strings.Count(err.Error(), path) != 1 || !IsOfSecret(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Events arrive in their order; what isn't taken is tried again, by this process or by one that comes later, under the
// same name.
func TestDeliver(t *testing.T) {
	t.Run("in their order", func(t *testing.T) {
		r := newReceiver(t)
		for n := range uint64(20) {
			r.add(t, 20-n)
		}
		r.deliver(t)
		r.want(t, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)
		if r.queue.Any([]config.Webhook{r.Webhook}) {
			t.Error("something still waits")
		}
	})
	t.Run("500, then taken", func(t *testing.T) {
		r := newReceiver(t)
		r.answers = []int{500}
		r.add(t, 1)
		r.deliver(t)
		r.want(t, 1)
		if r.ids[0] != r.ids[1] || !strings.HasPrefix(r.ids[0], "msg_") {
			t.Errorf("its names: %v", r.ids)
		}
	})
	t.Run("one that is never taken doesn't hold up the others", func(t *testing.T) {
		r := newReceiver(t)
		r.answers = []int{400, 204, 400, 400}
		r.add(t, 1)
		r.add(t, 2)
		r.deliver(t)
		r.want(t, 2)
		r.deliver(t)
		r.want(t, 2) // the third attempt was the last for now
		r.clock.now = r.clock.now.Add(time.Minute)
		r.deliver(t)
		r.want(t, 2, 1)
	})
	t.Run("a redirect is not followed", func(t *testing.T) {
		for _, code := range []int{301, 302, 303, 307, 308} {
			r := newReceiver(t)
			r.answers = []int{code, code, code}
			r.add(t, 1)
			r.deliver(t)
			if len(r.ids) != 3 {
				t.Errorf("%d: it was asked %d times, want 3", code, len(r.ids))
			}
			if _, _, why, _, _ := r.queue.State(r.Webhook); !strings.Contains(why, "redirect, which is not followed") {
				t.Errorf("%d: %s", code, why)
			}
		}
	})
	t.Run("given up after a day", func(t *testing.T) {
		r := newReceiver(t)
		attempts := 0
		r.add(t, 1)
		for r.queue.Any([]config.Webhook{r.Webhook}) {
			if attempts++; attempts > 2*24*60 {
				t.Fatal("never given up")
			}
			r.answers = []int{500, 500, 500}
			r.deliver(t)
			r.clock.now = r.clock.now.Add(time.Minute)
		}
		tried := len(r.ids)
		if after := r.clock.now.Sub(began); after < day || after > day+time.Hour+time.Minute || tried > 40 {
			t.Errorf("given up after %v and %d attempts", after, tried)
		}
		_, _, _, given, err := r.queue.State(r.Webhook)
		if err != nil || given == nil || given.Events != 1 || !strings.Contains(given.Error, "500") {
			t.Errorf("%+v, %v", given, err)
		}
		// It takes the next one: what was given up is history.
		r.answers = nil
		r.add(t, 2)
		r.deliver(t)
		r.want(t, 2)
		if _, _, _, given, err = r.queue.State(r.Webhook); given != nil || err != nil {
			t.Errorf("%+v, %v", given, err)
		}
	})
	t.Run("a host that was off for two days tries once", func(t *testing.T) {
		r := newReceiver(t)
		r.add(t, 1)
		r.clock.now = began.Add(2 * day)
		r.deliver(t)
		r.want(t, 1)
	})
	t.Run("nobody is there", func(t *testing.T) {
		r := newReceiver(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		r.URL = "http://" + l.Addr().String() + "/with/a/secret"
		l.Close()
		for n := range uint64(30) {
			r.add(t, n)
		}
		r.deliver(t)
		waiting, _, why, _, err := r.queue.State(r.Webhook)
		if err != nil || waiting != 30 || !strings.Contains(why, "connection refused") || strings.Contains(why, "secret") {
			t.Errorf("%d wait, %s, %v", waiting, why, err)
		}
	})
	t.Run("it hangs", func(t *testing.T) {
		r := newReceiver(t)
		end := make(chan struct{})
		hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
		t.Cleanup(hangs.Close)
		t.Cleanup(func() { close(end) })
		r.URL, r.Client.Timeout = hangs.URL, 10*time.Millisecond
		r.add(t, 1)
		r.add(t, 2)
		r.deliver(t)
		if waiting, _, why, _, err := r.queue.State(r.Webhook); err != nil || waiting != 2 || why != "it did not answer within 10s" {
			t.Errorf("%d wait, %s, %v", waiting, why, err)
		}
	})
	t.Run("killed after it was taken", func(t *testing.T) {
		r := newReceiver(t)
		r.add(t, 1)
		r.deliver(t)
		r.add(t, 1) // as it would still be there
		r.deliver(t)
		r.want(t, 1, 1)
		if r.ids[0] != r.ids[1] {
			t.Errorf("its names: %v", r.ids)
		}
	})
	t.Run("a secret that others can read", func(t *testing.T) {
		r := newReceiver(t)
		r.SecretFile = secretFile(t, goodSecret, 0o644)
		r.add(t, 1)
		r.deliver(t)
		r.want(t)
		if _, _, why, _, _ := r.queue.State(r.Webhook); !strings.Contains(why, "open to every user") {
			t.Error(why)
		}
	})
}

// TestQueue has files that nobody can deliver, and webhooks that are gone.
func TestQueue(t *testing.T) {
	r := newReceiver(t)
	r.add(t, 1)
	for name, text := range map[string]string{
		"cut-off.json": `{"id":"cut-off","body":{`, "empty.json": "", "other.json": `{"id":"another","body":{}}`, "nothing.json": `{"id":"nothing"}`,
	} {
		if err := os.WriteFile(filepath.Join(r.queue.of(r.Webhook), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gone := config.Webhook{URL: "https://gone.example.org/"}
	d := status.Document{Site: "demo", Mode: status.Offline}
	if err := r.queue.Add([]config.Webhook{gone}, Of(Closed, began, d, status.Online)); err != nil {
		t.Fatal(err)
	}
	r.deliver(t)
	r.want(t, 1)
	if r.queue.Any([]config.Webhook{r.Webhook, gone}) {
		t.Error("something still waits")
	}
	info, err := os.Stat(string(r.queue))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the queue: %v, %v", info, err)
	}
	readOnly := Queue(filepath.Join(secretFile(t, "", 0o600), "below-a-file"))
	if err := readOnly.Add([]config.Webhook{r.Webhook}, Of(Closed, began, d, status.Online)); err == nil || strings.Contains(err.Error(), "/hook") {
		t.Errorf("a queue that can't be written to: %v", err)
	}
}

func TestWhere(t *testing.T) {
	for url, want := range map[string]string{
		"https://hooks.example.org":                         "https://hooks.example.org",
		"https://hooks.example.org/":                        "https://hooks.example.org",
		"https://hooks.example.org:8443/services/T0/secret": "https://hooks.example.org:8443/…",
	} {
		if got := Where(url); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}
