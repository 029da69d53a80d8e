package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/msupply-foundation/conforma-status/nginxconf"
	"github.com/msupply-foundation/conforma-status/nginxconf/operator"
	"github.com/msupply-foundation/conforma-status/status"
)

var (
	// ErrUnreachable is returned (wrapped) by Probe when nobody listens at the address: no visitor gets in there.
	ErrUnreachable = errors.New("nothing answers")
	// errNoAnswer is wrapped by the error of Probe when there is no answer, or none in HTTP, for another reason, such
	// as one that doesn't come in time: what visitors get is not known.
	errNoAnswer = errors.New("no answer that can be read")
	// ErrNotOurs is returned (wrapped) by Probe when the one who answers doesn't follow the rules of the site.
	ErrNotOurs = errors.New("the rules of conforma-status are not in effect there")
	// ErrNeedsClientCert is returned (wrapped, with ErrNotOurs) by Probe where nginx talks to nobody without a
	// certificate (ssl_verify_client): it can't be asked there.
	ErrNeedsClientCert = errors.New(
		"it wants a certificate of its visitors (ssl_verify_client), and there is none to show")
)

// Answer is what nginx says of a site.
type Answer struct {
	Site     string      `json:"site"`
	Mode     status.Mode `json:"mode"`
	Revision string      `json:"revision"`
	Closed   bool        `json:"closed"` // whether nginx sees the site's closed file
	PID      int         `json:"pid"`    // the worker that answers, as nginx counts; 0 where older rules don't say
}

// Probe asks nginx, on a connection of its own and from where it runs, which rules it follows for the site. The error
// wraps ErrUnreachable or ErrNotOurs where it is known to be so; another says that what visitors get is not known.
func (n Nginx) Probe(ctx context.Context, t operator.Target) (Answer, error) {
	var a Answer
	_, err := n.ask(ctx, t, question{path: nginxconf.ProbePath}, func(resp *reply) error {
		a = Answer{}
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
	return a, nil
}

// Page is what a visitor would see of a site.
type Page struct {
	Status      int
	Maintenance string // the mode in X-Conforma-Status: "" when the application, or nginx for it, answered
	Header      http.Header
}

// FetchScript asks for a service worker's script at a path of the site as a browser would, and returns its first
// megabyte; "" where there is no script. The error wraps ErrUnreachable where nobody listens.
func (n Nginx) FetchScript(ctx context.Context, t operator.Target, path string) (string, error) {
	q := question{path: path, header: http.Header{"Accept": {"*/*"}, "Sec-Fetch-Mode": {"same-origin"}, "Service-Worker": {"script"}}, most: 1 << 20}
	resp, err := n.ask(ctx, t, q, func(*reply) error { return nil })
	if err != nil {
		return "", fmt.Errorf("look at %s of %s through nginx at %s: %w", path, t.Site, t.Addr, err)
	}
	// An application of one page answers with that page to whatever it hasn't got.
	if resp.code != http.StatusOK || !strings.Contains(resp.header.Get("Content-Type"), "javascript") {
		return "", nil
	}
	return string(resp.body), nil
}

// FetchPage asks for a page of the site as a visitor's browser would, through the door where door isn't "". The
// error wraps ErrUnreachable where nobody listens.
func (n Nginx) FetchPage(ctx context.Context, t operator.Target, path, door string) (Page, error) {
	q := question{path: path, header: http.Header{"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}}}
	if door != "" {
		q.header.Set(nginxconf.DoorHeader, door)
	}
	resp, err := n.ask(ctx, t, q, func(*reply) error { return nil })
	if err != nil {
		return Page{}, fmt.Errorf("look at %s through nginx at %s: %w", t.Site, t.Addr, err)
	}
	return Page{Status: resp.code, Maintenance: resp.header.Get("X-Conforma-Status"), Header: resp.header}, nil
}
