package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/esbuild"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// conforma is an application behind a site that serves web/conforma, makes tokens as Conforma does, and asks for none
// itself: what is refused, nginx refuses.
type conforma struct {
	assets map[string][]byte // by path
	tokens map[string]string // by user name
}

// newConforma has the npm package jsonwebtoken sign the tokens of an administrator and of a user.
func newConforma(t *testing.T, secret string) *conforma {
	t.Helper()
	c := &conforma{assets: map[string][]byte{}, tokens: map[string]string{}}
	users := []string{"admin", "user"}
	var payloads []map[string]any
	for i, name := range users {
		payload := map[string]any{"aud": "postgraphile", "userId": i + 1, "orgId": nil, "username": name, "sessionId": "kf3b8Jq0Zz1tRr6X", "isAdmin": name == "admin", "isManager": false}
		if name == "admin" {
			payload["role"] = "postgres"
		}
		for p := range 150 { // its permissions
			payload[fmt.Sprintf("pp%d", p)] = fmt.Sprint(p * 7)
		}
		payloads = append(payloads, payload)
	}
	in, err := json.Marshal(map[string]any{"secret": secret, "payloads": payloads})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "../web/conforma/sign.mjs")
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	var tokens []string
	if err == nil {
		err = json.Unmarshal(out, &tokens)
	}
	if err != nil || len(tokens) != len(users) {
		t.Fatalf("sign tokens (npm ci in web/conforma makes its packages): %v: %s", err, out)
	}
	for i, name := range users {
		c.tokens[name] = tokens[i]
	}
	modules, err := filepath.Abs("../web/apollo3/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	esbuild.Run(t, nil, modules, "../web/conforma/app.js", "--bundle", "--splitting", "--format=esm", "--outdir="+dir,
		`--define:process.env.NODE_ENV="production"`)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		c.assets["/assets/"+f.Name()] = []byte(rig.ReadFile(t, filepath.Join(dir, f.Name())))
	}
	if len(c.assets) < 2 {
		t.Fatalf("no chunk is loaded lazily: %d files", len(c.assets))
	}
	return c
}

func (c *conforma) handle(w http.ResponseWriter, r *http.Request) bool {
	write := func(v any) bool {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // who asked may be gone
		return true
	}
	switch path := r.URL.Path; {
	case c.assets[path] != nil:
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(c.assets[path])
		return true
	case path == "/server/api/public/login":
		var who struct{ Username string }
		_ = json.NewDecoder(r.Body).Decode(&who) // "" has no token
		return write(map[string]any{"success": true, "JWT": c.tokens[who.Username]})
	case path == "/server/api/user-info":
		for name, token := range c.tokens {
			if r.Header.Get("Authorization") == "Bearer "+token {
				return write(map[string]any{"success": true, "user": map[string]any{"username": name}, "JWT": token})
			}
		}
		http.Error(w, `{"success":false}`, http.StatusUnauthorized)
		return true
	case strings.HasPrefix(path, "/server/api/public/"):
		return write(map[string]any{})
	case strings.HasPrefix(path, "/server/api/files/"):
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("the file"))
		return true
	case strings.HasPrefix(path, "/server/"), strings.HasPrefix(path, "/websocket/"):
		return false
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(`<!doctype html><title>Conforma</title><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/assets/app.js"></script>`))
	return true
}

// TestConformasFlow takes an administrator, a user, a visitor, and a user with a pass through Conforma's front end as
// it is, in Chromium, on a site in admin mode, over plain HTTP and over TLS.
func TestConformasFlow(t *testing.T) {
	t.Parallel()
	chromium := chrome.Browser(t)
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			flow := newConformaFlow(t, chromium, scheme)
			h, origin, gate := flow.h, flow.origin, flow.gate
			h.CLI(t, "set", "admin", "--site", "demo").Want(t, 0)
			t.Run("an administrator", func(t *testing.T) {
				b := flow.open(t)
				b.Open(origin + "/login")
				flow.through(t, b, "admin")
				flow.cookie(t, b, scheme == "https")
			})
			t.Run("a user", func(t *testing.T) {
				b := flow.open(t)
				b.Open(origin + "/login")
				flow.wait(t, b, "login page")
				n := flow.app.Count()
				_, _ = chrome.TryEval[any](b, `void conforma.login("user")`) // it leaves the page
				flow.lands(t, b)
				for _, r := range flow.app.Since(n) {
					if !strings.HasPrefix(r.URI, "/server/api/public/") && !strings.HasPrefix(r.URI, "/assets/") && r.URI != "/login" {
						t.Errorf("a user reached %s", r.URI)
					}
				}
			})
			t.Run("a visitor", func(t *testing.T) {
				for _, path := range []string{"/", "/application/7?tab=2", "/server/api/files/7"} {
					n := flow.app.Count()
					b := flow.open(t)
					b.Open(origin + path)
					flow.lands(t, b)
					if flow.app.Count() != n {
						t.Errorf("%s: the application was reached", path)
					}
				}
			})
			t.Run("a user with a pass", func(t *testing.T) {
				link, secret, _ := makePass(t, h, "demo")
				b := flow.open(t)
				b.Open(link)
				flow.wait(t, b, "login page") // where its front end takes who has no token
				if at := chrome.Eval[string](b, `location.href`); at != origin+"/login" {
					t.Errorf("the pass led to %s", at)
				}
				flow.through(t, b, "user")
				if said := gate.Output(t); strings.Contains(said, secret) {
					t.Error("the pass is in the gate's log")
				}
			})
		})
	}
}

// conformaFlow is a site with Conforma's front end, and a browser to visit it with.
type conformaFlow struct {
	h      *rig.Host
	gate   *rig.Gate
	app    *rig.App
	origin string
	open   func(*testing.T) *chrome.Tab
}

// newConformaFlow has the site online, over "http" or "https", and the gate running.
func newConformaFlow(t *testing.T, chromium context.Context, scheme string) *conformaFlow {
	t.Helper()
	f := &conformaFlow{}
	if scheme == "http" {
		s := rig.NewSingle(t)
		s.App.Handle = newConforma(t, s.Blocks[0].Secret).handle
		s.Install(t)
		f.h, f.origin = s.Host, s.URL
	} else {
		f.h = rig.NewHost(t)
		b := f.h.Block(t, "demo")
		b.App.Handle = newConforma(t, b.Secret).handle
		f.h.Install(t)
		f.origin = b.Origin()
	}
	f.app = f.h.Block(t, "demo").App
	f.gate = f.h.StartGate(t)
	f.h.CLI(t, "publish").Want(t, 0)
	f.open = func(t *testing.T) *chrome.Tab {
		b := chrome.OpenTab(t, chromium, "")
		if scheme == "https" { // its authority exists for this test only
			chrome.Call(b, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true})
		}
		return b
	}
	return f
}

// wait waits until the front end has got so far.
func (f *conformaFlow) wait(t *testing.T, b *chrome.Tab, call string) {
	t.Helper()
	rig.WaitFor(t, call, func() bool {
		there, err := chrome.TryEval[bool](b, fmt.Sprintf(`Boolean(window.conforma?.calls.includes(%q))`, call))
		return err == nil && there
	})
}

// lands waits until the tab is on the maintenance page.
func (f *conformaFlow) lands(t *testing.T, b *chrome.Tab) {
	t.Helper()
	rig.WaitFor(t, "the maintenance page", func() bool {
		at, err := chrome.TryEval[string](b, `location.href`)
		page, _, _ := strings.Cut(at, "#")
		return err == nil && page == f.h.PageURL+"/demo/"
	})
}

// through takes a user all the way: login, queries, another route with a chunk of its own, a hard reload of a deep
// link, files, the WebSocket.
func (f *conformaFlow) through(t *testing.T, b *chrome.Tab, who string) {
	t.Helper()
	f.wait(t, b, "login page")
	chrome.Eval[bool](b, fmt.Sprintf(`conforma.login(%q).then(() => true)`, who))
	want := []string{"preferences", "login page", "login " + who, "graphql demo", "user-info " + who, "socket says ping", "route /"}
	if got := chrome.Eval[[]string](b, `conforma.calls`); !reflect.DeepEqual(got, want) {
		t.Fatalf("after logging in: %q, want %q", got, want)
	}
	chrome.Eval[bool](b, `conforma.go("/application/7").then(() => true)`)
	if got := chrome.Eval[string](b, `location.pathname + document.getElementById("root").textContent`); got != "/application/7the page of /application/7" {
		t.Errorf("another route: %q", got)
	}

	n := f.app.Count()
	chrome.Call(b, page.Reload, page.ReloadParams{IgnoreCache: new(true)})
	f.wait(t, b, "route /application/7")
	want = []string{"preferences", "graphql demo", "user-info " + who, "socket says ping", "route /application/7"}
	if got := chrome.Eval[[]string](b, `conforma.calls`); !reflect.DeepEqual(got, want) {
		t.Errorf("after a hard reload: %q, want %q", got, want)
	}
	document := f.app.Since(n)[0]
	if document.URI != "/application/7" || document.Header.Get("Authorization") != "" {
		t.Errorf("the page was asked for by %s %v", document.URI, document.Header)
	}

	n = f.app.Count()
	if got := chrome.Eval[string](b, `new Promise((done) => {
		const frame = document.createElement("iframe");
		frame.onload = () => done(frame.contentDocument?.body.textContent ?? "elsewhere");
		frame.src = "/server/api/files/7";
		document.body.append(frame);
	})`); got != "the file" {
		t.Errorf("a file in a frame: %q", got)
	}
	dir := rig.Dir(t)
	chrome.Call(b, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir, BrowserContextID: chromedp.FromContext(b.Ctx).BrowserContextID,
	})
	chrome.Eval[bool](b, `(() => { const a = document.createElement("a"); a.href = "/server/api/files/8"; a.download = "8.txt"; document.body.append(a); a.click(); return true; })()`)
	rig.WaitFor(t, "the download", func() bool {
		data, err := os.ReadFile(filepath.Join(dir, "8.txt"))
		return err == nil && string(data) == "the file"
	})
	for _, r := range f.app.Since(n) {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("%s was asked for with a token", r.URI)
		}
	}
	if got := chrome.Eval[string](b, `String(localStorage.persistJWT?.length > 1000)`); got != "true" {
		t.Error("the token is gone")
	}
	if thrown := b.Exceptions(); len(thrown) > 0 {
		t.Errorf("%q", thrown)
	}
}

// cookie looks at what the browser keeps.
func (f *conformaFlow) cookie(t *testing.T, b *chrome.Tab, tls bool) {
	t.Helper()
	r := chrome.Call(b, network.GetCookies, network.GetCookiesParams{URLs: []string{f.origin + "/"}})
	if len(r.Cookies) != 1 {
		t.Fatalf("the browser has %d cookies", len(r.Cookies))
	}
	c := r.Cookies[0]
	left := time.Until(time.Unix(int64(c.Expires), 0))
	if c.Name != "conforma-status-demo" || !c.HTTPOnly || c.Secure != tls || c.SameSite != network.CookieSameSiteLax || c.Path != "/" || strings.HasPrefix(c.Domain, ".") || left > 30*time.Minute || left < 25*time.Minute {
		t.Errorf("the cookie is %+v", c)
	}
}
