package rig

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"
)

// Token returns a JWT as Conforma's jsonwebtoken signs it: HS256 with the claims that every user of
// Conforma has, issued at that time, overridden by claims (a nil value removes one). It is made
// without the library that the product verifies it with.
func Token(secret string, issued time.Time, claims map[string]any) string {
	all := map[string]any{
		"iat": issued.Unix(), "aud": "postgraphile", "userId": 7, "orgId": nil, "username": "reviewer",
		"sessionId": "kf3b8Jq0Zz1tRr6X", "isAdmin": false, "isManager": false,
	}
	for k, v := range claims {
		if v == nil {
			delete(all, k)
			continue
		}
		all[k] = v
	}
	encode := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil { // claims come from a test's source text
			panic("rig: encode a token: " + err.Error())
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	signed := encode(map[string]string{"alg": "HS256", "typ": "JWT"}) + "." + encode(all)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// AdminToken returns a token of an administrator, signed with the secret a minute ago.
func AdminToken(secret string) string {
	return Token(secret, time.Now().Add(-time.Minute), map[string]any{"isAdmin": true, "role": "postgres"})
}

// UserToken returns a token of somebody who is no administrator, signed with the secret a minute ago.
func UserToken(secret string) string {
	return Token(secret, time.Now().Add(-time.Minute), nil)
}
