package rig

import (
	"fmt"
	"slices"
	"strings"
)

// The requests that matter to a site in front of Conforma, as browsers and scripts send them. A test
// adds a token, a cookie or whatever else with Message.With.

const browserAccept = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// Navigation is a page load in a current browser, which says so over HTTPS.
func Navigation(target string) Message {
	return Message{Target: target, Header: []string{
		browserAccept, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: none",
		"Upgrade-Insecure-Requests: 1",
	}}
}

// OldNavigation is a page load in a browser that sends no Sec-Fetch-Mode, or over plain HTTP.
func OldNavigation(target string) Message {
	return Message{Target: target, Header: []string{browserAccept}}
}

// Fetch is a request by a script on the page at origin.
func Fetch(target, origin string) Message {
	return Message{Target: target, Header: []string{
		"Accept: */*", "Origin: " + origin, "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Sec-Fetch-Site: same-origin",
	}}
}

// GraphQL is a query as Apollo posts it.
func GraphQL(origin string) Message {
	m := Fetch("/server/graphql?dev=getApplications", origin).With("Content-Type: application/json")
	m.Method, m.Body = "POST", `{"operationName":"getApplications","variables":{},"query":"query getApplications { applications { nodes { id } } }"}`
	return m
}

// Upload posts a file of so many bytes.
func Upload(origin string, size int) Message {
	m := Fetch("/server/api/upload", origin).With("Content-Type: application/octet-stream")
	m.Method, m.Body = "POST", strings.Repeat("u", size)
	return m
}

// Handshake asks for a WebSocket. The key is the one of RFC 6455, section 1.3.
func Handshake(target, origin string) Message {
	return Message{Target: target, Header: []string{
		"Connection: Upgrade", "Upgrade: websocket", "Origin: " + origin,
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-Fetch-Mode: websocket", "Sec-Fetch-Dest: websocket",
	}}
}

// Preflight is what a browser asks before a cross-origin POST with a token (Fetch standard, CORS protocol).
func Preflight(target, origin string) Message {
	return Message{Method: "OPTIONS", Target: target, Header: []string{
		"Accept: */*", "Origin: " + origin, "Sec-Fetch-Mode: cors",
		"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type",
	}}
}

// ACME is the certificate authority's HTTP-01 validation (RFC 8555, section 8.3).
func ACME() Message {
	return Message{Target: "/.well-known/acme-challenge/" + ACMEToken, Header: []string{"Accept: */*"}}
}

// Program is m as a program sends it, which says nothing of where its request comes from.
func Program(m Message) Message {
	m.Header = slices.DeleteFunc(slices.Clone(m.Header), func(line string) bool {
		return strings.HasPrefix(line, "Sec-Fetch-") || strings.HasPrefix(line, "Origin:") || strings.HasPrefix(line, "Referer:")
	})
	return m
}

// HTTP10 is m as a client of HTTP/1.0 sends it.
func HTTP10(m Message) Message {
	m.Proto = "HTTP/1.0"
	return m
}

// Absolute is m with its target in absolute form, as a client sends it to a proxy (RFC 9112, section 3.2.2).
func Absolute(m Message, scheme, host string) Message {
	m.Target = fmt.Sprintf("%s://%s%s", scheme, host, m.Target)
	return m
}

// Post is a write that brings whatever it is given.
func Post(header ...string) Message {
	return Message{Method: "POST", Target: "/server/graphql", Header: header, Body: "{}"}
}
