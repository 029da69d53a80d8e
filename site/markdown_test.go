package site

import (
	"fmt"
	"strings"
	"testing"
)

func TestMarkdown(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"text":                      {"Hello *you*.", "<p>Hello <em>you</em>.</p>"},
		"typography":                {`"Hello" -- it's...`, "<p>&ldquo;Hello&rdquo; &ndash; it&rsquo;s&hellip;</p>"},
		"strikethrough":             {"~~no~~", "<p><del>no</del></p>"},
		"headings start below ours": {"# A\n## B", "<h2>A</h2>\n<h3>B</h3>"},
		"headings leave no gap":     {"### A\n#### B\n### C", "<h2>A</h2>\n<h3>B</h3>\n<h2>C</h2>"},
		"attributes are text":       {"# A {#id onclick=alert(1)}", "<h2>A {#id onclick=alert(1)}</h2>"},
		"table":                     {"|a|b|\n|:-:|--|\n|1|2|", "<table>\n<thead>\n<tr>\n<th align=\"center\">a</th>\n<th>b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td align=\"center\">1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table>"},
		"task list":                 {"- [x] a\n- [ ] b", "<ul>\n<li>☑ a</li>\n<li>☐ b</li>\n</ul>"},
		"web link":                  {"[a](https://a.example \"t\")", `<p><a href="https://a.example" title="t">a</a></p>`},
		"bare link":                 {"See https://a.example now.", `<p>See <a href="https://a.example">https://a.example</a> now.</p>`},
		"mail and telephone":        {"<a@a.example> [call](tel:+123)", `<p><a href="mailto:a@a.example">a@a.example</a> <a href="tel:+123">call</a></p>`},
		"relative link":             {"[a](b.html) [c](#d) [e](//f.example)", `<p><a href="b.html">a</a> <a href="#d">c</a> <a href="//f.example">e</a></p>`},
		"raw HTML":                  {"<script>alert(1)</script>\n\n<b onclick=x>a</b>", "<!-- raw HTML omitted -->\n<p><!-- raw HTML omitted -->a<!-- raw HTML omitted --></p>"},
		"script link":               {"[*a*](javascript:alert(1))", "<p><em>a</em></p>"},
		"script link in disguise":   {"[a](JaVaScRiPt:alert(1)) [b](java&#115;cript:alert(1)) [c](javascript&colon;alert(1)) [d](<java\tscript:alert(1)>) [e](<&#1;javascript:alert(1)>)", "<p>a b c d e</p>"},
		"other kinds of link":       {"[a](data:text/html,x) [b](vbscript:x) [c](file:///etc/passwd) [d](blob:x) [e](view-source:x) [f](data:image/png;base64,AA)", "<p>a b c d e f</p>"},
		"link by reference":         {"[a][1]\n\n[1]: javascript:alert(1)", "<p>a</p>"},
		"automatic script link":     {"<javascript:alert(1)> <made-up:a\\&b>", `<p>javascript:alert(1) made-up:a\&amp;b</p>`},
		"ftp link":                  {"ftp://a.example", "<p>ftp://a.example</p>"},
		"picture in the page":       {"![a](data:image/png;base64,AAAA)", `<p><img src="data:image/png;base64,AAAA" alt="a"></p>`},
		"picture from elsewhere":    {"![*a* b](https://a.example/b.png \"t\")", `<p><a href="https://a.example/b.png" title="t"><em>a</em> b</a></p>`},
		"picture without a name":    {"![](https://a.example/b.png)", `<p><a href="https://a.example/b.png">https://a.example/b.png</a></p>`},
		"picture in a link":         {"[![a](b.png)](https://a.example)", `<p><a href="https://a.example">a</a></p>`},
		"picture in a picture":      {"![![a](b.png)](c.png)", `<p><a href="c.png">a</a></p>`},
		"picture of a script":       {"![a](javascript:alert(1)) ![b](data:image/svg+xml,<svg>)", "<p>a b</p>"},
		"picture in a bad link":     {"[![a](b.png)](javascript:alert(1))", "<p>a</p>"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, _, _, err := renderMarkdown([]byte(tt.source), 2, "", false, nil)
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(string(got)) != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

// What comes out otherwise than it was written is named, with its line.
func TestMarkdownRemarks(t *testing.T) {
	for source, want := range map[string]string{
		"Plain [a](https://a.example), <!-- note -->.\n\n<!-- and\nanother -->": "",
		"one\ntwo [a](javascript:alert(1))":                                     `1 the link to "javascript:alert(1)" is left out, its text stays`,
		"# T\n\na <b>x</b>":                                                     "2 the HTML <b> is left out\n2 the HTML </b> is left out",
		"a\n\n<div onclick=x>\nb\n</div>":                                       "2 the HTML <div onclick=x> is left out",
		"a\n![b](https://a.example/b.png)":                                      `1 the picture "https://a.example/b.png" is not part of the page: it is shown as a link, or as its text`,
		"- a\n- [*b*](help.html)\n- [c](#d)":                                    "1 the link to \"help.html\" leads to nothing that is published\n2 the link to \"#d\" leads to nothing that is published",
		"[a](mailto:a@b.example) [c](tel:+1) [d](//e.example)":                  "",
	} {
		_, remarks, _, err := renderMarkdown([]byte(source), 2, "", false, nil)
		var got []string
		for _, r := range remarks {
			got = append(got, fmt.Sprintf("%d %s", r.line, r.problem))
		}
		if strings.Join(got, "\n") != want || err != nil {
			t.Errorf("%q: got %q, %v", source, got, err)
		}
	}
	// Switched on, HTML comes through, and nobody complains; links are looked at all the same.
	out, remarks, _, err := renderMarkdown([]byte("<b>x</b> [a](javascript:alert(1))"), 2, "", true, nil)
	if string(out) != "<p><b>x</b> a</p>\n" || len(remarks) != 1 || err != nil {
		t.Errorf("got %s, %v, %v", out, remarks, err)
	}
	c := mustLoad(t, "index.en.md", "---\ntitle: T\ncontact: room 5\nhtml: true\n---\n<kbd>x</kbd>\n")
	if page := pageOf(t, c, demo); !strings.Contains(page, "<kbd>x</kbd>") || len(c.Remarks()) > 0 {
		t.Errorf("html: true gives %s, %v", c.pages[0].body, c.Remarks())
	}
	// Left out, it is said once, not once a language.
	kbd := "---\ntitle: T\ncontact: room 5\n---\n\na\n<kbd>x</kbd>\n"
	c = mustLoad(t, "index.en.md", kbd, "index.es.md", kbd, "index.pt.md", kbd)
	if got := c.Remarks().Error(); got != "index.en.md:7: the HTML <kbd> is left out, and so is other HTML in index.en.md, index.es.md, index.pt.md" {
		t.Errorf("remarks: %v", got)
	}
}

// Two files with a footnote each share one page.
func TestFootnotesOfTwoFilesStayApart(t *testing.T) {
	page := pageOf(t, mustLoad(t, "index.en.md", ok+"A[^1].\n\n[^1]: B\n", "faq.md", ok+"C[^1].\n\n[^1]: D\n"), demo)
	for _, id := range []string{`id="fn:1"`, `id="s1-fn:1"`} {
		if strings.Count(page, id) != 1 {
			t.Errorf("%s is there %d times, want once", id, strings.Count(page, id))
		}
	}
}

func FuzzBuild(f *testing.F) {
	f.Add("title: T", "# Hello\n\n[a](b) ![c](d) <e:f> [^1]\n\n[^1]: g\n\n|a|\n|:-:|\n|b|", "https://a.example/")
	f.Add("title: '<script>'\ncontact: a@b.example\nlinks: [{text: a, url: 'mailto:b'}]", "<script>alert(1)</script>", "http://a.example/?<script>")
	f.Add("title: &a T\ndescription: *a\n? x\n: y", "![![a](javascript:b)](c)", "https://[::1]/")
	f.Fuzz(func(t *testing.T, matter, body, app string) {
		c, err := LoadContent(files("index.en.md", "---\n"+matter+"\n---\n"+body, "faq.md", ok+body))
		if err != nil {
			return
		}
		built, err := Build(c, Site{Name: "fuzz", Path: "fuzz", AppURL: app, PageURL: "https://maintenance.example.org/fuzz/"})
		if err != nil {
			return
		}
		page := strings.ToLower(string(built[len(built)-1].Data))
		for _, tag := range []string{"<script", "<style"} {
			if n := strings.Count(page, tag); n != 1 {
				t.Errorf("%d of %s, want ours alone", n, tag)
			}
		}
		for _, bad := range []string{`href="javascript:`, `href="data:text`, `href="vbscript:`, `src="http`, "<iframe", "<base"} {
			if strings.Contains(page, bad) {
				t.Errorf("the page holds %s", bad)
			}
		}
	})
}
