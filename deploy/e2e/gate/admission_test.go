package gate

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// ownHeaders gives the host's nginx what operators add: a header for all sites, and a location with headers of its own.
func ownHeaders(t *testing.T, h *rig.Host) {
	t.Helper()
	rig.Edit(t, filepath.Join(h.Nginx.Dir, "nginx.conf"), "    sendfile on;\n", "    sendfile on;\n    add_header Strict-Transport-Security max-age=63072000 always;\n")
	rig.Edit(t, filepath.Join(h.Nginx.Dir, "sites-enabled", "conforma.conf"), "    location /server/ {\n", "    location /server/ {\n        add_header X-Frame-Options DENY;\n")
}

// userInfo is the first query that Conforma's front end makes with a token.
func userInfo(b *rig.Block, token string) rig.Message {
	return rig.Fetch("/server/api/user-info", b.Origin()).With("Authorization: Bearer " + token)
}

// cookieOf is the pair of a Set-Cookie header, as a browser sends it back.
func cookieOf(t *testing.T, r rig.Response) string {
	t.Helper()
	pair, attributes, _ := strings.Cut(r.Header.Get("Set-Cookie"), "; ")
	if r.Status != 307 || pair == "" || attributes != "Path=/; Max-Age=1800; HttpOnly; Secure; SameSite=Lax" {
		t.Fatalf("no cookie: %d %v", r.Status, r.Header)
	}
	return "Cookie: " + pair
}

// TestAdmissionCookieLetsInWhatHasNoToken: an administrator's first query gives the browser a cookie, with which pages,
// assets, downloads and the WebSocket pass that carry no token; in this window of admin mode, at this site.
func TestAdmissionCookieLetsInWhatHasNoToken(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	h.Install(t)
	ownHeaders(t, h)
	h.Nginx.Stop(t)
	h.Nginx.Start(t)
	gate := h.StartGate(t)
	h.CLI(t, "set", "admin", "--site", "stack", "--site", "demo").Want(t, 0)
	b, c := h.Block(t, "stack"), h.Client(t, "stack")
	admin := rig.AdminToken(b.Secret)

	// The location has an add_header of its own, and the host has one for all.
	n := b.App.Count()
	offer := c.Do(t, userInfo(b, admin))
	cookie := cookieOf(t, offer)
	if got := offer.Header; got.Get("Location") != "/server/api/user-info" || got.Get("Cache-Control") != "no-store" {
		t.Errorf("the redirect has %v", got)
	}
	if b.App.Count() != n {
		t.Error("the application saw a request that is to come again")
	}
	if r := c.Do(t, userInfo(b, admin).With(cookie)); r.Status != 200 || r.Header.Get("X-Frame-Options") != "DENY" || r.Header.Get("Set-Cookie") != "" {
		t.Errorf("the same with the cookie: %d %v", r.Status, r.Header)
	}
	if r := c.Do(t, userInfo(b, admin)); r.Status != 200 {
		t.Errorf("a browser that keeps no cookies: %d", r.Status)
	}
	if r := c.Do(t, rig.Navigation("/application/1").With(cookie)); r.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("the host's own header is lost: %v", r.Header)
	}

	post := rig.GraphQL(b.Origin())
	download := rig.Navigation("/server/api/files/1")
	socket := rig.Handshake("/websocket/", b.Origin())
	for name, m := range map[string]struct {
		message rig.Message
		want    int
	}{
		"a hard reload of a deep link": {rig.Navigation("/application/1"), 200},
		"an asset":                     {rig.Message{Target: "/assets/app.js"}, 200},
		"a download":                   {download, 200},
		"a WebSocket":                  {socket, 101},
		"a query":                      {post, 200},
	} {
		if r := c.Do(t, m.message.With(cookie)); r.Status != m.want {
			t.Errorf("%s with the cookie: %d", name, r.Status)
		}
		if m.want == 101 {
			continue // HTTP/2 has no Upgrade
		}
		if r := c.DoHTTP2(t, m.message.With(cookie)); r.Status != 200 {
			t.Errorf("%s with the cookie over HTTP/2: %d", name, r.Status)
		}
	}

	pair := strings.TrimPrefix(cookie, "Cookie: ")
	name, value, _ := strings.Cut(pair, "=")
	demo := h.Block(t, "demo")
	demoCookie := cookieOf(t, h.Client(t, "demo").Do(t, userInfo(demo, rig.AdminToken(demo.Secret))))
	refusals := func(t *testing.T, headers map[string]string) {
		t.Helper()
		for name, header := range headers {
			n := b.App.Count()
			for _, m := range []rig.Message{rig.Navigation("/application/1"), post, download, socket} {
				r := c.Do(t, m.With(strings.Split(header, "\n")...))
				if r.Status != 302 && r.Status != 503 || r.Header.Get("Set-Cookie") != "" {
					t.Errorf("%s: %s was answered %d", name, m.Target, r.Status)
				}
			}
			if b.App.Count() != n {
				t.Errorf("%s: reached the application", name)
			}
		}
	}
	refusals(t, map[string]string{
		"no cookie":                            "X-Nothing: 1",
		"another site's cookie":                demoCookie,
		"another site's under this one's name": "Cookie: " + name + "=" + demoCookie[strings.Index(demoCookie, "=")+1:],
		"under another name":                   "Cookie: x" + pair,
		"in capitals":                          "Cookie: " + strings.ToUpper(name) + "=" + value,
		"twice":                                cookie + "; " + pair,
		"in two headers":                       cookie + "\nCookie: " + pair,
		"with a bad one before it":             "Cookie: " + name + "=x; " + pair,
		"drawn out":                            "Cookie: " + name + "=9" + value[1:],
		"as a token":                           "Authorization: Bearer " + value,
		"with a user's token":                  cookie + "\nAuthorization: Bearer " + rig.UserToken(b.Secret),
		"a token as a cookie":                  "Cookie: " + name + "=" + admin,
		"a header that only nginx sends":       "X-Conforma-Window: 1-00000000\nX-Conforma-Admission: " + pair + "\nX-Conforma-Request: GET|https||||same-origin|x|",
		"in another header":                    "X-Cookie: " + pair,
	})

	// An address that a browser would take for another host's leads to this one.
	for _, target := range []string{"//elsewhere.example.test/", `/\elsewhere.example.test/`, "///elsewhere.example.test/", "//", "//@elsewhere.example.test"} {
		fresh := rig.Token(b.Secret, time.Now().Add(-time.Hour), map[string]any{"isAdmin": true, "username": target})
		r := c.Do(t, rig.Fetch(target, b.Origin()).With("Authorization: Bearer "+fresh))
		cookieOf(t, r)
		if got := r.Header.Get("Location"); got != "/."+target {
			t.Errorf("%s: redirected to %q", target, got)
		}
	}

	// The closed file shuts it, and in the next window of admin mode it is worth nothing.
	for _, mode := range []string{"offline", "admin"} {
		h.CLI(t, "set", mode, "--site", "stack").Want(t, 0)
		refusals(t, map[string]string{"an old cookie in " + mode: cookie})
	}
	again := cookieOf(t, c.Do(t, userInfo(b, rig.Token(b.Secret, time.Now().Add(-time.Hour), map[string]any{"isAdmin": true}))))
	if r := c.Do(t, rig.Navigation("/application/1").With(again)); r.Status != 200 {
		t.Errorf("with a new cookie: %d", r.Status)
	}

	// Without the gate it is worth nothing, and neither log nor argument has it.
	said := gate.Output(t) + h.Nginx.ErrorLog(t)
	gate.Kill(t)
	refusals(t, map[string]string{"the gate is down": again})
	if strings.Contains(said, value) || strings.Contains(said, admin) {
		t.Error("a cookie or token is in a log")
	}
}
