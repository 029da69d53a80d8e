package modes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/answers"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// outcomes are those of one request, in the order of the fields.
func outcomes(online, offline, anyone, user, administrator answers.Outcome) answers.Outcomes {
	return answers.Outcomes{Online: online, Offline: offline, Anyone: anyone, User: user, Administrator: administrator}
}

var (
	aPage      = outcomes(answers.Normal, answers.ToPage, answers.ToPage, answers.ToPage, answers.Normal)
	aCall      = outcomes(answers.Normal, answers.Refused, answers.Refused, answers.Refused, answers.Normal)
	aLoginPage = outcomes(answers.Normal, answers.ToPage, answers.Normal, answers.Normal, answers.Normal)
	aLoginCall = outcomes(answers.Normal, answers.Refused, answers.Normal, answers.Normal, answers.Normal)
	aPreflight = outcomes(answers.Normal, answers.Preflight, answers.Preflight, answers.Preflight, answers.Preflight)
	everywhere = func(o answers.Outcome) answers.Outcomes { return outcomes(o, o, o, o, o) }
)

var (
	tenMB         = strings.Repeat("u", 10<<20)
	oneChunk      = fmt.Sprintf("%x\r\n%s\r\n", 1<<20, tenMB[:1<<20])
	tenMBInChunks = strings.Repeat(oneChunk, 10) + noMoreChunks
)

const noMoreChunks = "0\r\n\r\n"

const graphQL = `{"query":"mutation { updateApplication(id: 1) { id } }"}`

// requests are the requests to a site, as browsers, scripts, certificate authorities and burglars send them.
func requests(b *rig.Block) []answers.Request {
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
	accepting := func(target, accept string) rig.Message {
		return rig.Message{Target: target, Header: []string{"Accept: " + accept}}
	}
	form := rig.Navigation("/application/1").With("Content-Type: application/x-www-form-urlencoded", "Origin: "+origin)
	form.Method, form.Body = "POST", "status=submitted"
	oldForm := rig.OldNavigation("/application/1").With("Content-Type: application/x-www-form-urlencoded")
	oldForm.Method, oldForm.Body = "POST", "status=submitted"
	acme := rig.ACME().Target
	challenge := everywhere(answers.Normal)
	if b.Style != "container" && rig.HasBarrier() { // where nginx has a file of its own for it, it goes on
		challenge.Offline = answers.Barred
	}

	ours := everywhere(answers.None)
	ours.Offline = answers.Refused

	all := []answers.Request{
		// What people and their browsers do.
		{Name: "navigation", Message: rig.Navigation("/application/new"), Outcomes: aPage},
		{Name: "navigation to the first page", Message: rig.Navigation("/"), Outcomes: aPage},
		{Name: "navigation without Sec-Fetch-Mode", Message: rig.OldNavigation("/application/new?x=1"), Outcomes: aPage},
		{Name: "navigation that accepts HTML and nothing else", Message: rig.Message{Target: "/application/new", Header: []string{"Accept: text/html"}}, Outcomes: aPage},
		{Name: "navigation by a service worker of Firefox", Message: rig.Message{Target: "/application/new?x=1", Header: []string{"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
			"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: same-origin", "Sec-Fetch-Site: same-origin", "Upgrade-Insecure-Requests: 1"}}, Outcomes: aPage},
		{Name: "fetch of the same origin alone", Message: rig.Message{Target: "/application/new", Header: []string{"Accept: text/html", "Sec-Fetch-Mode: same-origin"}}, Outcomes: aCall},
		{Name: "HEAD of a page", Message: method("HEAD", rig.OldNavigation("/application/new")), Outcomes: aPage},
		{Name: "navigation over HTTP/1.0", Message: rig.HTTP10(rig.OldNavigation("/")), Outcomes: aPage},
		{Name: "navigation over HTTP/2", Message: rig.Navigation("/application/new"), Outcomes: aPage, Over: "HTTP/2"},
		{Name: "HEAD of a navigation", Message: method("HEAD", rig.Navigation("/application/new")), Outcomes: aPage},
		{Name: "navigation with an Upgrade", Message: rig.Navigation("/application/new").With("Connection: Upgrade", "Upgrade: websocket"), Outcomes: aPage},
		{Name: "navigation by PUT", Message: method("PUT", rig.Navigation("/application/new")), Outcomes: aPage},
		{Name: "navigation to a hidden file", Message: rig.Navigation("/.env"), Outcomes: aPage},
		{Name: "navigation by a form", Message: form, Outcomes: aPage},
		{Name: "navigation by a form, without Sec-Fetch-Mode", Message: oldForm, Outcomes: aCall},
		{Name: "navigation of w3m", Message: accepting("/application/new", "text/html, text/*;q=0.5, image/*, application/*"), Outcomes: aPage},
		{Name: "navigation of lynx", Message: accepting("/application/new", "text/html, text/plain, text/sgml, text/css, application/xhtml+xml, */*;q=0.01"), Outcomes: aPage},
		{Name: "navigation that names html last", Message: accepting("/application/new", "application/xml;q=0.9,image/png,application/xhtml+xml,text/html;q=0.9"), Outcomes: aPage},
		{Name: "plain HTTP on the TLS port", Message: rig.OldNavigation("/application/new"), Outcomes: everywhere(answers.Secure), Over: "plain HTTP"},

		// What programs do.
		{Name: "Java", Message: accepting("/application/new", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"), Outcomes: aCall},
		{Name: "Java, as it is now", Message: accepting("/application/new", "text/html, image/gif, image/jpeg, */*; q=0.2"), Outcomes: aCall},
		{Name: "a feed reader", Message: accepting("/feed", "application/atom+xml, application/rss+xml, application/rdf+xml;q=0.9, application/xml;q=0.8, text/xml;q=0.8, text/html;q=0.7, */*;q=0.1"), Outcomes: aCall},
		{Name: "a feed reader that names html first", Message: accepting("/feed", "text/html,application/xhtml+xml,application/rss+xml;q=0.9"), Outcomes: aCall},
		{Name: "a monitor", Message: accepting("/", "*/*"), Outcomes: aCall},
		{Name: "a monitor that accepts any text", Message: accepting("/", "text/*"), Outcomes: aCall},
		{Name: "a monitor that says nothing", Message: rig.HTTP10(rig.Message{Target: "/"}), Outcomes: aCall},
		{Name: "a client that prefers JSON", Message: accepting("/", "application/json, text/html;q=0.9"), Outcomes: aCall},
		{Name: "a webhook", Message: rig.Message{Method: "POST", Target: "/hook", Header: []string{"Accept: text/html", "Content-Type: application/json"}, Body: "{}"}, Outcomes: aCall},
		{Name: "robots.txt for a crawler", Message: rig.OldNavigation("/robots.txt"), Outcomes: aLoginCall},
		{Name: "robots.txt by navigation", Message: rig.Navigation("/robots.txt?x=1"), Outcomes: aLoginCall},
		{Name: "favicon.ico", Message: rig.OldNavigation("/favicon.ico"), Outcomes: aLoginCall},
		{Name: "robots.txt of something else", Message: rig.Navigation("/x/robots.txt"), Outcomes: aPage},

		// What scripts do.
		{Name: "GraphQL", Message: rig.GraphQL(origin), Outcomes: aCall},
		{Name: "GraphQL from another origin", Message: rig.GraphQL(elsewhere), Outcomes: aCall},
		{Name: "GraphQL over HTTP/2", Message: rig.GraphQL(origin), Outcomes: aCall, Over: "HTTP/2"},
		{Name: "GraphQL over HTTP/1.0", Message: rig.HTTP10(rig.GraphQL(origin)), Outcomes: aCall},
		{Name: "GraphQL of a browser without Sec-Fetch-Mode", Message: method("POST", rig.Message{Target: "/server/graphql", Header: []string{"Accept: text/html, application/json"}, Body: graphQL}), Outcomes: aCall},
		{Name: "call without an Origin", Message: rig.Message{Target: "/server/api/user-info"}, Outcomes: aCall},
		{Name: "HEAD without Accept", Message: rig.Message{Method: "HEAD", Target: "/server/api/user-info"}, Outcomes: aCall},
		{Name: "fetch of a page by a script", Message: rig.Fetch("/application/new", origin).With("Accept: text/html"), Outcomes: aCall},
		{Name: "XMLHttpRequest of a page", Message: rig.OldNavigation("/application/new").With("X-Requested-With: XMLHttpRequest"), Outcomes: aCall},
		{Name: "GET that writes", Message: rig.Fetch("/server/api/public/verify?uid=1", origin), Outcomes: aCall},
		{Name: "DELETE", Message: method("DELETE", rig.Fetch("/server/api/files/1", origin)), Outcomes: aCall},
		{Name: "a method of its own", Message: rig.Message{Method: "PURGE", Target: "/"}, Outcomes: aCall},
		{Name: "upload", Message: upload, Outcomes: aCall},
		{Name: "upload in chunks", Message: chunked, Outcomes: aCall},
		{Name: "WebSocket handshake", Message: rig.Handshake("/websocket/", origin), Outcomes: aCall},
		{Name: "WebSocket handshake without Sec-Fetch-Mode", Message: rig.OldNavigation("/websocket/").With(
			"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), Outcomes: aCall},
		{Name: "CORS preflight", Message: rig.Preflight("/server/graphql", origin), Outcomes: aPreflight},
		{Name: "CORS preflight from another origin", Message: rig.Preflight("/server/graphql", elsewhere), Outcomes: aPreflight},
		{Name: "OPTIONS without preflight headers", Message: rig.Message{Method: "OPTIONS", Target: "/server/graphql", Header: []string{"Origin: " + origin}}, Outcomes: aCall},

		// What logging in needs, and what only looks like it.
		{Name: "login page", Message: rig.Navigation("/login"), Outcomes: aLoginPage},
		{Name: "login page with a query", Message: rig.Navigation("/login?next=/../server/graphql"), Outcomes: aLoginPage},
		{Name: "login page without Sec-Fetch-Mode", Message: rig.OldNavigation("/login?next=/"), Outcomes: aLoginPage},
		{Name: "asset", Message: rig.Fetch("/assets/app.js", origin), Outcomes: aLoginCall},
		{Name: "preferences", Message: rig.Fetch("/server/api/public/get-prefs", origin), Outcomes: aLoginCall},
		{Name: "login", Message: post("/server/api/public/login"), Outcomes: aLoginCall},
		{Name: "login by organisation", Message: post("/server/api/login-org"), Outcomes: aLoginCall},
		{Name: "POST to the login page", Message: post("/login"), Outcomes: aCall},
		{Name: "DELETE of an asset", Message: method("DELETE", rig.Fetch("/assets/app.js", origin)), Outcomes: aCall},
		{Name: "WebSocket handshake at the login page", Message: rig.Handshake("/login", origin), Outcomes: aCall},
		{Name: "/login and ..", Message: rig.Navigation("/login/../application/1"), Outcomes: aPage},
		{Name: "/login and %2e%2e", Message: rig.Navigation("/login/%2e%2e/application/1"), Outcomes: aPage},
		{Name: "/login and ..%2f", Message: rig.Navigation("/login/..%2fapplication/1"), Outcomes: aPage},
		{Name: "/login;", Message: rig.Navigation("/login;x=/../application"), Outcomes: aPage},
		{Name: "//login", Message: rig.Navigation("//login"), Outcomes: aPage},
		{Name: "/login//x", Message: rig.Navigation("/login//x"), Outcomes: aPage},
		{Name: "/login#", Message: rig.Navigation("/login#/../server/graphql"), Outcomes: aPage},
		{Name: "/login%3f", Message: rig.Navigation("/login%3f/../application"), Outcomes: aPage},
		{Name: "/%6cogin", Message: rig.Navigation("/%6cogin"), Outcomes: aPage},
		{Name: "/assets/ and %2e%2e", Message: post("/assets/%2e%2e/server/graphql"), Outcomes: aCall},
		{Name: "/assets/ and .. by GET", Message: rig.Fetch("/assets/../server/api/user-info", origin), Outcomes: aCall},
		{Name: "/assets/ and %2f", Message: rig.Fetch("/assets/..%2fserver/api/user-info", origin), Outcomes: aCall},
		{Name: "/assets/ and a backslash", Message: rig.Fetch(`/assets/..\server/api/user-info`, origin), Outcomes: aCall},
		{Name: "/assets/..;", Message: rig.Fetch("/assets/..;/server/api/user-info", origin), Outcomes: aCall},
		{Name: "login and %2e%2e", Message: post("/server/api/public/login/%2e%2e/%2e%2e/%2e%2e/graphql"), Outcomes: aCall},
		{Name: "language and ..%2f", Message: rig.Fetch("/server/api/public/language/..%2f..%2fuser-info", origin), Outcomes: aCall},

		// Certificates are renewed in every mode, and nothing rides on that.
		{Name: "ACME challenge", Message: rig.ACME(), Outcomes: challenge},
		{Name: "ACME challenge by navigation", Message: rig.Navigation(acme), Outcomes: challenge},
		{Name: "ACME challenge by navigation without Sec-Fetch-Mode", Message: rig.OldNavigation(acme), Outcomes: challenge},
		{Name: "ACME challenge over HTTP/1.0", Message: rig.HTTP10(rig.ACME()), Outcomes: challenge},
		{Name: "ACME challenge in absolute form", Message: rig.Absolute(rig.ACME(), "https", rig.Hostname), Outcomes: challenge},
		{Name: "HEAD of the ACME challenge", Message: method("HEAD", rig.ACME()), Outcomes: challenge},
		{Name: "ACME challenge by POST", Message: post(acme), Outcomes: aCall},
		{Name: "ACME challenge as a WebSocket", Message: rig.Handshake(acme, origin), Outcomes: aCall},
		{Name: "ACME challenge with a query", Message: rig.Fetch(acme+"?x=1", origin), Outcomes: aCall},
		{Name: "ACME challenge by POST that says GET", Message: post(acme + "|GET|||"), Outcomes: aCall},
		{Name: "ACME challenge and a separator", Message: rig.Fetch(acme+"|GET", origin), Outcomes: aCall},
		{Name: "ACME directory", Message: rig.Fetch("/.well-known/acme-challenge/", origin), Outcomes: aCall},
		{Name: "ACME and ..", Message: rig.Fetch("/.well-known/acme-challenge/../../server/api/user-info", origin), Outcomes: aCall},
		{Name: "ACME and .. by POST", Message: post("/.well-known/acme-challenge/../../server/graphql"), Outcomes: aCall},
		{Name: "ACME and %2e%2e", Message: rig.Fetch("/.well-known/acme-challenge/%2e%2e/%2e%2e/server/api/user-info", origin), Outcomes: aCall},
		{Name: "ACME and %2f", Message: rig.Fetch("/.well-known/acme-challenge/..%2f..%2fserver/api/user-info", origin), Outcomes: aCall},
		{Name: "ACME and //", Message: rig.Fetch("/.well-known//acme-challenge/"+rig.ACMEToken, origin), Outcomes: aCall},
		{Name: "ACME and ;", Message: rig.Fetch(acme+";/../../server", origin), Outcomes: aCall},
		{Name: "ACME, encoded", Message: rig.Fetch("/%2ewell-known/acme-challenge/"+rig.ACMEToken, origin), Outcomes: aCall},
		{Name: "ACME inside something else", Message: rig.Fetch("/server"+acme, origin), Outcomes: aCall},

		// Our own paths.
		{Name: "status.json", Message: rig.Fetch("/.conforma-status/status.json", origin), Outcomes: everywhere(answers.Own)},
		{Name: "status.json with a query", Message: rig.Fetch("/.conforma-status/status.json?at=1", origin), Outcomes: everywhere(answers.Own)},
		{Name: "status.json by navigation", Message: rig.Navigation("/.conforma-status/status.json"), Outcomes: everywhere(answers.Own)},
		{Name: "status.json over HTTP/2", Message: rig.Fetch("/.conforma-status/status.json", origin), Outcomes: everywhere(answers.Own), Over: "HTTP/2"},
		{Name: "HEAD of status.json", Message: method("HEAD", rig.Fetch("/.conforma-status/status.json", origin)), Outcomes: everywhere(answers.Own)},
		{Name: "probe from this machine", Message: rig.Message{Target: "/.conforma-status/probe"}, Outcomes: everywhere(answers.Probed)},
		{Name: "health", Message: rig.Message{Target: "/.conforma-status/health"}, Outcomes: everywhere(answers.Healthy)},
		{Name: "HEAD of health", Message: method("HEAD", rig.Message{Target: "/.conforma-status/health?from=balancer"}), Outcomes: everywhere(answers.Healthy)},
		{Name: "the service worker", Message: rig.Message{Target: "/.conforma-status/sw.js", Header: []string{"Service-Worker: script", "Sec-Fetch-Mode: same-origin", "Sec-Fetch-Dest: serviceworker"}}, Outcomes: everywhere(answers.Worker)},
		{Name: "HEAD of the service worker", Message: method("HEAD", rig.Navigation("/.conforma-status/sw.js?x=1")), Outcomes: everywhere(answers.Worker)},
		{Name: "the service worker and ..", Message: post("/.conforma-status/sw.js/../../server/graphql"), Outcomes: aCall},
		{Name: "POST to health", Message: post("/.conforma-status/health"), Outcomes: outcomes(answers.Kept, answers.Refused, answers.Refused, answers.Kept, answers.Kept)},
		{Name: "health and ..", Message: post("/.conforma-status/health/../../server/graphql"), Outcomes: aCall},
		{Name: "POST to status.json", Message: post("/.conforma-status/status.json"), Outcomes: outcomes(answers.Kept, answers.Refused, answers.Refused, answers.Kept, answers.Kept)},
		{Name: "POST to status.json that says GET", Message: post("/.conforma-status/status.json?|GET|"), Outcomes: outcomes(answers.Kept, answers.Refused, answers.Refused, answers.Kept, answers.Kept)},
		{Name: "status.json, encoded", Message: rig.Fetch("/%2econforma-status/status.json", origin), Outcomes: outcomes(answers.Own, answers.Refused, answers.Refused, answers.Own, answers.Own)},
		{Name: "status.json and ..", Message: rig.Fetch("/.conforma-status/status.json/../../server/api/user-info", origin), Outcomes: aCall},
		{Name: "status.json and .. by POST", Message: post("/.conforma-status/../server/graphql"), Outcomes: aCall},
		{Name: "status.json and %2f", Message: rig.Fetch("/.conforma-status/status.json%2f..%2f..%2fserver/api/user-info", origin), Outcomes: aCall},
		{Name: "status.json and ;", Message: rig.Fetch("/.conforma-status/status.json;/../../server/api/user-info", origin), Outcomes: aCall},
		{Name: "probe and ..", Message: post("/.conforma-status/probe/../../server/graphql"), Outcomes: aCall},
		{Name: "the body of the 503 itself", Message: rig.Fetch("/.conforma-status/503", origin), Outcomes: ours},
		{Name: "the body of the 503 itself by POST, with a query", Message: post("/.conforma-status/503?x=1"), Outcomes: ours},
		{Name: "the answers' own paths, and on", Message: post("/.conforma-status/503/../../server/graphql"), Outcomes: aCall},
		{Name: "the gate's own path, and on", Message: post("/.conforma-status/auth/%2e%2e/%2e%2e/server/graphql"), Outcomes: aCall},
		{Name: "the refusal's own path, and on", Message: post("/.conforma-status/denied/../../server/graphql"), Outcomes: aCall},

		// Paths that are read in more than one way.
		{Name: "GraphQL and ..", Message: post("/x/../server/graphql"), Outcomes: aCall},
		{Name: "GraphQL and //", Message: post("//server//graphql"), Outcomes: aCall},
		{Name: "GraphQL and %2f", Message: post("/server%2fgraphql"), Outcomes: aCall},
		{Name: "GraphQL and ;", Message: post("/server/graphql;jsessionid=1"), Outcomes: aCall},
		{Name: "GraphQL, encoded", Message: post("/%73erver/%67raphql"), Outcomes: aCall},
		{Name: "GraphQL in absolute form", Message: rig.Absolute(rig.GraphQL(origin), "https", rig.Hostname), Outcomes: aCall},
		{Name: "GraphQL in absolute form of another host", Message: rig.Absolute(rig.GraphQL(origin), "http", "other.test"), Outcomes: aCall},
		{Name: "navigation in absolute form", Message: rig.Absolute(rig.Navigation("/application/new"), "https", rig.Hostname), Outcomes: aPage},
		{Name: "above the root", Message: rig.Navigation("/../server/graphql"), Outcomes: everywhere(answers.Bad)},
		{Name: "a NUL", Message: rig.Navigation("/login%00"), Outcomes: everywhere(answers.Bad)},
	}
	if b.Style == "conforma" { // which speaks no HTTP/2
		return slices.DeleteFunc(all, func(r answers.Request) bool { return r.Over == "HTTP/2" })
	}
	return all
}
