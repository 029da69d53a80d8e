package gate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// TestNoAttackGetsIn puts to nginx and the gate whatever might get past them. What counts is what the application
// receives: nothing. TestSoakNoAttackGetsIn does so with all of the tokens.
func TestNoAttackGetsIn(t *testing.T) {
	t.Parallel()
	attack(t, sampled)
}

// sampled has attack leave out tokens that differ by a bit or a character alone: the gate's own tests have all of them.
const sampled = true

func attack(t *testing.T, sampled bool) {
	h := rig.NewHost(t)
	h.Install(t)
	gate := h.StartGate(t)
	h.CLI(t, "set", "admin", "--site", "demo", "--site", "north").Want(t, 0)
	b, c := h.Block(t, "demo"), h.Client(t, "demo")
	admin, user := rig.AdminToken(b.Secret), rig.UserToken(b.Secret)
	bearer := "Authorization: Bearer " + admin
	certificate, err := os.ReadFile(filepath.Join(h.Nginx.Dir, "letsencrypt", "live", rig.Hostname, "fullchain.pem"))
	if err != nil {
		t.Fatal(err)
	}
	welcome := rig.Message{Target: "/server/api/user-info"}.With(bearer)
	if r := c.Do(t, welcome); r.Status != 200 {
		t.Fatalf("an administrator: %d", r.Status)
	}
	accepted := 0
	// refused sends what must not reach the application, and looks whether it did.
	refused := func(name string, send func(testing.TB, rig.Message) rig.Response, m rig.Message) {
		t.Helper()
		n := b.App.Count()
		r := send(t, m)
		if got := b.App.Count() - n; got != 0 {
			accepted += got
			t.Errorf("%s: %s %s reached the application, and was answered %d", name, m.Method, m.Target, r.Status)
		}
		if r.Status == 101 || r.Status < 300 || r.Status >= 500 && r.Status != 503 && !(r.Status == 501 && strings.Contains(name, "Transfer-Encoding")) || r.Header.Get("X-App") != "" || r.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: answered %d %v", name, r.Status, r.Header)
		}
	}
	query, page := rig.GraphQL(b.Origin()), rig.Navigation("/application/1")
	ways := []struct {
		name string
		send func(testing.TB, rig.Message) rig.Response
		m    rig.Message
	}{
		{"HTTP/1.1", c.Do, query}, {"HTTP/2", c.DoHTTP2, query}, {"HTTP/1.0", c.Do, rig.HTTP10(query)}, {"absolute form", c.Do, rig.Absolute(query, "https", rig.Hostname)},
		{"a page", c.Do, page}, {"a WebSocket", c.Do, rig.Handshake("/websocket/", b.Origin())},
	}

	tokens := forgeries(b.Secret, []string{h.Block(t, "north").Secret}, string(certificate))
	if len(tokens) < 500 {
		t.Fatalf("%d tokens", len(tokens))
	}
	sample := func(name string) bool {
		return !sampled || !strings.HasPrefix(name, "bit ") && !strings.HasPrefix(name, "character ") || strings.Contains(name, "3")
	}
	for i, f := range tokens {
		if !sample(f.name) {
			continue
		}
		way := ways[i%len(ways)]
		if way.name == "HTTP/2" && (len(f.token) > 3_000 || (strings.Contains(f.token, "\xff") || strings.Contains(f.token, "\u200b"))) {
			way = ways[0] // it takes no more than 4 kB a field
		}
		if i%7 == 0 {
			way = ways[0]
		}
		refused(f.name+" by "+way.name, way.send, way.m.With("Authorization: Bearer "+f.token))
	}

	// A good token where none is to be looked for.
	north := h.Block(t, "north")
	cookie, _, _ := strings.Cut(h.Client(t, "north").Do(t, userInfo(north, rig.AdminToken(north.Secret))).Header.Get("Set-Cookie"), ";")
	_, value, _ := strings.Cut(cookie, "=")
	for _, header := range []string{
		bearer + "\nAuthorization: Bearer " + user, "Authorization: Bearer " + user + "\n" + bearer, bearer + "\n" + bearer, bearer + "\nauthorization: x", "AUTHORIZATION: Bearer " + user + "\n" + bearer,
		"Authorization:\n" + bearer, "Authorization : Bearer " + admin, "Authorization\t: Bearer " + admin, " " + bearer, "X: y\n " + bearer, "Authorization: Bearer\n " + admin, "Author\x00ization: Bearer " + admin,
		"Authorization: " + admin, "Authorization: Bearer", "Authorization: Bearer  " + admin, "Authorization: Bearer\t" + admin, "Authorization: Bearer=" + admin, "Authorization: Bearer," + admin, "Authorization: Bearers " + admin, "Authorization: Token " + admin,
		"Authorization: Basic " + admin, "Authorization: JWT " + admin, "Authorization: Bearer " + user + ", Bearer " + admin, "Authorization: Bearer " + user + " " + admin, "Authorization: Bearer " + admin + " x", `Authorization: Bearer "` + admin + `"`,
		"Author_ization: Bearer " + admin, "Authorization_: Bearer " + admin, "HTTP_AUTHORIZATION: Bearer " + admin, "Http-Authorization: Bearer " + admin, "Proxy-Authorization: Bearer " + admin, "X-Authorization: Bearer " + admin,
		"X-Forwarded-Authorization: Bearer " + admin, "X-Original-Authorization: Bearer " + admin, "X-Auth-Token: " + admin, "X-Access-Token: " + admin, "JWT: " + admin, "Token: " + admin,
		"Cookie: Authorization=Bearer " + admin, "Cookie: jwt=" + admin, "Cookie: persistJWT=" + admin, "Cookie: conforma-status-demo=" + admin, "Sec-WebSocket-Protocol: Bearer, " + admin, "X: Authorization: Bearer " + admin,
		"Cookie: " + cookie, "Cookie: conforma-status-demo=" + value, "Cookie: conforma-status-demo=" + value + "; conforma-status-demo=" + value, "Cookie: conforma-status-demo=" + value + "\nCookie: conforma-status-demo=" + value,
		"Cookie: conforma-status-demo", "Cookie: conforma-status-demo=", "Cookie: conforma-status-demo=;", "Cookie: ; conforma-status-demo=0.", "Cookie: conforma-status-demo=1.2.3",
		"X-Conforma-Window: 1-00000000\nX-Conforma-Request: GET|https||||same-origin|x|\nX-Conforma-Admission: 1", "X-Conforma-Verdict: 204", "X-Conforma-Door: ABCDEFGHIJKLMNOPQRSTUVWXYZ", "X-Accel-Redirect: /", "X-Accel-Expires: 100",
		"X-Original-URI: /login", "X-Original-URL: /login", "X-Rewrite-URL: /login", "X-Forwarded-Uri: /login", "X-Forwarded-Prefix: /login", "X-HTTP-Method-Override: GET", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1", "Via: conforma-status",
		"Host: conforma-status", "Host: 127.0.0.1", "Host: x\nHost: y", "Connection: Authorization", "Connection: close, X-Conforma-Window", "Upgrade: h2c\nConnection: Upgrade, HTTP2-Settings\nHTTP2-Settings: AAMAAABkAAQAAP__",
		"Content-Length: 3\nContent-Length: 4", "Content-Length: 3\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: xchunked", "Sec-Fetch-Mode: cors|||", "Accept: text/html|exempt",
	} {
		for _, m := range []rig.Message{query, page} {
			if strings.Contains(header, "Host") {
				m.Target = "/application/1"
			}
			lines := strings.Split(header, "\n")
			if strings.HasPrefix(header, "Content-Length") {
				m.Body = ""
			}
			refused(header, c.Do, m.With(lines...))
		}
	}

	// Methods, and addresses that are read in more than one way, with a user's token. More of them are in the table of
	// modes.
	for _, method := range []string{"get", "Get", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "TRACK", "CONNECT", "OPTIONS", "PROPFIND", "LOCK", "PURGE", "GET\t", "BREW", "-"} {
		m := query
		m.Method = method
		refused("method "+method, c.Do, m.With("Authorization: Bearer "+user))
	}
	for _, from := range []string{"/login", "/assets/x.js", "/favicon.ico", "/server/api/public/file", "/server/api/public/language/en", "/.conforma-status/status.json", "/.conforma-status/pass", "/.conforma-status/probe",
		"/.conforma-status/auth", "/.conforma-status/denied", "/.conforma-status/admit", "/.conforma-status/no-pass", "/.well-known/acme-challenge/x"} {
		for _, step := range []string{"/../..", "/%2e%2e/%2e%2e", "/..%2f..", "%2f..%2f..", "/..;/..", "//..//..", `/..\..`, "/.%2e/.%2e", "/%252e%252e", "/./../..", "#/..", "%3f/..", "%00/..", "/…/.."} {
			for _, method := range []string{"GET", "POST"} {
				m := rig.Fetch(from+step+"/../../server/graphql", b.Origin())
				m.Method = method
				refused("path confusion", c.Do, m)
			}
		}
	}
	for _, target := range []string{"/?/login", "/server/graphql?x=/login", "/server/graphql?access_token=" + admin, "/server/graphql?jwt=" + admin, "/server/graphql#/login", "/%6cogin", "/login%20", "/LOGIN", "*", "//login",
		"/.conforma-status/auth", "/.conforma-status/denied", "/.conforma-status/admit", "/.conforma-status/nav", "/.conforma-status/no-pass", "/.conforma-status/", "/check/demo", "/pass/demo", "/metrics", "/healthz"} {
		refused(target, c.Do, rig.Fetch(target, b.Origin()))
	}

	// On a connection on which an administrator was let in, the next one isn't.
	conn := c.Dial(t)
	for range 3 {
		if r := conn.Do(t, welcome); r.Status != 200 {
			t.Errorf("an administrator on a connection of several: %d", r.Status)
		}
		n := b.App.Count()
		if r := conn.Do(t, rig.Message{Target: "/server/api/user-info"}); r.Status != 503 || b.App.Count() != n {
			t.Errorf("somebody else on the same connection: %d", r.Status)
		}
	}
	conn.Close()
	// A body that looks like a request is one body.
	n := b.App.Count()
	inner := "POST /server/graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
	m := rig.Program(query).With(bearer)
	m.Body = inner
	if r := c.Do(t, m); r.Status != 200 || b.App.Count() != n+1 {
		t.Errorf("a request within a request: %d, the application saw %d", r.Status, b.App.Count()-n)
	}
	if r := c.Do(t, welcome); r.Status != 200 {
		t.Errorf("an administrator after all that: %d", r.Status)
	}
	if accepted != 0 {
		t.Errorf("accepted: %d", accepted)
	}

	rig.WaitFor(t, "the log", func() bool { return strings.Contains(gate.Output(t), "refused") })
	said := gate.Output(t)
	for _, f := range tokens {
		if parts := strings.Split(f.token, "."); len(parts) > 1 && len(parts[1]) > 40 && len(parts[1]) < 10_000 && strings.Contains(said, parts[1]) {
			t.Fatalf("%s: a token is in the gate's log", f.name)
		}
	}
}
