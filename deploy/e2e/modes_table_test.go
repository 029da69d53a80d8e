package e2e

import (
	"fmt"
	"strings"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// modeRow is one request and what becomes of it.
type modeRow struct {
	name    string
	message rig.Message
	outcomes
	over string // "HTTP/2", "plain HTTP", or "" for HTTP/1 over TLS
}

// outcomes are those of one request: online and offline whoever sends it, and in admin mode with no token, with a
// user's, and with an administrator's.
type outcomes struct{ online, offline, anyone, user, administrator outcome }

// visitor is whose token comes with a request.
type visitor string

const (
	anyone        visitor = "anyone" // no token
	ordinaryUser  visitor = "a user"
	administrator visitor = "an administrator"
)

func (r modeRow) open(visitor) outcome   { return r.online }
func (r modeRow) closed(visitor) outcome { return r.offline }

func (r modeRow) admin(as visitor) outcome {
	return map[visitor]outcome{anyone: r.anyone, ordinaryUser: r.user, administrator: r.administrator}[as]
}

var (
	aPage      = outcomes{normal, toPage, toPage, toPage, normal}
	aCall      = outcomes{normal, refused, refused, refused, normal}
	aLoginPage = outcomes{normal, toPage, normal, normal, normal}
	aLoginCall = outcomes{normal, refused, normal, normal, normal}
	aPreflight = outcomes{normal, preflight, preflight, preflight, preflight}
	everywhere = func(o outcome) outcomes { return outcomes{o, o, o, o, o} }
)

var (
	tenMB         = strings.Repeat("u", 10<<20)
	oneChunk      = fmt.Sprintf("%x\r\n%s\r\n", 1<<20, tenMB[:1<<20])
	tenMBInChunks = strings.Repeat(oneChunk, 10) + noMoreChunks
)

const noMoreChunks = "0\r\n\r\n"

const graphQL = `{"query":"mutation { updateApplication(id: 1) { id } }"}`

// modeRows are the requests to a site, as browsers, scripts, certificate authorities and burglars send them.
func modeRows(h *rig.Host, b *rig.Block) []modeRow {
	origin := b.Origin()
	elsewhere := "https://elsewhere.example.test"
	method := func(method string, m rig.Message) rig.Message { m.Method = method; return m }
	post := func(target string) rig.Message {
		m := rig.Fetch(target, origin).With("Content-Type: application/json")
		m.Method, m.Body = "POST", graphQL
		return m
	}
	upload, chunked := rig.Upload(origin, 0), rig.Upload(origin, 0).With("Transfer-Encoding: chunked")
	upload.Body, chunked.Body = tenMB[:1<<20], oneChunk+noMoreChunks
	if b.Style == "container" {
		upload.Body, chunked.Body = tenMB, tenMBInChunks
	}
	form := rig.Navigation("/application/1").With("Content-Type: application/x-www-form-urlencoded", "Origin: "+origin)
	form.Method, form.Body = "POST", "status=submitted"
	oldForm := rig.OldNavigation("/application/1").With("Content-Type: application/x-www-form-urlencoded")
	oldForm.Method, oldForm.Body = "POST", "status=submitted"
	acme := rig.ACME().Target

	return []modeRow{
		// What people and their browsers do.
		{name: "navigation", message: rig.Navigation("/application/new"), outcomes: aPage},
		{name: "navigation to the first page", message: rig.Navigation("/"), outcomes: aPage},
		{name: "navigation without Sec-Fetch-Mode", message: rig.OldNavigation("/application/new?x=1"), outcomes: aPage},
		{name: "navigation that accepts HTML and nothing else", message: rig.Message{Target: "/application/new", Header: []string{"Accept: text/html"}}, outcomes: aPage},
		{name: "HEAD of a page", message: method("HEAD", rig.OldNavigation("/application/new")), outcomes: aPage},
		{name: "navigation over HTTP/1.0", message: rig.HTTP10(rig.OldNavigation("/")), outcomes: aPage},
		{name: "navigation over HTTP/2", message: rig.Navigation("/application/new"), outcomes: aPage, over: "HTTP/2"},
		{name: "HEAD of a navigation", message: method("HEAD", rig.Navigation("/application/new")), outcomes: aPage},
		{name: "navigation with an Upgrade", message: rig.Navigation("/application/new").With("Connection: Upgrade", "Upgrade: websocket"), outcomes: aPage},
		{name: "navigation by PUT", message: method("PUT", rig.Navigation("/application/new")), outcomes: aPage},
		{name: "navigation to a hidden file", message: rig.Navigation("/.env"), outcomes: aPage},
		{name: "navigation by a form", message: form, outcomes: aPage},
		{name: "navigation by a form, without Sec-Fetch-Mode", message: oldForm, outcomes: aCall},
		{name: "plain HTTP on the TLS port", message: rig.OldNavigation("/application/new"), outcomes: everywhere(secure), over: "plain HTTP"},

		// What scripts do.
		{name: "GraphQL", message: rig.GraphQL(origin), outcomes: aCall},
		{name: "GraphQL from another origin", message: rig.GraphQL(elsewhere), outcomes: aCall},
		{name: "GraphQL over HTTP/2", message: rig.GraphQL(origin), outcomes: aCall, over: "HTTP/2"},
		{name: "GraphQL over HTTP/1.0", message: rig.HTTP10(rig.GraphQL(origin)), outcomes: aCall},
		{name: "GraphQL of a browser without Sec-Fetch-Mode", message: method("POST", rig.Message{Target: "/server/graphql", Header: []string{"Accept: text/html, application/json"}, Body: graphQL}), outcomes: aCall},
		{name: "call without an Origin", message: rig.Message{Target: "/server/api/user-info"}, outcomes: aCall},
		{name: "HEAD without Accept", message: rig.Message{Method: "HEAD", Target: "/server/api/user-info"}, outcomes: aCall},
		{name: "fetch of a page by a script", message: rig.Fetch("/application/new", origin).With("Accept: text/html"), outcomes: aCall},
		{name: "XMLHttpRequest of a page", message: rig.OldNavigation("/application/new").With("X-Requested-With: XMLHttpRequest"), outcomes: aCall},
		{name: "GET that writes", message: rig.Fetch("/server/api/public/verify?uid=1", origin), outcomes: aCall},
		{name: "DELETE", message: method("DELETE", rig.Fetch("/server/api/files/1", origin)), outcomes: aCall},
		{name: "a method of its own", message: rig.Message{Method: "PURGE", Target: "/"}, outcomes: aCall},
		{name: "upload", message: upload, outcomes: aCall},
		{name: "upload in chunks", message: chunked, outcomes: aCall},
		{name: "WebSocket handshake", message: rig.Handshake("/websocket/", origin), outcomes: aCall},
		{name: "WebSocket handshake without Sec-Fetch-Mode", message: rig.OldNavigation("/websocket/").With(
			"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), outcomes: aCall},
		{name: "CORS preflight", message: rig.Preflight("/server/graphql", origin), outcomes: aPreflight},
		{name: "CORS preflight from another origin", message: rig.Preflight("/server/graphql", elsewhere), outcomes: aPreflight},
		{name: "OPTIONS without preflight headers", message: rig.Message{Method: "OPTIONS", Target: "/server/graphql", Header: []string{"Origin: " + origin}}, outcomes: aCall},

		// What logging in needs, and what only looks like it.
		{name: "login page", message: rig.Navigation("/login"), outcomes: aLoginPage},
		{name: "login page with a query", message: rig.Navigation("/login?next=/../server/graphql"), outcomes: aLoginPage},
		{name: "login page without Sec-Fetch-Mode", message: rig.OldNavigation("/login?next=/"), outcomes: aLoginPage},
		{name: "asset", message: rig.Fetch("/assets/app.js", origin), outcomes: aLoginCall},
		{name: "preferences", message: rig.Fetch("/server/api/public/get-prefs", origin), outcomes: aLoginCall},
		{name: "login", message: post("/server/api/public/login"), outcomes: aLoginCall},
		{name: "login by organisation", message: post("/server/api/login-org"), outcomes: aLoginCall},
		{name: "POST to the login page", message: post("/login"), outcomes: aCall},
		{name: "DELETE of an asset", message: method("DELETE", rig.Fetch("/assets/app.js", origin)), outcomes: aCall},
		{name: "WebSocket handshake at the login page", message: rig.Handshake("/login", origin), outcomes: aCall},
		{name: "/login and ..", message: rig.Navigation("/login/../application/1"), outcomes: aPage},
		{name: "/login and %2e%2e", message: rig.Navigation("/login/%2e%2e/application/1"), outcomes: aPage},
		{name: "/login and ..%2f", message: rig.Navigation("/login/..%2fapplication/1"), outcomes: aPage},
		{name: "/login;", message: rig.Navigation("/login;x=/../application"), outcomes: aPage},
		{name: "//login", message: rig.Navigation("//login"), outcomes: aPage},
		{name: "/login//x", message: rig.Navigation("/login//x"), outcomes: aPage},
		{name: "/login#", message: rig.Navigation("/login#/../server/graphql"), outcomes: aPage},
		{name: "/login%3f", message: rig.Navigation("/login%3f/../application"), outcomes: aPage},
		{name: "/%6cogin", message: rig.Navigation("/%6cogin"), outcomes: aPage},
		{name: "/assets/ and %2e%2e", message: post("/assets/%2e%2e/server/graphql"), outcomes: aCall},
		{name: "/assets/ and .. by GET", message: rig.Fetch("/assets/../server/api/user-info", origin), outcomes: aCall},
		{name: "/assets/ and %2f", message: rig.Fetch("/assets/..%2fserver/api/user-info", origin), outcomes: aCall},
		{name: "/assets/ and a backslash", message: rig.Fetch(`/assets/..\server/api/user-info`, origin), outcomes: aCall},
		{name: "/assets/..;", message: rig.Fetch("/assets/..;/server/api/user-info", origin), outcomes: aCall},
		{name: "login and %2e%2e", message: post("/server/api/public/login/%2e%2e/%2e%2e/%2e%2e/graphql"), outcomes: aCall},
		{name: "language and ..%2f", message: rig.Fetch("/server/api/public/language/..%2f..%2fuser-info", origin), outcomes: aCall},

		// Certificates are renewed in every mode, and nothing rides on that.
		{name: "ACME challenge", message: rig.ACME(), outcomes: everywhere(normal)},
		{name: "ACME challenge by navigation", message: rig.Navigation(acme), outcomes: everywhere(normal)},
		{name: "ACME challenge by navigation without Sec-Fetch-Mode", message: rig.OldNavigation(acme), outcomes: everywhere(normal)},
		{name: "ACME challenge over HTTP/1.0", message: rig.HTTP10(rig.ACME()), outcomes: everywhere(normal)},
		{name: "ACME challenge in absolute form", message: rig.Absolute(rig.ACME(), "https", rig.Hostname), outcomes: everywhere(normal)},
		{name: "HEAD of the ACME challenge", message: method("HEAD", rig.ACME()), outcomes: everywhere(normal)},
		{name: "ACME challenge by POST", message: post(acme), outcomes: aCall},
		{name: "ACME challenge as a WebSocket", message: rig.Handshake(acme, origin), outcomes: aCall},
		{name: "ACME challenge with a query", message: rig.Fetch(acme+"?x=1", origin), outcomes: aCall},
		{name: "ACME challenge by POST that says GET", message: post(acme + "|GET|||"), outcomes: aCall},
		{name: "ACME challenge and a separator", message: rig.Fetch(acme+"|GET", origin), outcomes: aCall},
		{name: "ACME directory", message: rig.Fetch("/.well-known/acme-challenge/", origin), outcomes: aCall},
		{name: "ACME and ..", message: rig.Fetch("/.well-known/acme-challenge/../../server/api/user-info", origin), outcomes: aCall},
		{name: "ACME and .. by POST", message: post("/.well-known/acme-challenge/../../server/graphql"), outcomes: aCall},
		{name: "ACME and %2e%2e", message: rig.Fetch("/.well-known/acme-challenge/%2e%2e/%2e%2e/server/api/user-info", origin), outcomes: aCall},
		{name: "ACME and %2f", message: rig.Fetch("/.well-known/acme-challenge/..%2f..%2fserver/api/user-info", origin), outcomes: aCall},
		{name: "ACME and //", message: rig.Fetch("/.well-known//acme-challenge/"+rig.ACMEToken, origin), outcomes: aCall},
		{name: "ACME and ;", message: rig.Fetch(acme+";/../../server", origin), outcomes: aCall},
		{name: "ACME, encoded", message: rig.Fetch("/%2ewell-known/acme-challenge/"+rig.ACMEToken, origin), outcomes: aCall},
		{name: "ACME inside something else", message: rig.Fetch("/server"+acme, origin), outcomes: aCall},

		// Our own paths.
		{name: "status.json", message: rig.Fetch("/.conforma-status/status.json", origin), outcomes: everywhere(own)},
		{name: "status.json with a query", message: rig.Fetch("/.conforma-status/status.json?at=1", origin), outcomes: everywhere(own)},
		{name: "status.json by navigation", message: rig.Navigation("/.conforma-status/status.json"), outcomes: everywhere(own)},
		{name: "status.json over HTTP/2", message: rig.Fetch("/.conforma-status/status.json", origin), outcomes: everywhere(own), over: "HTTP/2"},
		{name: "HEAD of status.json", message: method("HEAD", rig.Fetch("/.conforma-status/status.json", origin)), outcomes: everywhere(own)},
		{name: "probe from this machine", message: rig.Message{Target: "/.conforma-status/probe"}, outcomes: everywhere(probed)},
		{name: "POST to status.json", message: post("/.conforma-status/status.json"), outcomes: outcomes{kept, refused, refused, kept, kept}},
		{name: "POST to status.json that says GET", message: post("/.conforma-status/status.json?|GET|"), outcomes: outcomes{kept, refused, refused, kept, kept}},
		{name: "status.json, encoded", message: rig.Fetch("/%2econforma-status/status.json", origin), outcomes: outcomes{own, refused, refused, own, own}},
		{name: "status.json and ..", message: rig.Fetch("/.conforma-status/status.json/../../server/api/user-info", origin), outcomes: aCall},
		{name: "status.json and .. by POST", message: post("/.conforma-status/../server/graphql"), outcomes: aCall},
		{name: "status.json and %2f", message: rig.Fetch("/.conforma-status/status.json%2f..%2f..%2fserver/api/user-info", origin), outcomes: aCall},
		{name: "status.json and ;", message: rig.Fetch("/.conforma-status/status.json;/../../server/api/user-info", origin), outcomes: aCall},
		{name: "probe and ..", message: post("/.conforma-status/probe/../../server/graphql"), outcomes: aCall},
		{name: "the body of the 503 itself", message: rig.Fetch("/.conforma-status/503", origin), outcomes: everywhere(none)},
		{name: "the answers' own paths, and on", message: post("/.conforma-status/503/../../server/graphql"), outcomes: aCall},
		{name: "the gate's own path, and on", message: post("/.conforma-status/auth/%2e%2e/%2e%2e/server/graphql"), outcomes: aCall},
		{name: "the refusal's own path, and on", message: post("/.conforma-status/denied/../../server/graphql"), outcomes: aCall},

		// Paths that are read in more than one way.
		{name: "GraphQL and ..", message: post("/x/../server/graphql"), outcomes: aCall},
		{name: "GraphQL and //", message: post("//server//graphql"), outcomes: aCall},
		{name: "GraphQL and %2f", message: post("/server%2fgraphql"), outcomes: aCall},
		{name: "GraphQL and ;", message: post("/server/graphql;jsessionid=1"), outcomes: aCall},
		{name: "GraphQL, encoded", message: post("/%73erver/%67raphql"), outcomes: aCall},
		{name: "GraphQL in absolute form", message: rig.Absolute(rig.GraphQL(origin), "https", rig.Hostname), outcomes: aCall},
		{name: "GraphQL in absolute form of another host", message: rig.Absolute(rig.GraphQL(origin), "http", "other.test"), outcomes: aCall},
		{name: "navigation in absolute form", message: rig.Absolute(rig.Navigation("/application/new"), "https", rig.Hostname), outcomes: aPage},
		{name: "above the root", message: rig.Navigation("/../server/graphql"), outcomes: everywhere(bad)},
		{name: "a NUL", message: rig.Navigation("/login%00"), outcomes: everywhere(bad)},
	}
}
