package gate

import (
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// SiteSource is a site that the gate answers for.
type SiteSource struct {
	Policy Policy
	// Secrets is asked at each check, by several requests at once: the one that cookies are made with, then others
	// that are good too. An error of it refuses everybody. See CachedFile.
	Secrets func() ([]Secret, error)
	// Epoch is asked wherever there is a pass; an error of it refuses every pass. nil is a site without passes. See
	// ReadEpoch.
	Epoch func() (string, error)
}

// secrets is never empty without an error.
func (s SiteSource) secrets() ([]Secret, error) {
	secrets, err := s.Secrets()
	if err == nil && len(secrets) == 0 {
		err = refuse(reasonNoSecret)
	}
	return secrets, err
}

// The reasons for which a request is refused before its token is looked at.
const (
	reasonUnknownSite = "unknown site"
	reasonSeveral     = "more than one Authorization header"
	reasonNotBearer   = "the Authorization header is not Bearer and a token"
)

const (
	checkPath  = "/check/"
	healthPath = "/healthz"
)

// siteName is what the name of a site in the log may look like; without a dot it can't be a token.
var siteName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`) })

type handler struct {
	sites  map[string]SiteSource // by request target
	now    func() time.Time
	log    *slog.Logger
	offers offers
}

// NewHandler returns the handler of nginx's auth_request. GET /check/SITE answers 204 for a request that may pass, and
// 401 for any other, without a body. A request may pass with one Authorization header, "Bearer TOKEN" (RFC 6750, 2.1),
// whose token the site's policy admits. Without such a header it may pass with one cookie of CookieName that this gate
// gave. A header decides over such a cookie: who logs in as somebody else is no longer admitted by it. A cookie that
// was given for a pass admits whatever header comes with it: its holder may log in as an ordinary user.
//
// A 401 with the header X-Conforma-Admission is for a browser that has a good token and no cookie, or one that will
// soon expire: nginx gives the browser the Set-Cookie that stands there, and has it ask again. The holder of a token
// gets such an answer once in 10 s, for requests with a body once in a minute.
//
// A refusal of a request that has a token or a cookie leaves one line in log, with the site and the reason and nothing
// of either. GET /pass/SITE is the page of a pass's link, to which it posts the pass. GET /healthz answers 200 "ok".
// Anything else is answered 401 too, because nginx makes a 500 of other codes. now and log must not be nil.
func NewHandler(sites []SiteSource, now func() time.Time, log *slog.Logger) http.Handler {
	h := &handler{sites: make(map[string]SiteSource, len(sites)), now: now, log: log}
	for _, site := range sites {
		h.sites[checkPath+site.Policy.Site] = site
	}
	return h
}

// ServeHTTP compares the request's target as it came: a mux would clean the path, or redirect to a clean one.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.RequestURI == healthPath {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok")) // who asked may be gone
		return
	}
	if name, isPass := strings.CutPrefix(r.RequestURI, passPath); isPass {
		h.pass(w, r, name)
		return
	}
	if r.Method == http.MethodGet && h.admits(w, r) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.WriteHeader(http.StatusUnauthorized)
}

// credentials are what a request brings that may admit it.
type credentials struct {
	authorization []string // each Authorization header
	cookie        string   // the admission cookie, "" where there isn't just one
	cookies       int      // how many of that name: 0, 1, or 2 for more
}

// admits says whether the request is to be let through; where it offers a cookie instead, it writes it to w's header.
func (h *handler) admits(w http.ResponseWriter, r *http.Request) bool {
	name := strings.TrimPrefix(r.RequestURI, checkPath)
	c := credentials{authorization: r.Header["Authorization"]}
	c.cookie, c.cookies = findCookie(r.Header["Cookie"], CookieName(name))
	if len(c.authorization) == 0 && c.cookies == 0 {
		return false
	}
	site, known := h.sites[r.RequestURI]
	switch {
	case !known && siteName().MatchString(name):
		return h.refused(r, name, reasonUnknownSite)
	case !known:
		return h.refused(r, "", reasonUnknownSite)
	case len(c.authorization) > 1:
		return h.refused(r, name, reasonSeveral)
	}
	if isPassCookie(c.cookie) {
		_, _, err := site.pass(passCookiePurpose, c.cookie, r.Header.Get(windowHeader), h.now())
		if err == nil {
			return true
		}
		if len(c.authorization) == 0 {
			return h.refused(r, name, cookieReason(err))
		}
	}
	if len(c.authorization) == 0 {
		return h.admitsCookie(r, site, c)
	}
	return h.admitsToken(w, r, site, c)
}

func (h *handler) admitsCookie(r *http.Request, site SiteSource, c credentials) bool {
	name := site.Policy.Site
	if c.cookies > 1 {
		return h.refused(r, name, reasonCookies)
	}
	secrets, ok := h.secrets(r, site)
	if !ok {
		return false
	}
	if _, err := checkCookieAny(c.cookie, secrets, name, r.Header.Get(windowHeader), h.now()); err != nil {
		return h.refused(r, name, cookieReason(err))
	}
	return true
}

func (h *handler) admitsToken(w http.ResponseWriter, r *http.Request, site SiteSource, c credentials) bool {
	name, now := site.Policy.Site, h.now()
	// RFC 7235, 2.1: the scheme's case doesn't matter. One space; the token's check refuses a second.
	scheme, token, found := strings.Cut(c.authorization[0], " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return h.refused(r, name, reasonNotBearer)
	}
	secrets, ok := h.secrets(r, site)
	if !ok {
		return false
	}
	ends, err := site.Policy.admitsAny(token, secrets, now)
	if err != nil {
		return h.refused(r, name, err.Error())
	}
	to := holder{site: name, token: token, secret: secrets[0], ends: ends}
	if c.cookies == 1 {
		to.cookieEnds, err = checkCookieAny(c.cookie, secrets, name, r.Header.Get(windowHeader), now)
		to.keepsCookies = err == nil
	}
	h.offer(w, r, to)
	return w.Header().Get(offerHeader) == ""
}

// secrets are those of the site, which has at least one; ok is false where there is none, which is logged.
func (h *handler) secrets(r *http.Request, site SiteSource) (secrets []Secret, ok bool) {
	secrets, err := site.secrets()
	if err != nil {
		h.log.ErrorContext(r.Context(), "refused", "site", site.Policy.Site, "reason", err.Error(), "hint", Hint(err))
	}
	return secrets, err == nil
}

// cookieReason is what a *refusal says, without the word token before it.
func cookieReason(err error) string {
	if why, is := errors.AsType[*refusal](err); is {
		return why.reason
	}
	return err.Error()
}

func (h *handler) refused(r *http.Request, site, reason string) bool {
	h.log.WarnContext(r.Context(), "refused", "site", site, "reason", reason)
	return false
}
