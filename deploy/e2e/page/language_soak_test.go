//go:build soak

package page

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestSoakPageStaysWhereNoTranslationIs: in a file, where a folder is answered by a list, and with a server that
// answers with the main page for everything, which would send a reader on for ever.
func TestSoakPageStaysWhereNoTranslationIs(t *testing.T) {
	t.Parallel()
	built, err := site.Build(pageContent(t), site.Site{Name: "demo", Path: "demo", AppURL: appURL, PageURL: "https://maintenance.example.org/demo/"})
	if err != nil {
		t.Fatal(err)
	}
	dir := rig.Dir(t)
	var main []byte
	for _, f := range built {
		rig.WriteFile(t, filepath.Join(dir, f.Key), string(f.Data))
		if f.Key == "demo/index.html" {
			main = f.Data
		}
	}
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".json") {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(main)
	}))
	t.Cleanup(served.Close)
	for address, want := range map[string]string{
		"file://" + dir + "/demo/index.html": "file://" + dir + "/demo/index.html",
		served.URL + "/demo/":                served.URL + "/demo/fr/fr/",
	} {
		b := chrome.OpenTab(t, chrome.Browser(t), speaks("fr"))
		b.Open(address)
		rig.WaitFor(t, address+" to lead to "+want, func() bool {
			seen, err := chrome.TryEval[string](b, `document.readyState + " " + document.querySelector("h1")?.checkVisibility() + " " + location.href`)
			return err == nil && seen == "complete true "+want
		})
	}
}

// TestSoakPageRemembersTheLanguage that a reader has picked, also against what the browser asks for; nothing else is
// stored.
func TestSoakPageRemembersTheLanguage(t *testing.T) {
	t.Parallel()
	m := serveMaintenance(t, pageContent(t))
	m.say(doc(status.Offline, 1, 25*time.Minute, ""))
	browser := chrome.Browser(t)
	for _, stores := range []bool{true, false} {
		script := speaks("fr")
		if !stores {
			script += forbidden
		}
		b := chrome.OpenTab(t, browser, script)
		at := func(what, place string) {
			t.Helper()
			chrome.Arrives(b, m.URL+"/demo/"+place)
			if got := chrome.Eval[string](b, `document.querySelector("nav [aria-current]").hreflang`); got != chrome.Eval[string](b, `document.documentElement.lang`) {
				t.Errorf("%s: the current language is %s", what, got)
			}
		}
		pick := func(lang string) { chrome.Eval[any](b, `document.querySelector("nav [hreflang=`+lang+`]").click()`) }
		b.Open(m.URL + "/demo/#from=x")
		if stores {
			at("as the browser asks", "fr/#from=x")
		} else {
			at("where nothing can be stored", "#from=x")
		}
		pick("pt")
		at("picked", "pt/#from=x")
		pick("en")
		at("the main one, picked", "#from=x")
		if !stores {
			continue
		}
		if got := chrome.Eval[string](b, `JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + document.cookie`); got != `{"conforma-status language":"en"}{}` {
			t.Errorf("stored %s", got)
		}
		b.Open(m.URL + "/demo/")
		at("the next time", "")
		pick("es")
		at("picked again", "es/")
		b.Open("about:blank")
		b.Open(m.URL + "/demo/")
		at("the time after", "es/")
	}
}
