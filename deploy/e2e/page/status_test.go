package page

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chromedp/cdproto/emulation"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
)

const appURL = "https://demo.example.org:50000"

// The reader's own clock is three hours off and stands still: all that the page knows of time is what the
// server says. Timers run when the test says so. Every text that was ever shown is kept, and every
// violation of the page's policy.
const ownClock = `
	window.violations = []; window.shown = [];
	addEventListener("securitypolicyviolation", (e) => violations.push(e.effectiveDirective + " " + e.blockedURI));
	new MutationObserver(() => shown.push(document.body?.innerText)).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
	window.real = { setTimeout, setInterval, now: Date.UTC(2026, 10, 23, 0, 20) };
	Date.now = () => real.now;
	window.setTimeout = (f, ms) => (window.later = { f, ms });
	window.setInterval = (f) => (window.tick = f);
	window.away = false;
	Object.defineProperty(Document.prototype, "hidden", { get: () => away });
	window.until = (holds) => new Promise((done) => {
		const look = () => { if (holds()) done(true); else real.setTimeout.call(window, look, 5); };
		look();
	});
`

// view is what a reader sees; what is hidden is "".
type view struct {
	Mode, Tab, Title, State, Label, Big, Progress, Detail, Message, Admin, Since, Next, Zone, News string
}

const look = `(() => {
	const see = (id) => { const e = document.getElementById(id); return e.checkVisibility() ? e.innerText : ""; };
	return { Mode: document.documentElement.dataset.mode ?? "", Tab: document.title, Title: see("title"), State: see("state"), Label: see("label"),
		Big: see("big"), Detail: see("detail"), Message: see("message"), Admin: see("admin"), Since: see("since"), Next: see("next"), Zone: see("zone"), News: see("news"),
		Progress: document.getElementById("progress").checkVisibility() ? document.getElementById("progress").value.toFixed(2) : "" };
})()`

func closedView() view {
	return view{
		Mode: "offline", Tab: "Site maintenance", Title: "Site maintenance", State: "Closed for maintenance",
		Since: "Closed since 10:15 am.", Zone: "Times are in New Zealand Daylight Time.", News: "This page takes you back by itself as soon as the site is open.",
	}
}

func (v view) with(label, big, detail, progress string) view {
	v.Label, v.Big, v.Detail, v.Progress = label, big, detail, progress
	return v
}

func (v view) and(change func(*view)) view {
	change(&v)
	return v
}

const (
	noEnd     = "No end announced yet"
	noEndMore = "A time is shown here as soon as one is known."
	late      = "Taking longer than planned"
)

// usualAnswers are those of make test. The others are in the soak tests.
var usualAnswers = []string{
	"ETA ahead", "ETA passed", "message is text", "admin", "online", "status 404", "status is HTML", "lost after a while",
	"an older copy is ignored", "from closed to open and back",
}

// The page shows what the status says, through every kind of answer, and never anything that isn't so.
func TestPageShowsTheStatus(t *testing.T) { showsTheStatus(t, rig.Only(usualAnswers...)) }

func showsTheStatus(t *testing.T, rows rig.Rows) {
	t.Parallel()
	unknown := view{
		Tab: "Site maintenance", Title: "Site maintenance", State: "State unknown",
		Detail: "This page can’t find out just now whether the site is open. It goes on asking. The link below leads to the site as soon as that is open.",
	}
	open := view{
		Mode: "online", Tab: "Open: Site maintenance", Title: "The site is open", State: "Open", Big: "Welcome back",
		Detail: "Maintenance is over, and the site is there for you again.", Since: "Open since 10:15 am.", Zone: "Times are in New Zealand Daylight Time.",
	}
	noETA := closedView().with("", noEnd, noEndMore, "")
	in25 := closedView().with("Expected back in", "25 minutes", "The end is planned for 10:45 am.", "0.17")
	admin := func(v *view) {
		v.Mode, v.Admin = "admin", "Administrators can log in already."
	}
	stale := func(v *view) { v.News = "No news since 10:20 am. This page goes on asking." }
	says := func(text string) func(*view) { return func(v *view) { v.Message = text } }
	hostile := "<script>alert(1)</script> \"quoted\" & 'so' ${on}\n<img src=x onerror=alert(1)>\n\nBye"
	garbled := func(old, new string) answer {
		a := doc(status.Offline, 9, 0, "")
		a.body = strings.ReplaceAll(a.body, old, new)
		return a
	}
	type step struct {
		say  answer
		want view
	}
	tests := map[string][]step{
		"ETA ahead":          {{doc(status.Offline, 1, 25*time.Minute, ""), in25}},
		"ETA in seconds":     {{doc(status.Offline, 1, 59*time.Second, ""), closedView().with("Expected back in", "less than a minute", "The end is planned for 10:20 am.", "0.84")}},
		"ETA in hours":       {{doc(status.Offline, 1, 90*time.Minute, ""), closedView().with("Expected back in", "1 hour, 30 minutes", "The end is planned for 11:50 am.", "0.05")}},
		"ETA on another day": {{doc(status.Offline, 1, 26*time.Hour, ""), closedView().with("Expected back in", "1 day, 2 hours", "The end is planned for Tuesday, 24 November at 12:20 pm.", "0.00")}},
		"ETA after the clocks change": {{doc(status.Offline, 1, 140*24*time.Hour, ""), closedView().with("Expected back in", "140 days", "The end is planned for Monday, 12 April at 9:20 am.", "0.00").
			and(func(v *view) { v.Zone = "Times are in New Zealand Standard Time." })}},
		"ETA this very second":      {{doc(status.Offline, 1, time.Nanosecond, ""), closedView().with("", late, "The end was planned for 10:20 am. The site opens as soon as the work is done.", "1.00")}},
		"ETA passed":                {{doc(status.Offline, 1, -time.Minute, ""), closedView().with("", late, "The end was planned for 10:19 am. The site opens as soon as the work is done.", "1.00")}},
		"no ETA":                    {{doc(status.Offline, 1, 0, ""), noETA}},
		"message is text":           {{doc(status.Offline, 1, 0, hostile), noETA.and(says(hostile))}},
		"message in 2000 signs":     {{doc(status.Offline, 1, 0, strings.Repeat("x", 2000)), noETA.and(says(strings.Repeat("x", 2000)))}},
		"admin":                     {{doc(status.Admin, 1, 25*time.Minute, ""), in25.and(admin)}},
		"admin, late":               {{doc(status.Admin, 1, 0, "Nearly there."), noETA.and(admin).and(says("Nearly there."))}},
		"online":                    {{doc(status.Online, 1, 0, ""), open}},
		"online, with leftovers":    {{doc(status.Online, 1, time.Hour, "Old news."), open}},
		"the answer was cached":     {{answer{200, doc(status.Offline, 1, 25*time.Minute, "").body, -10 * time.Minute, "600"}, in25}},
		"status 404":                {{answer{code: 404}, unknown}},
		"status 500":                {{answer{code: 500, body: doc(status.Online, 1, 0, "").body}, unknown}},
		"status unreachable":        {{answer{}, unknown}},
		"status is HTML":            {{answer{code: 200, body: "<!doctype html><title>Hello</title>"}, unknown}},
		"status is null":            {{answer{code: 200, body: "null"}, unknown}},
		"of another version":        {{garbled(`"version":1`, `"version":2`), unknown}},
		"in an unknown mode":        {{garbled(`"offline"`, `"ajar"`), unknown}},
		"with a message of no text": {{garbled(`"message":null`, `"message":{"a":1}`), unknown}},
		"with an ETA of no time":    {{garbled(`"expectedUntil":null`, `"expectedUntil":"soon"`), unknown}},
		"with keys of the future":   {{garbled(`"version":1`, `"colour":"blue","version":1`), noETA}},
		"found after a while":       {{answer{code: 404}, unknown}, {doc(status.Offline, 1, 0, ""), noETA}},
		"lost after a while": {
			{doc(status.Offline, 1, 25*time.Minute, ""), in25},
			{answer{}, in25.and(stale)},
			{answer{code: 200, body: "{"}, in25.and(stale)},
			{doc(status.Offline, 1, 25*time.Minute, ""), in25},
		},
		"an older copy is ignored": {
			{doc(status.Offline, 5, 0, "Five."), noETA.and(says("Five."))},
			{answer{}, noETA.and(says("Five.")).and(stale)},
			{doc(status.Online, 4, 0, "Four."), noETA.and(says("Five."))},
			{doc(status.Offline, 6, 0, "Six."), noETA.and(says("Six."))},
		},
		"from closed to open and back": {
			{doc(status.Offline, 1, 25*time.Minute, "Upgrading."), in25.and(says("Upgrading."))},
			{doc(status.Admin, 2, 25*time.Minute, ""), in25.and(admin)},
			{doc(status.Online, 3, 0, ""), open},
			{doc(status.Offline, 4, 0, ""), noETA},
		},
	}
	pages := builtIn(t)
	browser := chrome.Browser(t)
	for name, steps := range tests {
		if !rows(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			m := serveMaintenance(t, pages)
			b := chrome.OpenTab(t, browser, ownClock)
			for i, s := range steps {
				m.say(s.say)
				if i == 0 {
					b.Open(m.URL + "/demo/")
				} else {
					chrome.Eval[any](b, `later.f()`)
				}
				chrome.Eval[bool](b, fmt.Sprintf(`until(() => window.later && later.seen !== %d && (later.seen = %[1]d, true))`, i+1))
				if got := chrome.Eval[view](b, look); got != s.want {
					t.Errorf("step %d:\n got %+v\nwant %+v", i+1, got, s.want)
				}
			}
			checkQuiet(t, b, m.URL+"/demo/", m.URL+"/demo/status.json")
			if strings.Contains(chrome.Eval[string](b, `shown.join("\n")`), "Four.") {
				t.Error("an older message was shown")
			}
			if n := chrome.Eval[int](b, `document.querySelectorAll("#message *").length`); n != 0 {
				t.Errorf("the message made %d elements", n)
			}
			least := 12000.0
			if steps[len(steps)-1].want.Mode == "" { // no status was to be had
				least *= 2
			}
			if ms := chrome.Eval[float64](b, `later.ms`); ms < least || ms > 1.5*least {
				t.Errorf("asks again after %v ms, want %v to %v", ms, least, 1.5*least)
			}
		})
	}
}

// checkQuiet checks that b asked for nothing but the given URLs, that its page's links lead to the
// application, and that nothing was blocked, thrown or stored.
func checkQuiet(t *testing.T, b *chrome.Tab, urls ...string) {
	t.Helper()
	if got := b.Asked(); !reflect.DeepEqual(got, urls) {
		t.Errorf("asked for %q, want %q", got, urls)
	}
	if got := b.Exceptions(); len(got) > 0 {
		t.Errorf("exceptions: %q", got)
	}
	if got := chrome.Eval[[]string](b, `violations`); len(got) > 0 {
		t.Errorf("policy violations: %q", got)
	}
	if got := chrome.Eval[[]string](b, `[...document.querySelectorAll("#now a:not(#calendar a)")].map((a) => a.href)`); !reflect.DeepEqual(got, []string{appURL + "/", appURL + "/"}) {
		t.Errorf("links lead to %q", got)
	}
	if got := chrome.Eval[string](b, `document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)`); got != "{}{}" {
		t.Errorf("stored %q", got)
	}
}

// The countdown goes on between two answers, ends at nought, and never runs below it.
func TestPageCountsDown(t *testing.T) {
	t.Parallel()
	m := serveMaintenance(t, builtIn(t))
	m.say(doc(status.Offline, 1, 2*time.Minute, ""))
	b := chrome.OpenTab(t, chrome.Browser(t), ownClock)
	b.Open(m.URL + "/demo/")
	chrome.Eval[bool](b, `until(() => window.later)`)
	for _, s := range []struct {
		passed time.Duration
		want   string
	}{
		{0, "2 minutes"},
		{time.Second, "2 minutes"},
		{time.Minute, "1 minute"},
		{time.Minute + time.Second, "less than a minute"},
		{2*time.Minute - time.Second, "less than a minute"},
		{2 * time.Minute, late},
		{48 * time.Hour, late},
	} {
		chrome.Eval[any](b, fmt.Sprintf(`(real.now = Date.UTC(2026, 10, 23, 0, 20) + %d, tick())`, s.passed.Milliseconds()))
		if got := chrome.Eval[view](b, look).Big; got != s.want {
			t.Errorf("after %v: %q, want %q", s.passed, got, s.want)
		}
	}
	if n := m.polled(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

// Nobody looks at a hidden tab: it stops asking, and asks at once when it is shown.
func TestPageAsksOnlyWhileVisible(t *testing.T) {
	t.Parallel()
	m := serveMaintenance(t, builtIn(t))
	m.say(doc(status.Offline, 1, 0, ""))
	b := chrome.OpenTab(t, chrome.Browser(t), ownClock)
	b.Open(m.URL + "/demo/")
	chrome.Eval[bool](b, `until(() => window.later)`)
	chrome.Eval[any](b, `(away = true, document.dispatchEvent(new Event("visibilitychange")), later.f(), null)`)
	m.say(doc(status.Online, 2, 0, ""))
	chrome.Eval[any](b, `(away = false, document.dispatchEvent(new Event("visibilitychange")), null)`)
	chrome.Eval[bool](b, `until(() => document.documentElement.dataset.mode === "online")`)
	if n := m.polled(); n != 2 {
		t.Errorf("asked %d times, want twice", n)
	}
}

// A translation lies one folder below, and asks for the same status.
func TestPageInAnotherLanguage(t *testing.T) {
	t.Parallel()
	c, err := site.LoadContent(fstest.MapFS{
		"index.en.md": {Data: []byte("---\ntitle: Maintenance\n---\n")},
		"index.pt.md": {Data: []byte("---\ntitle: Manutenção\n---\nVoltamos já.\n\n| a | b |\n|:-:|--:|\n| 1 | 2 |\n\nDiz-se[^1].\n\n[^1]: Assim.\n\n- [x] feito\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := serveMaintenance(t, c)
	a := doc(status.Offline, 1, 0, "Upgrading.")
	var d map[string]any
	if err := json.Unmarshal([]byte(a.body), &d); err != nil {
		t.Fatal(err)
	}
	d["messages"] = map[string]string{"pt": "A atualizar."}
	body, _ := json.Marshal(d)
	a.body = string(body)
	m.say(a)
	b := chrome.OpenTab(t, chrome.Browser(t), ownClock)
	b.Open(m.URL + "/demo/pt/")
	chrome.Eval[bool](b, `until(() => window.later)`)
	if got := chrome.Eval[view](b, look); got.Title != "Manutenção" || got.Message != "A atualizar." {
		t.Errorf("got %+v", got)
	}
	checkQuiet(t, b, m.URL+"/demo/pt/", m.URL+"/demo/status.json")
}

// Without JavaScript the page says what is true at any time, stays where it is, and has the way back.
func TestPageWithoutJavaScript(t *testing.T) {
	t.Parallel()
	m := serveMaintenance(t, builtIn(t))
	m.say(doc(status.Offline, 1, 0, ""))
	b := chrome.OpenTab(t, chrome.Browser(t), "")
	chrome.Call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.Open(m.URL + "/demo/")
	want := view{
		Tab: "Site maintenance", Title: "Site maintenance", State: "Closed for maintenance, or just open again",
		Detail: "The link below shows which: it leads to the site as soon as that is open.",
	}
	if got := chrome.Eval[view](b, look); got != want {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	if got := chrome.Eval[string](b, `document.querySelector(".go a").href`); got != appURL+"/" {
		t.Errorf("the link leads to %q", got)
	}
	if got, want := b.Asked(), []string{m.URL + "/demo/"}; !reflect.DeepEqual(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
}
