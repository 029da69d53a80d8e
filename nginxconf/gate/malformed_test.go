package gate

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
)

type malformed struct{ name, token, want string } // want "" leaves the reason open

// malformedTokens makes tokens that must be refused from one that is admitted: some badly formed, some changed
// after they were signed, some put together from several.
func malformedTokens() []malformed {
	good := mint(goodHeader, adminClaims(), testSecret)
	header, rest, _ := strings.Cut(good, ".")
	claims, sign, _ := strings.Cut(rest, ".")
	join := func(parts ...string) string { return strings.Join(parts, ".") }
	resign := func(header, claims string) string {
		return join(header, claims, signature(hashes["HS256"], join(header, claims), testSecret))
	}
	var all []malformed
	add := func(want, token, format string, args ...any) {
		all = append(all, malformed{fmt.Sprintf(format, args...), token, want})
	}

	// Segments left out, doubled and put in another order.
	add(reasonEmpty, "", "nothing")
	add(reasonSegments, header, "the header alone")
	add(reasonSegments, join(header, claims), "no signature")
	add(reasonSegments, join(header, claims, sign, sign), "four segments")
	add(reasonSegments, join(header, claims, sign, "", ""), "five segments, as an encrypted token has")
	add(reasonSegments, "."+good, "a dot before")
	add(reasonSegments, good+".", "a dot behind")
	add(reasonSegments, strings.ReplaceAll(good, ".", ".."), "each dot twice")
	add(reasonNoSegment, "..", "dots alone")
	add(reasonNoSegment, join(header, claims, ""), "an empty signature")
	add(reasonNoSegment, join(header, "", sign), "no claims")
	add(reasonNoSegment, join("", claims, sign), "no header")
	add(reasonAlgorithm, join(claims, header, sign), "claims before the header")
	add(reasonHeader+reasonNotUTF8, join(sign, claims, header), "the signature first")
	add(reasonSignature, join(header, header, sign), "the header twice")
	add(reasonSignature, join(header, claims, header), "the header for a signature")
	add(reasonSignature, join(header, claims, claims), "the claims for a signature")
	add(reasonTooLong, good+strings.Repeat("A", maxToken), "longer than may be")
	add(reasonTooLong, resign(header, encode(adminClaims(`"x":"`+strings.Repeat("x", maxToken)+`"`))), "longer than may be, signed")

	// Characters that don't belong there, at the ends of each segment and in its middle.
	for i, part := range []string{header, claims, sign} {
		parts := []string{header, claims, sign}
		for _, c := range []string{" ", "\t", "\n", "\r", "\r\n", "\x00", "=", "+", "/", "%", ",", ";", "é", "\u200b", "\xff"} {
			for _, place := range []int{0, len(part) / 2, len(part)} {
				parts[i] = part[:place] + c + part[place:]
				add(reasonCharacter, join(parts...), "%q in segment %d at %d", c, i, place)
			}
		}
		// Signed as it stands: a lenient decoder would take these for the same text.
		if i < 2 {
			for _, c := range []string{"\n", "\r\n", "=", "==", " "} {
				parts[i] = part + c
				add(reasonCharacter, resign(parts[0], parts[1]), "%q behind segment %d, signed", c, i)
			}
		}
		parts[i] = part + "A"
		add("", join(parts...), "a character more in segment %d", i)
		parts[i] = part[:len(part)-1]
		add("", join(parts...), "a character less in segment %d", i)
		parts[i] = part[1:]
		add("", join(parts...), "the first character of segment %d gone", i)
		parts[i] = strings.ToLower(part)
		add("", join(parts...), "segment %d in small letters", i)
		parts[i] = encode(part)
		add("", join(parts...), "segment %d encoded twice", i)
	}

	// The last character of a segment has bits that encode nothing: other spellings of the same bytes.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for spare := 1; spare <= 3; spare++ {
		last := strings.IndexByte(alphabet, sign[len(sign)-1]) // 32 bytes leave two bits over
		add(reasonBase64, join(header, claims, sign[:len(sign)-1]+string(alphabet[last+spare])), "signature with %d in the spare bits", spare)
	}
	for _, padded := range []string{`{"alg":"HS256","x":1}`, `{"alg":"HS256","x":12}`, `{"alg":"HS256","x":123}`} {
		text := encode(padded)
		if left := len(padded) % 3; left != 0 {
			last := strings.IndexByte(alphabet, text[len(text)-1])
			add(reasonBase64, resign(text[:len(text)-1]+string(alphabet[last+1]), claims), "header with %d bytes over and a spare bit, signed", left)
			add(reasonCharacter, resign(base64.URLEncoding.EncodeToString([]byte(padded)), claims), "header with %d bytes over, padded, signed", left)
		}
	}

	// Every bit of the signature.
	bytes, _ := base64.RawURLEncoding.DecodeString(sign)
	for bit := range len(bytes) * 8 {
		flipped := []byte(string(bytes))
		flipped[bit/8] ^= 1 << (bit % 8)
		add(reasonSignature, join(header, claims, encode(string(flipped))), "bit %d of the signature", bit)
	}
	for _, length := range []int{1, 16, 31} {
		add(reasonSignature, join(header, claims, encode(string(bytes[:length]))), "%d bytes of the signature", length)
	}
	add(reasonSignature, join(header, claims, encode(strings.Repeat("\x00", 32))), "a signature of zeros")
	add(reasonSignature, join(header, claims, encode(fmt.Sprintf("%x", bytes))), "the signature in hex")

	// Every character of header and claims, for its neighbour in the alphabet.
	for i, part := range []string{header, claims} {
		for place := range part {
			parts := []string{header, claims, sign}
			next := alphabet[(strings.IndexByte(alphabet, part[place])+1)%len(alphabet)]
			parts[i] = part[:place] + string(next) + part[place+1:]
			add("", join(parts...), "character %d of segment %d", place, i)
		}
	}

	// Each header field and each claim changed, added or taken away after signing.
	for _, changed := range []string{`{"alg":"HS256","typ":"JWT","kid":"1"}`, `{"alg":"HS256"}`, `{"typ":"JWT","alg":"HS256"}`, goodHeader + " "} {
		add(reasonSignature, join(encode(changed), claims, sign), "header %s under the old signature", changed)
	}
	ordinary := strings.Replace(adminClaims(), `"isAdmin":true`, `"isAdmin":false`, 1)
	ordinaryToken := mint(goodHeader, ordinary, testSecret)
	add(reasonSignature, join(header, claims, ordinaryToken[strings.LastIndex(ordinaryToken, ".")+1:]), "admin's claims, an ordinary user's signature")
	add(reasonSignature, join(header, encode(strings.Replace(adminClaims(), "admin", "root", 1)), sign), "another user name")
	add(reasonSignature, join(header, encode(adminClaims(`"exp":`+at(time.Hour))), sign), "an exp added")
	add(reasonSignature, join(header, encode(strings.Replace(adminClaims(), `,"userId":7`, "", 1)), sign), "a claim taken away")
	add(reasonNotAdmin, ordinaryToken, "an ordinary user's")

	// Signed with something else, or not at all.
	for _, alg := range []string{"none", "NONE", "nOnE", ""} {
		text := join(encode(`{"alg":"`+alg+`"}`), claims)
		add(reasonNoSegment, text+".", "alg %q without a signature", alg)
		add(reasonAlgorithm, text+"."+sign, "alg %q with the old signature", alg)
	}
	for name, algorithm := range hashes {
		if name != "HS256" {
			add(reasonSignature, mintWith(algorithm, goodHeader, adminClaims(), testSecret), "%s under the name of HS256", name)
			add(reasonAlgorithm, mintWith(algorithm, `{"alg":"`+name+`"}`, adminClaims(), testSecret), "%s", name)
		}
	}
	for _, secret := range []string{"", "secret", "devsecret", header, testSecret + "\n", " " + testSecret, strings.ToLower(testSecret)} {
		add(reasonSignature, mint(goodHeader, adminClaims(), secret), "signed with %q", secret)
	}

	// What people paste.
	add(reasonCharacter, "Bearer "+good, "the scheme too")
	add(reasonCharacter, `"`+good+`"`, "in quotes")
	add(reasonCharacter, good+","+good, "two with a comma")
	add(reasonCharacter, `{"protected":"`+header+`","payload":"`+claims+`","signature":"`+sign+`"}`, "the JSON form of RFC 7515, 7.2")
	add(reasonCharacter, goodHeader+"."+adminClaims()+"."+sign, "not encoded at all")
	add(reasonClaims+reasonNotJSON, resign(header, encode(good)), "a token in a token")
	add(reasonSegments, "undefined", "undefined")
	add(reasonSegments, "null", "null")
	return all
}

func TestVerifyRefusesMalformed(t *testing.T) {
	all := malformedTokens()
	const atLeast = 150
	if len(all) < atLeast {
		t.Fatalf("%d tokens, want %d", len(all), atLeast)
	}
	seen := map[string]string{}
	for _, tt := range all {
		if other, twice := seen[tt.token]; twice {
			t.Errorf("%s is the same as %s", tt.name, other)
		}
		seen[tt.token] = tt.name
		err := testPolicy().verify(tt.token, []byte(testSecret), testNow)
		got := reasonOf(t, err)
		if got == "" {
			t.Errorf("%s: admitted: %s", tt.name, tt.token)
		} else if tt.want != "" && got != tt.want {
			t.Errorf("%s: refused because %q, want %q", tt.name, got, tt.want)
		}
	}
	t.Logf("%d tokens refused", len(all))
}

// A token that is good in every way but one is refused for that one: none of the above is refused by accident.
func TestMalformedTokensStartFromAGoodOne(t *testing.T) {
	if err := testPolicy().verify(mint(goodHeader, adminClaims(), testSecret), []byte(testSecret), testNow); err != nil {
		t.Fatal(err)
	}
}
