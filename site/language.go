package site

import (
	"slices"
	"strings"
)

// ownNames are languages as they call themselves (CLDR), for content that doesn't say.
var ownNames = map[string]string{
	"ar": "العربية", "bn": "বাংলা", "de": "Deutsch", "en": "English", "es": "Español", "fa": "فارسی", "fj": "Na Vosa Vakaviti",
	"fr": "Français", "he": "עברית", "hi": "हिन्दी", "id": "Indonesia", "it": "Italiano", "ja": "日本語", "km": "ខ្មែរ", "ko": "한국어",
	"lo": "ລາວ", "mi": "Te reo Māori", "my": "မြန်မာ", "ne": "नेपाली", "nl": "Nederlands", "ps": "پښتو", "pt": "Português",
	"pt-BR": "Português (Brasil)", "ru": "Русский", "sm": "Gagana faʻa Sāmoa", "sw": "Kiswahili", "tet": "Tetun", "th": "ไทย",
	"to": "Lea fakatonga", "tpi": "Tok Pisin", "tr": "Türkçe", "uk": "Українська", "ur": "اردو", "vi": "Tiếng Việt",
	"zh": "中文", "zh-Hans": "简体中文", "zh-Hant": "繁體中文",
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

// rightToLeft are the languages and scripts (ISO 15924) that are written from right to left.
var rightToLeft = []string{
	"ar", "arc", "ckb", "dv", "fa", "he", "ks", "nqo", "ps", "sd", "syr", "ug", "ur", "yi",
	"Adlm", "Arab", "Hebr", "Nkoo", "Rohg", "Syrc", "Thaa",
}

// direction is the value of HTML's dir for a language.
func direction(tag string) string {
	base, rest, _ := strings.Cut(tag, "-")
	for sub := range strings.SplitSeq(rest, "-") {
		if len(sub) == 4 && sub[0] >= 'A' { // the script, where one is named, decides
			if slices.Contains(rightToLeft, strings.ToUpper(sub[:1])+strings.ToLower(sub[1:])) {
				return "rtl"
			}
			return "ltr"
		}
	}
	if slices.Contains(rightToLeft, base) {
		return "rtl"
	}
	return "ltr"
}
