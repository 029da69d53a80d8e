package page

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
)

// trap notes whatever of what a text smuggles in does run.
const trap = ownClock + `
	window.ran = [];
	window.alert = window.print = window.confirm = window.prompt = (x) => ran.push(String(x));
`

// samples are the examples of the CommonMark specification and of GitHub's extensions, as they come with the Markdown
// library.
func samples(t *testing.T) []string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yuin/goldmark").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSpace(string(dir))
	data, err := os.ReadFile(filepath.Join(root, "_test", "spec.json"))
	if err != nil {
		t.Fatal(err)
	}
	var spec []struct{ Markdown string }
	if err := json.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range spec {
		out = append(out, e.Markdown)
	}
	more, err := filepath.Glob(filepath.Join(root, "extension", "_test", "*.txt"))
	if err != nil || len(more) < 5 {
		t.Fatalf("samples of extensions: %q, %v", more, err)
	}
	for _, file := range append(more, filepath.Join(root, "_test", "extra.txt")) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, part := range strings.Split(string(data), "//- - - - - - - - -//\n") {
			if i%2 == 1 {
				out = append(out, part)
			}
		}
	}
	return out
}

// TestMarkdownSamplesOnThePage: whatever Markdown can say, nothing of it is blocked by the page's policy, loads
// anything, or runs.
func TestMarkdownSamplesOnThePage(t *testing.T) {
	t.Parallel()
	all := samples(t)
	if len(all) < 700 {
		t.Fatalf("%d samples, want those of CommonMark (652) and more", len(all))
	}
	files := fstest.MapFS{"index.en.md": {Data: []byte("---\ntitle: T\n---\n")}}
	for i, s := range all {
		files[fmt.Sprintf("s%04d.md", i)] = &fstest.MapFile{Data: []byte("---\ntitle: S\n---\n" + s)}
	}
	c, err := site.LoadContent(files)
	if err != nil {
		t.Fatal(err)
	}
	m := serveMaintenance(t, c)
	m.say(doc(status.Offline, 1, time.Hour, ""))
	b := chrome.OpenTab(t, chrome.Browser(t), trap)
	b.Open(m.URL + "/demo/")
	chrome.Eval[bool](b, `until(() => document.documentElement.dataset.mode)`)
	if n := chrome.Eval[int](b, `document.querySelectorAll("article").length`); n != len(all)+1 {
		t.Errorf("%d of %d samples are there", n-1, len(all))
	}
	checkNothingRan(t, b, m)
	if got := chrome.Eval[[]string](b, `violations`); len(got) > 0 {
		t.Errorf("the policy blocks %q", got)
	}
}

func checkNothingRan(t *testing.T, b *chrome.Tab, m *maintenance) {
	t.Helper()
	if got := chrome.Eval[[]string](b, `ran`); len(got) > 0 {
		t.Errorf("it ran: %q", got)
	}
	for _, url := range b.Asked() {
		if !strings.HasPrefix(url, m.URL+"/demo/") {
			t.Errorf("it asked for %s", url)
		}
	}
	if got := b.Exceptions(); len(got) > 0 {
		t.Errorf("exceptions: %q", got)
	}
	if at := chrome.Eval[string](b, `location.pathname`); at != "/demo/" {
		t.Errorf("it went to %s", at)
	}
}

// xss are texts that run a script, load something or lead away where they are taken for anything but text.
var xss = []string{
	`<script>alert(1)</script>`, `</script><script>alert(1)</script>`, `"><script>alert(1)</script>`, `'><script>alert(1)</script>`,
	`<img src=x onerror=alert(1)>`, `<svg onload=alert(1)>`, `<svg/onload=alert(1)//`, `<body onload=alert(1)>`, `<iframe src="javascript:alert(1)">`,
	`<iframe srcdoc="<script>parent.alert(1)</script>">`, `<a href="javascript:alert(1)" id=x autofocus onfocus=alert(1)>x</a>`, `" onmouseover="alert(1)`,
	`' onfocus='alert(1)' autofocus='`, `</title><script>alert(1)</script>`, `</style><script>alert(1)</script>`, `<!--><script>alert(1)</script>-->`,
	`]]><script>alert(1)</script>`, `<math><mtext></mtext><mglyph><style><!--</style><img title="--><img src=x onerror=alert(1)>">`, `<object data="javascript:alert(1)">`,
	`<embed src="javascript:alert(1)">`, `<form action="javascript:alert(1)"><button autofocus onfocus=alert(1)>x</button></form>`, `<meta http-equiv="refresh" content="0;url=javascript:alert(1)">`,
	`<base href="https://attacker.test/">`, `<link rel=stylesheet href="https://attacker.test/x.css">`, `<style>@import "https://attacker.test/x.css";</style>`,
	`<div style="background:url(https://attacker.test/x)">x</div>`, `<input autofocus onfocus=alert(1)>`, `<details open ontoggle=alert(1)>`, `<video><source onerror=alert(1)></video>`,
	`<audio src=x onerror=alert(1)>`, `<marquee onstart=alert(1)>`, `{{constructor.constructor('alert(1)')()}}`, `${alert(1)}`, `&lt;script&gt;alert(1)&lt;/script&gt;`, `&#60;script&#62;alert(1)&#60;/script&#62;`,
	`javascript:alert(1)`, `java` + "\t" + `script:alert(1)`, `data:text/html,<script>alert(1)</script>`, `<sCrIpT>alert(1)</sCrIpT>`, `<scr<script>ipt>alert(1)</script>`, "\u2028alert(1)\u2029",
	`\u003cscript\u003ealert(1)\u003c/script\u003e`, `{script}{policy}{words}`, `<x contenteditable onblur=alert(1) tabindex=1 id=x>`, `<noscript><p title="</noscript><img src=x onerror=alert(1)>">`,
	`<template><script>alert(1)</script></template>`, `<svg><script>alert(1)</script></svg>`, `<svg><animate onbegin=alert(1) attributeName=x dur=1s>`, `<a ping="https://attacker.test/" href="x">x</a>`,
}

// TestPageIsSafe puts each of them wherever words come from. They come out as the text that they are.
func TestPageIsSafe(t *testing.T) {
	t.Parallel()
	browser := chrome.Browser(t)
	text := func(s string) string { return quote(s) } // JSON is YAML
	files := fstest.MapFS{}
	write := func(name, content string) { files[name] = &fstest.MapFile{Data: []byte(content)} }
	all := strings.Join(xss, " ")
	var links, words string
	for i, x := range xss {
		links += fmt.Sprintf("  - text: %s\n    url: %s\n", text(x), text("https://a.example/?"+x))
		name := strings.Map(func(r rune) rune {
			if r == '/' || r < ' ' {
				return '_'
			}
			return r
		}, x)
		write(fmt.Sprintf("%s%d.md", name, i), "---\ntitle: "+text(x)+"\n---\n"+x+"\n\n["+x+"]("+x+") ![x]("+x+") <"+x+">\n\n"+x+"\n")
	}
	for _, w := range []string{"state", "which", "go", "languages", "closed", "in", "none", "later", "back", "open", "opened", "welcome", "over"} {
		plain := strings.NewReplacer("{", "(", "}", ")", "[", "(", "]", ")").Replace(all)
		words += "  " + w + ": " + text(plain) + "\n"
	}
	write("brand.yaml", "name: "+text(all)+"\nlogo: logo.svg\n")
	write("logo.svg", `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1);parent.alert(1)</script><image href="https://attacker.test/x"/></svg>`)
	write("index.en.md", "---\ntitle: "+text(all)+"\ndescription: "+text(all)+"\nlanguage: "+text(all)+"\ncontact: "+text(all)+"\nlinks:\n"+links+"words:\n"+words+"---\n"+strings.Join(xss, "\n\n"))
	write("index.fr.md", "---\ntitle: T\nlanguage: "+text(all)+"\n---\n")
	c, err := site.LoadContent(files)
	if err != nil {
		t.Fatal(err)
	}
	m := serveMaintenance(t, c)
	b := chrome.OpenTab(t, browser, trap)
	for i, at := range []string{"", "?" + url.QueryEscape(all), "?" + all, "#" + all, "#from=" + url.QueryEscape(all), "#from=javascript:alert(1)",
		"#from=" + url.QueryEscape("https://attacker.test/"), "#from=" + url.QueryEscape("//attacker.test/"), "#from=" + url.QueryEscape(appURL+"@attacker.test/"),
		"#from=" + url.QueryEscape(appURL+".attacker.test/"), "#from=" + url.QueryEscape("blob:"+appURL+"/abc"), "#from=" + url.QueryEscape("filesystem:"+appURL+"/temporary/abc"),
		"#from=" + url.QueryEscape(strings.Replace(appURL, "://", "://u:p@", 1)+"/x"), "#from=" + url.QueryEscape(strings.Replace(appURL, "://", "://u@", 1)+"/x"), "#from=%",
		"#at=javascript:alert(1)", "#at=@attacker.test/", "#at=.attacker.test/", "#at=:1/", "#at=x", "#at=" + url.QueryEscape("https://attacker.test/")} {
		a := doc(status.Offline, uint64(i+1), time.Hour, all)
		a.body = strings.Replace(a.body, `"messages":null`, `"messages":{"fr":`+text(all)+`}`, 1)
		m.say(a)
		b.Open("about:blank")
		b.Open(m.URL + "/demo/" + at)
		chrome.Eval[bool](b, `until(() => document.documentElement.dataset.mode)`)
		chrome.Eval[any](b, `(document.querySelectorAll("main *").forEach((e) => { e.focus(); e.dispatchEvent(new Event("mouseover")); }), null)`)
		checkNothingRan(t, b, m)
		if got := chrome.Eval[[]string](b, `violations`); len(got) > 0 {
			t.Errorf("%.40s: the policy has to block %q", at, got)
		}
		want := appURL + "/"
		if !strings.HasPrefix(at, "#from=") && !strings.HasPrefix(at, "#at=") { // a fragment of the visitor's own
			want += chrome.Eval[string](b, `location.hash`)
		}
		if got := chrome.Eval[string](b, `document.querySelector(".go a").href`); got != want {
			t.Errorf("%.40s: the way back is %s", at, got)
		}
		if got := chrome.Eval[string](b, `document.getElementById("message").textContent`); got != all {
			t.Errorf("%.40s: the message is %q", at, got)
		}
		if n := chrome.Eval[int](b, `document.querySelectorAll("script, style, iframe, object, embed, base, form, main img, main svg, [onerror], [onload], [onfocus], meta[http-equiv=refresh]").length`); n != 3 {
			t.Errorf("%.40s: %d elements that may run something, want the main page's own two scripts and its style", at, n)
		}
	}
	if got := chrome.Eval[[]string](b, `[...document.querySelectorAll("a")].map((a) => a.protocol)`); !onlyHarmless(got) {
		t.Errorf("links lead to %q", got)
	}
}

func onlyHarmless(protocols []string) bool {
	for _, p := range protocols {
		switch p {
		case "http:", "https:", "mailto:", "tel:":
		default:
			return false
		}
	}
	return true
}

// quote writes s as JSON does.
func quote(s string) string {
	out, _ := json.Marshal(s) // a string
	return string(out)
}
