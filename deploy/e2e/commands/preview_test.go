package commands

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// The page is in a frame of the preview's own origin, so that a test can look into it.
const previewLook = `window.until = (holds) => new Promise((done) => {
	const look = () => { let so; try { so = holds(document.getElementById("page").contentDocument); } catch {} so ? done(true) : setTimeout(look, 20); };
	look();
});
window.pick = (name, value) => {
	const field = document.getElementById("bar").elements[name];
	if (typeof value === "boolean") field.checked = value; else field.value = value;
	field.dispatchEvent(new Event("change", { bubbles: true }));
};`

// TestPreview: an author sees the page in every state, and each save and mistake at once.
func TestPreview(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	dir := filepath.Join(t.TempDir(), "content")
	write := func(name, text string) {
		t.Helper()
		rig.WriteFile(t, filepath.Join(dir, name), text)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write("index.en.md", "---\ntitle: First words\n---\nEssential sentence.\n")
	write("index.pt.md", "---\ntitle: Primeiras palavras\n---\nFrase essencial.\n")
	configuration, err := os.ReadFile(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	rig.WriteFile(t, s.Config, "content = \""+dir+"\"\n"+string(configuration))
	running := s.Start(t, rig.Call{Args: []string{"preview", "--listen", "127.0.0.1:0"}})
	var base string
	rig.WaitFor(t, "the preview's address", func() bool {
		base = regexp.MustCompile(`http://127\.0\.0\.1:\d+/`).FindString(running.Said(t).Stdout)
		return base != ""
	})

	b := chrome.OpenTab(t, chrome.Browser(t), previewLook)
	b.Open(base)
	see := func(what, holds string) {
		t.Helper()
		if !chrome.Eval[bool](b, `Promise.race([until((page) => `+holds+`), new Promise((done) => setTimeout(done, `+fmt.Sprint(rig.Patience.Milliseconds())+`, false))])`) {
			t.Fatalf("%s: not seen; the page says\n%s", what, chrome.Eval[string](b, `document.getElementById("page").contentDocument?.body?.innerText ?? "nothing"`))
		}
	}
	text := func(words string) string { return `page.body.innerText.includes("` + words + `")` }
	see("the page", text("First words"))
	for _, c := range []struct{ name, do, holds string }{
		{"an end ahead", `pick("end", "ahead")`, text("25 minutes")},
		{"an end that has passed", `pick("end", "passed")`, text("Taking longer than planned")},
		{"a long message", `pick("message", "long")`, text("Averyvery")},
		{"a phone", `pick("width", "320px")`, `page.documentElement.clientWidth === 320 && page.documentElement.scrollWidth <= 320`},
		{"admin mode", `pick("mode", "admin")`, text("Administrators can")},
		{"no status", `pick("mode", "unreachable")`, text("State unknown")},
		{"offline again", `pick("mode", "offline")`, text("Closed for maintenance")},
		{"another language", `pick("language", "pt")`, text("Frase essencial") + ` && page.documentElement.lang === "pt"`},
		{"the main one", `pick("language", "en")`, text("Essential sentence")},
		{"no JavaScript", `pick("script", false)`, text("Essential sentence") + ` && !page.documentElement.dataset.mode`},
		{"JavaScript", `pick("script", true)`, `page.documentElement.dataset.mode === "offline"`},
	} {
		chrome.Eval[any](b, c.do+"; null")
		see(c.name, c.holds)
	}

	write("index.en.md", "---\ntitle: Second words\n---\nEssential sentence.\n")
	see("what was saved", text("Second words"))
	write("index.en.md", "---\ntitle: Third\ntitle: again\n---\n")
	see("a mistake", `document.getElementById("fault").textContent.includes("index.en.md:3")`)
	rig.WaitFor(t, "the mistake in the terminal", func() bool { return strings.Contains(running.Said(t).Stderr, "index.en.md:3: ") })
	see("what was there before the mistake", text("Second words"))
	write("index.en.md", "---\ntitle: Fourth words\n---\nEssential sentence.\n")
	see("what was mended", text("Fourth words")+` && document.getElementById("fault").hidden`)
	for _, url := range b.Asked() {
		if !strings.HasPrefix(url, base) {
			t.Errorf("the preview asks for %s", url)
		}
	}

	// A page from elsewhere can't make a name of its own lead here.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "attacker.test:80"
	if got, err := http.DefaultClient.Do(r); err != nil || got.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a request for another host: %v, %v", got, err)
	} else {
		got.Body.Close()
	}

	if second := s.CLI(t, "preview", "--listen", strings.TrimSuffix(strings.TrimPrefix(base, "http://"), "/")).Want(t, 1); !strings.Contains(second.Stderr, "hint: name another address") {
		t.Errorf("a second one at the same address says %s", second.Stderr)
	}
	running.Signal(syscall.SIGINT)
	if r := running.Wait(t); r.Code != 0 && r.Code != 130 {
		t.Errorf("it ends with %d: %s", r.Code, r.Stderr)
	}
}
