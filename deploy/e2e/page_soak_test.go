//go:build soak

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestSoakPageIsAccessible is TestPageIsAccessible for every combination of language, state, colour scheme and width, and
// takes a picture of each, to be looked at: bin/screenshots.
func TestSoakPageIsAccessible(t *testing.T) {
	m := serveMaintenance(t, pageContent(t))
	script := axe(t)
	dir := filepath.Join("..", "..", "bin", "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	browser := startBrowser(t)
	for _, on := range []screen{{320, "light"}, {320, "dark"}, {1280, "light"}, {1280, "dark"}} {
		b := openTab(t, browser, ownClock)
		for _, s := range pageStates() {
			for _, lang := range placesOfPages {
				checkAccess(t, b, m, script, s, lang, on)
				name := fmt.Sprintf("%s-%s-%d-%s.png", s.name, strings.TrimSuffix(lang, "/"), on.width, on.scheme)
				if err := os.WriteFile(filepath.Join(dir, name), picture(b), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// picture is the whole page that b shows, as a PNG.
func picture(b *tab) []byte {
	b.t.Helper()
	data, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatalf("take a picture: %v", err)
	}
	return data
}

func TestSoakPublishThroughFaults(t *testing.T) {
	t.Parallel()
	publishThroughFaults(t, 100) // half of them killed
}
