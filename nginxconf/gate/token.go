package gate

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// maxToken is the longest token, in bytes, that is looked at: what nginx passes on by default
// (large_client_header_buffers, 4 times 8k).
const maxToken = 32 << 10

// maxDepth is how deeply objects and lists may be nested in a header or in claims.
const maxDepth = 32

// The reasons for which a token's form is refused.
const (
	reasonEmpty     = "empty"
	reasonTooLong   = "longer than 32 kB"
	reasonCharacter = "a character that base64url doesn't have"
	reasonSegments  = "not three segments"
	reasonNoSegment = "an empty segment"
	reasonBase64    = "base64url that isn't canonical"
	reasonMalformed = "malformed"
	reasonHeader    = "header: "
	reasonClaims    = "claims: "
	reasonNotUTF8   = "not UTF-8"
	reasonNotJSON   = "not one JSON value"
	reasonNotObject = "not a JSON object"
	reasonDuplicate = "a key that is there twice"
	reasonTooDeep   = "nested too deeply"
	reasonAlgorithm = "its alg is not the algorithm of [site.jwt]"
	reasonType      = "typ is not JWT"
	reasonDangerous = "header: a field that changes how the token is to be read: "
)

// refusedFields are the header fields with which a token asks to be read or trusted in another way than the
// policy's: keys it brings along or points to, extensions (RFC 7515, 4.1), an unencoded payload (RFC 7797),
// encryption or compression (RFC 7516, 4.1), a token within the token (RFC 7519, 5.2). None of ours has one. Other
// fields, kid among them, are ignored as RFC 7515, 4 asks.
var refusedFields = []string{"crit", "b64", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "enc", "zip", "cty"}

// checkForm refuses what is not the compact form of a JWS with a JSON object for claims and a header that asks for
// exactly algorithm. It is stricter than the library that reads the token afterwards, so that whatever two
// readers might understand differently reaches neither. It doesn't look at the signature.
func checkForm(token, algorithm string) error {
	if token == "" {
		return refuse(reasonEmpty)
	}
	if len(token) > maxToken {
		return refuse(reasonTooLong)
	}
	segments := strings.Split(token, ".")
	for _, segment := range segments {
		if strings.IndexFunc(segment, notBase64URL) >= 0 {
			return refuse(reasonCharacter)
		}
	}
	if len(segments) != 3 {
		return refuse(reasonSegments)
	}
	var decoded [3][]byte
	for i, segment := range segments {
		if segment == "" {
			return refuse(reasonNoSegment)
		}
		data, err := base64.RawURLEncoding.Strict().DecodeString(segment)
		if err != nil {
			return refuse(reasonBase64)
		}
		decoded[i] = data
	}
	if reason := checkJSON(decoded[0]); reason != "" {
		return refuse(reasonHeader + reason)
	}
	if err := checkHeader(decoded[0], algorithm); err != nil {
		return err
	}
	if reason := checkJSON(decoded[1]); reason != "" {
		return refuse(reasonClaims + reason)
	}
	return nil
}

// notBase64URL tells which characters the alphabet of RFC 4648, 5 lacks. Go's decoder skips line ends, so
// leaving this to it would admit many spellings of one token.
func notBase64URL(c rune) bool {
	switch {
	case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		return false
	}
	return true
}

// checkHeader judges a header that checkJSON has passed.
func checkHeader(data []byte, algorithm string) error {
	var header map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&header); err != nil {
		return refuse(reasonHeader + reasonNotJSON)
	}
	for _, name := range refusedFields {
		if _, present := header[name]; present {
			return refuse(reasonDangerous + name)
		}
	}
	if header["alg"] != algorithm {
		return refuse(reasonAlgorithm)
	}
	if typ, present := header["typ"]; present {
		// RFC 7519, 5.1: a media type, so its case doesn't matter.
		if name, isString := typ.(string); !isString || !strings.EqualFold(name, "JWT") {
			return refuse(reasonType)
		}
	}
	return nil
}

// checkJSON returns why data is not one JSON object in UTF-8 with each key once at every level (RFC 7519, 4 and
// RFC 8725, 2.4: readers differ on which of two they take) and no deeper than maxDepth; "" when it is.
func checkJSON(data []byte) string {
	if !utf8.Valid(data) {
		return reasonNotUTF8
	}
	if !json.Valid(data) { // checkKeys relies on it
		return reasonNotJSON
	}
	if bytes.TrimLeft(data, " \t\r\n")[0] != '{' {
		return reasonNotObject
	}
	return checkKeys(string(data))
}

// checkKeys looks for keys that are there twice and for too many levels, in text that is valid JSON: there a string
// is a key when it follows the { or a comma of an object.
func checkKeys(text string) string {
	var levels []map[string]bool // the keys seen in each of the objects around, nil for a list
	key := false
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			if len(levels) == maxDepth {
				return reasonTooDeep
			}
			var seen map[string]bool
			if key = text[i] == '{'; key {
				seen = map[string]bool{}
			}
			levels = append(levels, seen)
		case '}', ']':
			levels = levels[:len(levels)-1]
		case ',':
			key = levels[len(levels)-1] != nil
		case ':':
			key = false
		case '"':
			end := endOfString(text, i)
			if seen := levels[len(levels)-1]; key {
				name := keyName(text[i:end])
				if seen[name] {
					return reasonDuplicate
				}
				seen[name] = true
			}
			i = end - 1
		}
	}
	return ""
}

// endOfString returns where the JSON string that begins at start ends, behind its closing quote.
func endOfString(text string, start int) int {
	for i := start + 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// keyName returns what a JSON string says, its escapes undone: \u0061 is a.
func keyName(quoted string) string {
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var name string
	_ = json.Unmarshal([]byte(quoted), &name) // it is part of valid JSON
	return name
}
