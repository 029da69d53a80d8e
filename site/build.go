package site

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/client"
)

var (
	//go:embed theme/page.html
	pageTemplate string
	// The next three are made of their namesakes in theme by deploy/e2e/frontend's TestPublishedPage with -update.
	//
	//go:embed theme/dist/page.css
	pageStyle string
	//go:embed theme/dist/page.js
	pageScript string
	//go:embed theme/dist/language.js
	languageScript string
)

// Site is what a maintenance page needs to know of the site that it stands in for.
type Site struct {
	Name   string // as in the configuration; for errors, visitors don't see it
	Path   string // place in the store, slash-separated; "" is the root
	AppURL string // where the application is, absolute http or https
	// LoginPath is the path, below AppURL, of the page that admin mode leaves open to everyone, "" when unknown.
	LoginPath string
	// EnterPath is the path, at AppURL's host, of the page that lets in an administrator who has a token already, and
	// sends anyone else to LoginPath; "" for none.
	EnterPath string
	PageURL   string // where Path is served, absolute http or https, ends in "/"
}

// File is one object for the store.
type File struct {
	Key          string // relative to the store's root
	Data         []byte
	ContentType  string
	CacheControl string
	Encoding     string // what Data is compressed with, "" for nothing
}

const (
	indexName = "index.html"

	htmlType   = "text/html; charset=utf-8"
	schemaType = "application/json; charset=utf-8"
	scriptType = "text/javascript; charset=utf-8"

	// pageCache has browsers ask for the page again on each visit, mostly answered by 304: an old page may look for a
	// status that has moved.
	pageCache   = "no-cache"
	schemaCache = "public, max-age=3600"
	scriptCache = "public, max-age=3600"
)

// Schema is the file with the schema of status.json, which lies beside it in the folder of the store.
func Schema(folder string) File {
	return File{path.Join(folder, status.SchemaFileName), status.Schema(), schemaType, schemaCache, ""}
}

// Build renders the files of one site: the page of each language, the main one last, and before them
// what lies beside them. It is pure: the same input gives the same bytes. An error says what is wrong
// with s.
func Build(c *Content, s Site) ([]File, error) {
	app, err := s.validate()
	if err != nil {
		return nil, fmt.Errorf("build page of site %s: %w", s.Name, err)
	}
	files := []File{Schema(s.Path)}
	for _, f := range client.Files() {
		files = append(files, File{path.Join(s.Path, f.Name), f.Data, scriptType, scriptCache, ""})
	}
	for _, a := range c.files.sorted() {
		files = append(files, File{path.Join(s.Path, a.name), a.data, a.kind, pageCache, ""})
	}
	for i := len(c.pages) - 1; i >= 0; i-- {
		p := c.pages[i]
		place := placeOf(i, p)
		at := whereabouts{
			status: up(place) + status.FileName, files: up(place), origin: "'self'",
			search: fill("<meta name=\"robots\" content=\"noindex\">\n<link rel=\"canonical\" href=\"%s\">\n", s.PageURL+place),
			others: c.alternates(s), languages: c.languages(i, up(place)),
			handsOver: i == 0 && len(c.pages) > 1,
		}
		files = append(files, File{path.Join(s.Path, place, indexName), c.pageAt(p, s, app, at), htmlType, pageCache, ""})
	}
	return files, nil
}

// whereabouts is what of a page depends on where it lies.
type whereabouts struct {
	status    string // the address of the status document
	files     string // what the names of attachments are put behind
	origin    string // of the attachments, as a source of the content security policy
	search    markup // what search engines are told
	others    markup // the translations, for programs
	languages markup // and for people
	handsOver bool   // to the language that the reader prefers
}

// pageAt is a page of the site.
func (c *Content) pageAt(p page, s Site, app *url.URL, at whereabouts) []byte {
	style := pageStyle + c.brand.css()
	scripts := []string{pageScript}
	handover := ""
	if at.handsOver {
		scripts = append(scripts, languageScript)
		handover = "<script>" + languageScript + "</script>\n"
	}
	// One pass over the template: nothing that is put in is looked at again.
	return []byte(strings.NewReplacer(
		"{lang}", html.EscapeString(p.lang),
		"{dir}", direction(p.lang),
		"{policy}", policy(app, style, scripts, c.pictures(at)), // of our own making, and free of double quotes
		"{title}", html.EscapeString(p.title),
		"{description}", string(p.about("<meta name=\"description\" content=\"%s\">\n")),
		"{search}", string(at.search),
		"{alternates}", string(at.others),
		"{handover}", handover, // before anything is shown or asked for, behind the policy and the languages
		"{icon}", cmp.Or(c.brand.logo, icon), // neither holds a double quote
		"{style}", style,
		"{brand}", string(c.brand.header(app.Host)),
		"{languages}", string(at.languages),
		"{lead}", string(p.about("<p class=\"lead\" id=\"lead\">%s</p>\n")),
		"{status}", html.EscapeString(at.status),
		"{words}", p.words.forScript(),
		"{state}", html.EscapeString(p.words["state"]),
		"{which}", html.EscapeString(p.words["which"]),
		"{calendar}", html.EscapeString(p.words["calendar"]),
		"{files}", html.EscapeString(at.files),
		"{go}", html.EscapeString(p.words["go"]),
		"{app}", html.EscapeString(s.AppURL),
		"{login}", html.EscapeString(s.login(app)),
		"{articles}", string(p.articles().at(at.files)),
		"{footer}", string(p.footer()),
		"{script}", pageScript,
	).Replace(pageTemplate))
}

// pictures is where the page's pictures come from, as sources of the content security policy.
func (c *Content) pictures(at whereabouts) string {
	if len(c.files.sorted()) == 0 {
		return "data:"
	}
	return "data: " + at.origin
}

// login is where the page sends administrators. Its script adds to a fragment what they are to come back to.
func (s Site) login(app *url.URL) string {
	at := strings.TrimSuffix(s.AppURL, "/") + s.LoginPath
	if s.EnterPath == "" {
		return at
	}
	origin := app.Scheme + "://" + app.Host
	return origin + s.EnterPath + "#login=" + url.QueryEscape(strings.TrimPrefix(at, origin))
}

// icon stands in the browser's tab where there is no logo.
const icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E" +
	"%3Ccircle cx='8' cy='8' r='7' fill='%230f766e'/%3E" +
	"%3Cpath d='M8 4v4l3 2' fill='none' stroke='%23fff' stroke-width='1.6'/%3E%3C/svg%3E"

// placeOf is where the i-th page lies below the site's path: "" for the main page, else "LANG/".
func placeOf(i int, p page) string {
	if i == 0 {
		return ""
	}
	return p.lang + "/"
}

// up leads from a place to the site's path.
func up(place string) string { return strings.Repeat("../", strings.Count(place, "/")) }

// alternates names the page's translations to programs (https://html.spec.whatwg.org/#rel-alternate).
func (c *Content) alternates(s Site) (out markup) {
	if len(c.pages) == 1 {
		return ""
	}
	for i, p := range c.pages {
		out += fill("<link rel=\"alternate\" hreflang=\"%s\" href=\"%s\">\n", p.lang, s.PageURL+placeOf(i, p))
	}
	return out
}

// languages leads from page at to the others, which lie below root.
func (c *Content) languages(at int, root string) markup {
	if len(c.pages) == 1 {
		return ""
	}
	var links markup
	for i, p := range c.pages {
		current, href := markup(""), root+placeOf(i, p)
		if i == at {
			current = ` aria-current="page"`
		}
		href = cmp.Or(href, "./")
		links += fill("<a href=\"%s\" hreflang=\"%s\" lang=\"%s\"%s>%s</a>\n", href, p.lang, p.lang, current, p.name)
	}
	return fill("<nav aria-label=\"%s\">\n%s</nav>\n", c.pages[at].words["languages"], links)
}

// header says whose page it is, and of which site.
func (b brand) header(host string) markup {
	whose := markup("")
	switch {
	case b.logo != "": // whose name stands beside it
		whose = fill("<img src=\"%s\" alt=\"\"> <b>%s</b> ", b.logo, b.name)
	case b.name != "":
		whose = fill("<b>%s</b> ", b.name)
	}
	return fill("<p class=\"where\">%s<bdi>%s</bdi></p>\n", whose, host)
}

// markup is HTML that may stand in a page as it is.
type markup string

// fill puts values for the verbs %s of format: markup as it is, strings escaped for use as text and in
// attributes in double quotes. It stands in for html/template, whose reflection keeps every method of
// every package in the binary: 7 MB of it.
func fill(format string, values ...any) markup {
	for i, v := range values {
		if s, ok := v.(string); ok {
			values[i] = html.EscapeString(s)
		}
	}
	return markup(fmt.Sprintf(format, values...))
}

// about fills format with the description, where there is one.
func (p page) about(format string) markup {
	if p.description == "" {
		return ""
	}
	return fill(format, p.description)
}

func (p page) articles() markup {
	out := fill("<article>\n%s</article>\n", p.body)
	for _, s := range p.sections {
		lang := markup("")
		if s.lang != "" {
			lang = fill(` lang="%s" dir="%s"`, s.lang, direction(s.lang))
		}
		out += fill("<article%s>\n<h2>%s</h2>\n%s</article>\n", lang, s.title, s.body)
	}
	return out
}

// footer says whom to ask. The URLs were found harmless when the content was loaded.
func (p page) footer() markup {
	var out markup
	lang := markup("")
	if p.foreign != "" {
		lang = fill(` lang="%s" dir="%s"`, p.foreign, direction(p.foreign))
	}
	if p.contact.text != "" {
		who := fill("<span%s>%s</span>", lang, p.contact.text)
		if p.contact.url != "" {
			who = fill("<a href=\"%s\"%s>%s</a>", p.contact.url, lang, p.contact.text)
		}
		before, after, _ := strings.Cut(p.words["contact"], "{contact}")
		out += fill("<p dir=\"auto\">%s<bdi>%s</bdi>%s</p>\n", before, who, after)
	} else {
		out += fill("<p dir=\"auto\">%s</p>\n", p.words["ask"])
	}
	if len(p.links) > 0 {
		var items markup
		for _, l := range p.links {
			items += fill("<li><a href=\"%s\">%s</a></li>\n", l.url, l.text)
		}
		out += fill("<ul%s>\n%s</ul>\n", lang, items)
	}
	return fill("<footer>\n%s</footer>\n", out)
}

// policy is the page's content security policy (CSP level 3): nothing but its own style, its own scripts, pictures in
// the page itself or published with it, and requests to its own origin and that of the application, which it asks
// whether it is open.
func policy(app *url.URL, style string, scripts []string, pictures string) string {
	allowed := "script-src"
	for _, s := range scripts {
		allowed += " " + hash(s)
	}
	connect := strings.TrimRight("connect-src 'self' "+origin(app), " ")
	return strings.Join([]string{
		"default-src 'none'",
		allowed,
		"style-src " + hash(style),
		connect,
		"img-src " + pictures,
		"base-uri 'none'",
		"form-action 'none'",
	}, "; ")
}

// origin is that of an address as a source expression, "" where it can't be one: its host would end the source, or the
// directive.
func origin(u *url.URL) string {
	if strings.ContainsAny(u.Host, ";, '\"<>&") {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// hash returns the source expression that allows exactly the inline element with the given text.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// validate returns the application's URL, or what is wrong with s.
func (s Site) validate() (app *url.URL, err error) {
	if s.Path != "" && (!fs.ValidPath(s.Path) || s.Path == ".") {
		return nil, fmt.Errorf("path %q is not a relative path without dots", s.Path)
	}
	if app, err = absolute(s.AppURL); err != nil {
		return nil, fmt.Errorf("app_url: %w", err)
	}
	if _, err := absolute(s.PageURL); err != nil {
		return nil, fmt.Errorf("page_url: %w", err)
	}
	if !strings.HasSuffix(s.PageURL, "/") {
		return nil, fmt.Errorf("page_url: %q doesn't end in /", s.PageURL)
	}
	return app, nil
}

func absolute(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("%q is not an absolute http or https URL", s)
	}
	return u, nil
}
