package frontend

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/esbuild"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// sayMaintenance has the application itself answer in GraphQL that it is closed.
const sayMaintenance = 1

// appSite is a site with a React application behind a real nginx, and its published maintenance site on another origin.
type appSite struct {
	*rig.Single
	store *pageStore
	code  atomic.Int32  // what the application answers queries with; 0 is as it should be
	pages atomic.Int32  // how often a page was asked for
	began chan struct{} // a query of the name "slow" has arrived
	done  chan struct{} // ends it
	tb    testing.TB    // that it lives as long as

	mu    sync.Mutex
	cut   chan struct{} // closed to end the WebSockets
	root  string        // where files are that go before all else; "" for none
	fresh string        // where the applications are that are built with a bundler of their own; "" for none
}

// pageStore serves the directory store as a bucket does, with its headers, and can be made to fail.
type pageStore struct {
	*httptest.Server
	mu     sync.Mutex
	down   bool
	status string        // an old copy of the status; "" for what is published
	asked  int           // for the status
	loaded int           // pages
	said   int           // how often say was called
	since  int           // answers about the status since then
	held   chan struct{} // keeps answers back until it is closed; nil for none
	ends   string        // how the addresses end whose answers are kept back
}

func (p *pageStore) say(down bool, status string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down, p.status = down, status
	p.said++
	p.since = 0
}

// hold keeps the answers at addresses that end so back until release. Pages do with "/": a tab that leaves for one
// stays where it is until then, and its scripts go on.
func (p *pageStore) hold(ends string) (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := make(chan struct{})
	p.held, p.ends = held, ends
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.held = nil
		close(held)
	}
}

// heard waits until somebody has been answered as say had it.
func (p *pageStore) heard(tb testing.TB) {
	tb.Helper()
	rig.WaitFor(tb, "somebody to ask for the status", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.since > 0
	})
}

func (p *pageStore) loads() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.loaded
}

func (p *pageStore) polls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func servePageStore(tb testing.TB, dir string) *pageStore {
	tb.Helper()
	p := &pageStore{}
	files := http.FileServer(http.Dir(dir))
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isStatus := strings.HasSuffix(r.URL.Path, "/status.json")
		p.mu.Lock()
		down, status, said, held, ends := p.down, p.status, p.said, p.held, p.ends
		if isStatus {
			p.asked++
		}
		if strings.HasSuffix(r.URL.Path, "/") {
			p.loaded++
		}
		p.mu.Unlock()
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if isStatus && said == p.said {
				p.since++
			}
		}()
		if held != nil && strings.HasSuffix(r.URL.Path, ends) {
			select {
			case <-held:
			case <-r.Context().Done(): // the test has failed meanwhile
			}
		}
		if down {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Cache-Control", "no-cache")
		if isStatus && status != "" {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, status)
			return
		}
		// Last-Modified alone can't tell two changes in one second apart; a bucket's ETag is of the content.
		if data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path.Clean(r.URL.Path)))); err == nil {
			w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(data)))
		}
		files.ServeHTTP(w, r)
	}))
	tb.Cleanup(p.Close)
	return p
}

// bundle builds the application with the packages in web/NAME/node_modules.
func bundle(tb testing.TB, name string) []byte {
	tb.Helper()
	modules, err := filepath.Abs(filepath.Join("..", "web", name, "node_modules"))
	if err != nil {
		tb.Fatal(err)
	}
	return esbuild.Run(tb, nil, modules, "../web/app.jsx", "--bundle", "--format=esm", "--jsx=automatic",
		`--define:process.env.NODE_ENV="production"`)
}

// newStage puts one up, open, with its page published. The application is built with that Apollo Client; "" for one
// without.
func newAppSite(tb testing.TB, apollo string) *appSite {
	tb.Helper()
	s := &appSite{Single: rig.NewSingle(tb), cut: make(chan struct{}), began: make(chan struct{}), done: make(chan struct{}), tb: tb}
	s.store = servePageStore(tb, s.Store)
	s.PageURL = s.store.URL
	var script []byte
	if apollo != "" {
		script = bundle(tb, apollo)
	}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, script) }))
	tb.Cleanup(app.Close)
	u, err := url.Parse(app.URL)
	if err != nil {
		tb.Fatal(err)
	}
	s.Blocks[0].App = &rig.App{}
	if _, err := fmt.Sscan(u.Port(), &s.Blocks[0].App.Port); err != nil {
		tb.Fatal(err)
	}
	s.Configure(tb, rig.Settings{})
	s.Install(tb)
	s.StartGate(tb)
	s.CLI(tb, "publish").Want(tb, 0)
	return s
}

func (s *appSite) serve(w http.ResponseWriter, r *http.Request, script []byte) {
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		s.pages.Add(1)
	}
	s.mu.Lock()
	root := s.root
	s.mu.Unlock()
	if info, err := os.Stat(filepath.Join(root, filepath.FromSlash(path.Clean(r.URL.Path)))); root != "" && err == nil && !info.IsDir() {
		http.FileServer(http.Dir(root)).ServeHTTP(w, r)
		return
	}
	switch {
	case r.URL.Path == "/app.js":
		w.Header().Set("Content-Type", "text/javascript")
		w.Write(script)
	case strings.HasPrefix(r.URL.Path, "/fresh/"):
		s.mu.Lock()
		dir := s.fresh
		s.mu.Unlock()
		http.StripPrefix("/fresh/", http.FileServer(http.Dir(dir))).ServeHTTP(w, r)
	case strings.HasPrefix(r.URL.Path, "/websocket/"):
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // nginx sends another Host
		if err != nil {
			return
		}
		defer conn.CloseNow()
		s.mu.Lock()
		cut := s.cut
		s.mu.Unlock()
		gone := conn.CloseRead(r.Context())
		select {
		case <-gone.Done():
		case <-cut:
		}
	case strings.HasPrefix(r.URL.Path, "/server/"):
		w.Header().Set("Content-Type", "application/json")
		switch code := int(s.code.Load()); code {
		case 0:
			var query struct{ OperationName string }
			_ = json.NewDecoder(r.Body).Decode(&query) // not every request has one
			if query.OperationName == "slow" {
				for _, next := range []chan struct{}{s.began, s.done} {
					select {
					case <-r.Context().Done():
						return
					case next <- struct{}{}:
					}
				}
			}
			fmt.Fprint(w, `{"data":{"app":"demo"},"success":true}`)
		case sayMaintenance:
			fmt.Fprint(w, `{"errors":[{"message":"maintenance","extensions":{"code":"MAINTENANCE"}}]}`)
		default:
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(code)
			fmt.Fprint(w, "<!doctype html><title>no</title>")
		}
	case r.URL.Path == "/moved":
		http.Redirect(w, r, "/plain", http.StatusFound)
	case r.URL.Path == "/plain":
		// Without a bundler, and with as strict a policy as allows it.
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", fmt.Sprintf(
			"default-src 'none'; img-src data:; style-src 'self'; worker-src 'self'; script-src 'nonce-once' %s; connect-src 'self' %[1]s", s.PageURL))
		fmt.Fprintf(w, `<!doctype html><title>plain</title><link rel="icon" href="data:,"><p>Plain</p><script type="module" nonce="once">
			import { watchStatus } from "%[1]s/demo/conforma-status.js";
			import { notice } from "%[1]s/demo/conforma-status-notice.js";
			const { pageUrl } = await (await fetch("/.conforma-status/status.json")).json();
			window.watch = watchStatus({ statusUrl: new URL("status.json", pageUrl).href, every: config.every, ...notice({ seconds: 0.3 }) });
		</script>`, s.PageURL)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><title>demo</title><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/app.js"></script>`)
	}
}

// begin waits until a query of the name "slow" has arrived.
func (s *appSite) begin(tb testing.TB) { receive(tb, s.began, "begin") }

// finish ends one, which the application is still at work on.
func (s *appSite) finish(tb testing.TB) { receive(tb, s.done, "end with an answer") }

func receive(tb testing.TB, from <-chan struct{}, what string) {
	tb.Helper()
	select {
	case <-from:
	case <-time.After(rig.Patience):
		tb.Fatalf("a slow query didn't %s", what)
	}
}

// cutSockets ends the WebSockets that are open.
func (s *appSite) cutSockets() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.cut)
	s.cut = make(chan struct{})
}

// shut waits until nginx refuses requests.
func (s *appSite) shut(tb testing.TB) {
	tb.Helper()
	rig.WaitFor(tb, "nginx to shut the site", func() bool {
		resp, err := http.Get(s.URL + "/server/graphql")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusServiceUnavailable
	})
}

// set changes the mode. A WebSocket of a tab that stays is cut at once: nothing is known that has to be waited for.
func (s *appSite) set(tb testing.TB, mode string) {
	tb.Helper()
	if r := s.CLI(tb, "set", mode, "--drain", "200ms"); r.Code != 0 && r.Code != 4 {
		tb.Fatalf("set %s: %d\n%s", mode, r.Code, r.Stderr)
	}
}
