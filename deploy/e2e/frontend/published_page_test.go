package frontend

import (
	"path/filepath"
	"testing"
)

// TestPublishedPage compares the style and the scripts that are built into each page with their sources.
func TestPublishedPage(t *testing.T) {
	const theme = "../../../site/theme"
	for name, loader := range map[string]string{"page.css": "css", "page.js": "js", "language.js": "js"} {
		want := minify(t, filepath.Join(theme, name), loader)
		file := filepath.Join(theme, "dist", name)
		isBuilt(t, file, want)
	}
}
