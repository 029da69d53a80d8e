package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

// What may be wrong with a secret.
var (
	// ErrSecret is returned (wrapped) for a secret that can't be used.
	ErrSecret = errors.New("it is no Standard Webhooks secret")
	// ErrExposed is returned (wrapped) for a secret that every user of this machine may read.
	ErrExposed = errors.New("it is open to every user of this machine")
)

// errUnreadable is why the file of a secret couldn't be read.
var errUnreadable = errors.New("it can't be read")

// IsOfSecret reports whether an error of Send or ReadSecret is about the secret: nothing was sent then.
func IsOfSecret(err error) bool {
	return errors.Is(err, ErrSecret) || errors.Is(err, ErrExposed) || errors.Is(err, errUnreadable)
}

// MakeSecret is a command that makes a secret, which only its owner may read.
const MakeSecret = `openssl rand -base64 32 | sed 's/^/whsec_/' | sudo install -m 600 /dev/stdin /etc/conforma-status/webhook.secret`

// Standard Webhooks wants secrets of 24 to 64 bytes.
const (
	secretPrefix = "whsec_"
	minSecret    = 24
	maxSecret    = 64
)

// ReadSecret reads the file of a secret: "whsec_" and its bytes in base64, on one line. The error names the file and
// never quotes it; it wraps ErrSecret or ErrExposed, or is what kept it from being read.
func ReadSecret(path string) ([]byte, error) {
	data, mode, err := gate.ReadRegular(path)
	if onPath, is := errors.AsType[*fs.PathError](err); is { // the path is named once
		err = onPath.Err
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", errUnreadable, err)
	}
	var secret []byte
	if err == nil {
		secret, err = parseSecret(strings.TrimSpace(string(data)))
	}
	if err == nil && mode&0o007 != 0 {
		err = ErrExposed
	}
	if err != nil {
		return nil, fmt.Errorf("read the webhook secret in %s: %w", path, err)
	}
	return secret, nil
}

func parseSecret(text string) ([]byte, error) {
	encoded, found := strings.CutPrefix(text, secretPrefix)
	if !found {
		return nil, fmt.Errorf("%w: it does not begin with %s", ErrSecret, secretPrefix)
	}
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: what follows %s is not base64", ErrSecret, secretPrefix)
	}
	if len(secret) < minSecret || len(secret) > maxSecret {
		return nil, fmt.Errorf("%w: it has %d bytes, not %d to %d", ErrSecret, len(secret), minSecret, maxSecret)
	}
	return secret, nil
}

// sign puts id, time and signature of a body into the headers of its request, by "Signature scheme" of the
// specification.
func sign(h http.Header, secret []byte, id string, at time.Time, body []byte) {
	when := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.%s", id, when, body)
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", when)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
