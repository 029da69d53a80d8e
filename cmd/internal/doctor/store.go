package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// storeKey is the file that the doctor writes. It stays: who publishes may have no right to delete.
const storeKey = "conforma-status-doctor.txt"

var storeMeta = store.Meta{ContentType: "text/plain; charset=utf-8", CacheControl: "no-store"}

// store sees whether the store can be reached and written to, and whether it honours the conditions that keep two hosts
// from overwriting each other.
func (e *examination) store(ctx context.Context) {
	const mend = "see that the store is there, that the credentials are in place, and that they may put and get"
	st := e.Host.Store
	cond := store.IfAbsent()
	_, old, err := st.Get(ctx, storeKey)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		e.fault("store", err.Error(), mend)
		return
	default:
		cond = store.IfMatch(old)
	}
	data := []byte(e.Now().UTC().Format(time.RFC3339Nano) + ": conforma-status doctor can write here\n")
	etag, err := st.Put(ctx, storeKey, data, storeMeta, cond)
	switch {
	case errors.Is(err, store.ErrPrecondition):
		e.warn("store", "somebody else examines it at the same time", "repeat conforma-status doctor")
		return
	case err != nil:
		e.fault("store", err.Error(), mend)
		return
	}
	e.ok("store", e.Host.Config.Store+" can be reached and written to")
	const unsafe = "use a store that honours If-Match and If-None-Match (S3 does): two hosts may overwrite each other's status unseen"
	if _, err := st.Put(ctx, storeKey, data, storeMeta, store.IfAbsent()); !errors.Is(err, store.ErrPrecondition) {
		e.fault("conditional writes", fmt.Sprintf("the store overwrote a file that was to be there for the first time (%v)", err), unsafe)
		return
	}
	if _, err := st.Put(ctx, storeKey, data, storeMeta, store.IfMatch(wrongETag(etag))); !errors.Is(err, store.ErrPrecondition) {
		e.fault("conditional writes", fmt.Sprintf("the store overwrote a file that was another than expected (%v)", err), unsafe)
		return
	}
	e.ok("conditional writes", "are honoured")
}

// wrongETag is the ETag of another content.
func wrongETag(etag string) string {
	if wrong := store.ContentETag(nil); wrong != etag {
		return wrong
	}
	return store.ContentETag([]byte("x"))
}

// secret sees whether the site's secret is one, and whether the gate judges by it.
func (e *examination) secret(ctx context.Context, s config.Site) {
	if s.JWT == nil {
		e.warn("secret", "the site has no [site.jwt]: it can't go to admin mode", "add a [site.jwt] with secret_env_file")
		return
	}
	secret, err := e.Secret(s)
	if err != nil {
		e.fault("secret", err.Error(), gate.Hint(err))
		return
	}
	e.ok("secret", "is strong, and its file is closed to others")
	for _, c := range []struct {
		admin bool
		want  int
		word  string
	}{{true, http.StatusNoContent, "an administrator's"}, {false, http.StatusUnauthorized, "anybody's"}} {
		claims := jwt.MapClaims{"iat": e.Now().Unix(), "aud": s.JWT.Audience, s.JWT.AdminClaim: c.admin}
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
		if err != nil {
			e.fault("gate", "sign a token: "+err.Error(), "report this")
			return
		}
		code, err := e.Ask(ctx, s.Name, token) // over the unix socket: it doesn't leave this machine
		switch {
		case err != nil:
			e.fault("gate", fmt.Sprintf("no gate answers at %s: %v", e.Host.Config.Gate.Socket, err), "start it: systemctl start conforma-status-gate (or conforma-status gate); nobody is let in while in admin mode")
			return
		case code != c.want:
			e.fault("gate", fmt.Sprintf("it answers %s token with %d, not %d", c.word, code, c.want), "start the gate anew: it runs with another configuration")
			return
		}
	}
	e.ok("gate", "lets an administrator's token in, and no other")
}
