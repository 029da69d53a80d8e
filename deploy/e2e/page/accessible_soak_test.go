//go:build soak

package page

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/msupply-foundation/conforma-status/content"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/site"
)

// TestSoakPageInLargeType: with letters twice as large on the narrowest telephone, and long words wherever an
// operator may write some, nothing is wider than the screen but a table, which scrolls by itself.
func TestSoakPageInLargeType(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"brand.yaml": {Data: []byte("name: Donaudampfschifffahrtselektrizitätenhauptbetriebswerkgesellschaft\n")},
		"index.de.md": {Data: []byte("---\ntitle: Instandhaltungsarbeitsunterbrechungsankündigung\ncontact: instandhaltungsunterbrechungsauskunft@maintenance.example.org\n" +
			"words:\n  closed: Instandhaltungsunterbrechungsbedingtgeschlossen\n  go: Rechtsschutzversicherungsgesellschaftenseite\n---\n\n" +
			"| Arbeit | Dauer |\n|:--|--:|\n| Die Datenbank zieht um, mit allem, was in ihr ist | Zwanzig |\n")},
	}
	for _, lang := range []string{"en", "fr"} {
		data, err := fs.ReadFile(content.FS, "index."+lang+".md")
		if err != nil {
			t.Fatal(err)
		}
		files["index."+lang+".md"] = &fstest.MapFile{Data: data}
	}
	c, err := site.LoadContent(files)
	if err != nil {
		t.Fatal(err)
	}
	m := serveMaintenance(t, c)
	b := chrome.OpenTab(t, chrome.Browser(t), ownClock)
	for _, s := range pageStates() {
		if s.name != "message" && s.name != "admin" && s.name != "no-javascript" {
			continue
		}
		for _, lang := range []string{"", "de/", "fr/"} {
			s.show(b, m, lang, screen{320, "light"})
			for _, size := range []string{"17px", "34px"} {
				wide := chrome.Eval[[]string](b, `document.documentElement.style.fontSize = "`+size+`",
					[...document.querySelectorAll("body *")].filter((e) => !e.closest("table") && e.getBoundingClientRect().right > 320.5).map((e) => e.outerHTML)`)
				if len(wide) > 0 {
					t.Errorf("%s %s %s: wider than the screen: %q", s.name, lang, size, wide)
				}
				if room := chrome.Eval[float64](b, `document.getElementById("detail").clientWidth`); room < 240 {
					t.Errorf("%s %s %s: %v of 320 px are left for words", s.name, lang, size, room)
				}
				// A short word in a table stays whole beside a long text.
				if lang == "de/" && chrome.Eval[int](b, `(() => { const r = document.createRange(); r.selectNodeContents(document.querySelector("td + td")); return r.getClientRects().length })()`) != 1 {
					t.Errorf("%s %s: a word in the table is broken", s.name, size)
				}
			}
		}
	}
}
