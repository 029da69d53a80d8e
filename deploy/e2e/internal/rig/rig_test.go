package rig

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// The rig is proven without conforma-status: what it reports about a plain nginx has to be the truth.

func TestHostAnswersAsItsBlocksSay(t *testing.T) {
	h := NewHost(t)
	h.Nginx.Start(t)
	for _, b := range h.Blocks {
		t.Run(b.Name, func(t *testing.T) {
			c := h.Client(t, b.Name)
			wantStatic := b.Style == "container" // there nginx answers pages itself
			for _, tt := range []struct {
				name    string
				message Message
				status  int
				body    string // a part of it
				reaches bool   // whether the application sees it
			}{
				{"navigation", Navigation("/application/new"), 200, "<title>" + b.Name + "</title>", !wantStatic},
				{"navigation without Sec-Fetch-Mode", OldNavigation("/"), 200, "<title>" + b.Name + "</title>", !wantStatic},
				{"HTTP/1.0", HTTP10(OldNavigation("/")), 200, "<title>" + b.Name + "</title>", !wantStatic},
				{"login page", Navigation("/login"), 200, "<title>" + b.Name + "</title>", !wantStatic},
				{"asset", Fetch("/assets/app.js", b.Origin()), 200, b.Name, !wantStatic},
				{"GraphQL", GraphQL(b.Origin()), 200, `{"data":{"app":"` + b.Name + `"}}`, true},
				{"preferences", Fetch("/server/api/public/get-prefs", b.Origin()), 200, `"app":"` + b.Name, true},
				{"upload", Upload(b.Origin(), 300_000), 200, `{"received":300000}`, true},
			} {
				t.Run(tt.name, func(t *testing.T) {
					before := b.App.Count()
					r := c.Do(t, tt.message)
					if r.Status != tt.status || !strings.Contains(r.Body, tt.body) {
						t.Errorf("got %d %q, want %d with %q", r.Status, r.Body, tt.status, tt.body)
					}
					if got := b.App.Count() > before; got != tt.reaches {
						t.Errorf("reached the application: %v, want %v", got, tt.reaches)
					}
				})
			}
		})
	}
}

func TestHostSpeaksTLSAsCertbotSetItUp(t *testing.T) {
	h := NewHost(t)
	h.Nginx.Start(t)
	c := h.Client(t, "demo")

	plain := c
	plain.TLS = nil
	want := h.Block(t, "demo").Origin() + "/some/page?x=1"
	if r := plain.Get(t, "/some/page?x=1"); r.Status != 307 || r.Header.Get("Location") != want {
		t.Errorf("plain HTTP on the TLS port: got %d to %q, want 307 to %q", r.Status, r.Header.Get("Location"), want)
	}

	stranger := c
	stranger.TLS = &tls.Config{ServerName: Hostname}
	if _, err := stranger.dial("http/1.1"); err == nil {
		t.Error("a client that doesn't trust the test's authority could connect")
	}
}

func TestClientSendsTheTargetAsItIs(t *testing.T) {
	app := NewApp(t, "raw")
	direct := Client{Addr: Loopback(app.Port), Host: "raw.test"}
	h := NewHost(t)
	h.Nginx.Start(t)
	training := h.Client(t, "training") // its proxy_pass has no path, so nginx passes targets on untouched
	for _, target := range []string{
		"/a/../b", "/a/%2e%2e/b", "/a%2fb", "//a", "/a//b", "/a;b=c/d", "/a/./b", "/%61", "/?q=%2f..//", "/a\\b",
	} {
		t.Run(strings.ReplaceAll(target, "/", "|"), func(t *testing.T) {
			direct.Get(t, target)
			if got := app.Requests()[app.Count()-1].URI; got != target {
				t.Errorf("HTTP/1.1: the application got %q", got)
			}
			upstream := h.Block(t, "training").App
			if r := training.DoHTTP2(t, Message{Target: target}); r.Status != 200 || r.Proto != "HTTP/2.0" {
				t.Errorf("HTTP/2: got %s %d", r.Proto, r.Status)
			}
			if got := upstream.Requests()[upstream.Count()-1].URI; got != target {
				t.Errorf("HTTP/2: the application got %q", got)
			}
		})
	}
	absolute := Absolute(Message{Target: "/x"}, "http", "other.test")
	direct.Do(t, absolute)
	if got := app.Requests()[app.Count()-1].URI; got != "http://other.test/x" {
		t.Errorf("absolute form: the application got %q", got)
	}
}

func TestHTTP2CarriesBodiesBothWays(t *testing.T) {
	h := NewHost(t)
	h.Nginx.Start(t)
	b := h.Block(t, "training")
	r := h.Client(t, "training").DoHTTP2(t, GraphQL(b.Origin()))
	if r.Status != 200 || r.Body != `{"data":{"app":"training"}}`+"\n" {
		t.Errorf("got %d %q", r.Status, r.Body)
	}
	if got := b.App.Requests()[0]; got.Method != "POST" || got.Body != int64(len(GraphQL("").Body)) {
		t.Errorf("the application got %s with %d bytes", got.Method, got.Body)
	}
}

func TestWebSocketEchoes(t *testing.T) {
	h := NewHost(t)
	h.Nginx.Start(t)
	for _, name := range []string{"demo", "north", "stack", "training"} {
		t.Run(name, func(t *testing.T) {
			c := h.Client(t, name)
			if r := c.Do(t, Handshake("/websocket/", h.Block(t, name).Origin())); r.Status != 101 {
				t.Fatalf("handshake: got %d %q", r.Status, r.Body)
			}
			conn, err := c.WebSocket(t, "/websocket/")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			ctx := context.Background()
			if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, data, err := conn.Read(ctx); err != nil || string(data) != "hello" {
				t.Fatalf("got %q, %v", data, err)
			}
			WaitFor(t, "the application to be done with the handshake", func() bool { return len(h.Block(t, name).App.Open()) < 2 })
			if open := h.Block(t, name).App.Open(); len(open) != 1 || open[0].URI != "/websocket/" {
				t.Errorf("the application works on %v, want the WebSocket", open)
			}
		})
	}
	if _, err := h.Client(t, "grafana").WebSocket(t, "/websocket/"); err == nil {
		t.Error("a block without upgrade headers let a WebSocket through")
	}
}

func TestAppGoesOnWhenItsClientHasGone(t *testing.T) {
	app := NewApp(t, "held")
	c := Client{Addr: Loopback(app.Port), Host: "held.test"}
	conn := c.Dial(t)
	conn.Send(t, Message{Target: HeldPath})
	WaitFor(t, "the request to arrive", func() bool { return len(app.Open()) == 1 })
	conn.Close()
	if r := c.Get(t, "/"); r.Status != 200 { // comes after the end of that connection
		t.Errorf("meanwhile: got %d", r.Status)
	}
	if len(app.Open()) != 1 {
		t.Error("the application gave up with its client")
	}
	app.Release()
	WaitFor(t, "the request to finish", func() bool { return len(app.Open()) == 0 })
}

func TestConnIsKeptAlive(t *testing.T) {
	app := NewApp(t, "kept")
	conn := Client{Addr: Loopback(app.Port), Host: "kept.test"}.Dial(t)
	defer conn.Close()
	for i := range 3 {
		if r := conn.Do(t, Message{Target: fmt.Sprintf("/%d", i)}); r.Status != 200 {
			t.Fatalf("request %d: got %d", i, r.Status)
		}
	}
}

func TestStableLeavesOutOnlyTheDate(t *testing.T) {
	h := NewHost(t)
	h.Nginx.Start(t)
	a := h.Client(t, "archive").Get(t, "/")
	b := a
	b.Header = a.Header.Clone()
	b.Header.Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT")
	if a.Stable() != b.Stable() {
		t.Error("a different Date makes a difference")
	}
	b.Header.Set("X-App", "other")
	if a.Stable() == b.Stable() {
		t.Error("a different header makes no difference")
	}
}

func TestNginxEndsWithAllItsWorkers(t *testing.T) {
	for _, how := range []struct {
		name string
		end  func(*Nginx, testing.TB)
	}{{"stop", (*Nginx).Stop}, {"kill", (*Nginx).Kill}} {
		t.Run(how.name, func(t *testing.T) {
			h := NewHost(t)
			h.Nginx.Start(t)
			master := h.Nginx.PID(t)
			held := h.Client(t, "demo").Dial(t) // a client that doesn't leave by itself
			defer held.Close()
			held.Send(t, Message{Target: HeldPath})
			how.end(h.Nginx, t)
			if running(t, master) {
				t.Error("processes of nginx are left")
			}
			if conn, err := net.Dial("tcp", Loopback(h.Block(t, "demo").Port)); err == nil {
				conn.Close()
				t.Error("the port still answers")
			}
			h.Nginx.Start(t) // the ports are free again
			if r := h.Client(t, "demo").Get(t, "/"); r.Status != 200 {
				t.Errorf("after a new start: got %d", r.Status)
			}
		})
	}
}

func TestNginxWorkersAreNotRoot(t *testing.T) {
	want := 403
	if os.Geteuid() != 0 {
		want = 200 // an ordinary user's nginx has that user's workers
	}
	n := NewNginx(t)
	port := Port(t)
	WriteSecret(t, n.Dir+"/www/secret.txt", "for its owner only")
	n.Configure(t, fmt.Sprintf("server { listen %s; root %s/www; }\n", Loopback(port), n.Dir))
	n.Start(t)
	c := Client{Addr: Loopback(port), Host: "secret.test"}
	if r := c.Get(t, "/secret.txt"); r.Status != want {
		t.Errorf("a file that only its owner can read: got %d, want %d\n%s", r.Status, want, n.ErrorLog(t))
	}
}

func TestPagesAreServedFromTheStore(t *testing.T) {
	h := NewHost(t)
	WriteFile(t, h.Store+"/demo/status.json", "{}\n")
	res, err := http.Get(h.PageURL + "/demo/status.json")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("got %d", res.StatusCode)
	}
}

func TestPortsAreNeverGivenTwice(t *testing.T) {
	seen := map[int]bool{}
	for range 200 {
		p := Port(t)
		if seen[p] {
			t.Fatalf("port %d was given twice", p)
		}
		seen[p] = true
	}
}
