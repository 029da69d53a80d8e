package page

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/content"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
)

// clock is the server's time in every test: 10:20 in the morning of 23 November in New Zealand.
var clock = time.Date(2026, 11, 22, 21, 20, 0, 0, time.UTC)

// answer is what the server says when it is asked for the status.
type answer struct {
	code    int // 0 breaks the connection
	body    string
	advance time.Duration // of the server's time over clock
	age     string        // Age header, when not empty
}

// maintenance serves a built page below /demo/ with a status that tests set.
type maintenance struct {
	*httptest.Server
	mu    sync.Mutex
	next  answer
	polls int
	pages map[string]site.File // by path
	mute  bool                 // pages come with a policy that blocks their script
}

func (m *maintenance) say(a answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next = a
}

func (m *maintenance) silence(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mute = on
}

func (m *maintenance) muted() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mute
}

func (m *maintenance) polled() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.polls
}

// builtIn is the content that pages have where nobody has written any.
func builtIn(tb testing.TB) *site.Content {
	tb.Helper()
	c, err := site.LoadContent(content.FS)
	rig.Check(tb, err)
	return c
}

func serveMaintenance(t *testing.T, c *site.Content) *maintenance {
	t.Helper()
	m := &maintenance{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/demo/status.json" {
			m.serveStatus(w)
			return
		}
		f, ok := m.page(r.URL.Path)
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", f.ContentType)
		w.Header().Set("Cache-Control", f.CacheControl)
		if m.muted() {
			w.Header().Set("Content-Security-Policy", "script-src 'none'")
		}
		w.Write(f.Data)
	}))
	t.Cleanup(m.Close)
	m.put(t, c)
	return m
}

// put serves other content from now on.
func (m *maintenance) put(t *testing.T, c *site.Content) {
	t.Helper()
	files, err := site.Build(c, site.Site{Name: "demo", Path: "demo", AppURL: appURL, PageURL: m.URL + "/demo/"})
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pages = map[string]site.File{}
	for _, f := range files {
		m.pages["/"+strings.TrimSuffix(f.Key, "index.html")] = f
	}
}

func (m *maintenance) page(path string) (site.File, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.pages[path]
	return f, ok
}

func (m *maintenance) serveStatus(w http.ResponseWriter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.polls++
	if m.next.code == 0 {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	h.Set("Date", clock.Add(m.next.advance).Format(http.TimeFormat))
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache")
	if m.next.age != "" {
		h.Set("Age", m.next.age)
	}
	w.WriteHeader(m.next.code)
	w.Write([]byte(m.next.body))
}

// doc answers with a status that began at 21:15 UTC, expected to end after the given time (0: no ETA).
func doc(mode status.Mode, seq uint64, eta time.Duration, message string) answer {
	d := status.Document{
		Version: status.Version, Site: "demo", Mode: mode, Seq: seq, Since: clock.Add(-5 * time.Minute), UpdatedAt: clock,
		// Where the page leads was decided when it was built, whatever the status says.
		AppURL: "https://elsewhere.example.org", PageURL: "https://elsewhere.example.org/",
	}
	if eta != 0 {
		until := clock.Add(eta)
		d.ExpectedUntil = &until
	}
	if message != "" {
		d.Message = &message
	}
	return answer{code: 200, body: string(d.Marshal())}
}
