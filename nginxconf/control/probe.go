package control

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/status"
)

// probeTimeout bounds one question to nginx.
const probeTimeout = 2 * time.Second

var (
	// ErrUnreachable is returned (wrapped) by Probe when nobody listens at the address: no visitor gets in there.
	ErrUnreachable = errors.New("nothing answers")
	// ErrNoAnswer is returned (wrapped) by Probe when there is no answer, or none in HTTP, for another reason, such as
	// one that doesn't come in time: what visitors get is not known.
	ErrNoAnswer = errors.New("no answer that can be read")
	// ErrNotOurs is returned (wrapped) by Probe when the one who answers doesn't follow the rules of the site.
	ErrNotOurs = errors.New("the rules of conforma-status are not in effect there")
	// ErrNeedsClientCert is returned (wrapped, with ErrNotOurs) by Probe where nginx talks to nobody without a certificate
	// (ssl_verify_client): it can't be asked there.
	ErrNeedsClientCert = errors.New("it wants a certificate of its visitors (ssl_verify_client), and there is none to show")
)

// Answer is what nginx says of a site.
type Answer struct {
	Site     string      `json:"site"`
	Mode     status.Mode `json:"mode"`
	Revision string      `json:"revision"`
	Closed   bool        `json:"closed"` // whether nginx sees the site's closed file
	PID      int         `json:"pid"`    // the worker that answers, as nginx counts; 0 where older rules don't say
}

// Probe asks nginx, on a connection of its own, which rules it follows for the site. The error wraps
// ErrUnreachable, ErrNoAnswer or ErrNotOurs.
func Probe(ctx context.Context, t operator.Target) (Answer, error) {
	resp, err := ask(ctx, t, nginxconf.ProbePath, nil, func(resp *reply) error {
		var a Answer
		if resp.code == http.StatusBadRequest && bytes.Contains(resp.body, []byte(saysNoCertificate)) {
			return fmt.Errorf("%w: %w", ErrNotOurs, ErrNeedsClientCert)
		}
		if resp.code != http.StatusOK || json.Unmarshal(resp.body, &a) != nil || a.Revision == "" {
			return fmt.Errorf("%w: the answer is %d %s", ErrNotOurs, resp.code, http.StatusText(resp.code))
		}
		if a.Site != t.Site {
			return fmt.Errorf("%w: the answer is that of site %q", ErrNotOurs, a.Site)
		}
		return nil
	})
	if err != nil {
		return Answer{}, fmt.Errorf("ask nginx at %s which rules it follows for %s: %w", t.Addr, t.Site, err)
	}
	var a Answer
	return a, json.Unmarshal(resp.body, &a)
}

// Page is what a visitor would see of a site.
type Page struct {
	Status      int
	Maintenance string // the mode in X-Conforma-Status: "" when the application, or nginx for it, answered
}

// FetchPage asks for a page of the site as a visitor's browser would, through the door where door isn't "". The error wraps
// ErrUnreachable or ErrNoAnswer.
func FetchPage(ctx context.Context, t operator.Target, path, door string) (Page, error) {
	header := http.Header{"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}}
	if door != "" {
		header.Set(nginxconf.DoorHeader, door)
	}
	resp, err := ask(ctx, t, path, header, func(*reply) error { return nil })
	if err != nil {
		return Page{}, fmt.Errorf("look at %s through nginx at %s: %w", t.Site, t.Addr, err)
	}
	return Page{Status: resp.code, Maintenance: resp.header.Get("X-Conforma-Status")}, nil
}

// reply is the part of an answer that matters here.
type reply struct {
	code   int
	header http.Header
	body   []byte
}

// way is how a question is put.
type way struct {
	scheme string
	proxy  bool // behind a header of the PROXY protocol
}

// unknownProxy says that whoever connects has nothing to say of where it comes from: nginx takes it to come from this machine, as it does
// (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, 2.1).
const unknownProxy = "PROXY UNKNOWN\r\n"

// ask puts a GET to nginx, in TLS or without as the site's URL has it, and the other way where check doesn't
// accept the answer: behind a proxy that speaks TLS for it, a site of an https address may listen without. Where the connection is
// just ended, nginx may be waiting for the PROXY protocol.
func ask(ctx context.Context, t operator.Target, path string, header http.Header, check func(*reply) error) (*reply, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return nil, err
	}
	ways := []way{{"http", false}, {"https", false}, {"http", true}, {"https", true}}
	if u.Scheme == "https" {
		ways = []way{{"https", false}, {"http", false}, {"https", true}, {"http", true}}
	}
	var first error
	for _, w := range ways {
		if w.proxy && !errors.Is(first, io.EOF) && !errors.Is(first, syscall.ECONNRESET) {
			break
		}
		resp, err := askOnce(ctx, t.Addr, w, u, path, header)
		if err == nil {
			err = check(resp)
		}
		if err == nil {
			return resp, nil
		}
		// An answer that isn't ours tells more than that there was none, as when plain HTTP answers to TLS.
		if first == nil || errors.Is(first, ErrNoAnswer) && errors.Is(err, ErrNotOurs) {
			first = err
		}
	}
	return nil, first
}

func askOnce(ctx context.Context, addr string, w way, u *url.URL, path string, header http.Header) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	client := http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", dialable(addr))
				if err != nil || !w.proxy {
					return conn, err
				}
				if _, err := io.WriteString(conn, unknownProxy); err != nil {
					conn.Close()
					return nil, err
				}
				return conn, nil
			},
			// The question stays on this machine, and the answer is no secret.
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, ServerName: u.Hostname()},
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.scheme+"://"+u.Host+path, nil)
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return &reply{code: resp.StatusCode, header: resp.Header, body: body}, nil
}

// dialable turns an address to listen at into one to connect to.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	switch host {
	case "", "*", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
