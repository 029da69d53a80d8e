package gate

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/durable"
)

// MaxPass is how long a pass holds, at most.
const MaxPass = 24 * time.Hour

// What keys are derived for: a pass is no cookie, and the cookie that is given for it is no pass.
const (
	passPurpose       = "conforma-status pass 1"
	passCookiePurpose = "conforma-status pass cookie 1"
)

// The reasons for which a pass, or the cookie that was given for one, is refused.
const (
	reasonPassForm    = "the pass is malformed"
	reasonPassMAC     = "the pass is not from this host, this site or this window of admin mode, or was revoked"
	reasonPassOld     = "the pass has expired"
	reasonPassFuture  = "the pass is good for longer than the gate allows"
	reasonPassNone    = "no pass was made, or all were revoked"
	reasonPassForeign = "a page of another origin sent the pass"
)

// Pass is what admits somebody who has no admin's token.
type Pass struct {
	ID      string // names it in the log: 8 hexadecimal digits
	Expires time.Time
}

// NewPass returns a pass until that moment, to the second.
func NewPass(expires time.Time) Pass {
	id := make([]byte, 4)
	rand.Read(id) // never fails (crypto/rand)
	return Pass{ID: hex.EncodeToString(id), Expires: expires.Truncate(time.Second)}
}

var (
	passID    = regexp.MustCompile(`^[0-9a-f]{8}$`)
	epochName = regexp.MustCompile(`^[A-Z2-7]{26}$`)
)

// Link returns the secret part of a pass's link: its ID, the second since 1970 at which it expires, and an
// HMAC-SHA256 of site, window of admin mode, epoch and both, in base64url, with dots between them. secret must not
// be empty.
func (p Pass) Link(secret []byte, site, window, epoch string) (string, error) {
	return p.seal(passTerms{secret, site, window, epoch}, passPurpose)
}

// passTerms are what a pass is made and checked with: it admits to that site in that window of admin mode, with
// that epoch.
type passTerms struct {
	secret              []byte
	site, window, epoch string
}

func (p Pass) seal(t passTerms, purpose string) (string, error) {
	when := strconv.FormatInt(p.Expires.Unix(), 10)
	mac, err := macOf(purpose, t.secret, t.site, t.window, t.epoch, p.ID, when)
	if err != nil {
		return "", err
	}
	return p.ID + "." + when + "." + base64.RawURLEncoding.EncodeToString(mac), nil
}

// checkPass returns the pass whose link, or the cookie that was given for it, has that value, and a *refusal when
// it doesn't admit on these terms at the time now. An empty secret admits nobody, and so does an empty epoch.
func checkPass(t passTerms, purpose, value string, now time.Time) (Pass, error) {
	switch {
	case len(t.secret) == 0:
		return Pass{}, refuse(reasonNoSecret)
	case !windowName().MatchString(t.window):
		return Pass{}, refuse(reasonCookieWindow)
	case !epochName.MatchString(t.epoch):
		return Pass{}, refuse(reasonPassNone)
	}
	id, rest, _ := strings.Cut(value, ".")
	when, _, _ := strings.Cut(rest, ".")
	seconds, err := strconv.ParseInt(when, 10, 64)
	if err != nil || seconds < 0 || seconds > lastDate || !passID.MatchString(id) {
		return Pass{}, refuse(reasonPassForm)
	}
	p := Pass{id, time.Unix(seconds, 0)}
	// Compared as text, so that there is one spelling of it, and in a time that doesn't tell where the two differ.
	if want, err := p.seal(t, purpose); err != nil || !hmac.Equal([]byte(value), []byte(want)) {
		return Pass{}, refuse(reasonPassMAC)
	}
	switch {
	case !now.Before(p.Expires):
		return Pass{}, refuse(reasonPassOld)
	case p.Expires.Sub(now) > MaxPass+time.Minute: // the clock was put back since
		return Pass{}, refuse(reasonPassFuture)
	}
	return p, nil
}

// isPassCookie tells the cookie that was given for a pass from the one that was given for a token.
func isPassCookie(value string) bool { return strings.Count(value, ".") == 2 }

// All passes of a site share an epoch, a random word in a file. It is no secret: without the key it is of no use.
// Without the file no pass is good. So a file that is lost, or put back from an old copy, brings no revoked pass back.

// ErrNoEpoch is returned (wrapped) where no pass of the site can be good, because there is no epoch.
var ErrNoEpoch = errors.New("there is no epoch of passes")

// ReadEpoch reads the epoch from the file at path. Its errors wrap ErrNoEpoch where there is none.
func ReadEpoch(path string) (string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: %w", ErrNoEpoch, err)
	}
	if err != nil {
		return "", err
	}
	epoch := strings.TrimSuffix(string(data), "\n")
	if !epochName.MatchString(epoch) {
		return "", fmt.Errorf("%w: %s doesn't hold one", ErrNoEpoch, path)
	}
	return epoch, nil
}

// NewEpoch puts a new epoch into the file at path, whose directory exists, and returns it: every earlier pass is
// worthless.
func NewEpoch(path string) (string, error) {
	epoch := rand.Text()
	return epoch, durable.WriteFile(path, []byte(epoch+"\n"), 0o644)
}
