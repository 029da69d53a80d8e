package rig

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Client talks to one server, byte for byte as it is told to.
type Client struct {
	Addr  string      // host:port that is dialled
	Host  string      // what a request's Host header says unless it has one of its own
	TLS   *tls.Config // nil for plain HTTP
	From  string      // the address of this machine that it comes from; default: the kernel's choice
	First string      // what it says before all else, as a proxy does
}

// Message is a request as it is written to the wire. The zero value is "GET / HTTP/1.1".
type Message struct {
	Method string   // default GET
	Target string   // written as it is, never cleaned; default "/"
	Proto  string   // default "HTTP/1.1"
	Header []string // "Name: value", in this order; Host is added in front where there is none
	Body   string   // with its Content-Length unless the header has one or a Transfer-Encoding
}

// With returns a copy of m with further header lines.
func (m Message) With(header ...string) Message {
	m.Header = append(slices.Clone(m.Header), header...)
	return m
}

// Response is an answer that was read to its end.
type Response struct {
	Proto  string
	Status int
	Header http.Header
	Body   string
}

// Stable returns the response as text without its Date, the one thing in which two equal answers differ.
func (r Response) Stable() string {
	h := r.Header.Clone()
	h.Del("Date")
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d\n", r.Proto, r.Status)
	_ = h.Write(&b) // a strings.Builder takes everything
	b.WriteString("\n" + r.Body)
	return b.String()
}

// Do sends m on a connection of its own and returns the answer.
func (c Client) Do(tb testing.TB, m Message) Response {
	tb.Helper()
	conn := c.Dial(tb)
	defer conn.Close()
	if !m.has("Connection") {
		m = m.With("Connection: close")
	}
	return conn.Do(tb, m)
}

// Get sends GET target with the given header lines.
func (c Client) Get(tb testing.TB, target string, header ...string) Response {
	tb.Helper()
	return c.Do(tb, Message{Target: target, Header: header})
}

// Conn is a connection that is kept for several requests.
type Conn struct {
	net.Conn
	host   string
	reader *bufio.Reader
}

// Dial connects, and shakes hands where there is TLS. The caller closes the connection.
func (c Client) Dial(tb testing.TB) *Conn {
	tb.Helper()
	conn, err := c.dial("http/1.1")
	if err != nil {
		tb.Fatalf("rig: connect to %s: %v", c.Addr, err)
	}
	return &Conn{Conn: conn, host: c.Host, reader: bufio.NewReader(conn)}
}

// dial connects and offers the application protocol.
func (c Client) dial(proto string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: Patience}
	if c.From != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(c.From)}
	}
	conn, err := dialer.Dial("tcp", c.Addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, c.First); err != nil {
		return nil, err
	}
	if c.TLS == nil {
		return conn, nil
	}
	conf := c.TLS.Clone()
	conf.NextProtos = []string{proto}
	conf.CurvePreferences = []tls.CurveID{tls.X25519} // the quickest: there are thousands of connections
	secure := tls.Client(conn, conf)
	if err := secure.Handshake(); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// DialContext is a DialContext of an http.Transport's, without TLS.
func (c Client) DialContext(context.Context, string, string) (net.Conn, error) {
	return c.dial("http/1.1")
}

// Do sends m and reads the answer to its end, leaving the connection open where the server does.
func (c *Conn) Do(tb testing.TB, m Message) Response {
	tb.Helper()
	c.Send(tb, m)
	return c.Receive(tb, m)
}

// Send writes m without waiting for an answer. It may be only a part of what its Content-Length says.
func (c *Conn) Send(tb testing.TB, m Message) {
	tb.Helper()
	c.extend(tb)
	if _, err := io.WriteString(c, m.wire(c.host)); err != nil {
		tb.Fatalf("rig: send %s %s: %v", m.Method, m.Target, err)
	}
}

// Receive reads the answer to m.
func (c *Conn) Receive(tb testing.TB, m Message) Response {
	tb.Helper()
	c.extend(tb)
	m = m.withDefaults()
	res, err := http.ReadResponse(c.reader, &http.Request{Method: m.Method})
	if err != nil {
		tb.Fatalf("rig: read the answer to %s %s: %v", m.Method, m.Target, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatalf("rig: read the answer to %s %s: %v", m.Method, m.Target, err)
	}
	return Response{Proto: res.Proto, Status: res.StatusCode, Header: res.Header, Body: string(body)}
}

// extend gives the next step on the connection its full time.
func (c *Conn) extend(tb testing.TB) {
	tb.Helper()
	if err := c.SetDeadline(time.Now().Add(Patience)); err != nil {
		tb.Fatalf("rig: %v", err)
	}
}

func (m Message) withDefaults() Message {
	if m.Method == "" {
		m.Method = "GET"
	}
	if m.Target == "" {
		m.Target = "/"
	}
	if m.Proto == "" {
		m.Proto = "HTTP/1.1"
	}
	return m
}

func (m Message) wire(host string) string {
	m = m.withDefaults()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\r\n", m.Method, m.Target, m.Proto)
	if !m.has("Host") && host != "" {
		fmt.Fprintf(&b, "Host: %s\r\n", host)
	}
	for _, line := range m.Header {
		b.WriteString(line + "\r\n")
	}
	if m.Body != "" && !m.has("Content-Length") && !m.has("Transfer-Encoding") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(m.Body))
	}
	b.WriteString("\r\n")
	b.WriteString(m.Body) // by itself: it may be large
	return b.String()
}

func (m Message) has(name string) bool {
	return slices.ContainsFunc(m.Header, func(line string) bool {
		key, _, _ := strings.Cut(line, ":")
		return strings.EqualFold(key, name)
	})
}

// WebSocket opens a WebSocket at the path, which the caller closes (CloseNow). It returns the error of
// a handshake that was refused.
func (c Client) WebSocket(tb testing.TB, path string) (*websocket.Conn, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		conn, err := c.dial("http/1.1")
		if err != nil {
			return nil, err
		}
		return conn, conn.SetDeadline(time.Time{}) // it may stay open as long as the test
	}}
	// The dialler above has done the TLS, so the URL is a plain one.
	conn, _, err := websocket.Dial(ctx, "ws://"+c.Host+path, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport},
	})
	return conn, err
}
