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
// browser and curl follow: the page leads exactly back, in each of its languages and after a reload, or to the site's
// first page, and never elsewhere.
func TestEveryWayBack(t *testing.T) {
	t.Parallel()
	s := newWay(t)
	tab := chrome.OpenTab(t, chrome.Browser(t), "")
	s.everyWay(t, tab.Open, func(expression string) (string, error) { return chrome.TryEval[string](tab, expression) })
	t.Run("curl", func(t *testing.T) {
		args := []string{"-sLg", "--path-as-is", "-H", "Accept: text/html", "-w", "%{http_code} %{num_redirects} %{url_effective}\n"}
		for _, way := range ways {
			args = append(args, "-o", "/dev/null", "--url", s.URL+way.asked)
		}
		out, err := exec.Command("curl", args...).Output()
		lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		if err != nil || len(lines) != len(ways) {
			t.Fatalf("curl says %s (%v)", out, err)
		}
		for i, line := range lines {
			page, _, _ := strings.Cut(line, "#") // it sends none
			if want := "200 1 " + s.PageURL + "/demo/"; page != want {
				t.Errorf("%s: curl says %s, want %s", ways[i].asked, line, want)
			}
		}
	})
}

// everyWay has a browser's tab follow each of them.
func (s *way) everyWay(t *testing.T, open func(url string), eval func(expression string) (string, error)) {
	for i, way := range ways {
		t.Run(fmt.Sprintf("%.40s", way.asked), func(t *testing.T) {
			get := func(expression string) string {
				t.Helper()
				got, err := eval(expression)
				rig.Check(t, err)
				return got
			}
			leadsBack := func() {
				t.Helper()
				back := way.back
				if back == "" {
					back = way.asked
				}
				if at := get(`location.href`); !strings.HasPrefix(at, s.PageURL+"/demo/") {
					t.Errorf("the browser is at %s", at)
				} else if got, want := get(`document.querySelector(".go a").href`), get(fmt.Sprintf(`new URL(%q + %q).href`, s.URL, back)); got != want {
					t.Errorf("at %s the page leads to %s, want %s", at, got, want)
				}
			}
			target, _, _ := strings.Cut(way.asked, "#")
			answer := s.outer.Do(t, rig.Navigation(target))
			want := s.PageURL + "/demo/"
			if target != "/" && len(target) < 1500 {
				want += "#at=" + target
			}
			if got := answer.Header.Get("Location"); answer.Status != 302 || got != want {
				t.Errorf("nginx answers %d and leads to %s, want %s", answer.Status, got, want)
			}
			open(s.URL + way.asked)
			leadsBack()
			if i%9 != 1 {
				return
			}
			for _, leaves := range []string{`document.querySelector("nav a[hreflang=ar]").click()`, `location.reload()`} {
				get(`(localStorage.clear(), window.old = true, ` + leaves + `, "leaves")`)
				rig.WaitFor(t, "the page in Arabic", func() bool {
					shown, err := eval(`window.old ? "the old one" : document.readyState + " " + document.documentElement.dir`)
					return err == nil && shown == "complete rtl"
				})
				leadsBack()
			}
		})
	}
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
