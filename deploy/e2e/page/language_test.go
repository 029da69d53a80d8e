package page

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/status"
)

// speaks has the browser ask for these languages.
func speaks(languages ...string) string {
	list, _ := json.Marshal(languages) // strings
	return ownClock + fmt.Sprintf(`Object.defineProperty(Navigator.prototype, "languages", { get: () => %s });`, list)
}

// forbidden is what a browser does that was told to let no site store anything.
const forbidden = `
	for (const name of ["localStorage", "sessionStorage"])
		Object.defineProperty(window, name, { get: () => { throw new DOMException("forbidden", "SecurityError"); } });
`

// TestPageChoosesTheLanguage: the main page hands over to the page in the language that the browser prefers, with the
// way back in the fragment; a translation that somebody was sent stays.
func TestPageChoosesTheLanguage(t *testing.T) {
	t.Parallel()
	m := serveMaintenance(t, pageContent(t))
	m.say(doc(status.Offline, 1, 25*time.Minute, ""))
	browser := chrome.Browser(t)
	back := "#from=" + url.QueryEscape(appURL+"/form?id=5")
	for name, c := range map[string]struct {
		script    string
		at, ends  string
		lang, dir string
		expected  string
	}{
		"English":                     {speaks("en-NZ", "en"), "", "", "en", "ltr", "Expected back in 25 minutes"},
		"French of Canada":            {speaks("fr-CA", "en"), "", "fr/", "fr", "ltr", "Retour prévu dans 25\u00a0minutes"},
		"one that there isn't, first": {speaks("de", "pt-BR", "en"), "", "pt/", "pt", "ltr", "Regresso previsto dentro de 25 minutos"},
		"none that there is":          {speaks("de", "lo"), "", "", "en", "ltr", "Expected back in 25 minutes"},
		"the main one, first":         {speaks("en", "fr"), "", "", "en", "ltr", "Expected back in 25 minutes"},
		"from right to left":          {speaks("ar-EG"), "", "ar/", "ar", "rtl", "العودة المتوقعة خلال"},
		"a translation":               {speaks("fr"), "es/", "es/", "es", "ltr", "De vuelta dentro de 25 minutos"},
		"without storage":             {speaks("fr") + forbidden, "", "", "en", "ltr", "Expected back in 25 minutes"},
	} {
		t.Run(name, func(t *testing.T) {
			b := chrome.OpenTab(t, browser, c.script)
			polls := m.polled()
			b.Open(m.URL + "/demo/" + c.at + back)
			want := m.URL + "/demo/" + c.ends + back
			chrome.Arrives(b, want)
			if got := chrome.Eval[string](b, `document.documentElement.lang + " " + document.documentElement.dir + " " + getComputedStyle(document.querySelector("main")).direction`); got != c.lang+" "+c.dir+" "+c.dir {
				t.Errorf("it is in %s", got)
			}
			if got := chrome.Eval[string](b, `document.getElementById("label").innerText + " " + document.getElementById("big").innerText`); !strings.HasPrefix(got, c.expected) {
				t.Errorf("it says %q", got)
			}
			if got := chrome.Eval[string](b, `document.querySelector(".go a").href`); got != appURL+"/form?id=5" {
				t.Errorf("the way back is %s", got)
			}
			if thrown := b.Exceptions(); len(thrown) > 0 {
				t.Errorf("exceptions: %q", thrown)
			}
			if got := m.polled() - polls; got != 1 {
				t.Errorf("the status is asked for %d times: a page that is left asks for nothing", got)
			}
		})
	}
}

// TestPageShowsMessagesInLanguages: each reader gets the message in their language, else that for everybody, else
// another.
func TestPageShowsMessagesInLanguages(t *testing.T) {
	t.Parallel()
	m := serveMaintenance(t, pageContent(t))
	b := chrome.OpenTab(t, chrome.Browser(t), ownClock)
	for _, c := range []struct {
		message  string
		messages map[string]string
		place    string
		want     string // language, direction, text
	}{
		{"All.", nil, "pt/", " ltr All."},
		{"All.", map[string]string{"pt": "Um."}, "pt/", "pt ltr Um."},
		{"All.", map[string]string{"pt-BR": "Um."}, "pt/", "pt-BR ltr Um."},
		{"All.", map[string]string{"PT": "Um."}, "pt/", "PT ltr Um."},
		{"All.", map[string]string{"fr": "Un."}, "pt/", " ltr All."},
		{"", map[string]string{"fr": "Un."}, "", "fr ltr Un."},
		{"", map[string]string{"ar": "واحد."}, "", "ar rtl واحد."},
		{"", map[string]string{"pt": "<b onclick=alert(1)>Um</b>"}, "pt/", "pt ltr <b onclick=alert(1)>Um</b>"},
	} {
		a := doc(status.Offline, 1, 0, c.message)
		var d map[string]any
		if err := json.Unmarshal([]byte(a.body), &d); err != nil {
			t.Fatal(err)
		}
		d["messages"] = c.messages
		body, _ := json.Marshal(d)
		a.body = string(body)
		m.say(a)
		b.Open(m.URL + "/demo/" + c.place)
		chrome.Eval[bool](b, `until(() => document.documentElement.dataset.mode)`)
		if got := chrome.Eval[string](b, `((e) => e.lang + " " + getComputedStyle(e).direction + " " + e.innerText)(document.getElementById("message"))`); got != c.want {
			t.Errorf("%q and %v on %q: %q, want %q", c.message, c.messages, c.place, got, c.want)
		}
	}
}
