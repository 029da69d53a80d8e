package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/content"
	"github.com/msupply-foundation/conforma-status/status"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var demo = Site{Name: "demo", AppURL: "https://demo.example.org:50000", PageURL: "https://maintenance.example.org/"}

func mustLoad(t *testing.T, nameAndText ...string) *Content {
	t.Helper()
	c, err := LoadContent(files(nameAndText...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustBuild(t *testing.T, c *Content, s Site) []File {
	t.Helper()
	built, err := Build(c, s)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// pageOf returns the main page.
func pageOf(t *testing.T, c *Content, s Site) string {
	built := mustBuild(t, c, s)
	return string(built[len(built)-1].Data)
}

func TestBuiltInPage(t *testing.T) {
	c, err := LoadContent(content.FS)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "index.html")
	got := pageOf(t, c, demo)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the page differs from %s; look at it and run the test with -update", golden)
	}
}

func TestBuildNamesItsFiles(t *testing.T) {
	c := mustLoad(t, "index.en.md", ok, "index.pt.md", ok, "index.fr.md", ok)
	for path, want := range map[string][]string{
		"":           {"status.schema.json", "conforma-status.js", "conforma-status-notice.js", "worker.js", "pt/index.html", "fr/index.html", "index.html"},
		"demo":       {"demo/status.schema.json", "demo/conforma-status.js", "demo/conforma-status-notice.js", "demo/worker.js", "demo/pt/index.html", "demo/fr/index.html", "demo/index.html"},
		"sites/demo": {"sites/demo/status.schema.json", "sites/demo/conforma-status.js", "sites/demo/conforma-status-notice.js", "sites/demo/worker.js", "sites/demo/pt/index.html", "sites/demo/fr/index.html", "sites/demo/index.html"},
	} {
		s := demo
		s.Path = path
		for i, f := range mustBuild(t, c, s) {
			if f.Key != want[i] {
				t.Errorf("path %q: file %d is %s, want %s", path, i, f.Key, want[i])
			}
			page := strings.HasSuffix(f.Key, ".html")
			if page && (f.ContentType != "text/html; charset=utf-8" || f.CacheControl != "no-cache") {
				t.Errorf("%s is served as %q, %q", f.Key, f.ContentType, f.CacheControl)
			}
			if i == 0 && (!bytes.Equal(f.Data, status.Schema()) || f.ContentType != "application/json; charset=utf-8") {
				t.Errorf("%s is not the schema, as JSON", f.Key)
			}
			if strings.HasSuffix(f.Key, ".js") && (len(f.Data) == 0 || f.ContentType != "text/javascript; charset=utf-8") {
				t.Errorf("%s is not a script", f.Key)
			}
		}
	}
}

func TestBuildGivesEachPageItsPlace(t *testing.T) {
	built := mustBuild(t, mustLoad(t, "index.en.md", ok, "index.pt.md", ok), demo)
	for i, want := range map[int][]string{
		4: {`<html lang="pt" dir="ltr">`, `data-status="../status.json"`, `<link rel="canonical" href="https://maintenance.example.org/pt/">`},
		5: {`<html lang="en" dir="ltr">`, `data-status="status.json"`, `<link rel="canonical" href="https://maintenance.example.org/">`},
	} {
		for _, w := range want {
			if !bytes.Contains(built[i].Data, []byte(w)) {
				t.Errorf("%s lacks %s", built[i].Key, w)
			}
		}
	}
}

func TestBuildIsDeterministic(t *testing.T) {
	load := func() *Content {
		return mustLoad(t, "index.en.md", ok+"A[^1].\n\n[^1]: B\n", "index.pt.md", ok, "a.md", ok+"C[^1].\n\n[^1]: D\n", "b.md", ok, "c.pt.md", ok, "d.md", ok)
	}
	want := mustBuild(t, load(), demo)
	for range 20 {
		for i, f := range mustBuild(t, load(), demo) {
			if f.Key != want[i].Key || !bytes.Equal(f.Data, want[i].Data) {
				t.Fatalf("%s differs from one run to the next", f.Key)
			}
		}
	}
}

func TestBuildRefusesASiteThatIsNone(t *testing.T) {
	c := mustLoad(t, "index.en.md", ok)
	for want, change := range map[string]func(*Site){
		`site demo: path "../x"`:                       func(s *Site) { s.Path = "../x" },
		`site demo: path "/x"`:                         func(s *Site) { s.Path = "/x" },
		`site demo: path "x/"`:                         func(s *Site) { s.Path = "x/" },
		`site demo: path "."`:                          func(s *Site) { s.Path = "." },
		`site demo: app_url: "javascript:alert(1)"`:    func(s *Site) { s.AppURL = "javascript:alert(1)" },
		`site demo: app_url: ""`:                       func(s *Site) { s.AppURL = "" },
		`site demo: app_url: "https://u:p@a.example"`:  func(s *Site) { s.AppURL = "https://u:p@a.example" },
		`site demo: page_url: "/"`:                     func(s *Site) { s.PageURL = "/" },
		`site demo: page_url: "https://a.example/x" d`: func(s *Site) { s.PageURL = "https://a.example/x" },
	} {
		s := demo
		change(&s)
		if _, err := Build(c, s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want … %s …", err, want)
		}
	}
}

// The policy must allow the style and the script that are really there, and nothing else.
func TestPolicyFitsTheFinalBytes(t *testing.T) {
	page := pageOf(t, mustLoad(t, "index.en.md", ok), demo)
	inline := func(tag string) string {
		m := regexp.MustCompile(`(?s)<` + tag + `>(.*)</` + tag + `>`).FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("no <%s>", tag)
		}
		sum := sha256.Sum256([]byte(m[1]))
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	want := `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'sha256-` + inline("script") +
		`'; style-src 'sha256-` + inline("style") + `'; connect-src 'self' https://demo.example.org:50000; img-src data:; base-uri 'none'; form-action 'none'">`
	if !strings.Contains(page, want) {
		t.Errorf("the page lacks %s", want)
	}
	if at := strings.Index(page, want); at > strings.Index(page, "<style") {
		t.Error("the policy comes after what it is about")
	}
}

// The main page has one script more, which hands over to a translation: before anything is shown, and behind the policy
// and the languages that it chooses from. No other page has it, so that nobody is sent round in circles.
func TestHandover(t *testing.T) {
	built, err := Build(mustLoad(t, "index.en.md", ok, "index.fr.md", ok, "index.pt.md", ok), demo)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range built {
		if f.ContentType != htmlType {
			continue
		}
		page, at := string(f.Data), 0
		want := []string{`script-src ` + hash(pageScript) + `; style-src `, `hreflang="pt" href=`, `<title>`, `<style>`, `<script>` + pageScript}
		if f.Key == "index.html" {
			want = []string{`script-src ` + hash(pageScript) + ` ` + hash(languageScript) + `; style-src `, `hreflang="pt" href=`,
				`<script>` + languageScript + `</script>`, `<title>`, `<style>`, `<script>` + pageScript}
		}
		for _, w := range want {
			i := strings.Index(page[at:], w)
			if i < 0 {
				t.Errorf("%s lacks %.60s, or has it too early", f.Key, w)
				continue
			}
			at += i
		}
		if got, want := strings.Count(page, "<script"), strings.Count(strings.Join(want, ""), "<script"); got != want {
			t.Errorf("%s has %d scripts, want %d", f.Key, got, want)
		}
	}
}

// What the script says ends no attribute, whatever it is.
func TestWordsForScript(t *testing.T) {
	evil := `'"><script>alert(1)</script>&#39;{policy}` + "\n"
	all, _ := fallBack(words{"admin": evil, "zone": "last"}, "en")
	data := all.forScript()
	if strings.ContainsAny(data, "'<>&\n") {
		t.Errorf("it holds what ends an attribute: %s", data)
	}
	var got []string
	if err := json.Unmarshal([]byte(data), &got); err != nil || got[0] != evil || got[len(got)-1] != "last" || len(got) != len(sentences)-len(built) {
		t.Errorf("it comes to %q (%v)", got, err)
	}
}

// Whatever is written anywhere, it comes out as text.
func TestBuildEscapes(t *testing.T) {
	const evil = `{script}{policy}%s</title></script><script>alert(1)</script>"'&<img src=x onerror=alert(1)>`
	quoted := `"` + strings.ReplaceAll(evil, `"`, `\"`) + `"`
	c := mustLoad(t, "index.en.md", "---\ntitle: "+quoted+"\ndescription: "+quoted+"\ncontact: "+quoted+
		"\nlinks:\n  - text: "+quoted+"\n    url: \"https://a.example/\\\"onclick=alert(1)<script>\"\n---\n",
		"faq.md", "---\ntitle: "+quoted+"\n---\n")
	s := demo
	s.AppURL = `https://a.example/"><script>alert(1)</script>`
	s.PageURL = `https://a.example/"><script>alert(1)</script>/`
	page := pageOf(t, c, s)
	if n := strings.Count(strings.ToLower(page), "<script"); n != 1 {
		t.Errorf("%d scripts, want ours alone", n)
	}
	if n := strings.Count(page, "{script}{policy}%s"); n != 7 {
		t.Errorf("braces and verbs came through %d times, want 7: title twice, description twice, contact, link, section", n)
	}
	for _, bad := range []string{"<img", "onclick=alert(1)<", `"onclick`, "</title></script>"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
}
