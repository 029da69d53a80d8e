package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/cmd/internal/maintenance"
	"github.com/msupply-foundation/conforma-status/status"
)

const (
	requestTimeout = 8 * time.Second
	// soon is when a certificate should have been renewed: certbot does so with 30 days left.
	soon = 14 * 24 * time.Hour
	// clockOff misjudges tokens (the gate's leeway).
	clockOff = 30 * time.Second
	// clockWrong has S3 refuse requests (RequestTimeTooSkewed).
	clockWrong = 15 * time.Minute
)

const (
	hintOtherServer = "serve the pages from another server, and name it in page_url"
	hintPageURL     = "see that page_url is where the store is served, and that this machine may reach it"
	hintSetClock    = "set the clock: timedatectl set-ntp true"
)

// visitor looks at the site's page and status as visitors get them.
func (e *examination) visitor(ctx context.Context, s config.Site) {
	page, errPage := url.Parse(s.PageURL)
	app, errApp := url.Parse(s.AppURL)
	if errPage != nil || errApp != nil {
		return // the configuration was checked
	}
	if page.Scheme == app.Scheme && page.Host == app.Host {
		e.fault(checkRedirectLoop, s.PageURL+" is served by the site itself: a visitor would be sent round in circles", hintOtherServer)
		return
	}
	e.page(ctx, s, app)
	e.status(ctx, s)
	if page.Scheme == "https" {
		e.certificate(ctx, dial, page.Host, page.Hostname(), "the page's")
	}
	if app.Scheme == "https" {
		e.certificate(ctx, e.Nginx.Dial, s.Listen, app.Hostname(), "the site's")
	}
}

// answer is what a visitor is answered, with as much of the body as is looked at.
type answer struct {
	*http.Response
	body []byte
	at   time.Time
}

// get asks for a URL as a visitor's browser would from another site, without following redirects.
func (e *examination) get(ctx context.Context, target string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/html,application/json,*/*")
	req.Header.Set("Origin", "https://conforma-status.invalid")
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return &answer{resp, body, e.Now()}, err
}

func (e *examination) page(ctx context.Context, s config.Site, app *url.URL) {
	a, err := e.get(ctx, s.PageURL)
	if err != nil {
		e.fault(checkPage, err.Error(), hintPageURL)
		return
	}
	to, _ := a.Location()
	mime := a.Header.Get("Content-Type")
	switch {
	case a.Header.Get("X-Conforma-Status") != "", to != nil && to.Host == app.Host:
		e.fault(checkRedirectLoop, s.PageURL+" leads back to the site", hintOtherServer)
		return
	case a.StatusCode != http.StatusOK:
		e.fault(checkPage, fmt.Sprintf("%s answers %s", s.PageURL, a.Status),
			"conforma-status publish; then see that the web server gives index.html for a directory")
	case !strings.HasPrefix(mime, "text/html"):
		e.fault(checkPage, fmt.Sprintf("%s comes as %q", s.PageURL, mime),
			"conforma-status publish; then see that the web server leaves the types alone")
	default:
		e.ok(checkPage, s.PageURL+" answers")
	}
	e.ok(checkRedirectLoop, "there is none")
}

func (e *examination) status(ctx context.Context, s config.Site) {
	target := s.PageURL + status.FileName
	a, err := e.get(ctx, target)
	if err != nil {
		e.fault(checkStatus, err.Error(), hintPageURL)
		return
	}
	e.clock(a)
	if a.StatusCode != http.StatusOK {
		e.fault(checkStatus, fmt.Sprintf("%s answers %s", target, a.Status), "conforma-status publish")
		return
	}
	served, err := status.Parse(a.body)
	if err != nil {
		e.fault(checkStatus, fmt.Sprintf("%s: %v", target, err), "conforma-status publish")
		return
	}
	e.stale(ctx, s, served)
	if got := a.Header.Get("Access-Control-Allow-Origin"); got != "*" {
		e.fault(checkCORS, fmt.Sprintf("status.json comes with Access-Control-Allow-Origin %q, not \"*\": the client can't read it", got),
			"conforma-status store init sets up a bucket; a web server has to add the header itself")
	} else {
		e.ok(checkCORS, "every origin may read the status")
	}
	if got := a.Header.Get("Cache-Control"); !strings.Contains(got, "no-cache") && !strings.Contains(got, "no-store") {
		e.fault(checkCacheHeaders, fmt.Sprintf("status.json comes with Cache-Control %q, not \"no-cache\": people would see old news", got),
			"conforma-status publish writes it to a bucket; a web server has to add the header itself")
	} else {
		e.ok(checkCacheHeaders, "the status is revalidated at each poll")
	}
}

// stale compares the status that is served with the one in the store, where that can be read.
func (e *examination) stale(ctx context.Context, s config.Site, served status.Document) {
	data, _, err := e.Host.Store.Get(ctx, maintenance.StatusKey(s))
	if err != nil {
		return
	}
	kept, err := status.Parse(data)
	if err != nil {
		return
	}
	if kept.Seq > served.Seq {
		e.fault(checkStaleStatus,
			fmt.Sprintf("the world sees seq %d (%s), in the store is %d (%s)", served.Seq, served.Mode, kept.Seq, kept.Mode),
			"let nothing between store and visitors cache status.json: a CloudFront behaviour with a TTL of 0, or the same in "+
				"the web server; and see that page_url is where this store is served")
		return
	}
	e.ok(checkStaleStatus, fmt.Sprintf("the world sees what is in the store: seq %d (%s)", served.Seq, served.Mode))
}

// clock compares this machine's clock with that of whoever serves the store. Date is in whole seconds (RFC 9110,
// 6.6.1); an answer from a cache says how old it is (RFC 9111, 5.1).
func (e *examination) clock(a *answer) {
	date, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		e.warn(checkClock, "the store's server doesn't say what time it is", "compare the clocks by hand: timedatectl")
		return
	}
	if age, err := time.ParseDuration(a.Header.Get("Age") + "s"); err == nil {
		date = date.Add(age)
	}
	off := a.at.Sub(date).Abs().Truncate(time.Second)
	text := fmt.Sprintf("this machine and the store's server are %v apart", off)
	switch {
	case off > clockWrong:
		e.fault(checkClock, text, hintSetClock)
	case off > clockOff:
		e.warn(checkClock, text, hintSetClock)
	default:
		e.ok(checkClock, text)
	}
}

// dial connects as a visitor does.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// certificate sees for how long the certificate at addr is good for the host.
func (e *examination) certificate(ctx context.Context, dial func(ctx context.Context, addr string) (net.Conn, error), addr, host, whose string) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		addr = net.JoinHostPort(host, "443")
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// Not verified, because an expired one is to be looked at too: its dates and names are what matters here.
	var session *tls.Conn
	conn, err := dial(ctx, addr)
	if err == nil {
		defer conn.Close()
		session = tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true})
		err = session.HandshakeContext(ctx)
	}
	if err != nil {
		if _, is := errors.AsType[tls.RecordHeaderError](err); is {
			e.ok(checkCertificate, addr+" speaks no TLS: another server does so for it")
			return
		}
		e.fault(checkCertificate, fmt.Sprintf("look at %s certificate: %v", whose, err), "see that it answers there")
		return
	}
	leaf := session.ConnectionState().PeerCertificates[0]
	left := leaf.NotAfter.Sub(e.Now())
	until := leaf.NotAfter.UTC().Format(time.RFC3339)
	const renew = "renew it: certbot renew, then reload nginx; certbot renew --dry-run says what keeps it from renewing"
	switch {
	case left <= 0:
		e.fault(checkCertificate, whose+" certificate has expired: "+until, renew)
	case leaf.VerifyHostname(host) != nil:
		e.fault(checkCertificate, fmt.Sprintf("%s certificate is not for %s", whose, host),
			"get one for that name: certbot --nginx -d "+host)
	case left < soon:
		e.warn(checkCertificate, whose+" certificate expires soon: "+until, renew)
	default:
		e.ok(checkCertificate, whose+" certificate is good until "+until)
	}
}
