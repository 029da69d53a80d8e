package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"

	"github.com/golang-jwt/jwt/v5"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

// tokens sees whether the site's secret is one, and whether the gate judges tokens by it.
func (e *examination) tokens(ctx context.Context, s config.Site) {
	secrets, err := e.Secret(s)
	if s.JWT == nil && errors.Is(err, fs.ErrNotExist) {
		e.ok(checkSecret, lettingIn(s))
		return
	}
	if err != nil {
		e.failed(checkSecret, err, cmp.Or(gate.Hint(err), "see that it is a file that can be read"))
		e.warn(checkGate, "can't be tried without the secret", "mend the secret first")
		return
	}
	e.ok(checkSecret, "is strong, and its file is closed to others")
	if s.JWT == nil {
		e.passes(ctx, s)
		return
	}
	for _, isAdmin := range []bool{true, false} {
		if !e.judged(ctx, s, secrets[0], isAdmin) {
			return
		}
	}
	if dir := e.closedToWorkers(filepath.Dir(e.Host.Config.Gate.Socket)); dir != "" {
		e.fault(checkGate, fmt.Sprintf("nginx's workers may not enter %s, where its socket is: nobody would get in by a token or a pass", dir), "chmod o+x "+dir)
		return
	}
	e.ok(checkGate, "lets an administrator's token in, and no other")
}

// lettingIn says whom a site lets in while in admin mode that has neither a [site.jwt] nor a key for passes.
func lettingIn(s config.Site) string {
	switch len(s.Allow) {
	case 0:
		return "there is none: admin mode needs somebody who is let in ([site.admin], [site.jwt], secret init)"
	case 1:
		return "there is none: in admin mode one address is let in, and whoever has a pass"
	}
	return fmt.Sprintf("there is none: in admin mode %d addresses are let in, and whoever has a pass", len(s.Allow))
}

// passes sees whether the gate answers for a site that has no tokens to be judged.
func (e *examination) passes(ctx context.Context, s config.Site) {
	if e.answers(ctx, s, "no.token.atall", http.StatusUnauthorized, "what is no token") {
		e.ok(checkGate, "answers, for passes")
	}
}

// answers reports whether the gate answers a token as it should, and says what is wrong where it doesn't.
func (e *examination) answers(ctx context.Context, s config.Site, token string, want int, what string) bool {
	code, err := e.ask(ctx, s.Name, token) // over the unix socket: it doesn't leave this machine
	switch {
	case err != nil && e.denied(checkGate, err):
	case err != nil:
		e.fault(checkGate, fmt.Sprintf("no gate answers at %s: %v", e.Host.Config.Gate.Socket, err), hintGate)
	case code != want:
		e.fault(checkGate, fmt.Sprintf("it answers %d, not %d, to %s", code, want, what),
			"start the gate anew: it runs with another configuration")
	default:
		return true
	}
	return false
}

const hintGate = "start it: systemctl start conforma-status-gate (or conforma-status gate); until then only the addresses in [site.admin] allow get in while in admin mode"

// gateAttempts is how often a gate is asked that doesn't answer. systemd holds the socket from the beginning, and
// starts a gate that has failed again after 3 s, for example because its secret was not written yet.
const gateAttempts = 5

// ask asks the gate about a token of a site, and waits for one that is just starting.
func (e *examination) ask(ctx context.Context, site, token string) (code int, err error) {
	for range gateAttempts {
		if code, err = e.Ask(ctx, site, token); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			break
		}
	}
	return code, err
}

// judged reports whether the gate answers a token as it should, and says what is wrong where it doesn't.
func (e *examination) judged(ctx context.Context, s config.Site, secret gate.Secret, isAdmin bool) bool {
	want, whose := http.StatusUnauthorized, "anybody's"
	if isAdmin {
		want, whose = http.StatusNoContent, "an administrator's"
	}
	claims := jwt.MapClaims{"iat": e.Now().Unix(), s.JWT.AdminClaim: isAdmin}
	if s.JWT.Audience != "" {
		claims["aud"] = s.JWT.Audience
	}
	if s.JWT.Issuer != "" {
		claims["iss"] = s.JWT.Issuer
	}
	token, err := jwt.NewWithClaims(jwt.GetSigningMethod(s.JWT.Algorithm), claims).SignedString([]byte(secret))
	if err != nil {
		e.fault(checkGate, "sign a token: "+err.Error(), "report this")
		return false
	}
	return e.answers(ctx, s, token, want, whose+" token")
}
