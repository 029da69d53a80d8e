package gate

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// admissionLasts is how long an admission cookie holds, at most: it ends with the token for which it was given.
const admissionLasts = 30 * time.Minute

// CookieName is the name of a site's admission cookie. It has the site's name in it because browsers send a host's
// cookies to all of its ports (RFC 6265, 8.5), and sites often differ by port only.
func CookieName(site string) string { return "conforma-status-" + site }

// admissionPurpose is what keys are derived for (RFC 5869, 3.2), and names what a cookie is for. So nothing else that
// is signed with the application's secret passes as an admission cookie, and no cookie passes as a token.
const admissionPurpose = "conforma-status admission cookie 1"

// The reasons for which a cookie is refused.
const (
	reasonCookies      = "more than one admission cookie"
	reasonCookieForm   = "the admission cookie is malformed"
	reasonCookieWindow = "nginx didn't say which window of admin mode it is"
	reasonCookieMAC    = "the admission cookie is not from this gate, this site or this window of admin mode"
	reasonCookieOld    = "the admission cookie has expired"
	reasonCookieFuture = "the admission cookie is good for longer than the gate allows"
)

// windowName is what names a window of admin mode: the revision of the rules.
var windowName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]{1,20}-[0-9a-f]{8}$`) })

// mintCookie returns the value of a cookie that admits to the site in that window of admin mode until the moment
// expires, to the second. It is the moment in seconds since 1970, a dot, and an HMAC-SHA256 of it, in base64url.
// secret must not be empty.
func mintCookie(secret []byte, site, window string, expires time.Time) (string, error) {
	when := strconv.FormatInt(expires.Unix(), 10)
	mac, err := macOf(admissionPurpose, secret, site, window, when)
	if err != nil {
		return "", err
	}
	return when + "." + base64.RawURLEncoding.EncodeToString(mac), nil
}

// macOf is an HMAC-SHA256 of the fields, none of which holds a line end, under a key that is derived for the purpose.
func macOf(purpose string, secret []byte, fields ...string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, purpose, sha256.Size)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose + "\n" + strings.Join(fields, "\n")))
	return mac.Sum(nil), nil
}

// checkCookie returns when a cookie of that value ceases to admit to the site in that window of admin mode, and a
// *refusal when it doesn't admit at the time now. An empty secret admits nobody.
func checkCookie(value string, secret []byte, site, window string, now time.Time) (time.Time, error) {
	none := time.Time{}
	if len(secret) == 0 {
		return none, refuse(reasonNoSecret)
	}
	if !windowName().MatchString(window) {
		return none, refuse(reasonCookieWindow)
	}
	when, sum, found := strings.Cut(value, ".")
	seconds, err := strconv.ParseInt(when, 10, 64)
	if !found || err != nil || seconds < 0 || seconds > lastDate || strconv.FormatInt(seconds, 10) != when ||
		len(sum) != base64.RawURLEncoding.EncodedLen(sha256.Size) || strings.IndexFunc(sum, notBase64URL) >= 0 {
		return none, refuse(reasonCookieForm)
	}
	got, err := base64.RawURLEncoding.Strict().DecodeString(sum)
	if err != nil {
		return none, refuse(reasonCookieForm)
	}
	want, err := macOf(admissionPurpose, secret, site, window, when)
	if err != nil || !hmac.Equal(got, want) {
		return none, refuse(reasonCookieMAC)
	}
	expires := time.Unix(seconds, 0)
	switch {
	case !now.Before(expires):
		return none, refuse(reasonCookieOld)
	case expires.Sub(now) > admissionLasts+time.Minute: // the clock was put back since
		return none, refuse(reasonCookieFuture)
	}
	return expires, nil
}

// checkCookieAny is checkCookie with the first of the secrets that does.
func checkCookieAny(value string, secrets []Secret, site, window string, now time.Time) (ends time.Time, err error) {
	err = refuse(reasonNoSecret)
	for _, secret := range secrets {
		if ends, err = checkCookie(value, secret, site, window, now); err == nil {
			return ends, nil
		}
	}
	return time.Time{}, err
}

// findCookie returns the value of the one cookie of that name in Cookie headers (RFC 6265, 4.2.1), and how many there
// are: 0, 1, or 2 for more. If there are several it returns none: a neighbour under the same domain may have set one,
// and nobody can say which to believe.
func findCookie(headers []string, name string) (value string, count int) {
	for _, header := range headers {
		for pair := range strings.SplitSeq(header, ";") {
			k, v, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if !ok || k != name {
				continue
			}
			if count == 1 {
				return "", 2
			}
			value, count = v, 1
		}
	}
	return value, count
}

// setCookie is the whole Set-Cookie header. SameSite=Lax, not Strict: who follows a link from a mail to a page of
// the site is to arrive there.
func setCookie(site, value string, tls bool, lasts time.Duration) string {
	seconds := int((lasts + time.Second - 1) / time.Second) // rounded up
	c := http.Cookie{
		Name: CookieName(site), Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true, Secure: tls, SameSite: http.SameSiteLaxMode,
	}
	return c.String()
}
