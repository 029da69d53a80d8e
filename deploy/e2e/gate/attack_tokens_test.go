package gate

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"strings"
	"time"
)

// forged is a token that must not admit.
type forged struct{ name, token string }

const headHS256 = `{"alg":"HS256","typ":"JWT"}`

func b64(data string) string { return base64.RawURLEncoding.EncodeToString([]byte(data)) }

func seal(h func() hash.Hash, header, claims, secret string) string {
	text := b64(header) + "." + b64(claims)
	mac := hmac.New(h, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + b64(string(mac.Sum(nil)))
}

// forgeries makes the tokens of an attacker: those who know no secret, from a token that they have seen; and, signed
// with the secret, those of an application that is careless of what it signs (RFC 8725, and what readers of JWT were
// caught at). others are the secrets of the host's other sites, and publicKey what everybody knows of this one.
func forgeries(secret string, others []string, publicKey string) []forged {
	now := time.Now()
	base := map[string]any{"iat": now.Add(-time.Hour).Unix(), "aud": "postgraphile", "isAdmin": true, "userId": 7, "role": "postgres", "sessionId": "pLkQ8WmXyRt5"}
	claims := func(more map[string]any) string {
		all := maps.Clone(base)
		for k, v := range more {
			if v == nil {
				delete(all, k)
			} else {
				all[k] = v
			}
		}
		data, err := json.Marshal(all)
		if err != nil {
			panic(err) // they stand below
		}
		return string(data)
	}
	good := claims(nil)
	end := good[:len(good)-1] + ","
	token := seal(sha256.New, headHS256, good, secret)
	head, rest, _ := strings.Cut(token, ".")
	body, sign, _ := strings.Cut(rest, ".")
	var all []forged
	add := func(name, token string) { all = append(all, forged{name, token}) }
	signed := func(name, header, claims string) { add(name, seal(sha256.New, header, claims, secret)) }

	for _, alg := range []string{`"none"`, `"None"`, `"NONE"`, `"nOnE"`, `""`, `null`, `"HS256 "`, `"hs256"`, `["HS256"]`, `256`, `"HS1"`, `"dir"`, `"RS256"`, `"PS256"`, `"ES256"`, `"ES256K"`, `"EdDSA"`} {
		header := b64(`{"alg":` + alg + `,"typ":"JWT"}`)
		add("alg "+alg+" without a signature", header+"."+body+".")
		add("alg "+alg+" without its last dot", header+"."+body)
		add("alg "+alg+" with the old signature", header+"."+body+"."+sign)
		add("alg "+alg+", signed", seal(sha256.New, `{"alg":`+alg+`}`, good, secret))
		add("alg "+alg+", signed with the public key", seal(sha256.New, `{"alg":`+alg+`}`, good, publicKey))
	}
	add("HS256 with the public key for a secret", seal(sha256.New, headHS256, good, publicKey))
	add("ES256 with a signature of zeros", b64(`{"alg":"ES256"}`)+"."+body+"."+b64(strings.Repeat("\x00", 64)))
	add("HS384", seal(sha512.New384, `{"alg":"HS384"}`, good, secret))
	add("HS512", seal(sha512.New, `{"alg":"HS512"}`, good, secret))
	add("HS512 that says HS256", seal(sha512.New, headHS256, good, secret))
	add("HS256 that says HS512", seal(sha256.New, `{"alg":"HS512"}`, good, secret))
	for _, s := range append([]string{"", "secret", "devsecret", "postgraphile", "null", "undefined", "\x00", secret + "\n", " " + secret, secret[1:], strings.ToUpper(secret), head, sign}, others...) {
		add(fmt.Sprintf("signed with another secret, of %d bytes", len(s)), seal(sha256.New, headHS256, good, s))
	}
	for kid, s := range map[string]string{"/dev/null": "", "../../../../dev/null": "", "x' UNION SELECT 'key": "key", "/proc/sys/kernel/ostype": "Linux\n", "|id": "", "http://127.0.0.1/k": "k"} {
		add("kid "+kid, seal(sha256.New, fmt.Sprintf(`{"alg":"HS256","kid":%q}`, kid), good, s))
	}
	for _, field := range []string{
		`"jwk":{"kty":"oct","k":"` + b64("mine") + `"}`, `"jku":"http://127.0.0.1/keys"`, `"x5u":"http://127.0.0.1/x"`, `"x5c":["` + b64("mine") + `"]`, `"x5t":"AAAA"`, `"x5t#S256":"AAAA"`,
		`"crit":["x"],"x":1`, `"crit":[]`, `"crit":null`, `"crit":["b64"],"b64":false`, `"b64":false`, `"enc":"A256GCM"`, `"zip":"DEF"`, `"cty":"JWT"`, `"typ":"at+jwt"`, `"typ":"JOSE"`, `"typ":null`, `"alg":"none"`, `"\u0061lg":"none"`,
	} {
		add("the header has "+field+", signed with what it brings", seal(sha256.New, `{"alg":"HS256",`+field+`}`, good, "mine"))
		signed("the header has "+field, `{"alg":"HS256",`+field+`}`, good)
	}
	for _, header := range []string{`[]`, `null`, `"HS256"`, `{}`, `{"ALG":"HS256"}`, headHS256 + "{}", headHS256[:len(headHS256)-1], "\ufeff" + headHS256, `{"alg":"HS256","x":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}`} {
		signed("the header is "+header, header, good)
	}
	for _, admin := range []string{`false`, `null`, `"true"`, `"yes"`, `1`, `1.0`, `"1"`, `[true]`, `{"isAdmin":true}`, `{}`, `[]`, `0`, `""`} {
		signed("isAdmin is "+admin, headHS256, claims(map[string]any{"isAdmin": json.RawMessage(admin)}))
	}
	for _, name := range []string{"ISADMIN", "isadmin", "IsAdmin", "iſAdmin", "isAdmin ", " isAdmin", "is_admin", "isAdmin\u0000", "isAdmin\u200b", "admin"} {
		signed("isAdmin is called "+name, headHS256, claims(map[string]any{"isAdmin": nil, name: true}))
	}
	signed("isAdmin further down", headHS256, claims(map[string]any{"isAdmin": nil, "user": map[string]any{"isAdmin": true}}))
	for _, member := range []string{`"isAdmin":true`, `"isAdmin":false`, `"\u0069sAdmin":false`, `"aud":"postgraphile"`, `"x":{"a":1,"a":2}`} {
		signed("twice: "+member, headHS256, end+member+"}")
	}
	for _, date := range []string{`null`, `"0"`, `""`, `true`, `[]`, `{}`, `-1`, `1e400`, `9223372036854775808`, fmt.Sprintf(`"%d"`, now.Add(time.Hour).Unix())} {
		for _, name := range []string{"exp", "nbf", "iat"} {
			signed(name+" is "+date, headHS256, strings.Replace(end, `"iat":`, `"was":`, 1)+`"`+name+`":`+date+"}")
		}
	}
	signed("expired", headHS256, claims(map[string]any{"exp": now.Add(-time.Minute).Unix()}))
	signed("expired long ago", headHS256, claims(map[string]any{"exp": 1}))
	signed("not valid yet (nbf)", headHS256, claims(map[string]any{"nbf": now.Add(time.Minute).Unix()}))
	signed("from the future", headHS256, claims(map[string]any{"iat": now.Add(time.Minute).Unix()}))
	signed("of yesterday", headHS256, claims(map[string]any{"iat": now.Add(-24 * time.Hour).Unix()}))
	signed("without iat", headHS256, claims(map[string]any{"iat": nil}))
	signed("iat in milliseconds", headHS256, claims(map[string]any{"iat": now.UnixMilli()}))
	for _, aud := range []any{nil, "", "postgraphile2", "Postgraphile", []string{}, []string{"x"}, 1, map[string]any{"postgraphile": 1}, []any{"postgraphile", 1}} {
		signed(fmt.Sprintf("aud %v", aud), headHS256, claims(map[string]any{"aud": aud}))
	}
	for name, text := range map[string]string{
		"JSON after the end": good + good, "a letter after the end": good + "x", "a NUL after the end": good + "\x00", "a byte order mark": "\ufeff" + good, "a comment": end + `/**/"x":1}`,
		"single quotes": end + `'x':1}`, "NaN": end + `"x":NaN}`, "not UTF-8": end + "\"x\":\"\xff\"}", "a list": "[" + good + "]", "a string": `"isAdmin"`, "true": "true", "nothing": "",
		"nested deeply": end + `"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}", "a token": token,
	} {
		signed("the claims: "+name, headHS256, text)
	}

	for i, part := range []string{head, body, sign} {
		parts := []string{head, body, sign}
		for what, changed := range map[string]string{
			"gone": "", "cut": part[:len(part)-1], "longer": part + "A", "its first gone": part[1:], "in small letters": strings.ToLower(part), "twice": part + part, "encoded twice": b64(part),
			"padded": part + "=", "with a plus": part[:5] + "+" + part[6:], "with a slash": part[:5] + "/" + part[6:], "with a percent": part[:5] + "%41" + part[6:], "with a blank": part[:5] + " " + part[5:], "with a tab": part[:5] + "\t" + part[5:],
			"with a comma": part + ",", "with a semicolon": part + ";", "with a zero-width space": part + "\u200b", "with a byte that is not ASCII": part + "\xff", "in quotes": `"` + part + `"`,
		} {
			parts[i] = changed
			add(fmt.Sprintf("segment %d %s", i, what), strings.Join(parts, "."))
		}
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for spare := 1; spare <= 3; spare++ {
		last := strings.IndexByte(alphabet, sign[len(sign)-1])
		add(fmt.Sprintf("%d in the signature's spare bits", spare), head+"."+body+"."+sign[:len(sign)-1]+string(alphabet[last+spare]))
	}
	mac, err := base64.RawURLEncoding.DecodeString(sign)
	if err != nil {
		panic(err) // it was just encoded
	}
	for bit := range len(mac) * 8 {
		turned := []byte(string(mac))
		turned[bit/8] ^= 1 << (bit % 8)
		add(fmt.Sprintf("bit %d of the signature", bit), head+"."+body+"."+b64(string(turned)))
	}
	for place := 0; place < len(body); place += 3 {
		next := alphabet[(strings.IndexByte(alphabet, body[place])+1)%len(alphabet)]
		add(fmt.Sprintf("character %d of the claims", place), head+"."+body[:place]+string(next)+body[place+1:]+"."+sign)
	}
	add("a dot before", "."+token)
	add("a dot behind", token+".")
	add("each dot twice", strings.ReplaceAll(token, ".", ".."))
	add("five segments", token+"..")
	add("two with a comma", token+","+token)
	add("two with a blank", token+" "+token)
	add("the scheme twice", "Bearer "+token)
	add("in quotes", `"`+token+`"`)
	add("in brackets", "<"+token+">")
	add("the JSON form", `{"protected":"`+head+`","payload":"`+body+`","signature":"`+sign+`"}`)
	add("undefined", "undefined")
	add("null", "null")
	add("nothing", "")
	for _, size := range []int{20_000, 33_000, 60_000, 200_000} { // nginx takes 32 kB, then a 400 is its own
		add(fmt.Sprintf("%d bytes of a signature", size), head+"."+body+"."+strings.Repeat("A", size))
		add(fmt.Sprintf("%d dots", size), strings.Repeat(".", size))
	}
	return all
}
