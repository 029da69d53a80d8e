package gate

import (
	"crypto/sha256"
	"encoding/binary"
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
	// Sec-Fetch-Site, Host and Referer, with | between them. The first two are nginx's own words and hold none; where another
	// holds one, the worst that comes of it is a cookie offered to somebody who has a token, or not.
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

// maxReplay is the longest body, in bytes, that a browser is asked to send twice.
const maxReplay = 64 << 10

// canFollow reports whether the one who asks is a script of the site itself in a browser, which takes the cookie of a redirect
// and follows it with its token (Fetch, 4.4: Authorization goes on to the same origin). A program with a token of its own needs
// no cookie and may not follow. A body that is sent again is a risk taken only for who was seen to keep cookies.
func (r request) canFollow(keepsCookies bool) bool {
	switch r.method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		n, err := strconv.Atoi(r.length)
		if !keepsCookies || err != nil || n > maxReplay {
			return false
		}
	default:
		return false
	}
	if r.upgrade != "" || r.encoding != "" || r.host == "" {
		return false
	}
	// Over plain HTTP browsers don't send Sec-Fetch-Site (Fetch Metadata, 2.5: only to trustworthy addresses).
	return r.site == "same-origin" || r.site == "" && strings.HasPrefix(r.referer, r.scheme+"://"+r.host+"/")
}

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
	if to.keepsCookies && to.cookieEnds.Sub(now) > Admission/2 {
		return
	}
	expires := now.Add(Admission)
	if !to.ends.IsZero() && to.ends.Before(expires) {
		expires = to.ends
	}
	expires = expires.Truncate(time.Second)
	// A token near its end would be offered one cookie after the other, each no better than the one before.
	if to.keepsCookies && expires.Sub(to.cookieEnds) < Admission/4 || !expires.After(now) {
		return
	}
	asked, ok := readRequest(r.Header)
	if !ok || !windowName.MatchString(window) || !asked.canFollow(to.keepsCookies) || !h.offers.make(to.site, to.token, now) {
		return
	}
	value, err := Mint(to.secret, to.site, window, expires)
	if err != nil {
		return // its token admits it
	}
	w.Header().Set(offerHeader, setCookie(to.site, value, asked.scheme == "https", expires.Sub(now)))
}

// offerAgain is how soon the holder of one token is offered a cookie again. A browser that doesn't keep it is let through by its token
// in between, so no redirect leads to another.
const offerAgain = 10 * time.Second

// offers remembers to whom a cookie was offered of late. It never grows: where two tokens meet in one slot, the later one has it.
type offers struct {
	mutex sync.Mutex
	slots [1024]struct {
		holder [sha256.Size]byte
		at     time.Time
	}
}

// make reports whether the holder of token at site is to be offered a cookie now, and remembers that it was.
func (o *offers) make(site, token string, now time.Time) bool {
	holder := sha256.Sum256([]byte(site + "\n" + token))
	o.mutex.Lock()
	defer o.mutex.Unlock()
	slot := &o.slots[binary.BigEndian.Uint16(holder[:])%uint16(len(o.slots))]
	if slot.holder == holder && now.Sub(slot.at).Abs() < offerAgain {
		return false
	}
	slot.holder, slot.at = holder, now
	return true
}
