package closing

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// arrival is one thing that reached an application, and when.
type arrival struct {
	at    time.Time
	what  string // "request", "message" on a WebSocket, "body": a part of one, "commit": the end of a long request's work
	path  string
	admin bool // it came with a token, which nginx lets through in admin mode only when it is an administrator's
}

func (a arrival) String() string {
	return fmt.Sprintf("%s of %s at %s", a.what, a.path, a.at.Format("15:04:05.000000"))
}

// recordingApp is an application that writes down all that reaches it, message by message.
type recordingApp struct {
	port int

	held chan struct{} // closed by release

	mu       sync.Mutex
	arrivals []arrival
	asked    int               // how often it was asked whether it is idle
	active   map[net.Conn]bool // from the moment they are accepted until they are idle or gone
	sockets  int               // WebSockets that are open
}

// newWitness starts an application that listens on loopback.
func newRecordingApp(tb testing.TB) *recordingApp {
	tb.Helper()
	w := &recordingApp{port: rig.Port(tb), held: make(chan struct{}), active: map[net.Conn]bool{}}
	l, err := net.Listen("tcp", rig.Loopback(w.port))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(w.release) // once it is served no more
	rig.Serve(tb, l, &http.Server{Handler: w, ConnState: w.connState})
	return w
}

// release has the application finish its work on the requests for heldPath, whether or not somebody still waits for it.
func (w *recordingApp) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.held:
	default:
		close(w.held)
	}
}

// rests waits until the application is idle: then it has written down all that was sent to it before.
func (w *recordingApp) rests(tb testing.TB) {
	tb.Helper()
	c := rig.Client{Addr: rig.Loopback(w.port), Host: "rest.test"}
	rig.WaitFor(tb, "the application to rest", func() bool { return c.Get(tb, idlePath).Status == http.StatusOK })
}

// wasAsked is how often the application was asked whether it is idle.
func (w *recordingApp) wasAsked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

// connState is called for a new connection before the next one is accepted: whoever asks whether the application is
// idle, asks after all that was sent before.
func (w *recordingApp) connState(c net.Conn, s http.ConnState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s == http.StateNew || s == http.StateActive {
		w.active[c] = true
	} else {
		delete(w.active, c)
	}
}

func (w *recordingApp) note(what string, r *http.Request) {
	a := arrival{time.Now(), what, r.URL.Path, r.Header.Get("Authorization") != ""}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrivals = append(w.arrivals, a)
}

// between returns what reached the application from one moment to another, without what came with a token unless
// admins is set.
func (w *recordingApp) between(from, to time.Time, admins bool) []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []arrival
	for _, a := range w.arrivals {
		if a.at.After(from) && a.at.Before(to) && (admins || !a.admin) {
			out = append(out, a)
		}
	}
	return out
}

// untouchedSince sees that nothing has reached the application since then, with or without a token.
func (w *recordingApp) untouchedSince(t *testing.T, then time.Time) {
	t.Helper()
	if late := w.between(then, time.Now(), true); len(late) > 0 {
		t.Errorf("after %v came %d, the first %v", then, len(late), late[0])
	}
}

// count returns how many arrivals there were of what on the path.
func (w *recordingApp) count(what, path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, a := range w.arrivals {
		if a.what == what && a.path == path {
			n++
		}
	}
	return n
}

func (w *recordingApp) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	return len(w.active) <= 1 && w.sockets == 0 // the one is that of who asks
}

// The paths of a recordingApp, each for one kind of traffic.
const (
	postPath   = "/server/graphql"
	slowPath   = "/slow"
	heldPath   = "/held"
	idlePath   = "/idle"
	socketPath = "/websocket/"
	uploadPath = "/server/upload"     // nginx keeps the body until it is complete
	streamPath = "/unbuffered/upload" // nginx passes the body on as it comes
)

func (w *recordingApp) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path == idlePath {
		if !w.idle() {
			http.Error(rw, "at work", http.StatusServiceUnavailable)
		}
		return
	}
	w.note("request", r)
	switch {
	case strings.HasPrefix(r.URL.Path, socketPath):
		w.echo(rw, r)
		return
	case r.URL.Path == slowPath:
		ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
		time.Sleep(time.Duration(ms) * time.Millisecond) // whether or not somebody still waits for it
		w.note("commit", r)
	case r.URL.Path == heldPath:
		<-w.held
		w.note("commit", r)
	default:
		buf := make([]byte, 32<<10)
		for {
			n, err := r.Body.Read(buf)
			if n > 0 {
				w.note("body", r)
			}
			if err != nil {
				break
			}
		}
	}
	_, _ = io.WriteString(rw, "ok\n") // the client may have gone
}

func (w *recordingApp) echo(rw http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(rw, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered with the reason
	}
	w.mu.Lock()
	w.sockets++
	w.mu.Unlock()
	defer func() {
		conn.CloseNow()
		w.mu.Lock()
		w.sockets--
		w.mu.Unlock()
	}()
	for {
		kind, data, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		w.note("message", r)
		if err := conn.Write(r.Context(), kind, data); err != nil {
			return
		}
	}
}
