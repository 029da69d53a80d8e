package site

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/msupply-foundation/conforma-status/content"
)

// words are the sentences of the page itself, by name.
type words map[string]string

// sentences are what the page itself says, by name, with what each has room for: {time} and so on, and
// [text] for a link. Those of the built-in content.FS are what other content falls back to.
var sentences = map[string][]string{
	// In the page as it is built.
	"state": nil, "which": nil, "go": nil, "contact": {"{contact}"}, "ask": nil, "languages": nil, "calendar": nil,
	// Put there by its script.
	"admin": {"[]"}, "asking": nil, "back": nil, "closed": nil, "in": nil, "late": nil, "later": nil, "missed": {"{time}"},
	"moment": nil, "next": {"{time}"}, "none": nil, "open": nil, "opened": nil, "over": nil, "planned": {"{time}"},
	"reopened": {"{time}"}, "since": {"{time}"}, "soon": nil, "stale": {"{time}"}, "tab": {"{title}"}, "try": nil, "unknown": nil,
	"welcome": nil, "zone": {"{zone}"},
}

// built are the sentences that the page's script doesn't need.
var built = []string{"state", "which", "go", "contact", "ask", "languages", "calendar"}

var placeholder = regexp.MustCompile(`\{[^{}]*\}|\[[^\[\]]+\]`)

// placeholderProblem says what is wrong with the text of the sentence of that name, "" for nothing.
func placeholderProblem(name, text string) string {
	var found []string
	for _, s := range placeholder.FindAllString(text, -1) {
		if strings.HasPrefix(s, "[") {
			s = "[]"
		}
		found = append(found, s)
	}
	slices.Sort(found)
	want := sentences[name]
	if slices.Equal(slices.Compact(found), want) && (len(want) == 0 || want[0] != "[]" || strings.Count(text, "[") == 1) {
		return ""
	}
	switch {
	case len(want) == 0:
		return fmt.Sprintf("has no room for %s", strings.Join(found, ", "))
	case want[0] == "[]":
		return "wants one part in [brackets], the link"
	}
	return fmt.Sprintf("wants %s in it, and nothing else in braces or brackets", want[0])
}

// builtIn returns the sentences of the built-in content by language. They are complete: a test sees to it.
var builtIn = sync.OnceValue(func() map[string]words {
	sources, faults, err := readSources([]layer{{FS: content.FS}})
	if err != nil || len(faults) > 0 {
		panic(fmt.Sprintf("site: the built-in content: %v %v", err, faults))
	}
	out := map[string]words{}
	for _, s := range sources {
		out[s.lang] = s.matter.words
	}
	return out
})

// fallBack adds to own what it lacks: in the same language if that is built in, else in English. It also returns the
// names of those that are now in English although the language is another.
func fallBack(own words, lang string) (all words, english []string) {
	all = maps.Clone(builtIn()["en"])
	base, _, _ := strings.Cut(lang, "-")
	same := words{}
	for _, tag := range []string{base, lang} {
		maps.Copy(same, builtIn()[tag])
	}
	maps.Copy(same, own)
	maps.Copy(all, same)
	for name := range sentences {
		if _, ok := same[name]; !ok {
			english = append(english, name)
		}
	}
	slices.Sort(english)
	return all, english
}

// forScript is what the page's script says, in the order of the names, as JSON for an attribute in single quotes: all
// that could end it, or be taken for markup, is escaped.
func (w words) forScript() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(sentences)) {
		if !slices.Contains(built, name) {
			out = append(out, w[name])
		}
	}
	data, err := json.Marshal(out) // which escapes <, > and & itself
	if err != nil {
		panic("site: marshal words: " + err.Error()) // strings only
	}
	return strings.ReplaceAll(string(data), "'", `\u0027`)
}
