package gate

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The headers by which nginx and the gate speak of the admission cookie.
const (
	// windowHeader names the window of admin mode that nginx is in.
	windowHeader = "X-Conforma-Window"
	// requestHeader says what the browser asks for: method, scheme, Content-Length, Upgrade, Transfer-Encoding,
	// Sec-Fetch-Site, Host and Referer, with | between them. The first two are nginx's own words and have no |. If
	// another has one, the worst case is a cookie offered to somebody who has a token, or not offered.
	requestHeader = "X-Conforma-Request"
	// offerHeader comes with a 401 for a request that would be admitted: it is a Set-Cookie that nginx is to
	// send to the browser, with a redirect to where it was going.
	offerHeader = "X-Conforma-Admission"
)

// request is what requestHeader says.
type request struct {
	method, scheme, length, upgrade, encoding, site, host, referer string
}

func readRequest(header http.Header) (request, bool) {
	f := strings.SplitN(header.Get(requestHeader), "|", 8)
	if len(f) < 8 {
		return request{}, false
	}
	return request{f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]}, true
}

// maxReplay is the longest body, in bytes, that a browser is asked to send twice: what nginx holds in one buffer
// (client_body_buffer_size), and more than a query has. An upload passes by its token; the next query brings the
// cookie.
const maxReplay = 16 << 10

// canFollow reports whether the one who asks is a script of the site itself in a browser. It takes the cookie of a
// redirect, and follows it with its token, method and body (Fetch, 4.4: a 307 changes none, and Authorization goes on
// to the same origin). A program with a token of its own needs no cookie, and may not follow.
func (r request) canFollow() bool {
	switch r.method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		// A stream can't be sent again (Fetch, 4.4: a body without a source is a network error). Browsers tell the
		// length of whatever else they send, though not that there is nothing.
		if n, err := strconv.Atoi(r.length); err != nil || n > maxReplay {
			return false
		}
	default:
		return false
	}
	if r.upgrade != "" || r.encoding != "" {
		return false
	}
	if r.site != "" {
		return r.site == "same-origin"
	}
	// Over plain HTTP browsers don't send Sec-Fetch-Site (Fetch Metadata, 2.5: only to trustworthy addresses). Over
	// TLS only old ones don't, and of these Safari before 16.1 follows without the token: what is written would
	// arrive as nobody's. (Over HTTP/3, which browsers that say nothing don't speak, many an nginx tells no host:
	// https://github.com/nginx/nginx/issues/455.)
	ownPage := r.host != "" && strings.HasPrefix(r.referer, r.scheme+"://"+r.host+"/")
	return ownPage && (r.scheme == "http" || !r.writes())
}

// writes reports whether the request is one that has a body, or may have one.
func (r request) writes() bool { return r.method != http.MethodGet && r.method != http.MethodHead }

// holder is who has a good token.
type holder struct {
	site, token  string
	secret       Secret
	ends         time.Time // of the token; zero is never
	keepsCookies bool      // whether a good cookie came with it
	cookieEnds   time.Time // of that one
}

// offer writes an admission cookie to w's header where the holder of a token is to have one.
func (h *handler) offer(w http.ResponseWriter, r *http.Request, to holder) {
	window, now := r.Header.Get(windowHeader), h.now()
	if to.keepsCookies && to.cookieEnds.Sub(now) > admissionLasts/2 {
		return
	}
	expires := now.Add(admissionLasts)
	if !to.ends.IsZero() && to.ends.Before(expires) {
		expires = to.ends
	}
	expires = expires.Truncate(time.Second)
	// A token near its end would be offered one cookie after the other, each no better than the one before.
	if to.keepsCookies && expires.Sub(to.cookieEnds) < admissionLasts/4 || !expires.After(now) {
		return
	}
	asked, ok := readRequest(r.Header)
	if !ok || !windowName().MatchString(window) || !asked.canFollow() {
		return
	}
	if !h.offers.make(to.site+"\n"+window+"\n"+to.token, asked.again(), now) {
		return
	}
	value, err := mintCookie(to.secret, to.site, window, expires)
	if err != nil {
		return // its token admits it
	}
	w.Header().Set(offerHeader, setCookie(to.site, value, asked.scheme == "https", expires.Sub(now)))
}

// How soon the holder of one token is offered a cookie again in one window. A browser that doesn't keep it is let
// through by its token in between, so no redirect leads to another. What has a body may take as long to come again
// as nginx waits for a body that it throws away, which is half a minute (lingering_time).
const (
	offerAgain        = 10 * time.Second
	offerAgainToWrite = time.Minute
)

func (r request) again() time.Duration {
	if r.writes() {
		return offerAgainToWrite
	}
	return offerAgain
}

// offers remembers to whom a cookie was offered of late. It never grows: where more meet in one row than it has room
// for, those that came last have it. Two that meet must not drive each other out: each redirect would lead to another.
type offers struct {
	mutex sync.Mutex
	rows  [256][4]struct {
		holder [sha256.Size]byte
		at     time.Time
	}
}

// make reports whether the holder, named by site, window and token, is to be offered a cookie now, which was not so
// for the time again, and remembers that it was.
func (o *offers) make(name string, again time.Duration, now time.Time) bool {
	holder := sha256.Sum256([]byte(name))
	o.mutex.Lock()
	defer o.mutex.Unlock()
	row := &o.rows[holder[0]]
	slot := &row[0]
	for i := range row {
		if row[i].holder == holder {
			slot = &row[i]
			break
		}
		if row[i].at.Before(slot.at) {
			slot = &row[i]
		}
	}
	if slot.holder == holder && now.Sub(slot.at).Abs() < again {
		return false
	}
	slot.holder, slot.at = holder, now
	return true
}
