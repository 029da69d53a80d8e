package site

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/content"
	"github.com/msupply-foundation/conforma-status/status/fault"
)

// The languages that are shipped say everything, and nothing that another one doesn't.
func TestBuiltInContentIsComplete(t *testing.T) {
	c, err := LoadContent(content.FS)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Languages(), " "); got != "en es fr pt" {
		t.Errorf("the languages are %s", got)
	}
	for lang, said := range builtIn() {
		if got, want := slices.Sorted(maps.Keys(said)), slices.Sorted(maps.Keys(sentences)); !slices.Equal(got, want) {
			t.Errorf("%s says %q, want %q", lang, got, want)
		}
	}
	if r := c.Remarks(); len(r) != 1 || r[0].String() != "index.en.md:1: contact: is missing: the page names nobody to ask" {
		t.Errorf("remarks: %v", r)
	}
	for _, p := range c.pages {
		if p.description == "" || !strings.Contains(string(p.body), "<strong>") {
			t.Errorf("%s has not all parts", p.lang)
		}
	}
}

// What a file leaves out is said in its language where that is built in, else in English, and that is reported.
func TestWordsFallBack(t *testing.T) {
	lao := "---\ntitle: T\nwords:\n  go: ໄປທີ່ເວັບໄຊ\n---\n"
	c := mustLoad(t, "index.en.md", ok, "index.lo.md", lao, "index.pt-BR.md", "---\ntitle: T\nwords: {late: Vai demorar mais}\n---\n", "faq.en.md", ok, "faq.lo.md", ok)
	page := map[string]page{}
	for _, p := range c.pages {
		page[p.lang] = p
	}
	for _, tt := range []struct{ lang, word, want string }{
		{"en", "go", "Go to the site"},
		{"lo", "go", "ໄປທີ່ເວັບໄຊ"},
		{"lo", "late", "Taking longer than planned"},
		{"pt-BR", "late", "Vai demorar mais"},
		{"pt-BR", "go", builtIn()["pt"]["go"]},
	} {
		if got := page[tt.lang].words[tt.word]; got != tt.want {
			t.Errorf("%s in %s is %q, want %q", tt.word, tt.lang, got, tt.want)
		}
	}
	var said []string
	for _, r := range c.Remarks() {
		said = append(said, fmt.Sprintf("%s:%d %s", r.File, r.Line, r.Key))
		if r.Hint == "" {
			t.Errorf("no hint: %v", r)
		}
	}
	if got := strings.Join(said, ", "); got != "faq.en.md:1 , index.en.md:1 contact, index.lo.md:4 words" {
		t.Errorf("remarks: %s\n%v", got, c.Remarks())
	}
	if text := c.Remarks().Error(); strings.Contains(text, "go,") || !strings.Contains(text, "late") || !strings.Contains(text, "the page in pt-BR shows it in en") {
		t.Errorf("remarks: %s", text)
	}
}

func TestFaultsInWords(t *testing.T) {
	for words, want := range map[string]string{
		"  lat: x":                  `index.en.md:4: words.lat: unknown key`,
		"  late: 5":                 `index.en.md:4: words.late: want text, found 5`,
		"  late: x {time}":          `index.en.md:4: words.late: has no room for {time}`,
		"  planned: x":              `index.en.md:4: words.planned: wants {time} in it, and nothing else in braces or brackets`,
		"  planned: x {zone}":       `index.en.md:4: words.planned: wants {time} in it, and nothing else in braces or brackets`,
		"  planned: '{time} {x}'":   `index.en.md:4: words.planned: wants {time} in it, and nothing else in braces or brackets`,
		"  admin: x":                `index.en.md:4: words.admin: wants one part in [brackets], the link`,
		"  admin: '[a] or [b]'":     `index.en.md:4: words.admin: wants one part in [brackets], the link`,
		"  go: x\n  go: y":          `index.en.md:5: words.go: comes twice`,
		"  - go: x":                 `index.en.md:4: words: want lines of the form key: value`,
		"  late: 1\n  soon: {a: b}": "index.en.md:4: words.late: want text, found 1\nindex.en.md:5: words.soon: want text",
	} {
		_, err := LoadContent(files("index.en.md", "---\ntitle: T\nwords:\n"+words+"\n---\n"))
		var faults fault.List
		if !errors.As(err, &faults) || err.Error() != want {
			t.Errorf("%s: got\n%v\nwant\n%s", words, err, want)
		}
	}
}

func TestDirection(t *testing.T) {
	for tag, want := range map[string]string{
		"en": "ltr", "ar": "rtl", "ar-Latn": "ltr", "he-IL": "rtl", "pt-BR": "ltr", "az-Arab": "rtl", "zh-Hant-TW": "ltr", "fa-IR": "rtl", "ckb": "rtl", "lo": "ltr",
		"pa": "ltr", "pa-PK": "rtl", "ku-Arab": "rtl", "arc": "rtl", "ur": "rtl", "xx": "ltr", "tpi": "ltr",
	} {
		if got := direction(tag); got != want {
			t.Errorf("%s: %s, want %s", tag, got, want)
		}
	}
}

// A page leads to its translations, and says which it is; contact and links come along where a translation has none.
func TestPagesLeadToEachOther(t *testing.T) {
	c := mustLoad(t, "index.en.md", "---\ntitle: T\ncontact: help@example.org\nlinks: [{text: Help, url: 'https://help.example.org'}]\n---\n",
		"index.ar.md", "---\ntitle: ع\nlanguage: العربية\n---\n", "index.xx.md", "---\ntitle: X\ncontact: room 5\n---\n")
	for i, want := range map[int][]string{
		4: {`<html lang="xx" dir="ltr">`, `<a href="../" hreflang="en" lang="en">English</a>`, `<a href="../xx/" hreflang="xx" lang="xx" aria-current="page">xx</a>`, `<span>room 5</span>`},
		5: {`<html lang="ar" dir="rtl">`, `<a href="../ar/" hreflang="ar" lang="ar" aria-current="page">العربية</a>`, `<a href="mailto:help@example.org" lang="en" dir="ltr">`, `<ul lang="en" dir="ltr">`,
			`<link rel="alternate" hreflang="en" href="https://maintenance.example.org/">`, `<link rel="alternate" hreflang="xx" href="https://maintenance.example.org/xx/">`},
		6: {`<html lang="en" dir="ltr">`, `<a href="./" hreflang="en" lang="en" aria-current="page">English</a>`, `<a href="ar/" hreflang="ar" lang="ar">`},
	} {
		f := mustBuild(t, c, demo)[i]
		for _, w := range want {
			if !strings.Contains(string(f.Data), w) {
				t.Errorf("%s lacks %s", f.Key, w)
			}
		}
	}
	if page := pageOf(t, mustLoad(t, "index.en.md", ok), demo); strings.Contains(page, "<nav") || strings.Contains(page, `rel="alternate"`) {
		t.Error("a page that has no translation leads to some")
	}
}

// A folder of a site's own lies over the content, file by file.
func TestContentOfOneSite(t *testing.T) {
	all := files("index.en.md", "---\ntitle: Shared\n---\n", "index.pt.md", "---\ntitle: Partilhado\n---\n", "brand.yaml", "name: Shared\nfont: Georgia",
		"demo/index.pt.md", "---\ntitle: Próprio\n---\n", "demo/faq.md", ok, "demo/brand.yaml", "name: Own\n")
	for site, want := range map[string]string{"demo": "Shared/1 Próprio/1 Own Georgia", "archive": "Shared/0 Partilhado/0 Shared Georgia"} {
		c, err := LoadContent(all, site)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range c.pages {
			got = append(got, fmt.Sprintf("%s/%d", p.title, len(p.sections)))
		}
		if got := strings.Join(append(got, c.brand.name, c.brand.font), " "); got != want {
			t.Errorf("%s: %s, want %s", site, got, want)
		}
	}
	all["demo/index.pt.md"].Data = []byte("---\n---\n")
	if _, err := LoadContent(all, "demo"); err == nil || err.Error() != "demo/index.pt.md:1: title: is missing" {
		t.Errorf("got %v", err)
	}
	if _, err := LoadContent(all, "archive"); err != nil {
		t.Errorf("another site's fault: %v", err)
	}
}
