// Package source reads what the tests compare with each other: the sources, and the pages for operators.
package source

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

var headings = regexp.MustCompile(`(?m)^#+ (.*)$`)

// Links are what the links of a page in Markdown lead to.
var Links = regexp.MustCompile(`\]\(([^)]*)\)`)

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	kept := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(kept, " ", "-")
}

// AnchorsOf returns the anchors of the headings of a page in Markdown.
func AnchorsOf(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range headings.FindAllStringSubmatch(text, -1) {
		out[anchor(m[1])] = true
	}
	return out
}

// CheckLinks follows the links of a page to other files, and to their headings.
func CheckLinks(t *testing.T, page string) (relative int) {
	t.Helper()
	for _, m := range Links.FindAllStringSubmatch(rig.ReadFile(t, page), -1) {
		to, fragment, _ := strings.Cut(m[1], "#")
		if strings.Contains(to, "://") {
			continue
		}
		target := page
		if to != "" {
			relative++
			target = filepath.Join(filepath.Dir(page), to)
		}
		if _, err := os.Stat(target); err != nil {
			t.Errorf("%s: there is no %s", page, to)
		} else if fragment != "" && !AnchorsOf(rig.ReadFile(t, target))[fragment] {
			t.Errorf("%s: there is no #%s in %s", page, fragment, target)
		}
	}
	return relative
}
