package site

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/msupply-foundation/conforma-status/status/fault"
)

// Pictures and other files beside the Markdown are published with the page, in whichever folder that lies and at
// whichever address it is shown.
func TestAttachments(t *testing.T) {
	const body = "---\ntitle: T\ncontact: room 5\n---\n![Plan](plan.png) [guide](./guide.pdf#page=2) [none](none.pdf) <https://a.example/plan.png>\n"
	c := mustLoad(t, "index.en.md", body, "index.pt.md", body, "plan.png", "png of all", "demo/plan.png", "png of demo", "guide.pdf", "pdf",
		"unused.txt", "text", ".hidden.png", "x", "notes.docx", "x", "brand.yaml", "name: C")
	got := map[string]File{}
	for _, f := range mustBuild(t, c, demo) {
		got[f.Key] = f
	}
	for key, want := range map[string]struct{ kind, data string }{
		"plan.png": {"image/png", "png of all"}, "guide.pdf": {"application/pdf", "pdf"}, "unused.txt": {"text/plain; charset=utf-8", "text"},
	} {
		if f := got[key]; string(f.Data) != want.data || f.ContentType != want.kind || f.CacheControl != "no-cache" {
			t.Errorf("%s is %q, %q, %q", key, f.Data, f.ContentType, f.CacheControl)
		}
	}
	for _, key := range []string{".hidden.png", "notes.docx", "brand.yaml", "demo/plan.png"} {
		if _, ok := got[key]; ok {
			t.Errorf("%s is published", key)
		}
	}
	for key, wants := range map[string][]string{
		"index.html":    {`<img src="plan.png" alt="Plan">`, `<a href="guide.pdf#page=2">`, `<a href="none.pdf">`, "img-src data: 'self';"},
		"pt/index.html": {`<img src="../plan.png" alt="Plan">`, `<a href="../guide.pdf#page=2">`},
	} {
		for _, want := range wants {
			if !strings.Contains(string(got[key].Data), want) {
				t.Errorf("%s lacks %s", key, want)
			}
		}
	}
	pages, err := InPlace(c, demo, "/.conforma-status/status.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<img src="https://maintenance.example.org/plan.png" alt="Plan">`, "img-src data: https://maintenance.example.org;"} {
		if !strings.Contains(string(pages["pt"]), want) {
			t.Errorf("shown in place it lacks %s", want)
		}
	}
	if r := c.Remarks().Error(); strings.Contains(r, "plan.png") || !strings.Contains(r, `the link to "none.pdf" leads to nothing that is published`) {
		t.Errorf("remarks: %s", r)
	}
	own, err := LoadContent(files("index.en.md", body, "plan.png", "png of all", "demo/plan.png", "png of demo"), "demo")
	if err != nil || string(own.files["plan.png"].data) != "png of demo" {
		t.Errorf("the site's own folder doesn't lie over that of all: %q, %v", own.files["plan.png"].data, err)
	}
}

// What is wrong with such files is said by name, and nothing large or from elsewhere is published.
func TestAttachmentsThatAreRefused(t *testing.T) {
	big, heavy := strings.Repeat("x", 5<<20), strings.Repeat("x", budget+1)
	const shows = "---\ntitle: T\ncontact: room 5\n---\n![x](plan.png)\n"
	for name, tt := range map[string]struct {
		files          fstest.MapFS
		fault, remarks string
	}{
		"5 MB on the page":  {files("index.en.md", shows, "plan.png", big), "index.en.md:5: shows plan.png, which is larger than 1048576 bytes", ""},
		"5 MB beside it":    {files("index.en.md", shows, "plan.png", "x", "z.png", big), "", "z.png: is not published: it is 5242880 bytes, at most 1048576 are"},
		"over the budget":   {files("index.en.md", shows, "plan.png", heavy), "", "plan.png: is 50001 bytes, more than 50000: visitors with a slow connection wait for it"},
		"differ in case":    {files("index.en.md", shows, "plan.png", "x", "Plan.PNG", "y"), "plan.png: differs from Plan.PNG only in upper and lower case", ""},
		"Markdown, in case": {files("index.en.md", shows, "plan.png", "x", "FAQ.md", shows, "faq.md", shows), "faq.md: differs from FAQ.md only in upper and lower case", ""},
		"an odd name":       {files("index.en.md", shows, "plan.png", "x", "a b.png", "x"), "", "a b.png: is not published: its name has more than letters, digits, and . _ -"},
	} {
		c, err := LoadContent(tt.files)
		var faults fault.List
		if errors.As(err, &faults); faults.Error() != tt.fault {
			t.Errorf("%s: faults %v", name, err)
		}
		if err == nil && c.Remarks().Error() != tt.remarks {
			t.Errorf("%s: remarks %v", name, c.Remarks())
		}
	}
}

// A symbolic link out of the folder is followed nowhere, be it named as a picture, as Markdown or as a site's folder.
func TestLinksOutOfTheContent(t *testing.T) {
	outside := t.TempDir()
	for name, text := range map[string]string{"secret": "JWT_SECRET=hunter2", "index.en.md": "---\ntitle: T\n---\nhunter2"} {
		if err := os.WriteFile(filepath.Join(outside, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"x.png": "secret", "faq.md": "secret", "demo": ".", "gone.txt": "gone"} {
		dir := t.TempDir()
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "index.en.md"), []byte(ok), 0o600), os.Symlink(filepath.Join(outside, to), filepath.Join(dir, link))); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		_, err = LoadContent(root.FS(), "demo")
		var faults fault.List
		if errors.As(err, &faults); link == "demo" && (err == nil || errors.Is(err, fs.ErrNotExist)) ||
			link != "demo" && faults.Error() != link+": is a symbolic link that leads out of the content, or to nothing" {
			t.Errorf("%s: %v", link, err)
		}
	}
	// One that stays inside is as good as a file.
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "index.en.md"), []byte(ok), 0o600), os.WriteFile(filepath.Join(dir, "a.png"), []byte("x"), 0o600), os.Symlink("a.png", filepath.Join(dir, "b.png"))); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if c, err := LoadContent(root.FS()); err != nil || string(c.files["b.png"].data) != "x" {
		t.Errorf("a link inside the content: %v", err)
	}
}
