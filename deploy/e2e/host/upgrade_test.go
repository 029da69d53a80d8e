package host

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/procfs"
	"golang.org/x/tools/txtar"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// released is a host as the first release leaves it. What it has on disk is in testdata/upgrade: see
// upgrade_data_test.go.
type released struct {
	name string
	mode status.Mode // that is wanted
	// lets is what visitors find, by mode, until the new release is told otherwise. "" is the mode that is wanted.
	lets status.Mode
	// told is what visitors are told. "" is the mode that is wanted.
	told status.Mode
	// unfinished is set where a change was interrupted, which reconcile finishes.
	unfinished bool
	// unpublished is set where visitors aren't told yet, which reconcile makes up for.
	unpublished bool
	// unsafe is set where the site is closed, and not safe to snapshot.
	unsafe bool
	// cut is set where something was cut that nobody vouches for: that stays so while the site is closed.
	cut bool
	// held is set where a site in admin mode is kept shut, because something of before was left alone.
	held bool
	// never is set where no mode was ever set.
	never bool
	leave func(t *testing.T, o oldHost) // what brings a host there
}

const (
	online  = status.Online
	offline = status.Offline
	admin   = status.Admin
)

var releases = []released{
	{name: "installed", mode: online, never: true, leave: func(*testing.T, oldHost) {}},
	{name: "online", mode: online, leave: func(t *testing.T, o oldHost) {
		o.run(t, 0, "set", "offline")
		o.run(t, 0, "set", "online")
	}},
	{name: "offline", mode: offline, leave: func(t *testing.T, o oldHost) {
		o.run(t, 0, "set", "online")
		o.run(t, 0, "set", "offline", "--eta", "30m", "--message", "We are upgrading.", "--message", "pt=Estamos a atualizar.", "--reason", "v1.7")
	}},
	{name: "offline-cut", mode: offline, unsafe: true, cut: true, leave: func(t *testing.T, o oldHost) {
		o.run(t, 0, "set", "online")
		defer o.hold(t).CloseNow()
		o.run(t, 4, "set", "offline", "--drain", "0")
	}},
	{name: "offline-no-cut", mode: offline, unsafe: true, leave: func(t *testing.T, o oldHost) {
		o.run(t, 0, "set", "online")
		defer o.hold(t).CloseNow()
		o.run(t, 4, "set", "offline", "--drain", "0", "--no-cut")
	}},
	{name: "offline-unpublished", mode: offline, told: online, unpublished: true, leave: func(t *testing.T, o oldHost) {
		o.run(t, 0, "set", "online")
		away := o.Store + ".away"
		o.rename(t, o.Store, away)
		o.run(t, 3, "set", "offline")
		o.rename(t, away, o.Store)
	}},
	{name: "admin", mode: admin, leave: func(t *testing.T, o oldHost) {
		o.run(t, 0, "set", "online")
		o.run(t, 0, "set", "offline", "--eta", "30m")
		o.run(t, 0, "set", "admin")
	}},
	{name: "admin-remembered", mode: admin, leave: func(t *testing.T, o oldHost) {
		o.EditConfig(t, "[gate]\n", "[gate]\nremember = \""+o.verdicts()+"\"\n")
		o.run(t, 0, "render")
		o.run(t, 0, "set", "admin")
	}},
	{name: "admin-held", mode: admin, lets: offline, unsafe: true, held: true, leave: func(t *testing.T, o oldHost) {
		o.run(t, 0, "set", "online")
		defer o.hold(t).CloseNow()
		o.run(t, 4, "set", "admin", "--drain", "0", "--no-cut")
	}},
	{name: "admin-waits", mode: admin, lets: offline, told: offline, unsafe: true, held: true, leave: func(t *testing.T, o oldHost) {
		o.run(t, 0, "set", "online")
		defer o.hold(t).CloseNow()
		o.run(t, 4, "set", "offline", "--drain", "0", "--no-cut")
		o.run(t, 4, "set", "admin", "--drain", "0", "--no-cut")
	}},
	{name: "closing-shut", mode: offline, unfinished: true, leave: func(t *testing.T, o oldHost) {
		o.run(t, 0, "set", "online")
		o.killed(t, "after:shut", "set", "offline", "--eta", "30m")
	}},
	{name: "closing-installed", mode: offline, unfinished: true, leave: func(t *testing.T, o oldHost) {
		o.run(t, 0, "set", "online")
		o.killed(t, "before:reload", "set", "offline")
	}},
	{name: "closing-cut", mode: offline, unfinished: true, unsafe: true, cut: true, leave: func(t *testing.T, o oldHost) {
		o.run(t, 0, "set", "online")
		defer o.hold(t).CloseNow()
		o.killed(t, "after:cut", "set", "offline", "--drain", "0")
	}},
	{name: "closing-to-admin", mode: admin, lets: offline, unfinished: true, leave: func(t *testing.T, o oldHost) {
		o.run(t, 0, "set", "online")
		o.killed(t, "before:drain", "set", "admin")
	}},
	{name: "opening-shut", mode: online, lets: offline, told: offline, unfinished: true, leave: func(t *testing.T, o oldHost) {
		o.run(t, 0, "set", "offline")
		o.killed(t, "before:open", "set", "online")
	}},
}

// TestUpgrade has this release take over a host of the first one: nothing opens, nothing is cut, get agrees, and the
// site can be closed and opened.
func TestUpgrade(t *testing.T) { upgrade(t, rig.Only(usualReleases...)) }

// usualReleases are the states of make test. The others are in the soak tests.
var usualReleases = []string{"offline", "admin", "closing-cut"}

func upgrade(t *testing.T, rows rig.Rows) {
	t.Parallel()
	for _, r := range releases {
		if !rows(r.name) {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.defaults()
			r.byThePackage(t)
		})
	}
}

func (r *released) defaults() {
	if r.lets == "" {
		r.lets = r.mode
	}
	if r.told == "" {
		r.told = r.mode
	}
}

// closes is the exit code of a change to that mode.
func (r *released) closes(mode status.Mode) int {
	if r.cut && mode == offline {
		return 4
	}
	return 0
}

// host puts up a host as the first release has left it, with nginx and the gate of this release running.
func (r *released) host(t *testing.T) *rig.Single {
	t.Helper()
	h := rig.NewSingle(t)
	archive, err := txtar.ParseFile(filepath.Join("testdata", "upgrade", r.name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		text := string(f.Data)
		for _, p := range placesOf(h) {
			text = strings.ReplaceAll(text, p.word, p.here)
		}
		rig.WriteFile(t, placeOf(h, f.Name), text)
	}
	rig.WriteFile(t, h.Enabled("none.conf"), "")
	h.WriteNginx(t)
	h.Nginx.Start(t)
	h.StartGate(t)
	if got := rig.Lets(t, h); got != r.lets {
		t.Fatalf("visitors find it %s, want %s", got, r.lets)
	}
	return h
}

// workersOf returns the process ids of the children of nginx's master.
func workersOf(t *testing.T, master int) (pids []int) {
	t.Helper()
	all, err := procfs.AllProcs()
	rig.Check(t, err)
	for _, p := range all {
		if stat, err := p.Stat(); err == nil && stat.PPID == master { // it fails for one that has just ended
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// takesConnections reports whether a worker still accepts connections. Its title says so before it closes its
// listening sockets, in one go (ngx_worker_process_cycle); one that has ended has no title.
func takesConnections(pid int) bool {
	title, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && len(title) > 0 && !strings.Contains(string(title), "shutting down")
}

// byThePackage does what installing the package does, and then the timer.
func (r *released) byThePackage(t *testing.T) {
	h := r.host(t)
	before := oldRecordOf(t, h)
	token := rig.AdminToken(h.Blocks[0].Secret)
	var talks []*websocket.Conn
	if r.lets == online {
		talks = append(talks, talkTo(t, h.URL, ""))
	}
	if r.lets != offline {
		talks = append(talks, talkTo(t, h.URL, token))
	}
	w := rig.Watch(h, rig.WatchRules{Modes: []status.Mode{r.lets}, Unannounced: true, StaysShut: r.lets == offline && !(r.unfinished && r.mode != offline)})
	visitors, admins := pour(t, h.URL, ""), pour(t, h.URL, token)
	visitors.goesOn(t)
	admins.goesOn(t)

	rendered := 0
	if r.unfinished {
		rendered = 1
	}
	h.CLI(t, "render").Want(t, rendered)
	if r.unfinished {
		w.Allow(rig.WatchRules{Modes: []status.Mode{r.mode}, Unannounced: true, StaysShut: r.mode == offline})
	}
	reconciled := 0
	if r.unfinished && r.cut {
		reconciled = 4
	}
	h.CLI(t, "reconcile").Want(t, reconciled)
	if r.never { // no record says which rules nginx serves: where they have changed, that is for the operator, as the doctor says
		old := workersOf(t, h.Nginx.PID(t))
		args := h.Nginx.Args("-s", "reload")
		rig.Check(t, exec.Command(args[0], args[1:]...).Run())
		rig.WaitFor(t, "old workers to take no connection any more", func() bool { return !slices.ContainsFunc(old, takesConnections) })
		rig.WaitFor(t, "nginx to take up the rules", func() bool { return h.CLI(t, "get").Code == 0 })
	}
	visitors.goesOn(t)
	admins.goesOn(t)
	r.agrees(t, h, before)

	for i, conn := range talks {
		exchangeOn(t, conn)
		conn.CloseNow()
		t.Logf("WebSocket %d was not cut", i)
	}
	r.judge(t, visitors, admins, 0)
	for _, f := range w.End() {
		t.Error(f)
	}

	h.CLI(t, "set", "offline").Want(t, r.closes(offline))
	rig.Agreed(t, h, offline)
	h.CLI(t, "set", "online").Want(t, 0)
	rig.Agreed(t, h, online)
	if v := rig.ViewOf(t, h.CLI(t, "get", "--json")); v.Wanted.SafeSince != nil {
		t.Errorf("it is online, and safe since %v", v.Wanted.SafeSince)
	}
	h.CLI(t, "set", "admin").Want(t, 0)
	rig.Agreed(t, h, admin)
}

// judge ends what was poured and fails the test where something was let in that mustn't be, or was refused that must
// be let in. Of the administrators' requests so many may have been refused at once, and those for which the gate began
// too late for nginx.
func (r *released) judge(t *testing.T, visitors, admins *poured, refused int64) {
	t.Helper()
	for name, p := range map[string]*poured{"visitors": visitors, "administrators": admins} {
		in, out := p.end()
		lets := func(mode status.Mode) bool { return mode == online || mode == admin && name == "administrators" }
		spared := int64(0)
		if name == "administrators" && refused > 0 {
			spared = refused + p.late.Load()
		}
		switch {
		case lets(r.lets) && (in == 0 || out > spared), !lets(r.lets) && !lets(r.mode) && (in > 0 || out == 0):
			t.Errorf("of the %s, %d requests were let in and %d were not", name, in, out)
		case !lets(r.lets) && !r.unfinished && in > 0: // what was interrupted is finished, an opening too
			t.Errorf("of the %s, %d requests were let in before it was opened", name, in)
		}
	}
}

// agrees fails the test unless get agrees, and says no more and no less than the first release knew.
func (r *released) agrees(t *testing.T, h *rig.Single, before oldRecord) {
	t.Helper()
	v := rig.ViewOf(t, h.CLI(t, "get", "--json"))
	if v.Code != 0 || len(v.Drift) > 0 {
		t.Errorf("get: exit code %d and drift %q", v.Code, v.Drift)
	}
	if v.Live.Closed != (r.mode == offline || r.held) {
		t.Errorf("whether it is kept shut: %v", v.Live.Closed)
	}
	told := r.told
	if r.unfinished || r.unpublished {
		told = r.mode
	}
	if r.never {
		if v.Published != nil {
			t.Errorf("published is %+v", v.Published)
		}
	} else if v.Published == nil || v.Published.Mode != told {
		t.Errorf("published is %+v, want %s", v.Published, told)
	}
	if v.Mode != r.mode || v.Live.Mode != r.mode {
		t.Errorf("wanted is %s and live is %s, want %s", v.Mode, v.Live.Mode, r.mode)
	}
	switch since := v.Wanted.SafeSince; {
	case r.mode == online || r.unsafe:
		if since != nil {
			t.Errorf("safe since %v, and it is not safe", since)
		}
	case since == nil:
		t.Error("it is not safe any more")
	case !r.unfinished && !since.Equal(*before.SafeSince):
		t.Errorf("safe since %v, want %v", since, before.SafeSince)
	}
	if barred := v.Kernel.Barrier; barred && r.mode == online || !barred && r.mode.Closed() && !r.unsafe && rig.HasBarrier() {
		t.Errorf("it is %s, and whether it has got a kernel barrier: %v", r.mode, barred)
	}
	if !r.unfinished && v.Live.Revision != before.Revision && !r.never {
		t.Errorf("nginx serves revision %s, want %s", v.Live.Revision, before.Revision)
	}
}

// oldRecord is what the tests read of a record of the first release.
type oldRecord struct {
	Revision  string
	SafeSince *time.Time
}

func oldRecordOf(t *testing.T, h *rig.Single) (r oldRecord) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(h.State, "records", rig.SingleSite+".json"))
	if os.IsNotExist(err) {
		return r
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// talkTo opens a WebSocket of a visitor, or of who has the token.
func talkTo(t *testing.T, url, token string) *websocket.Conn {
	t.Helper()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	conn, _, err := websocket.Dial(t.Context(), url+"/websocket/held", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	exchangeOn(t, conn)
	return conn
}

// exchangeOn fails the test where a message doesn't come back.
func exchangeOn(t *testing.T, conn *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Errorf("a WebSocket that was open: %v", err)
	}
	if _, data, err := conn.Read(ctx); err != nil || string(data) != "hello" {
		t.Errorf("a WebSocket that was open answers %q, %v", data, err)
	}
}

// poured are requests that go on until end.
type poured struct {
	stop    chan struct{}
	ended   sync.WaitGroup
	in, out atomic.Int64 // those that reached the application, and those that didn't
	late    atomic.Int64 // of out, those that nginx gave up asking the gate about
}

// gateTimeout is how long the rules of the first release have nginx wait for the gate at least.
const gateTimeout = time.Second

// pour sends mutations, one after the other and each on a connection of its own, by a visitor or by who has the token.
func pour(t *testing.T, url, token string) *poured {
	p := &poured{stop: make(chan struct{})}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	p.ended.Go(func() {
		for {
			select {
			case <-p.stop:
				return
			case <-t.Context().Done():
				return
			case <-time.After(5 * time.Millisecond):
			}
			req, err := http.NewRequest(http.MethodPost, url+"/server/graphql", strings.NewReader("{}"))
			if err != nil {
				panic(err)
			}
			if token != "" {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			asked := time.Now()
			resp, err := client.Do(req)
			if err == nil {
				resp.Body.Close()
			}
			if err == nil && resp.Header.Get("X-App") != "" {
				p.in.Add(1)
			} else {
				if time.Since(asked) > gateTimeout {
					p.late.Add(1)
				}
				p.out.Add(1)
			}
		}
	})
	return p
}

// goesOn waits until a few more have come through, or have not.
func (p *poured) goesOn(t *testing.T) {
	t.Helper()
	done := func() int64 { return p.in.Load() + p.out.Load() }
	before := done()
	rig.WaitFor(t, "requests to go on", func() bool { return done() > before+3 })
}

func (p *poured) end() (in, out int64) {
	close(p.stop)
	p.ended.Wait()
	return p.in.Load(), p.out.Load()
}
