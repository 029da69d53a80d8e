package page

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/calendar"
)

// While the site is open its page says when it closes next, by the visitor's clock and in the page's language, for how
// long and why, and has the calendar to download.
func TestPageAnnouncesAhead(t *testing.T) {
	t.Parallel()
	m := serveMaintenance(t, builtIn(t))
	from := time.Date(2026, 12, 5, 22, 0, 0, 0, time.UTC)
	until := from.Add(90 * time.Minute)
	why, other := "We move to a new server.", "Not this one."
	s := status.Schedule{Version: 1, Windows: []status.ScheduledWindow{
		{ID: "w1", State: status.WindowCancelled, Mode: status.Offline, From: from, Until: until, Message: &other, UpdatedAt: clock},
		{ID: "w2", State: status.WindowScheduled, Mode: status.Offline, From: from, Until: until, Message: &why,
			Messages: map[string]string{"pt": "Mudamos para outro servidor."}, UpdatedAt: clock},
	}}
	ics := calendar.Of(s, calendar.Site{Name: "demo", Title: "demo.example.org", PageURL: m.URL + "/demo/"})
	m.mu.Lock()
	m.pages["/demo/schedule.json"] = site.File{Data: s.Marshal(), ContentType: "application/json"}
	m.pages["/demo/maintenance.ics"] = site.File{Data: ics, ContentType: calendar.MediaType}
	m.mu.Unlock()
	a := doc(status.Online, 1, 0, "")
	a.body = strings.Replace(a.body, `"next":null`, `"next":{"from":"2026-12-05T22:00:00Z","until":"2026-12-05T23:30:00Z"}`, 1)
	m.say(a)
	browser := chrome.Browser(t)
	for _, v := range []struct{ zone, place, next, why, link string }{
		{"America/New_York", "", "Next maintenance: Saturday, 5 December, 5:00 – 6:30 pm (1 hour, 30 minutes).", why, "Add to calendar"},
		{"Asia/Kolkata", "", "Next maintenance: Sunday, 6 December, 3:30 – 5:00 am (1 hour, 30 minutes).", why, "Add to calendar"},
		{"Europe/Lisbon", "pt/", "Próxima manutenção: sábado, 5 de dezembro 10:00 – 11:30 PM (1 hora e 30 minutos).", "Mudamos para outro servidor.", "Adicionar ao calendário"},
	} {
		b := chrome.OpenTab(t, browser, ownClock)
		chrome.Call(b, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: v.zone})
		b.Open(m.URL + "/demo/" + v.place)
		chrome.Eval[bool](b, `until(() => window.tick && (tick(), document.getElementById("message").textContent))`)
		got := chrome.Eval[view](b, look)
		said := strings.Join(strings.Fields(got.Next), " ") // whatever blanks the language has
		if said != v.next || got.Message != v.why || got.Mode != "online" {
			t.Errorf("%s: it says %q because %q, want %q because %q", v.zone, said, got.Message, v.next, v.why)
		}
		if link := chrome.Eval[string](b, `document.querySelector("#calendar a").innerText + " " + document.querySelector("#calendar a").href`); link != v.link+" "+m.URL+"/demo/maintenance.ics" {
			t.Errorf("%s: the link is %q", v.zone, link)
		}
		if place := "/demo/" + v.place; len(b.Exceptions()) > 0 || len(chrome.Eval[[]string](b, `violations`)) > 0 {
			t.Errorf("%s: %v", place, b.Exceptions())
		}
		if v.place == "" {
			continue
		}
		dir := t.TempDir()
		chrome.Call(b, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir,
			BrowserContextID: chromedp.FromContext(b.Ctx).BrowserContextID})
		chrome.Eval[any](b, `document.querySelector("#calendar a").click()`)
		rig.WaitFor(t, "the calendar to be downloaded", func() bool {
			data, err := os.ReadFile(filepath.Join(dir, "maintenance.ics"))
			return err == nil && string(data) == string(ics)
		})
	}
	// Nothing ahead: no link, and nobody asks for a schedule.
	m.say(doc(status.Online, 2, 0, ""))
	b := chrome.OpenTab(t, browser, ownClock)
	b.Open(m.URL + "/demo/")
	chrome.Eval[bool](b, `until(() => window.later && document.documentElement.dataset.mode)`)
	if got := chrome.Eval[bool](b, `document.querySelector("#calendar a").checkVisibility()`); got {
		t.Error("the link to the calendar is shown though nothing is ahead")
	}
	checkQuiet(t, b, m.URL+"/demo/", m.URL+"/demo/status.json")
}
