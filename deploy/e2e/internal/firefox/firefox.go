// Package firefox has Firefox open pages on loopback.
package firefox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// Fox is a Firefox with one tab at a time, or more by Beside, driven over WebDriver BiDi
// (https://w3c.github.io/webdriver-bidi/).
type Fox struct {
	*session
	t       testing.TB
	Context string // of the tab
	Script  string // runs before those of each page
	user    string // whose cookies and storage it has
}

type session struct {
	conn *websocket.Conn

	mu      sync.Mutex
	last    int
	waiting map[int]chan bidiMessage
	reports map[string][]string // what the pages of each tab said to "report"
}

type bidiMessage struct {
	ID      int             `json:"id"`
	Type    string          `json:"type"`
	Method  string          `json:"method"`
	Result  json.RawMessage `json:"result"`
	Error   string          `json:"error"`
	Message string          `json:"message"`
	Params  struct {
		Data struct {
			Value string `json:"value"`
		} `json:"data"`
		Source struct {
			Context string `json:"context"`
		} `json:"source"`
	} `json:"params"`
}

// foxPrefs has it reach this machine only: whatever it would ask for elsewhere goes to a port where nothing listens.
const foxPrefs = `user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "127.0.0.1");
user_pref("network.proxy.http_port", 9);
user_pref("network.proxy.ssl", "127.0.0.1");
user_pref("network.proxy.ssl_port", 9);
user_pref("network.proxy.no_proxies_on", "127.0.0.1");
user_pref("network.dns.disabled", true);
`

// Start starts a Firefox without a tab, with further lines of preferences, and ends it with the test.
func Start(t testing.TB, prefs string) *Fox {
	t.Helper()
	profile := t.TempDir()
	rig.WriteFile(t, filepath.Join(profile, "user.js"), foxPrefs+prefs)
	cmd := exec.Command("firefox-esr", "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "--remote-allow-system-access")
	cmd.Env = append(os.Environ(), "HOME="+profile)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it is several processes
	if err := cmd.Start(); err != nil {
		t.Fatalf("start firefox: %v", err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // killed
	})
	var server struct {
		Host string `json:"ws_host"`
		Port int    `json:"ws_port"`
	}
	rig.WaitFor(t, "firefox to listen", func() bool {
		data, err := os.ReadFile(filepath.Join(profile, "WebDriverBiDiServer.json"))
		return err == nil && json.Unmarshal(data, &server) == nil
	})
	conn, _, err := websocket.Dial(context.Background(), fmt.Sprintf("ws://%s:%d/session", server.Host, server.Port), nil)
	if err != nil {
		t.Fatalf("connect to firefox: %v", err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(-1)
	f := &Fox{t: t, session: &session{conn: conn, waiting: map[int]chan bidiMessage{}, reports: map[string][]string{}}}
	go f.listen()
	type object = map[string]any
	f.Call("session.new", object{"capabilities": object{"alwaysMatch": object{"acceptInsecureCerts": true}}}) // their authorities exist for a test only
	f.Call("session.subscribe", object{"events": []string{"script.message"}})
	return f
}

// Tab opens a tab with cookies and storage of its own that runs script before those of each page.
func (f *Fox) Tab(t testing.TB, script string) {
	t.Helper()
	var user struct{ UserContext string }
	f.t = t
	f.result(&user, "browser.createUserContext", map[string]any{})
	f.user, f.Script = user.UserContext, script
	f.open()
}

// Beside opens a second tab of the same user.
func (f *Fox) Beside(t testing.TB, script string) *Fox {
	t.Helper()
	second := &Fox{session: f.session, t: t, user: f.user, Script: script}
	second.open()
	return second
}

// Stranger opens a tab of another user.
func (f *Fox) Stranger(t testing.TB, script string) *Fox {
	t.Helper()
	other := &Fox{session: f.session}
	other.Tab(t, script)
	return other
}

// Private opens a private window with one tab.
func (f *Fox) Private(t testing.TB, script string) *Fox {
	t.Helper()
	p := &Fox{session: f.session, t: t, Script: script}
	before := p.contexts(nil)
	p.Inside(`String(OpenBrowserWindow({ private: true }))`)
	rig.WaitFor(t, "a private window", func() bool {
		for _, c := range p.contexts(nil) {
			if !slices.Contains(before, c) {
				p.Context = c
			}
		}
		return p.Context != ""
	})
	p.Is(`document.readyState + " " + document.URL`, "complete about:privatebrowsing") // or that comes in between
	p.prepare()
	return p
}

// Inside returns what the expression, or its promise, comes to in Firefox's own window, as text.
func (f *Fox) Inside(expression string) string {
	f.t.Helper()
	own := f.contexts(map[string]any{"moz:scope": "chrome"})
	if len(own) == 0 {
		f.t.Fatal("firefox has no window")
	}
	got, err := f.evaluate(own[0], expression)
	if err != nil {
		f.t.Fatal(err)
	}
	return got
}

// contexts are the tabs that there are, or what else is asked for.
func (f *Fox) contexts(which map[string]any) (ids []string) {
	f.t.Helper()
	var tree struct{ Contexts []struct{ Context string } }
	if which == nil {
		which = map[string]any{}
	}
	f.result(&tree, "browsingContext.getTree", which)
	for _, c := range tree.Contexts {
		ids = append(ids, c.Context)
	}
	return ids
}

func (f *Fox) open() {
	f.t.Helper()
	var made struct{ Context string }
	f.result(&made, "browsingContext.create", map[string]any{"type": "tab", "userContext": f.user})
	f.Context = made.Context
	f.prepare()
}

// prepare has the tab run the script before those of each page.
func (f *Fox) prepare() {
	f.t.Helper()
	type object = map[string]any
	f.Call("script.addPreloadScript", object{
		"functionDeclaration": "(report) => { window.report = report; " + f.Script + " }",
		"arguments":           []object{{"type": "channel", "value": object{"channel": "report"}}},
		"contexts":            []string{f.Context},
	})
}

func (f *Fox) result(into any, method string, params any) {
	f.t.Helper()
	if err := json.Unmarshal(f.Call(method, params), into); err != nil {
		f.t.Fatalf("%s: %v", method, err)
	}
}

func (f *session) listen() {
	for {
		_, data, err := f.conn.Read(context.Background())
		if err != nil {
			return // the test is over
		}
		var m bidiMessage
		if err := json.Unmarshal(data, &m); err != nil {
			continue // an event of a form that nothing here looks at
		}
		f.mu.Lock()
		if m.Method == "script.message" {
			tab := m.Params.Source.Context
			f.reports[tab] = append(f.reports[tab], m.Params.Data.Value)
		}
		answer := f.waiting[m.ID]
		delete(f.waiting, m.ID)
		f.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	}
}

// try runs a command. Its error is what Firefox says, or that it took too long to say anything.
func (f *session) try(method string, params any) (json.RawMessage, error) {
	answer := make(chan bidiMessage, 1)
	f.mu.Lock()
	f.last++
	id := f.last
	f.waiting[id] = answer
	f.mu.Unlock()
	data, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	if err := f.conn.Write(ctx, websocket.MessageText, data); err != nil {
		return nil, err
	}
	select {
	case m := <-answer:
		if m.Type == "error" {
			return nil, fmt.Errorf("%s: %s: %s", method, m.Error, m.Message)
		}
		return m.Result, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: no answer", method)
	}
}

func (f *Fox) Call(method string, params any) json.RawMessage {
	f.t.Helper()
	r, err := f.try(method, params)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

func (f *Fox) Open(url string) {
	f.t.Helper()
	if err := f.TryOpen(url); err != nil {
		f.t.Fatal(err)
	}
}

// TryOpen is Open for what may not be there: its error is Firefox's.
func (f *Fox) TryOpen(url string) error {
	_, err := f.try("browsingContext.navigate", map[string]any{"context": f.Context, "url": url, "wait": "complete"})
	return err
}

// TryEval returns what the expression, or its promise, comes to, as text. An error may be one of a page that is just
// being left.
func (f *Fox) TryEval(expression string) (string, error) { return f.evaluate(f.Context, expression) }

func (f *session) evaluate(context, expression string) (string, error) {
	data, err := f.try("script.evaluate", map[string]any{
		"expression": "Promise.resolve(" + expression + ").then(String)", "awaitPromise": true, "target": map[string]any{"context": context},
	})
	if err != nil {
		return "", err
	}
	var r struct {
		Result           struct{ Value string }
		ExceptionDetails struct{ Text string }
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return "", err
	}
	if r.ExceptionDetails.Text != "" {
		return "", fmt.Errorf("evaluate %s: %s", expression, r.ExceptionDetails.Text)
	}
	return r.Result.Value, nil
}

// Is waits until the expression comes to the text; an error may be one of a page that is just being left.
func (f *Fox) Is(expression, want string) {
	f.t.Helper()
	var got string
	var err error
	defer func() {
		if got != want {
			f.t.Logf("%s comes to %q, want %q (%v)", expression, got, want, err)
		}
	}()
	rig.WaitFor(f.t, expression, func() bool {
		got, err = f.TryEval(expression)
		return err == nil && got == want
	})
}

// Once tells whether the expression comes to the text, the first time.
func (f *Fox) Once(expression, want string) {
	f.t.Helper()
	if got, err := f.TryEval(expression); err != nil || got != want {
		f.t.Errorf("%s comes to %q, want %q (%v)", expression, got, want, err)
	}
}

// Heard returns what the tab's pages said to "report".
func (f *Fox) Heard() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.reports[f.Context])
}

// ForgetHeard begins anew with what is said to "report".
func (f *Fox) ForgetHeard() {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.reports, f.Context)
}

// Close closes the tab.
func (f *Fox) Close() {
	f.t.Helper()
	f.Call("browsingContext.close", map[string]any{"context": f.Context})
}
