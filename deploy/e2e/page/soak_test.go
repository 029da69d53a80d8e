//go:build soak

package page

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status"
)

// TestSoakPageShowsTheStatus has the rest of the table.
func TestSoakPageShowsTheStatus(t *testing.T) { showsTheStatus(t, rig.Without(usualAnswers...)) }

// TestSoakPageIsAccessible is TestPageIsAccessible for every combination of language, state, colour scheme and width.
func TestSoakPageIsAccessible(t *testing.T) {
	m := serveMaintenance(t, pageContent(t))
	script := axe(t)
	browser := chrome.Browser(t)
	for _, on := range []screen{{320, "light"}, {320, "dark"}, {1280, "light"}, {1280, "dark"}} {
		for _, s := range pageStates() {
			b := chrome.OpenTab(t, browser, ownClock)
			for _, lang := range placesOfPages {
				checkAccess(t, b, m, script, s, lang, on)
			}
		}
	}
}

// TestSoakScreenshots takes a picture of every state of the page on a telephone and on a desk, to be looked at:
// dist/screenshots.
func TestSoakScreenshots(t *testing.T) {
	m := serveMaintenance(t, pageContent(t))
	dir := rig.Source("dist", "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b := chrome.OpenTab(t, chrome.Browser(t), ownClock)
	for _, s := range pageStates() {
		for name, lang := range map[string]string{"en": "", "pt": "pt/", "ar": "ar/"} {
			for _, width := range []int64{360, 1280} {
				s.show(b, m, lang, screen{width, "light"})
				file := filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", s.name, name, width))
				if err := os.WriteFile(file, picture(b), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// picture is the whole page that b shows, as a PNG.
func picture(b *chrome.Tab) []byte {
	b.T.Helper()
	data, err := chromedp.Run(b.Ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.T.Fatalf("take a picture: %v", err)
	}
	return data
}

// TestSoakLighthouse has Lighthouse judge the page as telephones get it. It simulates a slow processor from how long
// this one took: what else the machine does counts, so the best of three runs is taken, and nothing else runs beside.
func TestSoakLighthouse(t *testing.T) {
	m := serveMaintenance(t, pageContent(t))
	m.say(doc(status.Offline, 1, 25*time.Minute, "We are upgrading."))
	chromium, err := exec.LookPath("chromium-headless-shell")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(rig.Dir(t), "report.json")
	var faults []string
	for range 3 {
		cmd := exec.Command("node_modules/.bin/lighthouse", m.URL+"/demo/", "--quiet", "--output=json", "--output-path="+out,
			"--only-categories=performance,accessibility,best-practices", "--chrome-flags=--no-sandbox --headless --disable-gpu")
		cmd.Dir, cmd.Env = "../web/lighthouse", append(os.Environ(), "CHROME_PATH="+chromium)
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("lighthouse: %v\n%s", err, said)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if faults = lighthouseFaults(t, data); len(faults) == 0 {
			return
		}
	}
	t.Errorf("Lighthouse finds %s", strings.Join(faults, "; "))
}

// lighthouseFaults is what keeps a category from 100. The server of the tests speaks plain HTTP on loopback, which
// Lighthouse takes for safe: nothing has to be made up for.
func lighthouseFaults(t *testing.T, data []byte) (faults []string) {
	t.Helper()
	var r struct {
		Categories map[string]struct {
			Score     float64
			AuditRefs []struct {
				ID     string
				Weight float64
			}
		}
		Audits map[string]struct {
			Score        *float64
			DisplayValue string
		}
	}
	if err := json.Unmarshal(data, &r); err != nil || len(r.Categories) != 3 {
		t.Fatalf("%d categories, %v", len(r.Categories), err)
	}
	for name, c := range r.Categories {
		t.Logf("%s: %.0f", name, 100*c.Score)
		if c.Score >= 1 {
			continue
		}
		faults = append(faults, name)
		for _, ref := range c.AuditRefs {
			if a := r.Audits[ref.ID]; ref.Weight > 0 && a.Score != nil && *a.Score < 1 {
				faults = append(faults, ref.ID+" "+a.DisplayValue)
			}
		}
	}
	return faults
}
