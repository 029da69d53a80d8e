package status

import "testing"

func TestIsLanguage(t *testing.T) {
	for tag, want := range map[string]bool{
		"pt": true, "tpi": true, "pt-BR": true, "zh-Hant-TW": true, "es-419": true, "de-1996": true, "sl-rozaj-biske": true, "en-x-one": true,
		"": false, "p": false, "mode": false, "PT": false, "Pt-BR": false, "A": false, "v2": false, "pt_BR": false, "pt-": false, "-pt": false,
		"p t": false, "pt-BR\n": false, "pt-abcdefghi": false, "é": false,
	} {
		if got := IsLanguage(tag); got != want {
			t.Errorf("%q: %v", tag, got)
		}
		if want && !languageTag().MatchString(tag) {
			t.Errorf("%q can't be a key of messages", tag)
		}
	}
}
