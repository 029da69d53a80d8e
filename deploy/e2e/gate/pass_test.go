package gate

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

const passTarget = "/.conforma-status/pass"

// makePass makes a pass of the site and returns its link, its secret and its name.
func makePass(t *testing.T, h *rig.Host, site string, args ...string) (link, secret, id string) {
	t.Helper()
	r := h.CLI(t, append([]string{"pass", "--json", "--site", site}, args...)...).Want(t, 0)
	var doc struct {
		Sites []struct{ Site, Pass, Link string }
	}
	if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil || len(doc.Sites) != 1 || doc.Sites[0].Site != site {
		t.Fatalf("pass says %s (%v)", r.Stdout, err)
	}
	link, id = doc.Sites[0].Link, doc.Sites[0].Pass
	address, secret, _ := strings.Cut(link, "#")
	if !strings.HasSuffix(address, passTarget) || len(secret) < 40 {
		t.Fatalf("the link is %s", link)
	}
	return link, secret, id
}

// enter is what the pass page posts.
func enter(b *rig.Block, secret string) rig.Message {
	m := rig.Fetch(passTarget, b.Origin()).With("Content-Type: text/plain;charset=UTF-8")
	m.Method, m.Body = "POST", secret
	return m
}

// TestPassAdmitsUntilItIsRevoked: a pass admits to its site, in its window of admin mode, until it is revoked, whoever
// its holder logs in as.
func TestPassAdmitsUntilItIsRevoked(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	h.Install(t)
	ownHeaders(t, h)
	rig.Edit(t, h.Nginx.Dir+"/nginx.conf", "    access_log off;\n", "    log_format all '$request $http_referer $http_cookie $sent_http_location';\n    access_log log/access.log all;\n"+
		"    add_header Content-Security-Policy \"default-src 'self'\" always;\n    proxy_hide_header Content-Security-Policy;\n    proxy_hide_header Referrer-Policy;\n")
	h.Nginx.Stop(t)
	h.Nginx.Start(t)
	gate := h.StartGate(t)
	h.CLI(t, "set", "admin", "--site", "stack", "--site", "demo").Want(t, 0)
	b, c := h.Block(t, "stack"), h.Client(t, "stack")
	_, secret, id := makePass(t, h, "stack")

	page := c.Do(t, rig.Navigation(passTarget))
	if page.Status != 200 || page.Header.Get("Referrer-Policy") != "no-referrer" || page.Header.Get("Cache-Control") != "no-store" ||
		len(page.Header.Values("Content-Security-Policy")) != 1 || !strings.HasPrefix(page.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("the page: %d %v", page.Status, page.Header)
	}
	n := b.App.Count()
	r := c.Do(t, enter(b, secret))
	pair, attributes, _ := strings.Cut(r.Header.Get("Set-Cookie"), "; ")
	if r.Status != 204 || !strings.HasPrefix(attributes, "Path=/; Max-Age=3") || !strings.HasSuffix(attributes, "; HttpOnly; Secure; SameSite=Lax") {
		t.Fatalf("entered: %d %v", r.Status, r.Header)
	}
	cookie := "Cookie: " + pair
	if r := c.DoHTTP2(t, enter(b, secret)); r.Status != 204 {
		t.Errorf("over HTTP/2: %d", r.Status)
	}
	if b.App.Count() != n {
		t.Error("the application saw the pass")
	}
	user := "Authorization: Bearer " + rig.UserToken(b.Secret)
	everything := map[string]rig.Message{
		"a page": rig.Navigation("/application/1"), "an asset": {Target: "/assets/app.js"}, "a query": rig.GraphQL(b.Origin()).With(user),
		"user-info": userInfo(b, rig.UserToken(b.Secret)), "a download": rig.Navigation("/server/api/files/1"), "a WebSocket": rig.Handshake("/websocket/", b.Origin()),
	}
	for name, m := range everything {
		if r := c.Do(t, m.With(cookie)); r.Status != 200 && r.Status != 101 {
			t.Errorf("%s with a pass: %d", name, r.Status)
		}
	}

	refusals := func(t *testing.T, site string, headers map[string]string) {
		t.Helper()
		b, c := h.Block(t, site), h.Client(t, site)
		for name, header := range headers {
			n := b.App.Count()
			for what, m := range everything {
				if what == "an asset" {
					continue // which the login page needs
				}
				if r := c.Do(t, m.With(header)); r.Status != 302 && r.Status != 503 || r.Header.Get("Set-Cookie") != "" {
					t.Errorf("%s: %s was answered %d", name, what, r.Status)
				}
			}
			if b.App.Count() != n {
				t.Errorf("%s: reached the application", name)
			}
		}
	}
	value := pair[strings.Index(pair, "=")+1:]
	refusals(t, "stack", map[string]string{
		"the pass for a cookie": "Cookie: conforma-status-stack=" + secret, "the cookie twice": cookie + "; " + pair,
		"in capitals": "Cookie: CONFORMA-STATUS-STACK=" + value, "drawn out": "Cookie: " + strings.Replace(pair, ".1", ".2", 1),
	})
	refusals(t, "demo", map[string]string{"at another site": cookie, "at another site by its name": "Cookie: conforma-status-demo=" + value})
	demo := h.Block(t, "demo")
	bad := func(what string, r rig.Response) {
		t.Helper()
		if r.Status == 204 || r.Status == 200 || r.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", what, r.Status, r.Header)
		}
	}
	bad("another site's pass", h.Client(t, "demo").Do(t, enter(demo, secret)))
	bad("a pass in a form", c.Do(t, enter(b, "pass="+secret)))
	bad("a pass from another origin", c.Do(t, rig.Message{Method: "POST", Target: passTarget, Body: secret, Header: []string{"Sec-Fetch-Site: cross-site"}}))
	bad("a giant", c.Do(t, enter(b, secret+strings.Repeat("x", 2000))))
	_, decoy, _ := makePass(t, h, "stack") // nginx's error log may tell where it was sent
	for _, target := range []string{passTarget + "?" + decoy, passTarget + "/", passTarget + "/" + decoy, "/.conforma-status//pass", "/x/.." + passTarget, "/%2econforma-status/pass", passTarget + ";x", passTarget + "%00x"} {
		m := enter(b, decoy)
		m.Target = target
		bad(target, c.Do(t, m))
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH", "PROPFIND"} {
		m := enter(b, secret)
		m.Method = method
		bad(method, c.Do(t, m))
	}
	bad("as a WebSocket", c.Do(t, rig.Handshake(passTarget, b.Origin())))
	for _, m := range []rig.Message{rig.HTTP10(enter(b, secret)), rig.Absolute(enter(b, secret), "https", rig.Hostname)} {
		if r := c.Do(t, m); r.Status != 204 {
			t.Errorf("%s %s: %d", m.Proto, m.Target, r.Status)
		}
	}

	// Revoked, neither the pass nor whom it let in is good any more; a new one is.
	if r := h.CLI(t, "pass", "--site", "stack", "--revoke").Want(t, 0); !strings.Contains(r.Stdout, "every pass is revoked") {
		t.Errorf("revoked: %s", r.Stdout)
	}
	refusals(t, "stack", map[string]string{"revoked": cookie})
	bad("a revoked pass", c.Do(t, enter(b, secret)))
	_, second, _ := makePass(t, h, "stack", "--ttl", "2m")
	bad("the revoked one, once there is another", c.Do(t, enter(b, secret)))
	refusals(t, "stack", map[string]string{"revoked, once there is another": cookie})
	r = c.Do(t, enter(b, second))
	pair, attributes, _ = strings.Cut(r.Header.Get("Set-Cookie"), "; ")
	again := "Cookie: " + pair
	if r.Status != 204 || !strings.Contains(attributes, "Max-Age=1") {
		t.Fatalf("a second pass: %d %v", r.Status, r.Header)
	}
	if r := c.Do(t, rig.Navigation("/application/1").With(again)); r.Status != 200 {
		t.Errorf("with the second: %d", r.Status)
	}

	// Outside its window it is worth nothing, nor is there a page to take it to.
	for _, mode := range []string{"offline", "online", "admin"} {
		h.CLI(t, "set", mode, "--site", "stack").Want(t, 0)
		if mode == "online" {
			if r := c.Do(t, enter(b, second)); r.Header.Get("Set-Cookie") != "" || r.Header.Get("X-App") == "" && r.Status != 405 {
				t.Errorf("online: %d %v", r.Status, r.Header)
			}
			continue
		}
		bad("in "+mode, c.Do(t, enter(b, second)))
		refusals(t, "stack", map[string]string{"in " + mode: again})
		if mode == "offline" {
			bad("the page", c.Do(t, rig.Navigation(passTarget)))
		}
	}

	// Without a gate there is no page.
	said := gate.Output(t) + h.Nginx.ErrorLog(t)
	gate.Kill(t)
	if r := c.Do(t, rig.Navigation(passTarget)); r.Status != 302 || !strings.HasPrefix(r.Header.Get("Location"), h.PageURL) {
		t.Errorf("the page without a gate: %d %v", r.Status, r.Header)
	}
	if r := c.Do(t, enter(b, second)); r.Status != 503 || !strings.Contains(r.Body, "maintenance") {
		t.Errorf("entering without a gate: %d %s", r.Status, r.Body)
	}
	if !strings.Contains(said, `msg="admitted by a pass" site=stack pass=`+id) {
		t.Errorf("the admission is not logged:\n%s", said)
	}
	access, err := os.ReadFile(h.Nginx.Dir + "/log/access.log")
	if err != nil {
		t.Fatal(err)
	}
	// The test itself put the secret into a query, a path, and a cookie or two.
	for line := range strings.Lines(string(access)) {
		if strings.HasPrefix(line, "POST "+passTarget+" ") || strings.HasPrefix(line, "GET "+passTarget+" ") {
			said += line
		}
	}
	for _, s := range []string{secret, second} {
		if strings.Contains(said, s[len(s)-43:]) {
			t.Errorf("a pass is in a log:\n%s", lineWith(said, s[len(s)-43:]))
		}
	}
}

// TestPassInBrowser: somebody without an account opens the link and is in; the secret leaves the address bar and the
// history.
func TestPassInBrowser(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Install(t)
	s.StartGate(t)
	s.CLI(t, "publish").Want(t, 0)
	s.CLI(t, "set", "admin").Want(t, 0)
	r := s.CLI(t, "pass").Want(t, 0)
	link := strings.TrimSpace(r.Stdout)
	address, secret, _ := strings.Cut(link, "#")
	if address != s.URL+passTarget {
		t.Fatalf("the link is %s", link)
	}
	browser := chrome.Browser(t)
	b := chrome.OpenTab(t, browser, "")
	at := func(tab *chrome.Tab, want string) {
		t.Helper()
		var got string
		rig.WaitFor(t, want, func() bool {
			now, err := chrome.TryEval[string](tab, `location.href`)
			got = now
			return err == nil && got == want
		})
	}
	b.Open(link)
	at(b, s.URL+"/")
	if title := chrome.Eval[string](b, `document.title`); title != rig.SingleSite {
		t.Errorf("the pass led to %q", title)
	}
	if got := chrome.Eval[string](b, `document.cookie + document.referrer`); got != "conforma-pass-demo=1" || strings.Contains(got, secret) {
		t.Errorf("a script can read %q", got)
	}
	b.Open(s.URL + "/application/7")
	if chrome.Eval[string](b, `fetch("/server/graphql", { method: "POST", body: "{}" }).then((r) => String(r.status))`) != "200" {
		t.Error("a query is refused")
	}
	if chrome.Eval[string](b, `new Promise((done) => { const s = new WebSocket("ws://" + location.host + "/websocket/"); s.onopen = () => done("open"); s.onerror = () => done("refused"); })`) != "open" {
		t.Error("the WebSocket is refused")
	}
	for _, r := range s.App.Requests() {
		if strings.Contains(r.URI+r.Header.Get("Referer"), secret) || strings.Contains(r.Header.Get("Referer"), "#") {
			t.Errorf("the application was told the secret: %s %v", r.URI, r.Header)
		}
	}

	// A pass that is not good: the page says so, without the secret in its address.
	s.CLI(t, "pass", "--revoke").Want(t, 0)
	for _, link := range []string{link, address + "#", address} {
		fresh := chrome.OpenTab(t, browser, "")
		fresh.Open(link)
		rig.WaitFor(t, "the page's answer", func() bool {
			return chrome.Eval[bool](fresh, `/new one|not complete/.test(document.querySelector("#say").textContent)`)
		})
		if got := chrome.Eval[string](fresh, `location.href + history.length`); !strings.HasPrefix(got, address) || strings.Contains(got, "#") {
			t.Errorf("it is at %s", got)
		}
		if thrown := fresh.Exceptions(); len(thrown) > 0 {
			t.Errorf("%q", thrown)
		}
	}
	b.Open(s.URL + "/application/7")
	at(b, s.PageURL+"/demo/#at=/application/7")
}

// lineWith is the first line of text that holds word.
func lineWith(text, word string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			return line
		}
	}
	return ""
}
