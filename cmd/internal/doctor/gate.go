package doctor

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/golang-jwt/jwt/v5"

	"github.com/msupply-foundation/conforma-status/cmd/internal/config"
	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

// secret sees whether the site's secret is one, and whether the gate judges by it.
func (e *examination) secret(ctx context.Context, s config.Site) {
	if s.JWT == nil {
		e.warn(Secret, "the site has no [site.jwt]: it can't go to admin mode", "add a [site.jwt] with secret_env_file")
		return
	}
	secrets, err := e.Secret(s)
	if err != nil {
		if !e.refused(Secret, err) {
			hint := gate.Hint(err)
			if hint == "" {
				hint = "see that it is a file that can be read"
			}
			e.fault(Secret, err.Error(), hint)
		}
		e.warn(Gate, "can't be tried without the secret", "mend the secret first")
		return
	}
	e.ok(Secret, "is strong, and its file is closed to others")
	for _, c := range []struct {
		admin bool
		want  int
		word  string
	}{{true, http.StatusNoContent, "an administrator's"}, {false, http.StatusUnauthorized, "anybody's"}} {
		claims := jwt.MapClaims{"iat": e.Now().Unix(), "aud": s.JWT.Audience, s.JWT.AdminClaim: c.admin}
		if s.JWT.Issuer != "" {
			claims["iss"] = s.JWT.Issuer
		}
		token, err := jwt.NewWithClaims(jwt.GetSigningMethod(s.JWT.Algorithm), claims).SignedString([]byte(secrets[0]))
		if err != nil {
			e.fault(Gate, "sign a token: "+err.Error(), "report this")
			return
		}
		code, err := e.Ask(ctx, s.Name, token) // over the unix socket: it doesn't leave this machine
		switch {
		case err != nil && e.refused(Gate, err):
			return
		case err != nil:
			e.fault(Gate, fmt.Sprintf("no gate answers at %s: %v", e.Host.Config.Gate.Socket, err), "start it: systemctl start conforma-status-gate (or conforma-status gate); nobody is let in while in admin mode")
			return
		case code != c.want:
			e.fault(Gate, fmt.Sprintf("it answers %s token with %d, not %d", c.word, code, c.want), "start the gate anew: it runs with another configuration")
			return
		}
	}
	if dir := e.barred(filepath.Dir(e.Host.Config.Gate.Socket)); dir != "" {
		e.fault(Gate, fmt.Sprintf("nginx's workers may not enter %s, where its socket is: nobody would be let in", dir), "chmod o+x "+dir)
		return
	}
	e.ok(Gate, "lets an administrator's token in, and no other")
}
