package page

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/page"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/chrome"
)

var update = flag.Bool("update", false, "take the pictures in deploy/screenshots anew")

// pictures are those in the README.
var pictures = []struct {
	file, state, lang string
	on                screen
}{
	{"closed.webp", "eta", "", screen{820, "light"}},
	{"late-pt-dark.webp", "late", "pt/", screen{820, "dark"}},
	{"phone-fr.webp", "admin", "fr/", screen{390, "light"}},
}

// TestPictures sees that the README's pictures are there and small; with -update it takes them anew.
func TestPictures(t *testing.T) {
	const dir = "../../screenshots"
	if *update {
		m := serveMaintenance(t, builtIn(t))
		b := chrome.OpenTab(t, chrome.Browser(t), ownClock)
		for _, p := range pictures {
			for _, s := range pageStates() {
				if s.name != p.state {
					continue
				}
				s.show(b, m, p.lang, p.on)
				quality, whole := int64(75), true
				shot := chrome.Call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatWebp, Quality: &quality, CaptureBeyondViewport: &whole})
				if err := os.WriteFile(filepath.Join(dir, p.file), shot.Data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, p := range pictures {
		info, err := os.Stat(filepath.Join(dir, p.file))
		if err != nil || info.Size() > 60_000 {
			t.Errorf("%s: %v, %v", p.file, info, err)
		}
	}
}
