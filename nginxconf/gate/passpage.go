package gate

import (
	"crypto/sha256"
	_ "embed" // the page's parts
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// PassPath is where nginx serves a site's pass page in admin mode.
const PassPath = "/.conforma-status/pass"

// passPath is below which nginx asks the gate for it: /pass/SITE.
const passPath = "/pass/"

// maxPass is the longest body, in bytes, that is read as a pass.
const maxPass = 256

var (
	//go:embed page/pass.html
	passHTML string
	//go:embed page/pass.css
	passCSS string
	//go:embed page/pass.js
	passJS string
)

// passPage takes the secret out of the address bar and posts it. Nothing but its own style and script is to run in
// it (CSP Level 3, 2.3.1: hash-source).
var (
	passPage = strings.NewReplacer("{STYLE}", passCSS, "{SCRIPT}", passJS).Replace(passHTML)
	passCSP  = fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; connect-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'", hashSource(passJS), hashSource(passCSS))
)

func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// pass serves the pass page of a site, and admits whoever posts a pass that holds: 204 with an admission cookie,
// else 403.
func (h *handler) pass(w http.ResponseWriter, r *http.Request, name string) {
	site, known := h.sites[checkPath+name]
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	switch {
	case !known:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", passCSP)
		_, _ = io.WriteString(w, passPage) // who asked may be gone
	case r.Method == http.MethodPost:
		cookie, err := h.enter(r, site)
		if err != nil {
			h.refused(r, name, cookieReason(err))
			w.WriteHeader(http.StatusForbidden)
			return
		}
		header.Set("Set-Cookie", cookie)
		header.Add("Set-Cookie", noteOf(cookie, name))
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// noteOf is a cookie that lasts as long as the one that admits. Scripts of the application can read it, and learn that
// this visitor may stay: it is for isAdmin of the client in status/client. It opens nothing.
func noteOf(cookie, site string) string {
	_, attributes, _ := strings.Cut(cookie, "; ")
	return "conforma-pass-" + site + "=1; " + strings.Replace(attributes, "HttpOnly; ", "", 1)
}

// enter returns the Set-Cookie for a request that posts a pass.
func (h *handler) enter(r *http.Request, site SiteSource) (string, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPass+1))
	if err != nil || len(body) > maxPass {
		return "", refuse(reasonPassForm)
	}
	// Nobody is to be admitted by a page that they merely looked at. Browsers of before 2023, and over plain HTTP,
	// don't say.
	asked, ok := readRequest(r.Header)
	if !ok || asked.site != "" && asked.site != "same-origin" {
		return "", refuse(reasonPassForeign)
	}
	now := h.now()
	p, terms, err := site.pass(passPurpose, string(body), r.Header.Get(windowHeader), now)
	if err != nil {
		return "", err
	}
	value, err := p.seal(terms, passCookiePurpose)
	if err != nil {
		return "", err
	}
	h.log.InfoContext(r.Context(), "admitted by a pass",
		"site", terms.site, "pass", p.ID, "until", p.Expires.UTC().Format(time.RFC3339))
	return setCookie(terms.site, value, asked.scheme == "https", p.Expires.Sub(now)), nil
}

// pass returns the pass whose link, or the cookie that was given for it, has that value, with the terms that it was
// made with: by the first of the site's secrets that does. The error is a *refusal, or that of the secrets.
func (s SiteSource) pass(purpose, value, window string, now time.Time) (p Pass, terms passTerms, err error) {
	if s.Epoch == nil {
		return p, terms, refuse(reasonPassNone)
	}
	epoch, err := s.Epoch()
	if err != nil {
		return p, terms, refuse(reasonPassNone)
	}
	secrets, err := s.secrets()
	if err != nil {
		return p, terms, err
	}
	for _, secret := range secrets {
		terms = passTerms{secret, s.Policy.Site, window, epoch}
		if p, err = checkPass(terms, purpose, value, now); err == nil {
			break
		}
	}
	return p, terms, err
}
