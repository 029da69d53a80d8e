package page

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// ways are paths, queries and fragments that visitors ask for, and where the page leads back to: "" for the same, as
// the browser writes it.
var ways = []struct{ asked, back string }{
	{"/", ""}, {"/application/7", ""}, {"/application/7?tab=2&all", ""}, {"/?x=1", ""}, {"/?", ""}, {"/a/", ""},
	// Encoded, not encoded, and nothing that can be decoded.
	{"/a%20b?c%20d", ""}, {"/a+b?c+d", ""}, {"/%C3%A9t%C3%A9", ""}, {"/été?q=ü", ""}, {"/申請/٧?名=前", ""}, {"/%E2%80%AEgnp", ""},
	{"/a%2Fb", ""}, {"/a%252Fb", ""}, {"/?%", ""}, {"/?%zz", ""}, {"/?%ff", ""}, {"/%23x?%23y", ""},
	// What leads to another host where it is read carelessly.
	{"//evil.test", ""}, {"///evil.test/", ""}, {"//evil.test/%2e%2e/x", ""}, {"/@evil.test", ""}, {`/\evil.test`, ""}, {"/.evil.test", ""}, {"/:80@evil.test/", ""},
	{"/.//evil.test", ""}, {"/https://evil.test/", ""}, {"/?https://evil.test/", ""}, {"/javascript:alert(1)", ""},
	{"/%0d%0aLocation:%20https://evil.test/", ""}, {"/?%0D%0ASet-Cookie:x=1", ""},
	// What looks like our own, and what ends an attribute, a script, a string.
	{"/?#", "/?"}, {"/?at=/x&from=https://evil.test/", ""}, {"/%23from=https%3A%2F%2Fevil.test", ""}, {"/#at=//evil.test/", "//evil.test/"}, {"/#from=https%3A%2F%2Fevil.test", "/"},
	{`/"><script>alert(1)</script>`, ""}, {`/it's?x='y"`, ""}, {"/a;b=c,d!$&()*", ""}, {"/a|b^c`d{e}?f|g^h{i}", ""},
	// Of what a query may hold, a fragment has this one encoded (URL standard, 1.3).
	{"/?a`b", "/?a%60b"},
	{"/a/../b/./c/%2e%2e/d", ""}, {"/a//b///c", ""},
	// At the limit, and beyond it.
	{"/" + strings.Repeat("a", 1498), ""}, {"/" + strings.Repeat("a", 1499), "/"}, {"/?" + strings.Repeat("%C3%A9", 600), "/"},
	// A fragment of the visitor's own never reaches nginx. A browser keeps it where the redirect has none.
	{"/#/application/7?tab=2", ""}, {"/#part", ""}, {"/application/7#part", "/application/7"},
}

// TestEveryWayBack asks for each of them behind an outer nginx whose buffers are as small as they come, and has a
// browser follow: the page leads exactly back, in each of its languages and after a reload, or to the site's first
// page, and never elsewhere.
func TestEveryWayBack(t *testing.T) {
	t.Parallel()
	s := newWay(t)
	tab := chrome.OpenTab(t, chrome.Browser(t), "")
	for i, way := range ways {
		t.Run(fmt.Sprintf("%.40s", way.asked), func(t *testing.T) {
			target, _, _ := strings.Cut(way.asked, "#")
			answer := s.outer.Do(t, rig.Navigation(target))
			want := s.PageURL + "/demo/"
			if target != "/" && len(target) < 1500 {
				want += "#at=" + target
			}
			if got := answer.Header.Get("Location"); answer.Status != 302 || got != want {
				t.Errorf("nginx answers %d and leads to %s, want %s", answer.Status, got, want)
			}
			tab.Open(s.URL + way.asked)
			s.leadsBack(t, tab, way.asked, way.back)
			if i%9 != 1 {
				return
			}
			chrome.Eval[bool](tab, `(document.querySelector("nav a[hreflang=ar]").click(), true)`)
			rig.WaitFor(t, "the page in Arabic", func() bool {
				rtl, err := chrome.TryEval[bool](tab, `document.readyState === "complete" && document.documentElement.dir === "rtl"`)
				return err == nil && rtl
			})
			s.leadsBack(t, tab, way.asked, way.back)
			tab.Open(chrome.Eval[string](tab, `(localStorage.clear(), location.href)`)) // the same address: a reload
			s.leadsBack(t, tab, way.asked, way.back)
		})
	}
	t.Run("curl", func(t *testing.T) {
		out, err := exec.Command("curl", "-sL", "-o", "/dev/null", "-w", "%{http_code} %{num_redirects} %{url_effective}", "-H", "Accept: text/html", s.URL+"/application/7?x=1").Output()
		if want := "200 1 " + s.PageURL + "/demo/"; err != nil || strings.TrimSuffix(string(out), "#at=/application/7?x=1") != want {
			t.Errorf("curl says %s (%v), want %s", out, err, want)
		}
	})
}

// way is a closed site whose page is there in English and Arabic, behind an nginx of its own and behind a second one.
type way struct {
	*rig.Single
	outer rig.Client
}

func newWay(t *testing.T) *way {
	t.Helper()
	s := &way{Single: rig.NewSingle(t)}
	content := filepath.Join(s.Nginx.Dir, "content")
	rig.WriteFile(t, filepath.Join(content, "index.en.md"), "---\ntitle: Closed\n---\n")
	rig.WriteFile(t, filepath.Join(content, "index.ar.md"), "---\ntitle: صيانة الموقع\n---\n")
	port := rig.Port(t)
	s.outer = rig.Client{Addr: rig.Loopback(port), Host: rig.Loopback(port)}
	s.Configure(t, rig.Settings{Top: fmt.Sprintf("content = %q", content)})
	rig.WriteFile(t, s.Enabled("outer.conf"), fmt.Sprintf(`server { listen %s; proxy_buffer_size 4k; proxy_buffers 2 4k; proxy_busy_buffers_size 4k;
		location / { proxy_pass %s; proxy_redirect off; } }`, s.outer.Addr, s.URL))
	s.Install(t)
	s.CLI(t, "publish").Want(t, 0)
	s.CLI(t, "set", "offline").Want(t, 0)
	return s
}

// leadsBack checks where the page that tab shows leads to.
func (s *way) leadsBack(t *testing.T, tab *chrome.Tab, asked, back string) {
	t.Helper()
	if back == "" {
		back = asked
	}
	at := chrome.Eval[string](tab, `location.href`)
	if !strings.HasPrefix(at, s.PageURL+"/demo/") {
		t.Errorf("the browser is at %s", at)
		return
	}
	got := chrome.Eval[string](tab, `document.querySelector(".go a").href`)
	if want := chrome.Eval[string](tab, fmt.Sprintf(`new URL(%q + %q).href`, s.URL, back)); got != want {
		t.Errorf("at %s the page leads to %s, want %s", at, got, want)
	}
}
