package site

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/msupply-foundation/conforma-status/content"
)

// maxPage is the size in bytes, compressed, that every visitor of a built-in page loads at most.
const maxPage = 6000

// TestPageIsSmall holds the built-in pages, with all four languages, to their size.
func TestPageIsSmall(t *testing.T) {
	for lang, size := range pageSizes(t) {
		t.Logf("%s: %d bytes", lang, size)
		if size > maxPage {
			t.Errorf("the page in %s is %d bytes compressed, more than %d", lang, size, maxPage)
		}
	}
}

func pageSizes(tb testing.TB) map[string]int {
	tb.Helper()
	c, err := LoadContent(content.FS)
	if err != nil {
		tb.Fatal(err)
	}
	built, err := Build(c, demo)
	if err != nil {
		tb.Fatal(err)
	}
	sizes := map[string]int{}
	for _, f := range Compressed(built) {
		if f.ContentType == htmlType {
			sizes[f.Key] = len(f.Data)
		}
	}
	return sizes
}

// BenchmarkPage is the size of the largest built-in page as it is sent.
func BenchmarkPage(b *testing.B) {
	var largest int
	for b.Loop() {
		largest = slices.Max(slices.Collect(maps.Values(pageSizes(b))))
	}
	b.ReportMetric(float64(largest), "page-bytes(<=6000)")
}

// BenchmarkBuild reads the content of twenty sites in twelve languages, each with a folder of its own, and builds their
// pages.
func BenchmarkBuild(b *testing.B) {
	english, err := content.FS.ReadFile("index.en.md")
	if err != nil {
		b.Fatal(err)
	}
	fsys := files()
	for _, lang := range []string{"en", "fr", "pt", "es", "lo", "tet", "ar", "id", "fj", "to", "sm", "bi"} {
		fsys["index."+lang+".md"] = &fstest.MapFile{Data: english}
	}
	for i := range 20 {
		fsys[fmt.Sprintf("site%d/brand.yaml", i)] = &fstest.MapFile{Data: []byte("name: Conforma\n")}
	}
	for b.Loop() {
		for i := range 20 {
			name := fmt.Sprintf("site%d", i)
			c, err := LoadContent(fsys, name)
			if err != nil {
				b.Fatal(err)
			}
			built, err := Build(c, Site{Name: name, Path: name, AppURL: demo.AppURL, PageURL: demo.PageURL + name + "/"})
			if err != nil || len(Compressed(built)) != 12+4 { // a page in each language, the schema and three scripts
				b.Fatalf("%d files, %v", len(built), err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "20-sites-ms(<=1000)")
}
