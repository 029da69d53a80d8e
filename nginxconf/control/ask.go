package control

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
)

// probeTimeout bounds one question to nginx.
const probeTimeout = 2 * time.Second

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
	// prior is set for HTTP/2 with prior knowledge (RFC 9113, 3.3): up to 1.24 nginx speaks nothing else where it listens
	// with http2 and without TLS, as for gRPC.
	prior bool
}

// unknownProxy says that whoever connects has nothing to say of where it comes from: nginx takes it to come from
// this machine, as it does (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, 2.1).
const unknownProxy = "PROXY UNKNOWN\r\n"

// question is what is asked of nginx.
type question struct {
	path   string
	header http.Header // nil for none of its own
	most   int64       // bytes of the answer that are read; 0 for the first 4096
}

// ask puts a GET to nginx, in TLS or without as the site's URL has it, and the other way where check doesn't accept
// the answer: behind a proxy that speaks TLS for it, a site of an https address may listen without. Where neither can
// be read, nginx may speak HTTP/2 alone, or wait for the PROXY protocol.
func (n Nginx) ask(ctx context.Context, t operator.Target, q question, check func(*reply) error) (*reply, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return nil, err
	}
	var ways []way
	for _, proxy := range []bool{false, true} {
		plain, secure := way{scheme: "http", proxy: proxy}, way{scheme: "https", proxy: proxy}
		if u.Scheme == "https" {
			plain, secure = secure, plain
		}
		ways = append(ways, plain, secure, way{scheme: "http", proxy: proxy, prior: true})
	}
	var first error
	for _, w := range ways {
		if (w.proxy || w.prior) && (!errors.Is(first, errNoAnswer) || errors.Is(first, context.DeadlineExceeded)) {
			break // nobody is there, or somebody who was understood, or who says nothing
		}
		client := http.Client{
			Transport:     w.transport(n.Dial, dialable(t.Addr), u.Hostname()),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		resp, err := q.put(ctx, client, w.scheme+"://"+u.Host)
		if err == nil {
			err = check(resp)
		}
		if err == nil {
			return resp, nil
		}
		// An answer that isn't ours tells more than that there was none, as when plain HTTP answers to TLS.
		if first == nil || errors.Is(first, errNoAnswer) && errors.Is(err, ErrNotOurs) {
			first = err
		}
	}
	return nil, first
}

// transport connects to that address whatever the URL says, and asks for that name in TLS.
func (w way) transport(dial func(ctx context.Context, addr string) (net.Conn, error), addr, name string) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(!w.prior)
	protocols.SetUnencryptedHTTP2(w.prior)
	return &http.Transport{
		Protocols: &protocols,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dial(ctx, addr)
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
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, ServerName: name},
		DisableKeepAlives: true,
	}
}

// put asks once. The error wraps ErrUnreachable or errNoAnswer.
func (q question) put(ctx context.Context, client http.Client, origin string) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+q.path, nil)
	if err != nil {
		return nil, err
	}
	if q.header != nil {
		req.Header = q.header
	}
	resp, err := client.Do(req)
	if err != nil {
		if ue, is := errors.AsType[*url.Error](err); is {
			err = ue.Err
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, cmp.Or(q.most, 4096)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
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
