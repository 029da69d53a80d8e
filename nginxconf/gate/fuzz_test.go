package gate

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// genuine is a second opinion on a token's signature that shares nothing with Verify but the standard library: the one
// spelling of what the secret gives for the text before the last dot.
func genuine(token, secret string) bool {
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(token[:dot]))
	return token[dot+1:] == base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// FuzzVerify: what isn't signed by us, in the one spelling that we write, is never admitted.
func FuzzVerify(f *testing.F) {
	f.Add(mint(goodHeader, adminClaims(), testSecret))
	for i, tt := range malformedTokens() {
		if i%7 == 0 {
			f.Add(tt.token)
		}
	}
	f.Fuzz(func(t *testing.T, token string) {
		reason := reasonOf(t, testPolicy().verify(token, []byte(testSecret), testNow))
		if reason == "" && !genuine(token, testSecret) {
			t.Errorf("admitted: %q", token)
		}
		for segment := range strings.SplitSeq(token, ".") {
			if len(segment) > 16 && strings.Contains(reason, segment) {
				t.Errorf("the reason quotes the token: %q", reason)
			}
		}
	})
}

// FuzzVerifySigned: header and claims of any kind, signed by us. Whatever is admitted says the same to a strict
// reader, to Go's, and to one that takes the first of two keys.
func FuzzVerifySigned(f *testing.F) {
	f.Add([]byte(goodHeader), []byte(adminClaims()))
	f.Add([]byte(`{"alg":"HS256","crit":["b64"],"b64":false}`), []byte(adminClaims(`"exp":null`)))
	f.Add([]byte(`{"alg":"none","alg":"HS256"}`), []byte(adminClaims(`"isAdmin":false`)))
	f.Add([]byte(`{"alg":"HS256","kid":"1"}`), []byte(adminClaims(`"x":{"a":[1,{"b":null}]}`, `"exp":2e9`, `"nbf":1.5`)))
	f.Fuzz(func(t *testing.T, header, claims []byte) {
		token := mint(string(header), string(claims), testSecret)
		if testPolicy().verify(token, []byte(otherSecret), testNow) == nil {
			t.Fatalf("another secret admits %s %s", header, claims)
		}
		if testPolicy().verify(token, []byte(testSecret), testNow) != nil {
			return
		}
		var h, c map[string]any
		if err := errors.Join(json.Unmarshal(header, &h), json.Unmarshal(claims, &c)); err != nil {
			// Go's own reader has no place for a number like 1e999 in what nobody asked for.
			var tooLarge *json.UnmarshalTypeError
			if !errors.As(err, &tooLarge) {
				t.Fatalf("admitted: %s %s: %v", header, claims, err)
			}
			return
		}
		_, crit := h["crit"]
		_, b64 := h["b64"]
		issued, isNumber := c["iat"].(float64)
		age := float64(testNow.Unix()) - issued
		if h["alg"] != "HS256" || crit || b64 || c["isAdmin"] != true || !isNumber || age < -30 || age > 8*3600+30 {
			t.Errorf("admitted: %s %s", header, claims)
		}
		if expires, present := c["exp"]; present {
			if seconds, isNumber := expires.(float64); !isNumber || seconds < float64(testNow.Unix())-30 {
				t.Errorf("admitted: %s", claims)
			}
		}
		if audience := c["aud"]; audience != "postgraphile" {
			if list, isList := audience.([]any); !isList || !slices.Contains(list, any("postgraphile")) {
				t.Errorf("admitted: %s", claims)
			}
		}
		// The first of two keys and the last: a second one is never admitted.
		twice := strings.Replace(string(claims), "{", `{"isAdmin":true,`, 1)
		if testPolicy().verify(mint(string(header), twice, testSecret), []byte(testSecret), testNow) == nil {
			t.Errorf("admitted with isAdmin twice: %s", twice)
		}
	})
}

// FuzzJSON holds the check for keys that are there twice against Go's own reader of JSON, token by token.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"a":2}`, `{"a":{"b":[{"c":"\\\""},{"c":",:{"}]},"b":1}`, `{"a":1,"\u0061":2}`, `{"\ud800":1,"\udfff":2}`,
		`{"a":[1,"a","a"],"b":"a"}`, `{"":1,"":1}`, `[]`, "{\"a\" : 1 ,\n\"b\":\"\"}", `{"x":` + nested(maxDepth) + `}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := checkJSON(data)
		if valid := utf8.Valid(data) && json.Valid(data) && bytes.TrimSpace(data)[0] == '{'; !valid {
			if got != reasonNotUTF8 && got != reasonNotJSON && got != reasonNotObject {
				t.Errorf("%q: %q", data, got)
			}
			return
		}
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		if twice, deep := walk(t, decoder, 0); (got == "") != (!twice && !deep) || got == reasonDuplicate && !twice || got == reasonTooDeep && !deep {
			t.Errorf("%q: %q, twice %v, deep %v", data, got, twice, deep)
		}
	})
}

// walk reads one value that stands within depth others and tells whether a key in it is there twice, and whether it
// is nested too deeply.
func walk(t *testing.T, decoder *json.Decoder, depth int) (twice, deep bool) {
	next := func() json.Token {
		token, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	opening, composed := next().(json.Delim)
	if !composed {
		return false, false
	}
	deep = depth >= maxDepth
	seen := map[json.Token]bool{}
	for decoder.More() {
		if opening == '{' {
			key := next()
			twice = twice || seen[key]
			seen[key] = true
		}
		innerTwice, innerDeep := walk(t, decoder, depth+1)
		twice, deep = twice || innerTwice, deep || innerDeep
	}
	next() // the closing bracket
	return twice, deep
}

// launchScript is how Conforma's launch script reads a line.
var launchScript = regexp.MustCompile(`(?m)^JWT_SECRET=['"]?([^\r\n]+?)['"]?$`)

// FuzzEnvFile: any file gives a secret from within one of its lines or an error that tells nothing of it, and where
// no quotes, blanks or carriage returns are about, the one that the application gets.
func FuzzEnvFile(f *testing.F) {
	for _, seed := range []string{"", "JWT_SECRET=", "JWT_SECRET='a'", "export JWT_SECRET=\"a\" # b\r\n", "\ufeffJWT_SECRET=a\n#\nJWT_SECRET='",
		"JWT_SECRET='a'b' #c'\n", "A=1\nJWT_SECRET = " + testSecret + "\nB='x\n'", "JWT_SECRET=''''"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		secret, err := fromEnv(data, envKey)
		if err != nil {
			if secret != nil || !errors.Is(err, errSecretMissing) && !errors.Is(err, errSecretQuotes) {
				t.Errorf("%q: %q, %v", data, []byte(secret), err)
			}
			if text := err.Error(); text != errSecretQuotes.Error() && text != errSecretMissing.Error()+": no JWT_SECRET= line" {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		if !bytes.Contains(data, secret) || bytes.ContainsRune(secret, '\n') {
			t.Errorf("%q: %q", data, []byte(secret))
		}
		if !bytes.ContainsAny(data, "'\"\r \t\ufeff") {
			if all := launchScript.FindAllSubmatch(data, -1); len(secret) > 0 && (len(all) == 0 || !bytes.Equal(all[len(all)-1][1], secret)) {
				t.Errorf("%q: %q, the application reads %q", data, []byte(secret), all)
			}
		}
	})
}

// FuzzEnvQuotes: a secret of any bytes but line ends comes back from either kind of quotes.
func FuzzEnvQuotes(f *testing.F) {
	for _, seed := range []string{"", "a", "a b # c", `\"$x`, "=", "é\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, secret string) {
		for _, quote := range []string{"'", `"`} {
			if strings.Contains(secret, quote) || strings.ContainsAny(secret, "\n") {
				continue
			}
			for _, end := range []string{"", "\n", "\r\n", " # comment's end\n", "\nPORT='1'\n"} {
				got, err := fromEnv([]byte("A='b'\nexport JWT_SECRET="+quote+secret+quote+end), envKey)
				if err != nil || string(got) != secret {
					t.Errorf("%q in %s before %q: %q, %v", secret, quote, end, []byte(got), err)
				}
			}
		}
	})
}
