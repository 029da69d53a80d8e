package frontend

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestPublishedPage compares the style and the scripts that are built into each page with their sources.
func TestPublishedPage(t *testing.T) {
	const theme = "../../../site/theme"
	for name, loader := range map[string]string{"page.css": "css", "page.js": "js", "language.js": "js"} {
		want := minify(t, filepath.Join(theme, name), loader)
		file := filepath.Join(theme, "dist", name)
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what its source comes to (%v); run this test with -update", file, err)
		}
	}
}
