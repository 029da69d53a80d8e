package gate

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// longestReplay is the longest body that a browser is asked to send again.
const longestReplay = 16 << 10

// TestAdmissionByWriting: what has a body gives the browser its cookie as well, before the application has seen
// anything of it; and what could not be sent again is let through at once.
func TestAdmissionByWriting(t *testing.T) {
	t.Parallel()
	h := rig.NewHost(t)
	for _, b := range h.Blocks {
		b.App.Handle = sayWhatIsWritten
	}
	h.Install(t)
	ownHeaders(t, h)
	h.Nginx.Stop(t)
	h.Nginx.Start(t)
	h.StartGate(t)
	h.CLI(t, "set", "admin", "--site", "stack", "--site", "demo").Want(t, 0)
	tokens := 0
	fresh := func(b *rig.Block) string { // nobody has been offered a cookie for it
		tokens++
		return "Authorization: Bearer " + rig.Token(b.Secret, time.Now().Add(-time.Hour), map[string]any{"isAdmin": true, "n": tokens})
	}
	for name, header := range map[string]string{"stack": "X-Frame-Options", "demo": "Strict-Transport-Security"} {
		b, c := h.Block(t, name), h.Client(t, name)
		post := rig.Fetch("/server/api/write", b.Origin()).With("Content-Type: application/json")
		post.Method, post.Body = "POST", "{}"
		with := func(change func(*rig.Message)) rig.Message {
			m := post.With()
			change(&m)
			return m
		}
		method := func(name string) rig.Message { return with(func(m *rig.Message) { m.Method = name }) }
		bare := func(method string) rig.Message { return with(func(m *rig.Message) { m.Method, m.Body = method, "" }) }
		sized := func(n int) rig.Message { return with(func(m *rig.Message) { m.Body = strings.Repeat("b", n) }) }
		from := func(site string) rig.Message {
			return rig.Program(post).With("Origin: "+b.Origin(), "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: "+site)
		}
		for _, row := range []struct {
			name    string
			send    func(testing.TB, rig.Message) rig.Response
			m       rig.Message
			offered bool
		}{
			{"POST", c.Do, post, true},
			{"PUT", c.Do, method("PUT"), true},
			{"PATCH", c.Do, method("PATCH"), true},
			{"DELETE", c.Do, method("DELETE"), true},
			{"HTTP/2", c.DoHTTP2, post.With(fmt.Sprint("Content-Length: ", len(post.Body))), true},
			{"HTTP/1.0", c.Do, rig.HTTP10(post), true},
			{"absolute form", c.Do, rig.Absolute(post, "https", rig.Hostname), true},
			{"two slashes", c.Do, with(func(m *rig.Message) { m.Target = "/" + m.Target }), true},
			{"an empty body", c.Do, bare("POST").With("Content-Length: 0"), true},
			{"the longest body", c.Do, sized(longestReplay), true},
			{"beside another site's cookie", c.Do, post.With("Cookie: conforma-status-north=1.x"), true},
			{"with a cookie that is worth nothing", c.Do, post.With("Cookie: conforma-status-" + name + "=1.x"), true},

			{"a longer body", c.Do, sized(longestReplay + 1), false},
			{"a body of a megabyte", c.Do, sized(1 << 20), false},
			{"a body in chunks", c.Do, with(func(m *rig.Message) { m.Body = "1\r\nb\r\n0\r\n\r\n" }).With("Transfer-Encoding: chunked"), false},
			{"a stream over HTTP/2", c.DoHTTP2, post, false},
			{"no body and no length", c.Do, bare("DELETE"), false},
			{"a program", c.Do, rig.Program(post), false},
			{"a program of HTTP/1.0", c.Do, rig.HTTP10(rig.Program(post)), false},
			{"another origin", c.Do, from("cross-site"), false},
			{"another port", c.Do, from("same-site"), false},
			{"an old browser", c.Do, rig.Program(post).With("Referer: " + b.Origin() + "/login"), false},
			{"another method", c.Do, method("PROPFIND"), false},
		} {
			t.Run(name+"/"+row.name, func(t *testing.T) {
				m := row.m.With(fresh(b))
				n := b.App.Count()
				r := row.send(t, m)
				if row.offered {
					cookie := cookieOf(t, r)
					if to := r.Header.Get("Location"); to != post.Target && to != "/./"+post.Target || b.App.Count() != n {
						t.Errorf("redirected to %q, and the application has %d", to, b.App.Count()-n)
					}
					m = m.With(cookie)
					r = row.send(t, m)
				}
				if r.Status != 200 || r.Header.Get("Set-Cookie") != "" || r.Header.Get(header) == "" {
					t.Errorf("answered %d %v", r.Status, r.Header)
				}
				got := b.App.Since(n)
				if len(got) != 1 || got[0].Method != m.Method || got[0].Header.Get("Authorization") == "" {
					t.Fatalf("the application has %+v", got)
				}
				want := len(m.Body)
				if row.name == "a body in chunks" {
					want = 1
				}
				if got[0].Body != int64(want) {
					t.Errorf("with %d bytes, want %d", got[0].Body, want)
				}
			})
		}
	}

	// A browser without cookies is let through by its token, never redirected again.
	b, c := h.Block(t, "demo"), h.Client(t, "demo")
	post := rig.GraphQL(b.Origin()).With(fresh(b))
	n := b.App.Count()
	for i := range 4 {
		if r := c.Do(t, post); (r.Status == 307) != (i == 0) || i > 0 && r.Status != 200 {
			t.Errorf("request %d without cookies: %d", i, r.Status)
		}
	}
	if got := b.App.Count() - n; got != 3 {
		t.Errorf("the application has %d of 3", got)
	}

	// What comes of the body after the redirect is thrown away, and is no request of its own.
	inner := "POST /server/graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
	m := rig.GraphQL(b.Origin()).With(fresh(b))
	m.Body = inner
	conn := c.Dial(t)
	defer conn.Close()
	begun := m.With(fmt.Sprint("Content-Length: ", len(inner)))
	begun.Body = ""
	n = b.App.Count()
	conn.Send(t, begun)
	cookie := cookieOf(t, conn.Receive(t, begun))
	if _, err := io.WriteString(conn, inner); err != nil {
		t.Fatal(err)
	}
	if r := conn.Do(t, m.With(cookie)); r.Status != 200 || b.App.Count() != n+1 {
		t.Errorf("a body after its redirect: %d, the application has %d", r.Status, b.App.Count()-n)
	}

	// Who waits to be asked for the body is asked, and what it sends thrown away too.
	waits := rig.GraphQL(b.Origin()).With(fresh(b), "Expect: 100-continue")
	waits.Body = inner
	conn = c.Dial(t)
	defer conn.Close()
	n = b.App.Count()
	conn.Send(t, waits)
	r := conn.Receive(t, waits)
	if r.Status == 100 {
		r = conn.Receive(t, waits)
	}
	cookie = cookieOf(t, r)
	conn.Send(t, waits.With(cookie))
	if r = conn.Receive(t, waits); r.Status == 100 {
		r = conn.Receive(t, waits)
	}
	if r.Status != 200 || b.App.Count() != n+1 {
		t.Errorf("Expect: %d, the application has %d", r.Status, b.App.Count()-n)
	}
}

// sayWhatIsWritten is an application that says at /server/api/ what it received. Its page is open in admin mode.
func sayWhatIsWritten(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.URL.Path == "/assets/page":
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><link rel="icon" href="data:,"><script>`+writing+`</script><body>`) // who asked may be gone
	case strings.Contains(r.URL.Path, "/server/api/"):
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return true // it never came
		}
		fmt.Fprint(w, r.Method, " ", strings.Count(string(body), "~"), " ", len(r.Header.Get("Authorization")) > 100, " ", r.Header.Get("X-Own"))
	default:
		return false
	}
	return true
}

// writing is what the pages of a browser have to write with: write tells what the application says that it received,
// and whether that was after a redirect.
const writing = `
const token = location.hash.slice(1);
window.write = (body, init, url = "/server/api/write") => fetch(url, { method: "POST", body, ...init, headers: { Authorization: "Bearer " + token, "X-Own": "own" } })
  .then(async (r) => [r.type === "opaqueredirect" ? r.type : await r.text(), r.redirected].join(), () => "error");
window.send = (body, async = true) => {
  const request = new XMLHttpRequest();
  request.open("POST", "/server/api/write", async);
  request.setRequestHeader("Authorization", "Bearer " + token);
  request.setRequestHeader("X-Own", "own");
  const done = new Promise((done) => { request.onloadend = () => done([request.responseText, request.responseURL === location.origin + "/server/api/write"].join()); });
  request.send(body);
  return done;
};
window.form = (size) => {
  const form = new FormData();
  form.append("name", "value");
  form.append("file", new File(["~".repeat(size)], "file.txt"));
  return form;
};
window.admitted = () => fetch("/server/api/cookie").then((r) => r.status === 200);
if (parent !== self) (async () => parent.postMessage([await write("~"), await write("~~"), await admitted()].join(" "), "*"))();
`

// browserWrites are the ways in which pages send what has a body, what comes of it in each browser, and whether there
// is a cookie after it. Where a page forbids redirects its request ends, and its next one passes: a server can't tell.
var browserWrites = []struct {
	name, script, want string
	admitted           bool
	received           int // by the application
}{
	{"a string", `write("~~")`, "POST 2 true own,true", true, 1},
	{"nothing", `write()`, "POST 0 true own,true", true, 1},
	{"a form with a file", `write(form(9000))`, "POST 9000 true own,true", true, 1},
	{"a Blob of the longest", `write(new Blob(["~".repeat(16384)]))`, "POST 16384 true own,true", true, 1},
	{"bytes", `write(new TextEncoder().encode("~~~"))`, "POST 3 true own,true", true, 1},
	{"a Request", `write("~", { headers: undefined }, new Request("/server/api/write", { method: "POST", body: "~" }))`, "POST 1 true own,true", true, 1},
	{"PUT", `write("~", { method: "PUT" })`, "PUT 1 true own,true", true, 1},
	{"PATCH", `write("~", { method: "PATCH" })`, "PATCH 1 true own,true", true, 1},
	{"DELETE", `write("~", { method: "DELETE" })`, "DELETE 1 true own,true", true, 1},
	{"keepalive", `write("~", { keepalive: true })`, "POST 1 true own,true", true, 1},
	{"an address with two slashes", `write("~", {}, location.origin + "//server/api/write")`, "POST 1 true own,true", true, 1},
	{"XMLHttpRequest", `send("~~")`, "POST 2 true own,true", true, 1},
	{"XMLHttpRequest with a file", `send(form(9000))`, "POST 9000 true own,true", true, 1},
	{"XMLHttpRequest that waits", `send("~~", false)`, "POST 2 true own,true", true, 1},
	{"several at once", `Promise.all([1, 2, 3, 4].map((n) => write("~".repeat(n)))).then((all) => all.map((text) => text.split(" ")[1]).join())`, "1,2,3,4", true, 4},

	{"an upload", `write(form(200000))`, "POST 200000 true own,false", false, 1},
	{"an upload by XMLHttpRequest", `send(form(200000))`, "POST 200000 true own,true", false, 1},
	{"DELETE without a body", `write(undefined, { method: "DELETE" })`, "DELETE 0 true own,false", false, 1},
	{"without cookies", `write("~", { credentials: "omit" }).then(async (first) => first + " " + await write("~~", { credentials: "omit" }))`, "POST 1 true own,true POST 2 true own,false", false, 2},
	{"following nothing", `write("~", { redirect: "manual" }).then(async (first) => first + " " + await write("~~", { redirect: "manual" }))`, "opaqueredirect,false POST 2 true own,false", true, 1},
	{"bearing no redirect", `write("~", { redirect: "error" }).then(async (first) => first + " " + await write("~~", { redirect: "error" }))`, "error POST 2 true own,false", true, 1},
}

// writingSite is a site in admin mode for browserWrites.
type writingSite struct {
	*rig.Block
	origin string
}

func newWritingSite(t *testing.T, scheme string) writingSite {
	t.Helper()
	var h *rig.Host
	var w writingSite
	if scheme == "http" {
		s := rig.NewSingle(t)
		h, w.origin = s.Host, strings.Replace(s.URL, "127.0.0.1", "demo.test", 1) // to where browsers don't send Sec-Fetch-Site
		s.Install(t)
	} else {
		h = rig.NewHost(t)
		h.Install(t)
	}
	w.Block = h.Block(t, "demo")
	w.App.Handle = sayWhatIsWritten
	if scheme == "https" {
		w.origin = w.Origin()
	}
	h.StartGate(t)
	h.CLI(t, "set", "admin", "--site", "demo").Want(t, 0)
	return w
}

// page is the address of a page that has a token for which nobody has been offered a cookie.
func (w writingSite) page(username string) string {
	return w.origin + "/assets/page#" + rig.Token(w.Secret, time.Now().Add(-time.Hour), map[string]any{"isAdmin": true, "username": username})
}
