package site

import (
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// ownNames are languages as they call themselves (CLDR), for content that doesn't say. Not x/text/language/display: it
// knows no Fijian, Māori, Samoan, Tetum or Tok Pisin, and is 2 MB large.
var ownNames = map[string]string{
	"ar": "العربية", "bn": "বাংলা", "de": "Deutsch", "en": "English", "es": "Español", "fa": "فارسی",
	"fj": "Na Vosa Vakaviti", "fr": "Français", "he": "עברית", "hi": "हिन्दी", "id": "Indonesia", "it": "Italiano",
	"ja": "日本語", "km": "ខ្មែរ", "ko": "한국어", "lo": "ລາວ", "mi": "Te reo Māori", "my": "မြန်မာ", "ne": "नेपाली",
	"nl": "Nederlands", "ps": "پښتو", "pt": "Português", "pt-BR": "Português (Brasil)", "ru": "Русский",
	"sm": "Gagana faʻa Sāmoa", "sw": "Kiswahili", "tet": "Tetun", "th": "ไทย", "to": "Lea fakatonga", "tpi": "Tok Pisin",
	"tr": "Türkçe", "uk": "Українська", "ur": "اردو", "vi": "Tiếng Việt", "zh": "中文", "zh-Hans": "简体中文",
	"zh-Hant": "繁體中文",
}

// ownName is what a language calls itself, as far as it is known.
func ownName(tag string) string {
	base, _, _ := strings.Cut(tag, "-")
	for _, t := range []string{tag, base} {
		if name, ok := ownNames[t]; ok {
			return name
		}
	}
	return tag
}

// rightToLeft are the scripts (ISO 15924) in use that are written from right to left.
var rightToLeft = []string{"Adlm", "Arab", "Armi", "Hebr", "Mand", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"}

// direction is the value of HTML's dir for a language: that of the script which its tag names, else of its usual one.
func direction(tag string) string {
	t, _ := language.Parse(tag) // what it doesn't know is written from left to right, as most languages are
	if script, _ := t.Script(); slices.Contains(rightToLeft, script.String()) {
		return "rtl"
	}
	return "ltr"
}
