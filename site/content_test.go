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

// files makes a content folder.
func files(nameAndText ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(nameAndText); i += 2 {
		m[nameAndText[i]] = &fstest.MapFile{Data: []byte(nameAndText[i+1])}
	}
	return m
}

const ok = "---\ntitle: T\n---\n"

func TestLoadContentNamesEveryFault(t *testing.T) {
	matter := func(lines string) fs.FS { return files("index.en.md", "---\ntitle: T\n"+lines+"---\nText.\n") }
	tests := map[string]struct {
		fsys fs.FS
		want string // as fault.List writes it
	}{
		"no front matter":        {files("index.en.md", "# Hello\n"), `index.en.md:1: there is no front matter`},
		"empty file":             {files("index.en.md", ""), `index.en.md:1: there is no front matter`},
		"an empty line before":   {files("index.en.md", "\n"+ok), `index.en.md:1: there is no front matter`},
		"a longer fence":         {files("index.en.md", "----\ntitle: T\n----\n"), `index.en.md:1: there is no front matter`},
		"unterminated":           {files("index.en.md", "---\ntitle: T\n\nText.\n"), `index.en.md:1: the front matter has no end`},
		"only a fence":           {files("index.en.md", "---"), `index.en.md:1: the front matter has no end`},
		"empty":                  {files("index.en.md", "---\n---\n"), `index.en.md:1: title: is missing`},
		"comments only":          {files("index.en.md", "---\n# title: T\n---\n"), `index.en.md:1: title: is missing`},
		"no title":               {files("index.en.md", "---\ndescription: D\n---\n"), `index.en.md:1: title: is missing`},
		"title without text":     {files("index.en.md", "---\ntitle:\n---\n"), `index.en.md:2: title: is empty`},
		"title of spaces":        {files("index.en.md", "---\ntitle: \"  \"\n---\n"), `index.en.md:2: title: is empty`},
		"title twice":            {matter("title: U\n"), `index.en.md:3: title: comes twice`},
		"unknown key":            {matter("Title: U\n"), `index.en.md:3: Title: unknown key`},
		"number for text":        {matter("description: 2026\n"), `index.en.md:3: description: want text, found 2026`},
		"truth for text":         {matter("description: true\n"), `index.en.md:3: description: want text, found true`},
		"list for text":          {matter("description:\n  - a\n"), `index.en.md:4: description: want text`},
		"alias for text":         {matter("description: &a D\ncontact: *a\n"), "index.en.md:3: description: want text\nindex.en.md:4: contact: want text"},
		"text for a list":        {matter("links: https://a.example\n"), `index.en.md:3: links: want a list`},
		"link of text":           {matter("links:\n  - https://a.example\n"), `index.en.md:4: links: want lines of the form key: value`},
		"link without url":       {matter("links:\n  - text: A\n"), `index.en.md:4: links.url: is missing`},
		"link without text":      {matter("links:\n  - url: https://a.example\n"), `index.en.md:4: links.text: is missing`},
		"link with more":         {matter("links:\n  - text: A\n    url: https://a.example\n    icon: x\n"), `index.en.md:6: links.icon: unknown key`},
		"link to a script":       {matter("links:\n  - text: A\n    url: javascript:alert(1)\n"), `index.en.md:5: links.url: "javascript:alert(1)" is no link`},
		"link to data":           {matter("links:\n  - text: A\n    url: data:text/html,x\n"), `index.en.md:5: links.url: "data:text/html,x" is no link`},
		"relative link":          {matter("links:\n  - text: A\n    url: help.html\n"), `index.en.md:5: links.url: "help.html" is no link`},
		"contact without a host": {matter("contact: 'https://'\n"), `index.en.md:3: contact: "https://" is no link`},
		"contact to nobody":      {matter("contact: 'mailto:'\n"), `index.en.md:3: contact: "mailto:" is no link`},
		"broken YAML":            {matter("description: \"open\n"), `index.en.md:3: the front matter is not valid YAML: `},
		"text with a colon":      {files("index.en.md", "---\ntitle: T\ndescription: a: b\n---\n"), `index.en.md:3: the front matter is not valid YAML: `},
		"a tab":                  {files("index.en.md", "---\ntitle: T\nlinks:\n\t- text: A\n---\n"), `index.en.md:4: the front matter is not valid YAML: `},
		"a list":                 {files("index.en.md", "---\n- title: T\n---\n"), "index.en.md:2: want lines of the form key: value"},
		"plain text":             {files("index.en.md", "---\nHello\n---\n"), "index.en.md:2: want lines of the form key: value"},
		"several faults in one file": {
			files("index.en.md", "---\nname: N\nlinks:\n  - text: 1\n    url: x\n  - A\ncontact:\n---\n"),
			"index.en.md:1: title: is missing\nindex.en.md:2: name: unknown key\nindex.en.md:4: links.text: want text, found 1\n" +
				"index.en.md:5: links.url: \"x\" is no link\nindex.en.md:6: links: want lines of the form key: value\nindex.en.md:7: contact: is empty",
		},
		"several files": {
			files("index.en.md", "Hello", "faq.md", "---\n", "index.pt.md", "---\ntitle: 1\n---\n"),
			"faq.md:1: the front matter has no end\nindex.en.md:1: there is no front matter\nindex.pt.md:2: title: want text, found 1",
		},
		"not UTF-8":              {files("index.en.md", "---\ntitle: T\n---\nA\xff\n"), `index.en.md:4: is not UTF-8 text`},
		"too large":              {files("index.en.md", ok+strings.Repeat("x", maxFile)), `index.en.md: is larger than 1048576 bytes`},
		"nothing there":          {files("README.md", "Hello", "logo.png", "x", ".index.en.md", ok), `index.en.md: is missing`},
		"two and no main page":   {files("a.md", ok, "b.md", ok), `index.en.md: is missing`},
		"translations only":      {files("index.pt.md", ok, "index.fr.md", ok), `index.en.md: is missing`},
		"two main pages":         {files("index.md", ok, "index.en.md", ok), `index.md: there is an index.en.md too, and both are the main page`},
		"a language in capitals": {files("index.en.md", ok, "index.PT.md", ok), `index.PT.md: "PT" is not a language tag`},
		"a language like a path": {files("index.en.md", ok, "index.p t.md", ok), `index.p t.md: "p t" is not a language tag`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := LoadContent(tt.fsys)
			var faults fault.List
			if !errors.As(err, &faults) {
				t.Fatalf("got %v, want fault.List", err)
			}
			// What the YAML library says of a syntax error is its own affair.
			if got := err.Error(); got != tt.want && !(strings.HasSuffix(tt.want, "YAML: ") && strings.HasPrefix(got, tt.want)) {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
			for _, f := range faults {
				if f.Hint == "" {
					t.Errorf("no hint for %v", f)
				}
			}
		})
	}
}

func TestLoadContentWithoutAFolder(t *testing.T) {
	_, err := LoadContent(os.DirFS(filepath.Join(t.TempDir(), "gone")))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

// Which file becomes what: a page is written as LANG: TITLE [SECTION…], a section of another language as SECTION/LANG.
func TestLoadContentPutsFilesInTheirPlaces(t *testing.T) {
	titled := func(names ...string) fs.FS {
		m := fstest.MapFS{"README.md": {Data: []byte("no content")}, "notes.txt": {}, "deep/x.md": {}}
		for _, n := range names {
			m[n] = &fstest.MapFile{Data: []byte("---\ntitle: " + n + "\n---\n")}
		}
		return m
	}
	tests := map[string]struct {
		fsys fs.FS
		want string
	}{
		"English":              {titled("index.en.md"), "en: index.en.md []"},
		"no language":          {titled("index.md"), "en: index.md []"},
		"the only file":        {titled("hello.md"), "en: hello.md []"},
		"the only file, named": {titled("index.pt.md"), "pt: index.pt.md []"},
		"sections by name":     {titled("index.en.md", "z.md", "b.en.md", "a.b.md"), "en: index.en.md [a.b.md b.en.md z.md]"},
		"translations": {
			titled("index.en.md", "index.pt-BR.md", "index.fr.md", "faq.en.md", "faq.fr.md", "who.md", "only.fr.md"),
			"en: index.en.md [faq.en.md who.md]\nfr: index.fr.md [faq.fr.md only.fr.md who.md/en]\npt-BR: index.pt-BR.md [faq.en.md/en who.md/en]",
		},
		"own before main before none": {
			titled("index.en.md", "index.fr.md", "faq.en.md", "faq.md"),
			"en: index.en.md [faq.en.md]\nfr: index.fr.md [faq.en.md/en]",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := LoadContent(tt.fsys)
			if err != nil {
				t.Fatal(err)
			}
			var pages []string
			for _, p := range c.pages {
				var sections []string
				for _, s := range p.sections {
					if s.lang != "" {
						s.title += "/" + s.lang
					}
					sections = append(sections, s.title)
				}
				pages = append(pages, p.lang+": "+p.title+" ["+strings.Join(sections, " ")+"]")
			}
			if got := strings.Join(pages, "\n"); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func TestFrontMatterMeansWhatItSays(t *testing.T) {
	tests := map[string]struct {
		text string
		want frontMatter
	}{
		"title":              {"---\ntitle: Hello\n---\n", frontMatter{title: "Hello"}},
		"quotes":             {"---\ntitle: \"It's 5: \\\"go\\\" # now\"\n---\n", frontMatter{title: `It's 5: "go" # now`}},
		"Windows":            {"\ufeff---\r\ntitle: Hello\r\n---\r\nText.\r\n", frontMatter{title: "Hello"}},
		"no end of line":     {"---\ntitle: Hello\n---", frontMatter{title: "Hello"}},
		"several lines":      {"---\ntitle: T\ndescription: >\n  one\n  two\n---\n", frontMatter{title: "T", description: "one two"}},
		"mail address":       {"---\ntitle: T\ncontact: help@example.org\n---\n", frontMatter{title: "T", contact: link{"help@example.org", "mailto:help@example.org"}}},
		"mail link":          {"---\ntitle: T\ncontact: mailto:help@example.org?subject=Hi\n---\n", frontMatter{title: "T", contact: link{"help@example.org", "mailto:help@example.org?subject=Hi"}}},
		"web link":           {"---\ntitle: T\ncontact: https://help.example.org\n---\n", frontMatter{title: "T", contact: link{"https://help.example.org", "https://help.example.org"}}},
		"contact text":       {"---\ntitle: T\ncontact: 'Service desk: room 5'\n---\n", frontMatter{title: "T", contact: link{text: "Service desk: room 5"}}},
		"a script is a text": {"---\ntitle: T\ncontact: javascript:alert(1)\n---\n", frontMatter{title: "T", contact: link{text: "javascript:alert(1)"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := source{file: "index.md"}
			if _, faults := s.read([]byte(tt.text)); faults != nil {
				t.Fatal(faults)
			}
			got, want := s.matter, tt.want
			if got.title != want.title || got.description != want.description || got.contact != want.contact {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func FuzzSplitFrontMatter(f *testing.F) {
	for _, s := range []string{"", "---", "---\n---", ok, "---\ntitle: T\n", "--- \n---\t\nx", "---\n----\n---\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		matter, body, err := splitFrontMatter(text)
		if err != nil {
			return
		}
		for line := range strings.Lines(matter) {
			if isFence(strings.TrimSuffix(line, "\n")) {
				t.Errorf("a fence within the front matter %q", matter)
			}
		}
		if !strings.HasSuffix(text, body) || !strings.Contains(text, "\n"+matter) {
			t.Errorf("%q fell apart into %q and %q", text, matter, body)
		}
	})
}
