package gate

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"
	"testing"
	"time"
)

// Recognisable wherever it should not turn up.
const testSecret = "SECRETsecretSECRETsecretSECRETsecret-1234567890-1234567890-12345"

const goodHeader = `{"alg":"HS256","typ":"JWT"}`

var testNow = time.Date(2026, 11, 22, 21, 15, 0, 0, time.UTC)

// testPolicy is what Conforma's tokens are held against.
func testPolicy() Policy {
	return Policy{Site: "demo", Audience: "postgraphile", AdminClaim: "isAdmin", MaxAge: 8 * time.Hour, Leeway: 30 * time.Second}
}

// adminClaims are those of a token that testPolicy admits at testNow, with more JSON members put before the end.
func adminClaims(more ...string) string {
	members := append([]string{
		fmt.Sprintf(`"iat":%d`, testNow.Add(-time.Hour).Unix()), `"aud":"postgraphile"`, `"isAdmin":true`,
		`"userId":7`, `"username":"admin"`, `"sessionId":"pLkQ8WmXyRt5"`, `"role":"postgres"`,
	}, more...)
	return "{" + strings.Join(members, ",") + "}"
}

func encode(data string) string { return base64.RawURLEncoding.EncodeToString([]byte(data)) }

var hashes = map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}

// mint signs with nothing of the library that reads the token.
func mint(header, claims, secret string) string {
	return mintWith(sha256.New, header, claims, secret)
}

func mintWith(algorithm func() hash.Hash, header, claims, secret string) string {
	text := encode(header) + "." + encode(claims)
	return text + "." + signature(algorithm, text, secret)
}

func signature(algorithm func() hash.Hash, text, secret string) string {
	mac := hmac.New(algorithm, []byte(secret))
	mac.Write([]byte(text))
	return encode(string(mac.Sum(nil)))
}

// reasonOf returns the reason of a refusal, "" for nil.
func reasonOf(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var why *refusal
	if !errors.As(err, &why) || why.reason == "" {
		t.Fatalf("got %#v, want a *refusal with a reason", err)
	}
	return why.reason
}

// verify is admits without the time.
func (p Policy) verify(token string, secret []byte, now time.Time) error {
	_, err := p.admits(token, secret, now)
	return err
}

func TestRefusalsSayWhatOfTheTokenIsWrong(t *testing.T) {
	for token, want := range map[string]string{
		mint(goodHeader, strings.Replace(adminClaims(), "true", "false", 1), testSecret): "token: the admin claim is not the boolean true",
		mint(goodHeader, adminClaims(), otherSecret):                                     "token: the signature doesn't match",
	} {
		if err := testPolicy().verify(token, []byte(testSecret), testNow); err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func at(offset time.Duration) string { return fmt.Sprint(testNow.Add(offset).Unix()) }

func TestVerifyClaims(t *testing.T) {
	const whom = `"aud":"postgraphile","isAdmin":true`
	old := `"iat":` + at(-time.Hour)
	for _, tt := range []struct {
		name   string
		claims string
		want   string // the reason, "" admits
	}{
		{"as Conforma makes them", adminClaims(), ""},
		{"with blanks and line ends in the JSON", "\r\n{ " + old + ",\t" + whom + " }\n", ""},

		{"admin false", `{` + old + `,"aud":"postgraphile","isAdmin":false}`, reasonNotAdmin},
		{"admin missing", `{` + old + `,"aud":"postgraphile"}`, reasonNotAdmin},
		{"admin null", `{` + old + `,"aud":"postgraphile","isAdmin":null}`, reasonNotAdmin},
		{"admin a string", `{` + old + `,"aud":"postgraphile","isAdmin":"true"}`, reasonNotAdmin},
		{"admin a number", `{` + old + `,"aud":"postgraphile","isAdmin":1}`, reasonNotAdmin},
		{"admin a list", `{` + old + `,"aud":"postgraphile","isAdmin":[true]}`, reasonNotAdmin},
		{"admin an object", `{` + old + `,"aud":"postgraphile","isAdmin":{"isAdmin":true}}`, reasonNotAdmin},
		{"admin in capitals", `{` + old + `,"aud":"postgraphile","ISADMIN":true}`, reasonNotAdmin},
		{"admin in small letters", `{` + old + `,"aud":"postgraphile","isadmin":true}`, reasonNotAdmin},
		{"admin with a letter that folds to s", `{` + old + `,"aud":"postgraphile","iſAdmin":true}`, reasonNotAdmin},
		{"admin with a blank", `{` + old + `,"aud":"postgraphile","isAdmin ":true}`, reasonNotAdmin},
		{"admin further down", `{` + old + `,"aud":"postgraphile","user":{"isAdmin":true}}`, reasonNotAdmin},
		{"admin under an escaped name", `{` + old + `,"aud":"postgraphile","\u0069sAdmin":true}`, ""},
		{"admin twice", adminClaims(`"isAdmin":true`), reasonClaims + reasonDuplicate},
		{"admin true, then false", adminClaims(`"isAdmin":false`), reasonClaims + reasonDuplicate},
		{"admin twice, once escaped", adminClaims(`"\u0069sAdmin":false`), reasonClaims + reasonDuplicate},
		{"twice further down", adminClaims(`"x":[{"a":{"b":1,"b":2}}]`), reasonClaims + reasonDuplicate},
		{"the same key in two objects", adminClaims(`"x":[{"a":1},{"a":1}]`), ""},

		{"aud a list with ours", `{` + old + `,"isAdmin":true,"aud":["x","postgraphile"]}`, ""},
		{"aud a list without ours", `{` + old + `,"isAdmin":true,"aud":["x"]}`, reasonAudience},
		{"aud an empty list", `{` + old + `,"isAdmin":true,"aud":[]}`, reasonAudience},
		{"aud another", `{` + old + `,"isAdmin":true,"aud":"postgraphile2"}`, reasonAudience},
		{"aud in capitals", `{` + old + `,"isAdmin":true,"aud":"Postgraphile"}`, reasonAudience},
		{"aud missing", `{` + old + `,"isAdmin":true}`, reasonAudience},
		{"aud null", `{` + old + `,"isAdmin":true,"aud":null}`, reasonAudType},
		{"aud a number", `{` + old + `,"isAdmin":true,"aud":1}`, reasonAudType},
		{"aud an object", `{` + old + `,"isAdmin":true,"aud":{"postgraphile":true}}`, reasonAudType},
		{"aud a list with a number", `{` + old + `,"isAdmin":true,"aud":["postgraphile",1]}`, reasonAudType},
		{"aud a list in a list", `{` + old + `,"isAdmin":true,"aud":[["postgraphile"]]}`, reasonAudType},

		{"just not too old", `{"iat":` + at(-8*time.Hour-30*time.Second) + `,` + whom + `}`, ""},
		{"too old", `{"iat":` + at(-8*time.Hour-31*time.Second) + `,` + whom + `}`, reasonTooOld},
		{"iat missing", `{` + whom + `}`, reasonNoIssuedAt},
		{"iat zero", `{"iat":0,` + whom + `}`, reasonTooOld},
		{"iat a little ahead", `{"iat":` + at(30*time.Second) + `,` + whom + `}`, ""},
		{"iat ahead", `{"iat":` + at(31*time.Second) + `,` + whom + `}`, reasonFuture},
		{"iat in milliseconds", `{"iat":` + fmt.Sprint(testNow.UnixMilli()) + `,` + whom + `}`, reasonDate},
		{"iat with a fraction", `{"iat":` + at(-time.Hour) + `.5,` + whom + `}`, ""},

		{"exp ahead", adminClaims(`"exp":` + at(time.Minute)), ""},
		{"exp now, with leeway", adminClaims(`"exp":` + at(0)), ""},
		{"exp past the leeway", adminClaims(`"exp":` + at(-30*time.Second)), reasonExpired},
		{"exp a fraction within the leeway", adminClaims(`"exp":` + at(-30*time.Second) + `.25`), ""},
		{"exp with an exponent", adminClaims(`"exp":2e9`), ""},
		{"exp the last second of 9999", adminClaims(`"exp":253402300799`), ""},
		{"nbf past", adminClaims(`"nbf":` + at(-time.Minute)), ""},
		{"nbf a little ahead", adminClaims(`"nbf":` + at(30*time.Second)), ""},
		{"nbf ahead", adminClaims(`"nbf":` + at(31*time.Second)), reasonNotYet},

		{"claims a list", `[` + adminClaims() + `]`, reasonClaims + reasonNotObject},
		{"claims a string", `"isAdmin"`, reasonClaims + reasonNotObject},
		{"claims null", `null`, reasonClaims + reasonNotObject},
		{"claims of blanks", `  `, reasonClaims + reasonNotJSON},
		{"claims cut off", strings.TrimSuffix(adminClaims(), "}"), reasonClaims + reasonNotJSON},
		{"JSON after the end", adminClaims() + adminClaims(), reasonClaims + reasonNotJSON},
		{"a letter after the end", adminClaims() + "x", reasonClaims + reasonNotJSON},
		{"a NUL after the end", adminClaims() + "\x00", reasonClaims + reasonNotJSON},
		{"a byte order mark", "\ufeff" + adminClaims(), reasonClaims + reasonNotJSON},
		{"a comma at the end", adminClaims()[:len(adminClaims())-1] + ",}", reasonClaims + reasonNotJSON},
		{"a comment", adminClaims(`/**/"x":1`), reasonClaims + reasonNotJSON},
		{"single quotes", adminClaims(`'x':1`), reasonClaims + reasonNotJSON},
		{"NaN", adminClaims(`"x":NaN`), reasonClaims + reasonNotJSON},
		{"not UTF-8", adminClaims("\"x\":\"\xff\""), reasonClaims + reasonNotUTF8},
		{"UTF-16", "\xff\xfe{\x00}\x00", reasonClaims + reasonNotUTF8},
		{"nested as deeply as may be", adminClaims(`"x":` + nested(maxDepth-1)), ""},
		{"nested too deeply", adminClaims(`"x":` + nested(maxDepth)), reasonClaims + reasonTooDeep},
		{"nested without end", adminClaims(`"x":` + nested(9000)), reasonClaims + reasonTooDeep},
		{"a number no float64 holds", adminClaims(`"x":1e999`), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token := mint(goodHeader, tt.claims, testSecret)
			if got := reasonOf(t, testPolicy().verify(token, []byte(testSecret), testNow)); got != tt.want {
				t.Errorf("refused because %q, want %q", got, tt.want)
			}
		})
	}
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func TestVerifyDateTypes(t *testing.T) {
	values := []string{`null`, `"1"`, `"` + at(time.Hour) + `"`, `""`, `true`, `[]`, `[` + at(time.Hour) + `]`, `{}`, `-1`, `-0`,
		`-1e-9`, `1e400`, `253402300800`, `1e18`, `9223372036854775808`, strings.Repeat("9", 400)}
	policy := testPolicy()
	policy.MaxAge = 0 // a date that nothing needs is no freer
	for _, name := range []string{"exp", "nbf", "iat"} {
		for _, value := range values {
			token := mint(goodHeader, `{"aud":"postgraphile","isAdmin":true,"`+name+`":`+value+`}`, testSecret)
			if got := reasonOf(t, policy.verify(token, []byte(testSecret), testNow)); got != reasonDate {
				t.Errorf("%s %s: refused because %q, want %q", name, value, got, reasonDate)
			}
		}
	}
}

func TestVerifyHeader(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header string
		want   string
	}{
		{"alg and typ", goodHeader, ""},
		{"alg alone", `{"alg":"HS256"}`, ""},
		{"typ in small letters", `{"typ":"jwt","alg":"HS256"}`, ""},
		{"kid is ignored", `{"alg":"HS256","kid":"../../../../dev/null"}`, ""},
		{"kid like SQL is ignored", `{"alg":"HS256","kid":"x' UNION SELECT 'key"}`, ""},
		{"a field nobody knows is ignored", `{"alg":"HS256","x":{"y":[1]}}`, ""},

		{"alg none", `{"alg":"none"}`, reasonAlgorithm},
		{"alg None", `{"alg":"None"}`, reasonAlgorithm},
		{"alg empty", `{"alg":""}`, reasonAlgorithm},
		{"alg missing", `{"typ":"JWT"}`, reasonAlgorithm},
		{"alg null", `{"alg":null}`, reasonAlgorithm},
		{"alg a list", `{"alg":["HS256"]}`, reasonAlgorithm},
		{"alg a number", `{"alg":256}`, reasonAlgorithm},
		{"alg in small letters", `{"alg":"hs256"}`, reasonAlgorithm},
		{"alg with a blank", `{"alg":"HS256 "}`, reasonAlgorithm},
		{"alg under another name", `{"ALG":"HS256"}`, reasonAlgorithm},
		{"alg HS384", `{"alg":"HS384"}`, reasonAlgorithm},
		{"alg HS512", `{"alg":"HS512"}`, reasonAlgorithm},
		{"alg RS256", `{"alg":"RS256"}`, reasonAlgorithm},
		{"alg ES256", `{"alg":"ES256"}`, reasonAlgorithm},
		{"alg PS256", `{"alg":"PS256"}`, reasonAlgorithm},
		{"alg EdDSA", `{"alg":"EdDSA"}`, reasonAlgorithm},
		{"alg twice", `{"alg":"none","alg":"HS256"}`, reasonHeader + reasonDuplicate},
		{"alg twice, once escaped", `{"alg":"HS256","\u0061lg":"none"}`, reasonHeader + reasonDuplicate},

		{"typ another", `{"alg":"HS256","typ":"at+jwt"}`, reasonType},
		{"typ JOSE", `{"alg":"HS256","typ":"JOSE"}`, reasonType},
		{"typ empty", `{"alg":"HS256","typ":""}`, reasonType},
		{"typ null", `{"alg":"HS256","typ":null}`, reasonType},
		{"typ a list", `{"alg":"HS256","typ":["JWT"]}`, reasonType},

		{"crit unknown", `{"alg":"HS256","crit":["x"],"x":1}`, reasonDangerous + "crit"},
		{"crit empty", `{"alg":"HS256","crit":[]}`, reasonDangerous + "crit"},
		{"crit null", `{"alg":"HS256","crit":null}`, reasonDangerous + "crit"},
		{"b64 false", `{"alg":"HS256","b64":false}`, reasonDangerous + "b64"},
		{"b64 true", `{"alg":"HS256","b64":true}`, reasonDangerous + "b64"},
		{"jku", `{"alg":"HS256","jku":"https://evil.example/keys"}`, reasonDangerous + "jku"},
		{"jwk", `{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}`, reasonDangerous + "jwk"},
		{"x5u", `{"alg":"HS256","x5u":"https://evil.example/x"}`, reasonDangerous + "x5u"},
		{"x5c", `{"alg":"HS256","x5c":["MIIB"]}`, reasonDangerous + "x5c"},
		{"x5t", `{"alg":"HS256","x5t":"AAAA"}`, reasonDangerous + "x5t"},
		{"x5t#S256", `{"alg":"HS256","x5t#S256":"AAAA"}`, reasonDangerous + "x5t#S256"},
		{"encrypted", `{"alg":"HS256","enc":"A256GCM"}`, reasonDangerous + "enc"},
		{"compressed", `{"alg":"HS256","zip":"DEF"}`, reasonDangerous + "zip"},
		{"a token within", `{"alg":"HS256","cty":"JWT"}`, reasonDangerous + "cty"},

		{"a list", `["HS256"]`, reasonHeader + reasonNotObject},
		{"null", `null`, reasonHeader + reasonNotObject},
		{"cut off", `{"alg":"HS256"`, reasonHeader + reasonNotJSON},
		{"JSON after the end", `{"alg":"HS256"}{}`, reasonHeader + reasonNotJSON},
		{"nested too deeply", `{"alg":"HS256","x":` + nested(maxDepth) + `}`, reasonHeader + reasonTooDeep},
		{"not UTF-8", "{\"alg\":\"HS256\",\"x\":\"\xc0\x80\"}", reasonHeader + reasonNotUTF8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token := mint(tt.header, adminClaims(), testSecret)
			if got := reasonOf(t, testPolicy().verify(token, []byte(testSecret), testNow)); got != tt.want {
				t.Errorf("refused because %q, want %q", got, tt.want)
			}
		})
	}
}

func TestVerifyPolicy(t *testing.T) {
	for pinned := range hashes {
		for used, algorithm := range hashes {
			policy := testPolicy()
			policy.Algorithm = pinned
			token := mintWith(algorithm, `{"alg":"`+used+`"}`, adminClaims(), testSecret)
			want := reasonAlgorithm
			if used == pinned {
				want = ""
			}
			if got := reasonOf(t, policy.verify(token, []byte(testSecret), testNow)); got != want {
				t.Errorf("%s where %s is pinned: refused because %q, want %q", used, pinned, got, want)
			}
			// Another hash than the header says.
			token = mintWith(algorithm, `{"alg":"`+pinned+`"}`, adminClaims(), testSecret)
			if got := reasonOf(t, policy.verify(token, []byte(testSecret), testNow)); (got == "") != (used == pinned) {
				t.Errorf("%s signed as %s: %q", pinned, used, got)
			}
		}
	}

	for _, tt := range []struct {
		name   string
		change func(*Policy)
		claims string
		want   string
	}{
		{"an unknown algorithm admits nobody", func(p *Policy) { p.Algorithm = "none" }, adminClaims(), reasonPolicy},
		{"RS256 is not one of ours", func(p *Policy) { p.Algorithm = "RS256" }, adminClaims(), reasonPolicy},
		{"no admin claim admits nobody", func(p *Policy) { p.AdminClaim = "" }, adminClaims(`"":true`), reasonPolicy},
		{"another admin claim", func(p *Policy) { p.AdminClaim = "isManager" }, adminClaims(), reasonNotAdmin},
		{"the issuer", func(p *Policy) { p.Issuer = "conforma" }, adminClaims(`"iss":"conforma"`), ""},
		{"another issuer", func(p *Policy) { p.Issuer = "conforma" }, adminClaims(`"iss":"Conforma"`), reasonIssuer},
		{"no issuer", func(p *Policy) { p.Issuer = "conforma" }, adminClaims(), reasonIssuer},
		{"the issuer in a list", func(p *Policy) { p.Issuer = "conforma" }, adminClaims(`"iss":["conforma"]`), reasonIssuer},
		{"an issuer nobody asked for", func(*Policy) {}, adminClaims(`"iss":"x"`), ""},
		{"no audience asked for", func(p *Policy) { p.Audience = "" }, `{"iat":` + at(0) + `,"isAdmin":true}`, ""},
		{"no maximum age", func(p *Policy) { p.MaxAge = 0 }, `{"aud":"postgraphile","isAdmin":true}`, ""},
		{"no maximum age, an old token", func(p *Policy) { p.MaxAge = 0 }, `{"iat":1,"aud":"postgraphile","isAdmin":true}`, ""},
		{"no maximum age, a token of tomorrow", func(p *Policy) { p.MaxAge = 0 }, `{"iat":` + at(24*time.Hour) + `,"aud":"postgraphile","isAdmin":true}`, reasonFuture},
		{"an endless maximum age", func(p *Policy) { p.MaxAge = 1<<63 - 1 }, `{"iat":1,"aud":"postgraphile","isAdmin":true}`, ""},
		{"no leeway", func(p *Policy) { p.Leeway = 0 }, adminClaims(`"exp":` + at(0)), reasonExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			policy := testPolicy()
			tt.change(&policy)
			if got := reasonOf(t, policy.verify(mint(goodHeader, tt.claims, testSecret), []byte(testSecret), testNow)); got != tt.want {
				t.Errorf("refused because %q, want %q", got, tt.want)
			}
		})
	}
}

func TestVerifyKeys(t *testing.T) {
	token := mint(goodHeader, adminClaims(), testSecret)
	for _, tt := range []struct{ name, token, secret, want string }{
		{"the right one", token, testSecret, ""},
		{"another", token, testSecret[1:], reasonSignature},
		{"a longer one", token, testSecret + "x", reasonSignature},
		{"none", token, "", reasonNoSecret},
		{"none on either side", mint(goodHeader, adminClaims(), ""), "", reasonNoSecret},
		{"signed with nothing", mint(goodHeader, adminClaims(), ""), testSecret, reasonSignature},
		{"signed with the default", mint(goodHeader, adminClaims(), "devsecret"), testSecret, reasonSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := reasonOf(t, testPolicy().verify(tt.token, []byte(tt.secret), testNow)); got != tt.want {
				t.Errorf("refused because %q, want %q", got, tt.want)
			}
		})
	}
}

// The examples of the RFCs, signed with the key of RFC 7515, A.1.1.
func TestVerifyRFCExamples(t *testing.T) {
	const key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
	secret, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	policy := Policy{Issuer: "joe", AdminClaim: "http://example.com/is_root"}
	before := time.Unix(1300819379, 0)
	const a1 = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9" +
		".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ" +
		".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	for _, tt := range []struct {
		name, token string
		now         time.Time
		want        string
	}{
		{"RFC 7515, A.1, before it expires", a1, before, ""},
		{"RFC 7515, A.1, when it expires", a1, before.Add(time.Second), reasonExpired},
		{"RFC 7515, A.1, its signature cut", a1[:len(a1)-1], before, reasonBase64},
		{"RFC 7515, A.5, unsecured", "eyJhbGciOiJub25lIn0" +
			".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.", before, reasonNoSegment},
		{"RFC 7797, 4.1, payload $.02", "eyJhbGciOiJIUzI1NiJ9.JC4wMg.5mvfOroL-g7HyqJoozehmsaqmvTYGEq5jTI1gVvoEoQ",
			before, reasonClaims + reasonNotJSON},
		{"RFC 7797, 4.2, unencoded and detached",
			"eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19..A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY", before, reasonNoSegment},
		{"RFC 7797, 4.2, unencoded and attached",
			"eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19.$.02.A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY", before, reasonCharacter},
		{"RFC 7797, 4.2, its header on claims of A.1", "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19" + a1[strings.Index(a1, "."):],
			before, reasonDangerous + "crit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := reasonOf(t, policy.verify(tt.token, secret, tt.now)); got != tt.want {
				t.Errorf("refused because %q, want %q", got, tt.want)
			}
		})
	}
}
