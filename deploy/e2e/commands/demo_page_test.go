package commands

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
)

// TestDemoPage uses the demo's application as somebody who tries it does, in a browser, through the modes.
func TestDemoPage(t *testing.T) {
	d := startDemo(t, nil, "/usr/sbin")
	d.says(t, "Ctrl-C ends it")
	d.says(t, " set online\n")
	app, page := firstMatch(t, d, `the application +(http://\S+)/\n`), firstMatch(t, d, `the maintenance page +(http://\S+)\n`)
	program := firstMatch(t, d, `(?m)^  (/.* --config \S+) get$`)
	set := func(mode string) {
		t.Helper()
		if out, err := exec.Command("sh", "-c", program+" set "+mode).CombinedOutput(); err != nil {
			t.Fatalf("set %s: %v\n%s", mode, err, out)
		}
	}
	// The page queries each 3 s: what is waited for is what it shows after its next query.
	b := chrome.OpenTab(t, chrome.Browser(t), `window.until = (holds) => new Promise((done) => {
		const look = () => { if (holds()) done(true); else setTimeout(look, 20); };
		look();
	});`)
	shows := func(condition string) {
		t.Helper()
		chrome.Eval[bool](b, `until(() => `+condition+`)`)
	}
	const (
		see     = `((id) => document.getElementById(id).checkVisibility() && document.getElementById(id).innerText)`
		list    = see + `("list")`
		refused = see + `("refused")`
	)
	enter := func(form, name, value string) {
		t.Helper()
		chrome.Eval[bool](b, `(() => { const f = document.getElementById("`+form+`"); f.elements["`+name+`"].value = "`+value+`"; f.requestSubmit(); return true })()`)
	}

	b.Open(app + "/")
	shows(list + `.includes("Import permit")`)
	enter("save", "name", "<b>From a browser</b>")
	shows(list + `.includes("<b>From a browser</b>")`)

	set("offline")
	shows(refused + ` && ` + refused + `.includes("503, Retry-After 60")`)
	if got := chrome.Eval[string](b, `document.getElementById("refused-page").href`); got != page {
		t.Errorf("the refusal links to %s, want %s", got, page)
	}
	enter("save", "name", "Lost")
	shows(`document.getElementById("saved").innerText === "Not saved."`)
	b.Open(app + "/")
	if got := chrome.Eval[string](b, `location.href`); got != page {
		t.Errorf("a navigation ends at %s, want %s", got, page)
	}

	set("admin")
	b.Open(app + "/login")
	enter("login", "username", "stranger")
	shows(see + `("login-failed")`)
	enter("login", "username", "user")
	shows(see + `("who") === "user"`)
	shows(refused)
	chrome.Eval[bool](b, `document.getElementById("out").click() ?? true`)
	enter("login", "username", "admin")
	shows(see + `("who") === "admin (administrator)"`)
	shows(`!` + refused + ` && ` + list + `.includes("From a browser")`)
	enter("save", "name", "Checked")
	shows(list + `.includes("Checked")`)
	if got := chrome.Eval[string](b, list); strings.Contains(got, "Lost") {
		t.Errorf("what was refused is there all the same:\n%s", got)
	}
	if thrown := b.Exceptions(); len(thrown) > 0 {
		t.Errorf("exceptions: %q", thrown)
	}

	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	d.wait(t, 0)
	d.leftNothing(t)
}

// firstMatch returns what the group of the expression matches in what the demo has printed.
func firstMatch(t *testing.T, d *demoRun, expression string) string {
	t.Helper()
	m := regexp.MustCompile(expression).FindStringSubmatch(d.out.String())
	if m == nil {
		t.Fatalf("the demo doesn't say %s:\n%s", expression, &d.out)
	}
	return m[1]
}
