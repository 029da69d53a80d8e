package rig

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Request is what reached an App.
type Request struct {
	Method   string
	URI      string // the request target as it came
	Host     string
	Header   http.Header
	Body     int64     // bytes of the body that were read
	Received time.Time // when the head of the request was there
	Finished time.Time // when it had been dealt with; zero until then
}

// App is an application of Conforma's shape that records every request it gets. It goes on working on
// a request whose client has gone, as Conforma does.
type App struct {
	Name string
	Port int // on 127.0.0.1
	// Handle answers what it reports to have answered, before all else; nil for nothing. Set before the first request.
	Handle func(http.ResponseWriter, *http.Request) bool

	handler http.Handler

	mu       sync.Mutex
	requests []*Request

	release sync.Once
	held    chan struct{} // closed by Release
}

// Token that an App serves below /.well-known/acme-challenge/, as certbot's web root would.
const ACMEToken = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ"

// HeldPath is where an App works on a request until Release, and BadPath where it answers with 400.
const (
	HeldPath = "/held"
	BadPath  = "/bad"
)

// NewApp starts an application. Its answers carry the name, so that a test sees whose they are.
func NewApp(tb testing.TB, name string) *App {
	tb.Helper()
	a := &App{Name: name, Port: Port(tb), held: make(chan struct{})}
	a.handler = a.record(a.routes())
	serve(tb, a.Port, a.handler)
	tb.Cleanup(a.Release)
	return a
}

// Handler is the application itself, for a test that has it listen elsewhere as well.
func (a *App) Handler() http.Handler { return a.handler }

// Release has the application finish its work on the requests for HeldPath, whether or not somebody still waits for it,
// and answer at once those that are to come.
func (a *App) Release() { a.release.Do(func() { close(a.held) }) }

// serve serves handler on the port until tb ends, and returns its address.
func serve(tb testing.TB, port int, handler http.Handler) string {
	tb.Helper()
	l, err := net.Listen("tcp4", Loopback(port))
	if err != nil {
		tb.Fatalf("rig: start a server: %v", err)
	}
	Serve(tb, l, &http.Server{Handler: handler})
	return Loopback(port)
}

// Serve has a server serve what listens until tb ends.
func Serve(tb testing.TB, l net.Listener, srv *http.Server) {
	tb.Helper()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(l) // ends with ErrServerClosed
	}()
	tb.Cleanup(func() {
		srv.Close()
		<-served
	})
}

// Requests returns what has reached the application so far, in the order of arrival.
func (a *App) Requests() []Request { return a.Since(0) }

// Count returns how many requests have reached the application so far.
func (a *App) Count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.requests)
}

// Since returns what has reached the application after the first n requests.
func (a *App) Since(n int) []Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	var since []Request
	for _, r := range a.requests[n:] {
		since = append(since, *r)
	}
	return since
}

// Open returns the requests that the application is still working on.
func (a *App) Open() []Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	var open []Request
	for _, r := range a.requests {
		if r.Finished.IsZero() {
			open = append(open, *r)
		}
	}
	return open
}

// record notes each request before next sees it. It must not go through a ServeMux first: that one
// would answer an unclean path by itself, unseen.
func (a *App) record(next func(http.ResponseWriter, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &Request{
			Method: r.Method, URI: r.RequestURI, Host: r.Host,
			Header: r.Header.Clone(), Received: time.Now(),
		}
		a.mu.Lock()
		a.requests = append(a.requests, rec)
		a.mu.Unlock()
		body := &countingReader{ReadCloser: r.Body}
		r.Body = body
		w.Header().Set("X-App", a.Name)
		if a.Handle == nil || !a.Handle(w, r) {
			next(w, r)
		}
		a.mu.Lock()
		rec.Body, rec.Finished = body.n, time.Now()
		a.mu.Unlock()
	})
}

func (a *App) routes() func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		switch {
		case path == "/server/graphql" && r.Method == http.MethodPost:
			_, _ = io.Copy(io.Discard, r.Body)
			writeJSON(w, map[string]any{"data": map[string]any{"app": a.Name}})
		case path == "/server/api/public/login" && r.Method == http.MethodPost:
			_, _ = io.Copy(io.Discard, r.Body)
			writeJSON(w, map[string]any{"success": true, "JWT": "not-a-token"})
		case path == "/server/api/public/get-prefs":
			writeJSON(w, map[string]any{"preferences": map[string]any{"app": a.Name}})
		case path == "/server/api/upload" && r.Method == http.MethodPost:
			n, _ := io.Copy(io.Discard, r.Body)
			writeJSON(w, map[string]any{"received": n})
		case path == HeldPath:
			_, _ = io.Copy(io.Discard, r.Body)
			<-a.held
			writeJSON(w, map[string]any{"held": true})
		case path == BadPath:
			http.Error(w, "bad", http.StatusBadRequest)
		case strings.HasPrefix(path, "/websocket/"):
			echo(w, r)
		case path == "/.well-known/acme-challenge/"+ACMEToken:
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprintf(w, "%s.thumbprint-of-%s", ACMEToken, a.Name)
		case path == "/assets/app.js":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprintf(w, "console.log(%q)\n", a.Name)
		default: // a single-page application answers any path with its page
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, "<!doctype html><title>%s</title><script src=/assets/app.js></script>\n", a.Name)
		}
	}
}

// echo sends each WebSocket message back until the client leaves.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered with the reason
	}
	defer conn.CloseNow()
	for {
		kind, data, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if err := conn.Write(r.Context(), kind, data); err != nil {
			return
		}
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

type countingReader struct {
	io.ReadCloser
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}
