package modes

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// shownLanguage is the language that a page says it is in.
var shownLanguage = regexp.MustCompile(`^<!doctype html>\n<html lang="([^"]+)"`)

// TestThePageItself has a site whose visitors get the maintenance page at the address that they asked for.
func TestThePageItself(t *testing.T) {
	t.Parallel()
	s := rig.NewSingle(t)
	s.Configure(t, rig.Settings{Site: `navigation = "page"`})
	s.Install(t)
	s.StartGate(t)
	shown := func(what string, r rig.Response, mode, language string) {
		t.Helper()
		for name, want := range map[string]string{
			"Retry-After": "60", "Cache-Control": "no-store", "X-Conforma-Status": mode, "Content-Type": "text/html", "Location": "", "Etag": "",
		} {
			if got := r.Header.Get(name); got != want && name != "Etag" {
				t.Errorf("%s: %s is %q, want %q", what, name, got, want)
			}
		}
		if vary := strings.Join(r.Header.Values("Vary"), ", "); !strings.Contains(vary, "Accept-Language") {
			t.Errorf("%s: Vary is %q", what, vary)
		}
		if m := shownLanguage.FindStringSubmatch(r.Body); r.Status != 503 || m == nil || m[1] != language {
			t.Errorf("%s: got %d, and a page in %q, want one in %s", what, r.Status, m, language)
		}
	}
	get := func(m rig.Message, more ...string) rig.Response { t.Helper(); return s.Client().Do(t, m.With(more...)) }
	page := rig.OldNavigation("/application/1?x=%2F")

	for _, mode := range []string{"offline", "admin"} {
		s.CLI(t, "set", mode).Want(t, 0)
		for accept, want := range map[string]string{
			"": "en", "en-GB,en;q=0.9": "en", "pt-BR,pt;q=0.9,en;q=0.8": "pt", "pt": "pt", "fr": "fr", "FR": "en", "es-419, es;q=0.9": "es",
			"mi, ar;q=0.9, pt;q=0.8, en;q=0.5": "pt", "mi": "en", "de;q=0.9,fr;q=0.1": "fr", "*": "en", "en;q=0.8, fr": "fr",
			"de;q=0.1, pt": "pt", "fr;q=0.1, pt": "pt", "fr;q=0.5,pt;q=0.9": "pt", "fr;q=0.3, de, pt; q=0.85, es;q=0.2": "pt", "fr;q=0, pt;q=0.2": "pt", "fr;q=0.000": "en",
			"es;q=1.0, fr;q=0.9": "es", "mi;q=0.9,de,fr": "fr",
			"../index": "en", "pt/../../../closed": "en", "pt.": "en", "index": "en", "pt;;;,": "pt", " , pt": "pt",
		} {
			if r := get(page, "Accept-Language: "+accept); accept != "FR" {
				shown(mode+", "+accept, r, mode, want)
			}
		}
		head := page
		head.Method = "HEAD"
		if r := get(head); r.Status != 503 || r.Body != "" || r.Header.Get("Retry-After") != "60" {
			t.Errorf("%s: HEAD: %+v", mode, r)
		}
		form := rig.Navigation("/application/1").With("Content-Type: application/x-www-form-urlencoded")
		form.Method, form.Body = "POST", "a=b"
		shown(mode+", a form", get(form), mode, "en")
		shown(mode+", a range", get(page, "Range: bytes=0-9"), mode, "en")
		shown(mode+", the first page", get(rig.Navigation("/")), mode, "en")
		if mode == "admin" {
			shown("admin, a user's token", get(page, "Authorization: Bearer "+rig.UserToken(s.Blocks[0].Secret), "Accept-Language: es"), mode, "es")
			if r := get(page, "Authorization: Bearer "+rig.AdminToken(s.Blocks[0].Secret)); r.Status != 200 {
				t.Errorf("an administrator gets %d", r.Status)
			}
		}
		if r := get(rig.Fetch("/server/api/x", s.URL)); r.Status != 503 || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: a script gets %d %s", mode, r.Status, r.Body)
		}
		if r := get(rig.Fetch("/.conforma-status/page", s.URL)); r.Status == 200 || mode == "offline" && (r.Status != 503 || r.Header.Get("Content-Type") != "application/json") {
			t.Errorf("%s: by our own path a script gets %d %s", mode, r.Status, r.Body)
		}
		s.CLI(t, "get").Want(t, 0)
	}
	if got := get(page); strings.Contains(got.Body, `rel="canonical"`) || !strings.Contains(got.Body, `data-status="/.conforma-status/status.json"`) {
		t.Error("the page says to search engines that it lies elsewhere, or looks for its status there")
	}

	// In the moment before the reload, the rules of online have to do.
	s.CLI(t, "set", "online").Want(t, 0)
	rig.WriteFile(t, s.ClosedFile(), "")
	shown("the closed file alone", get(page, "Accept-Language: fr"), "offline", "fr")
	health := func(want int) {
		t.Helper()
		if r := s.Client().Get(t, "/.conforma-status/health"); r.Status != want {
			t.Errorf("a load balancer gets %d %q, want %d", r.Status, r.Body, want)
		}
	}
	health(503) // visitors are told that the site is open
	rig.Check(t, os.Remove(s.ClosedFile()))
	health(200)

	// New content is shown at once; what is wrong with it holds up no closing; without a copy visitors are redirected.
	content := filepath.Join(s.Nginx.Dir, "content")
	rig.WriteFile(t, filepath.Join(content, "index.en.md"), "---\ntitle: We are at work\n---\nSoon.\n")
	rig.Edit(t, s.Config, "\n[s3]", fmt.Sprintf("content = %q\n\n[s3]", content))
	s.CLI(t, "set", "offline").Want(t, 0)
	if got := get(page, "Accept-Language: fr"); !strings.Contains(got.Body, "We are at work") {
		t.Errorf("set didn't keep the new page: %s", got.Body)
	}
	rig.Edit(t, filepath.Join(content, "index.en.md"), "at work", "almost done")
	s.CLI(t, "publish").Want(t, 0)
	if got := get(page); !strings.Contains(got.Body, "We are almost done") {
		t.Errorf("publish didn't keep the new page: %s", got.Body)
	}
	s.CLI(t, "set", "online").Want(t, 0)
	rig.Edit(t, filepath.Join(content, "index.en.md"), "title:", "titel:")
	rig.Says(t, s.CLI(t, "set", "offline").Want(t, 0), "warning: nginx shows the page as it was before, or none: ")
	if got := get(page); got.Status != 503 || !strings.Contains(got.Body, "We are almost done") {
		t.Errorf("with content that is wrong the page is %d %s", got.Status, got.Body)
	}
	rig.Check(t, os.RemoveAll(filepath.Join(s.State, "sites", rig.SingleSite, "page")))
	if got := get(page); got.Status != 302 || !slices.Contains(got.Header.Values("Location"), s.PageURL+"/demo/#at=/application/1?x=%2F") {
		t.Errorf("without a copy: %s", got.Stable())
	}
}
