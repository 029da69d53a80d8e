// Package gate answers nginx's auth_request for sites in admin mode: it says of a request's token whether
// its bearer is an administrator, and nothing else. Whatever is not plainly right is refused.
package gate

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// defaultAlgorithm is what a Policy without an Algorithm demands: the one that Conforma signs with.
const defaultAlgorithm = "HS256"

// Policy says which tokens let their bearer into a site that is in admin mode. One that is itself not
// sound (an unknown Algorithm, no AdminClaim) admits nobody.
type Policy struct {
	Site       string        // the site's name, as in /check/SITE
	Algorithm  string        // one of Algorithms, "" is HS256; never taken from the token (RFC 8725, 3.1)
	Audience   string        // must be in the token's aud; "" is not checked
	Issuer     string        // must be the token's iss; "" is not checked
	AdminClaim string        // the claim that must be the boolean true, under exactly this name
	MaxAge     time.Duration // since iat, which a token then must have; 0 is not checked
	Leeway     time.Duration // how far clocks may differ, for exp, nbf and iat; not negative, a minute at most
}

// refusal is the error of a token, a cookie or a pass that doesn't admit.
type refusal struct {
	reason string // for the log: never holds any part of the token or of the secret
}

func (r *refusal) Error() string { return "token: " + r.reason }

func refuse(reason string) error { return &refusal{reason: reason} }

// The reasons for which claims are refused; those for a token's form are in token.go.
const (
	reasonPolicy     = "this site takes no tokens: it has no [site.jwt], or one without a known algorithm and an admin_claim"
	reasonNoSecret   = "there is no secret to check it by"
	reasonSignature  = "the signature doesn't match"
	reasonExpired    = "expired"
	reasonNotYet     = "not valid yet (nbf)"
	reasonFuture     = "issued in the future (iat): are the clocks right?"
	reasonTooOld     = "issued longer ago than max_age"
	reasonNoIssuedAt = "it has no iat, which max_age needs"
	reasonDate       = "exp, nbf or iat is not a date"
	reasonAudType    = "aud is neither a string nor a list of strings"
	reasonAudience   = "its aud is not the audience of [site.jwt]"
	reasonIssuer     = "its iss is not the issuer of [site.jwt]"
	reasonNotAdmin   = "the admin claim is not the boolean true"
)

// parsers holds a reader for each algorithm. They check the form again and the signature, in constant time;
// claims are left to Policy.judge, which is stricter about their types.
var parsers = map[string]*jwt.Parser{
	"HS256": newParser("HS256"),
	"HS384": newParser("HS384"),
	"HS512": newParser("HS512"),
}

// Algorithms returns the names of those that a Policy may have.
func Algorithms() []string { return []string{"HS256", "HS384", "HS512"} }

func newParser(algorithm string) *jwt.Parser {
	return jwt.NewParser(jwt.WithValidMethods([]string{algorithm}), jwt.WithStrictDecoding(),
		jwt.WithJSONNumber(), jwt.WithoutClaimsValidation())
}

// admits returns from when on token, a compact JWS (RFC 7515, 7.1) without "Bearer ", will no longer admit its bearer;
// the zero time is never. The error is a *refusal when it doesn't at the time now. An empty secret admits nobody.
func (p Policy) admits(token string, secret []byte, now time.Time) (time.Time, error) {
	none := time.Time{}
	algorithm := cmp.Or(p.Algorithm, defaultAlgorithm)
	parser := parsers[algorithm]
	if parser == nil || p.AdminClaim == "" {
		return none, refuse(reasonPolicy)
	}
	if len(secret) == 0 {
		return none, refuse(reasonNoSecret)
	}
	if err := checkForm(token, algorithm); err != nil {
		return none, err
	}
	claims := jwt.MapClaims{}
	_, err := parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return secret, nil })
	if errors.Is(err, jwt.ErrTokenSignatureInvalid) {
		return none, refuse(reasonSignature)
	}
	if err != nil { // not passed on: it may quote the token
		return none, refuse(reasonMalformed)
	}
	if err := p.judge(claims, now); err != nil {
		return none, err
	}
	return p.ends(claims), nil
}

// admitsAny is admits with the secret that the token was signed with.
func (p Policy) admitsAny(token string, secrets []Secret, now time.Time) (ends time.Time, err error) {
	err = refuse(reasonNoSecret)
	for _, secret := range secrets {
		var why *refusal
		if ends, err = p.admits(token, secret, now); !errors.As(err, &why) || why.reason != reasonSignature {
			return ends, err
		}
	}
	return ends, err
}

// ends is when a token that holds will cease to; its dates were judged.
func (p Policy) ends(claims map[string]any) time.Time {
	end, _, _ := dateOf(claims, "exp")
	if issued, has, _ := dateOf(claims, "iat"); p.MaxAge > 0 && has {
		if old := issued.Add(p.MaxAge); end.IsZero() || old.Before(end) {
			end = old
		}
	}
	return end
}

// judge holds the claims of a token that is genuine against the policy.
func (p Policy) judge(claims map[string]any, now time.Time) error {
	if err := p.judgeDates(claims, now); err != nil {
		return err
	}
	audience, ok := audienceOf(claims)
	switch {
	case !ok:
		return refuse(reasonAudType)
	case p.Audience != "" && !slices.Contains(audience, p.Audience):
		return refuse(reasonAudience)
	}
	if issuer, _ := claims["iss"].(string); p.Issuer != "" && issuer != p.Issuer {
		return refuse(reasonIssuer)
	}
	if admin, _ := claims[p.AdminClaim].(bool); !admin {
		return refuse(reasonNotAdmin)
	}
	return nil
}

// judgeDates follows RFC 7519, 4.1.4 to 4.1.6: exp is the first moment at which a token no longer holds, nbf the
// first at which it does. A date that is there has to be one, whether it is needed or not.
func (p Policy) judgeDates(claims map[string]any, now time.Time) error {
	expires, hasExpires, ok1 := dateOf(claims, "exp")
	notBefore, hasNotBefore, ok2 := dateOf(claims, "nbf")
	issued, hasIssued, ok3 := dateOf(claims, "iat")
	switch {
	case !ok1 || !ok2 || !ok3:
		return refuse(reasonDate)
	case hasExpires && !now.Before(expires.Add(p.Leeway)):
		return refuse(reasonExpired)
	case hasNotBefore && now.Before(notBefore.Add(-p.Leeway)):
		return refuse(reasonNotYet)
	case hasIssued && issued.After(now.Add(p.Leeway)):
		return refuse(reasonFuture)
	case p.MaxAge > 0 && !hasIssued:
		return refuse(reasonNoIssuedAt)
	case p.MaxAge > 0 && now.Sub(issued)-p.Leeway > p.MaxAge:
		return refuse(reasonTooOld)
	}
	return nil
}

// lastDate is the end of the year 9999, the last one that RFC 3339 can write, in seconds since 1970.
const lastDate = 253402300799

// dateOf reads a NumericDate (RFC 7519, 2). ok is false when the claim is there and isn't one.
func dateOf(claims map[string]any, name string) (date time.Time, present, ok bool) {
	value, present := claims[name]
	if !present {
		return time.Time{}, false, true
	}
	number, isNumber := value.(json.Number)
	if !isNumber || strings.HasPrefix(number.String(), "-") {
		return time.Time{}, true, false
	}
	seconds, err := strconv.ParseFloat(number.String(), 64)
	if err != nil || seconds > lastDate {
		return time.Time{}, true, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true, true
}

// audienceOf reads aud (RFC 7519, 4.1.3), nil when there is none. ok is false when it is of another type.
func audienceOf(claims map[string]any) (audience []string, ok bool) {
	value, present := claims["aud"]
	if !present {
		return nil, true
	}
	switch value := value.(type) {
	case string:
		return []string{value}, true
	case []any:
		for _, item := range value {
			name, isString := item.(string)
			if !isString {
				return nil, false
			}
			audience = append(audience, name)
		}
		return audience, true
	}
	return nil, false
}
