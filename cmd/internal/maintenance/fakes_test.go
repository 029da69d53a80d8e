package maintenance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/state"
	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/control"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/nginxconf/workers"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// world is a host whose nginx, store, sockets and clock are made up. Files are real.
type world struct {
	*Host
	site config.Site
	now  time.Time

	running   bool // nginx
	loaded    nginxRules
	testErr   error // of nginx -t
	reloadErr error
	deaf      bool // nginx doesn't take up what it is told to reload
	blind     bool // its workers don't see the closed file
	mute      bool // what it answers can't be understood
	app       int  // what the application answers

	docs     map[string][]byte // the store
	storeErr error             // of every call
	lostPuts int               // so many puts are done and not answered
	between  func()            // runs once between a get and a put

	left       workers.Remaining // what old workers hold
	drainAfter int               // looks until it is gone, if it goes by itself
	held       int               // sockets that processes hold
	cantCut    bool              // the kernel doesn't destroy sockets
	cutStays   bool              // what is cut doesn't go
	settledErr error

	// moment is called wherever the host asks its surroundings for something: whatever has to hold always is looked
	// at there, and a crash is a panic from it.
	moment  func(what string)
	modules []string // of nginx, nil where it doesn't say
	asking  sync.Mutex
	sleeps  func() // runs at each Sleep
	heard   heard
}

// nginxRules is what nginx has read of the site's file.
type nginxRules struct {
	mode     status.Mode
	revision string
	door     string
}

// heard notes what Progress was told.
type heard struct {
	begun, failed []Step
	aside         []string
	waiting       []state.Holder
	resumed       int
}

func (h *heard) Begin(s Step, _ []string) { h.begun = append(h.begun, s) }
func (h *heard) End(s Step, _ time.Duration, err error) {
	if err != nil {
		h.failed = append(h.failed, s)
	}
}
func (h *heard) Draining(string, workers.Remaining, time.Duration, time.Duration) {}
func (h *heard) Grace(time.Duration, time.Duration)                               {}
func (h *heard) Resuming([]string)                                                { h.resumed++ }
func (h *heard) SetAside(path string, _ error)                                    { h.aside = append(h.aside, path) }
func (h *heard) Waiting(holder state.Holder)                                      { h.waiting = append(h.waiting, holder) }

var errMute = errors.New("made up: it speaks another language")

var errDown = fmt.Errorf("made up: %w", store.ErrUnavailable)

// memory is a directory for a test: in memory where there is one, since every step is synced to disk.
func memory(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "conforma-status-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	dir := memory(tb)
	w := &world{
		now: time.Date(2026, 11, 22, 21, 15, 0, 0, time.UTC), running: true, app: 200,
		docs: map[string][]byte{}, moment: func(string) {}, sleeps: func() {},
	}
	w.site = config.Site{
		Name: "demo", Path: "demo", AppURL: "https://demo.example.org:50000", PageURL: "https://maintenance.example.org/demo/",
		Listen: "127.0.0.1:50000", Upstreams: []string{"127.0.0.1:8000"}, Preset: "conforma",
	}
	w.Host = &Host{
		Config: &config.Config{
			StateDir: filepath.Join(dir, "state"), PageURL: "https://maintenance.example.org", Sites: []config.Site{w.site},
			Nginx: config.Nginx{ConfDir: filepath.Join(dir, "conf")}, Gate: config.Gate{Socket: "/run/gate.sock"},
		},
		Store: fakeStore{w}, Nginx: fakeNginx{w}, Sockets: fakeSockets{w}, Clock: fakeClock{w}, Progress: &w.heard,
		Settled: func(context.Context, []string) error { w.at("settled"); return w.settledErr },
		Probe:   w.probe, FetchPage: w.see, Operator: "ann", Command: "set",
	}
	if _, err := w.Render(tb.Context(), w.Config.Nginx.ConfDir); err != nil {
		tb.Fatal(err)
	}
	w.load()
	return w
}

// another adds a site, of which nginx reads each change at once, to the configuration, and returns it.
func (w *world) another(tb testing.TB) config.Site {
	tb.Helper()
	other := w.site
	other.Name, other.Path = "other", "other"
	w.Config.Sites = append(w.Config.Sites, other)
	if _, err := w.Render(tb.Context(), w.Config.Nginx.ConfDir); err != nil {
		tb.Fatal(err)
	}
	return other
}

// at is called at each moment at which the surroundings of a command are asked for something; some are asked for two
// things at once.
func (w *world) at(what string) {
	w.asking.Lock()
	defer w.asking.Unlock()
	w.moment(what)
}

// load is nginx reading its configuration.
func (w *world) load() { w.loaded = w.inPlace(w.site.Name) }

// inPlace are the rules of a site that nginx finds on disk.
func (w *world) inPlace(site string) (r nginxRules) {
	data, err := os.ReadFile(nginxconf.SiteFile(w.Config.Nginx.ConfDir, site))
	if err != nil {
		panic(err)
	}
	r.mode, r.revision = nginxconf.ReadHeader(data)
	r.door = "no door"
	if _, rest, ok := strings.Cut(string(data), `$conforma_knock ~ "^`); ok {
		r.door, _, _ = strings.Cut(rest, `[`)
	}
	return r
}

// effective is what visitors find, "" when nginx doesn't run.
func (w *world) effective() status.Mode {
	switch {
	case !w.running:
		return ""
	case w.Dir().IsShut(w.site.Name) && !w.blind:
		return status.Offline
	}
	return w.loaded.mode
}

// published is the mode that visitors are told, "" for none.
func (w *world) published() status.Mode {
	d, err := status.Parse(w.docs[StatusKey(w.site)])
	if err != nil {
		return ""
	}
	return d.Mode
}

func (w *world) probe(_ context.Context, t operator.Target) (control.Answer, error) {
	w.at("probe")
	if !w.running {
		return control.Answer{}, control.ErrUnreachable
	}
	if w.mute {
		return control.Answer{}, errMute
	}
	rules := w.loaded
	if t.Site != w.site.Name {
		rules = w.inPlace(t.Site)
	}
	return control.Answer{Site: t.Site, Mode: rules.mode, Revision: rules.revision, Closed: w.Dir().IsShut(t.Site) && !w.blind}, nil
}

func (w *world) see(_ context.Context, _ operator.Target, _ string, door string) (control.Page, error) {
	w.at("see")
	if w.mute {
		return control.Page{}, errMute
	}
	switch mode := w.effective(); {
	case mode == "":
		return control.Page{}, control.ErrUnreachable
	case mode == status.Online, door != "" && door == w.loaded.door && w.loaded.mode != status.Offline:
		return control.Page{Status: w.app}, nil
	default:
		return control.Page{Status: 302, Maintenance: string(mode)}, nil
	}
}

type fakeClock struct{ w *world }

func (c fakeClock) Now() time.Time { return c.w.now }

func (c fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	c.w.at("sleep")
	c.w.now = c.w.now.Add(d)
	c.w.sleeps()
	return ctx.Err()
}

type fakeNginx struct{ w *world }

func (n fakeNginx) Test(context.Context) error { n.w.at("test"); return n.w.testErr }

func (n fakeNginx) Reload(context.Context) error {
	n.w.at("reload")
	switch {
	case !n.w.running:
		return workers.ErrNotRunning
	case n.w.reloadErr != nil:
		return n.w.reloadErr
	}
	if !n.w.deaf && n.w.testErr == nil {
		n.w.load()
	}
	return nil
}

func (n fakeNginx) Config(context.Context) (*operator.Config, error) {
	return nil, control.ErrNoDump
}

func (n fakeNginx) Modules(context.Context) ([]string, error) {
	if n.w.modules == nil {
		return nil, control.ErrNoDump
	}
	n.w.at("modules")
	return n.w.modules, nil
}

func (n fakeNginx) Master() (int, error) {
	if !n.w.running {
		return 0, workers.ErrNotRunning
	}
	return 100, nil
}

type fakeSockets struct{ w *world }

func (s fakeSockets) Program(int) (string, error) { return "nginx", nil }

func (s fakeSockets) Snapshot(int) (workers.Snapshot, error) { return workers.Snapshot{}, nil }

func (s fakeSockets) Remaining(workers.Snapshot, workers.Scope) (workers.Remaining, error) {
	s.w.at("left")
	if s.w.drainAfter > 0 {
		if s.w.drainAfter--; s.w.drainAfter == 0 {
			s.w.left = workers.Remaining{}
		}
	}
	return s.w.left, nil
}

func (s fakeSockets) RemainingOf(before workers.Snapshot, scopes []workers.Scope) ([]workers.Remaining, error) {
	var out []workers.Remaining
	for _, scope := range scopes {
		left, err := s.Remaining(before, scope)
		if err != nil {
			return nil, err
		}
		out = append(out, left)
	}
	return out, nil
}

func (s fakeSockets) Held(workers.Snapshot) (int, error) { return s.w.held, nil }

func (s fakeSockets) Busy(workers.Snapshot, []workers.Scope) (bool, error) {
	return s.w.left.ToApp() > 0, nil
}

func (s fakeSockets) Destroy(c workers.Connection) error {
	s.w.at("destroy")
	if s.w.cantCut {
		return workers.ErrCantDestroy
	}
	if !s.w.cutStays {
		s.w.left.Connections = slices.DeleteFunc(s.w.left.Connections, func(o workers.Connection) bool { return o == c })
	}
	return nil
}

func (s fakeSockets) ShutDown(workers.Process) error { return nil }

func (s fakeSockets) End(p workers.Process, _ bool) error {
	s.w.at("end")
	if !s.w.cutStays {
		s.w.left.Connections = slices.DeleteFunc(s.w.left.Connections, func(o workers.Connection) bool { return o.Process == p })
		s.w.left.ListeningWorkers = slices.DeleteFunc(s.w.left.ListeningWorkers, func(o workers.Process) bool { return o == p })
		s.w.left.Bare = slices.DeleteFunc(s.w.left.Bare, func(o workers.Process) bool { return o == p })
	}
	return nil
}

type fakeStore struct{ w *world }

func (s fakeStore) Get(ctx context.Context, key string) ([]byte, string, error) {
	s.w.at("get")
	data, ok := s.w.docs[key]
	switch {
	case ctx.Err() != nil:
		return nil, "", ctx.Err()
	case s.w.storeErr != nil:
		return nil, "", s.w.storeErr
	case !ok:
		return nil, "", store.ErrNotFound
	}
	return data, store.ContentETag(data), nil
}

func (s fakeStore) Put(_ context.Context, key string, data []byte, _ store.Meta, cond store.Condition) (string, error) {
	s.w.at("put")
	if s.w.between != nil {
		between := s.w.between
		s.w.between = nil
		between()
	}
	if s.w.storeErr != nil {
		return "", s.w.storeErr
	}
	there, ok := s.w.docs[key]
	if cond == store.IfAbsent() && ok || cond != store.IfAbsent() && (!ok || cond != store.IfMatch(store.ContentETag(there))) {
		return "", store.ErrPrecondition
	}
	s.w.docs[key] = data
	s.w.at("published")
	if s.w.lostPuts > 0 {
		s.w.lostPuts--
		return "", errDown
	}
	return store.ContentETag(data), nil
}

func (fakeStore) List(context.Context, string) ([]store.Object, error) {
	return nil, errors.New("not used")
}
func (fakeStore) Delete(context.Context, string) error { return errors.New("not used") }

// set is Set for the one site, which has to begin.
func (w *world) set(tb testing.TB, mode status.Mode, change ...func(*Request)) *Receipt {
	tb.Helper()
	rs, err := w.Set(tb.Context(), w.request(mode, change...))
	if err != nil {
		tb.Fatalf("set %s: %v", mode, err)
	}
	return rs[0]
}

func (w *world) request(mode status.Mode, change ...func(*Request)) Request {
	req := Request{Mode: mode, Sites: w.Config.Sites, Drain: 30 * time.Second}
	for _, c := range change {
		c(&req)
	}
	return req
}

// reconcile is Reconcile, which has to begin.
func (w *world) reconcile(tb testing.TB) []*Receipt {
	tb.Helper()
	rs, err := w.Reconcile(tb.Context(), 30*time.Second)
	if err != nil {
		tb.Fatalf("reconcile: %v", err)
	}
	return rs
}

// agrees fails the test unless all views of the site agree on a mode.
func (w *world) agrees(tb testing.TB, mode status.Mode) {
	tb.Helper()
	v, err := w.View(tb.Context(), w.Config.Sites[0])
	if err != nil || v.Mode != mode || len(v.Drift) > 0 {
		tb.Fatalf("the site is %s (%v), want %s; drift: %q", v.Mode, err, mode, v.Drift)
	}
	if w.effective() != mode || w.published() != mode {
		tb.Fatalf("nginx is %s, published is %s, want %s", w.effective(), w.published(), mode)
	}
}

// chance is a source of chance. A test that fails says how to have the same again.
func chance(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("CONFORMA_STATUS_SEED"); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("CONFORMA_STATUS_SEED: %v", err)
		}
		seed = given
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat with: CONFORMA_STATUS_SEED=%d go test -count=1 -run '^%s$' ./cmd/internal/maintenance", seed, t.Name())
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}
