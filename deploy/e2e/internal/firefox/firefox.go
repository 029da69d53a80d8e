// Package firefox has Firefox open pages on loopback.
package firefox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// Fox is a Firefox with one tab at a time, driven over WebDriver BiDi (https://w3c.github.io/webdriver-bidi/).
type Fox struct {
	t       testing.TB
	conn    *websocket.Conn
	Context string // of the tab

	mu      sync.Mutex
	last    int
	waiting map[int]chan bidiMessage
	reports []string // what its pages said to "report"
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
	cmd := exec.Command("firefox-esr", "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0")
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
	f := &Fox{t: t, conn: conn, waiting: map[int]chan bidiMessage{}}
	go f.listen()
	type object = map[string]any
	f.Call("session.new", object{"capabilities": object{"alwaysMatch": object{"acceptInsecureCerts": true}}}) // their authorities exist for a test only
	f.Call("session.subscribe", object{"events": []string{"script.message"}})
	return f
}

// Tab opens a tab with cookies and storage of its own that runs script before those of each page.
func (f *Fox) Tab(t testing.TB, script string) {
	t.Helper()
	type object = map[string]any
	var user struct{ UserContext string }
	var made struct{ Context string }
	f.t = t
	f.result(&user, "browser.createUserContext", object{})
	f.result(&made, "browsingContext.create", object{"type": "tab", "userContext": user.UserContext})
	f.Context = made.Context
	f.Call("script.addPreloadScript", object{
		"functionDeclaration": "(report) => { window.report = report; " + script + " }",
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

func (f *Fox) listen() {
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
			f.reports = append(f.reports, m.Params.Data.Value)
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
func (f *Fox) try(method string, params any) (json.RawMessage, error) {
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
	f.Call("browsingContext.navigate", map[string]any{"context": f.Context, "url": url, "wait": "complete"})
}

// eval returns what the expression, or its promise, comes to, as text.
func (f *Fox) eval(expression string) (string, error) {
	data, err := f.try("script.evaluate", map[string]any{
		"expression": "Promise.resolve(" + expression + ").then(String)", "awaitPromise": true, "target": map[string]any{"context": f.Context},
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
		got, err = f.eval(expression)
		return err == nil && got == want
	})
}

// Once tells whether the expression comes to the text, the first time.
func (f *Fox) Once(expression, want string) {
	f.t.Helper()
	if got, err := f.eval(expression); err != nil || got != want {
		f.t.Errorf("%s comes to %q, want %q (%v)", expression, got, want, err)
	}
}

func (f *Fox) Told(want string) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := strings.Join(f.reports, ", "); got != want {
		f.t.Errorf("the application was told %q, want %q", got, want)
	}
	f.reports = nil
}
