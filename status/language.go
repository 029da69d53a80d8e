package status

import (
	"regexp"
	"strings"
	"sync"
)

// languageTag is the shape of a language tag (RFC 5646, section 2.1) as the schema of the status document has it. Not
// a library's parser: a JSON Schema can hold nothing but a pattern, and what code and schema take has to be the same.
var languageTag = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`) })

// IsLanguage reports whether tag names a language, where a word could stand as well: in a file's name (index.pt-BR.md)
// or before a message (pt=…). It is a tag as RFC 5646 recommends to write it, with the language in two or three
// lower-case letters, as all languages have today.
func IsLanguage(tag string) bool {
	language, _, _ := strings.Cut(tag, "-")
	return languageTag().MatchString(tag) && len(language) <= 3 && language == strings.ToLower(language)
}
