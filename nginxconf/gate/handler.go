package gate

import (
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// SiteSource is a site that the gate answers for.
type SiteSource struct {
	Policy Policy
	// Secret is asked at each check, by several requests at once; an error of it refuses everybody. See CachedFile.
	Secret func() (Secret, error)
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
var siteName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

type handler struct {
	sites map[string]SiteSource // by request target
	now   func() time.Time
	log   *slog.Logger
}

// NewHandler returns what nginx's auth_request asks: GET /check/SITE answers 204 when the request's one Authorization
// header is "Bearer TOKEN" (RFC 6750, 2.1) with a token that the site's policy admits, and 401 otherwise, without a body.
// A refusal of a request that has such a header leaves one line in log, with the site and the reason and nothing of the
// token. GET /healthz answers 200 "ok". Whatever else is asked is answered 401 too, because nginx makes a 500 of
// other codes. now and log must not be nil.
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
	if r.Method == http.MethodGet && h.admits(r) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.WriteHeader(http.StatusUnauthorized)
}

func (h *handler) admits(r *http.Request) bool {
	authorization := r.Header["Authorization"]
	if len(authorization) == 0 {
		return false
	}
	name := strings.TrimPrefix(r.RequestURI, checkPath)
	site, known := h.sites[r.RequestURI]
	switch {
	case !known && siteName.MatchString(name):
		return h.refused(r, name, reasonUnknownSite)
	case !known:
		return h.refused(r, "", reasonUnknownSite)
	case len(authorization) > 1:
		return h.refused(r, name, reasonSeveral)
	}
	// RFC 7235, 2.1: the scheme's case doesn't matter. One space; the token's check refuses a second.
	scheme, token, found := strings.Cut(authorization[0], " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return h.refused(r, name, reasonNotBearer)
	}
	secret, err := site.Secret()
	if err != nil {
		h.log.ErrorContext(r.Context(), "refused", "site", name, "reason", err.Error(), "hint", Hint(err))
		return false
	}
	if err := site.Policy.Verify(token, secret, h.now()); err != nil {
		return h.refused(r, name, err.Error())
	}
	return true
}

func (h *handler) refused(r *http.Request, site, reason string) bool {
	h.log.WarnContext(r.Context(), "refused", "site", site, "reason", reason)
	return false
}
