package page

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chromedp/cdproto/emulation"

	"github.com/msupply-foundation/conforma-status/content"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
)

// pageState is one of the states that a reader may find the page in.
type pageState struct {
	name   string
	say    answer
	script bool // whether JavaScript is on
	holds  string
}

const longMessage = "We are moving the application to a new server, which takes longer than an ordinary upgrade because all files are copied.\n" +
	"If you were about to submit an application that is due today, the deadline is extended by one day.\n" +
	"Averyveryverylongwordthathasnospacesinitatallanddoesnotendbeforethelineisoverandthenitgoesonforawhile."

// appeared holds where all of the page's state is seen, however late the end of the page came.
const appeared = `document.readyState === "complete" && [...document.querySelectorAll("#now > *")]
	.every((e) => !e.checkVisibility() || getComputedStyle(e).visibility === "visible")`

func pageStates() []pageState {
	offline, admin := `document.documentElement.dataset.mode === "offline"`, `document.documentElement.dataset.mode === "admin"`
	announced := doc(status.Online, 1, 0, "")
	announced.body = strings.Replace(announced.body, `"next":null`, `"next":{"from":"2026-11-29T08:00:00Z","until":"2026-11-29T09:30:00Z"}`, 1)
	return []pageState{
		{"eta", doc(status.Offline, 1, 25*time.Minute, ""), true, offline},
		{"no-eta", doc(status.Offline, 1, 0, ""), true, offline},
		{"late", doc(status.Offline, 1, -time.Minute, "Nearly there."), true, offline},
		{"message", doc(status.Offline, 1, 50*time.Hour, longMessage), true, offline},
		{"admin", doc(status.Admin, 1, 10*time.Minute, ""), true, admin},
		{"online", announced, true, `document.documentElement.dataset.mode === "online"`},
		{"unknown", answer{}, true, `window.later`},
		{"no-javascript", answer{}, false, appeared},
	}
}

// pageContent is the built-in content, with one language more, which is written from right to left, and with all that a
// page may have.
func pageContent(t testing.TB) *site.Content {
	t.Helper()
	files := fstest.MapFS{
		"index.ar.md": {Data: []byte("---\ntitle: صيانة الموقع\ndescription: نغلق هذا الموقع أحيانا لفترة قصيرة للعناية به.\nwords:\n" +
			"  state: مغلق للصيانة، أو فتح للتو\n  closed: مغلق للصيانة\n  in: العودة المتوقعة خلال\n  planned: \"النهاية المتوقعة: {time}.\"\n  since: \"مغلق منذ: {time}.\"\n  go: الذهاب إلى الموقع\n  languages: اللغات\n---\n\n**عملك محفوظ.** كل ما حفظته قبل الإغلاق باق.\n")},
		"z-more.en.md": {Data: []byte("---\ntitle: What is new\n---\n\nA [link](https://example.org), `code`, and a list:\n\n- [x] done\n- [ ] to do\n\n| part | time |\n|:-----|-----:|\n| database | 20 min |\n| files | 5 min |\n\n> Quoted.\n\n```\nand a long line of code that is wider than a telephone is, so that it has to be broken somewhere\n```\n\nA note[^1].\n\n![A square](square.svg)\n\n[^1]: It is below.\n")},
		"square.svg":   {Data: []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24"><path fill="#777" d="M0 0h24v24H0z"/></svg>`)},
	}
	entries, err := fs.ReadDir(content.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := fs.ReadFile(content.FS, e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if e.Name() == "index.en.md" {
			data = []byte(strings.Replace(string(data), "title:", "contact: help@example.org\nlinks:\n  - text: Status of all services\n    url: https://status.example.org\ntitle:", 1))
		}
		files[e.Name()] = &fstest.MapFile{Data: data}
	}
	c, err := site.LoadContent(files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// screen is how a browser shows a page.
type screen struct {
	width  int64
	scheme string
}

// show has the tab show a page in a state. Without JavaScript means here that the page's script is blocked: where the
// browser has none at all, axe can't run either.
func (s pageState) show(b *chrome.Tab, m *maintenance, lang string, on screen) {
	b.T.Helper()
	m.say(s.say)
	chrome.Call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: on.width, Height: 800, DeviceScaleFactor: 1})
	chrome.Call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: on.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	m.silence(!s.script)
	b.Open(m.URL + "/demo/" + lang)
	chrome.Eval[bool](b, `until(() => `+s.holds+`)`)
}

// places of the pages of pageContent.
var placesOfPages = []string{"", "ar/", "es/", "fr/", "pt/"}

// axe is the accessibility checker, as a script.
func axe(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../web/axe/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("%v (npm ci in web/axe makes it)", err)
	}
	return string(data)
}

// violations has axe look at the page that b shows: every rule that it has, best practices included.
func violations(b *chrome.Tab, axe string) []string {
	b.T.Helper()
	chrome.Eval[any](b, axe+"; if (window.real) { window.setTimeout = real.setTimeout; window.setInterval = real.setInterval; } null")
	found := chrome.Eval[string](b, `axe.run(document, { resultTypes: ["violations"] }).then((r) => JSON.stringify(r.violations.map((v) =>
		v.id + " (" + v.impact + "): " + v.nodes.map((n) => n.html + " " + n.failureSummary).join("; "))))`)
	var out []string
	if err := json.Unmarshal([]byte(found), &out); err != nil {
		b.T.Fatal(err)
	}
	return out
}

// TestPageIsAccessible: axe finds nothing, of any impact, in a few states, each in one of the languages, and nothing is
// wider than the screen. The soak test has all states, in all languages and on all screens.
func TestPageIsAccessible(t *testing.T) {
	t.Parallel()
	m := serveMaintenance(t, pageContent(t))
	browser := chrome.Browser(t)
	script := axe(t)
	screens := []screen{{320, "light"}, {1280, "dark"}, {320, "dark"}, {1280, "light"}}
	for i, s := range pageStates()[:3] {
		b := chrome.OpenTab(t, browser, ownClock)
		checkAccess(t, b, m, script, s, placesOfPages[i%len(placesOfPages)], screens[i%len(screens)])
	}
}

func checkAccess(t *testing.T, b *chrome.Tab, m *maintenance, script string, s pageState, lang string, on screen) {
	t.Helper()
	s.show(b, m, lang, on)
	what := fmt.Sprintf("%s %s %d %s", s.name, lang, on.width, on.scheme)
	for _, v := range violations(b, script) {
		t.Errorf("%s: %s", what, v)
	}
	if wide := chrome.Eval[int](b, `document.documentElement.scrollWidth`); wide > int(on.width) {
		t.Errorf("%s: it is %d px wide", what, wide)
	}
	if width := chrome.Eval[int](b, `new Promise((done) => { const i = document.querySelector("article img"); const look = () => done(i.naturalWidth); i.complete ? look() : (i.onload = i.onerror = look) })`); width != 24 {
		t.Errorf("%s: the picture is %d px wide", what, width)
	}
	if got := chrome.Eval[[]string](b, `violations`); len(got) > 0 && s.script {
		t.Errorf("%s: the policy blocks %q", what, got)
	}
}
