package site

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"github.com/msupply-foundation/conforma-status/status"
)

var (
	//go:embed theme/page.html.tmpl
	pageTemplate string
	//go:embed theme/page.css
	pageStyle string
	//go:embed theme/page.js
	pageScript string

	theme = template.Must(template.New("page").Parse(pageTemplate))
)

// Site is what a maintenance page needs to know of the site that it stands in for.
type Site struct {
	Name    string // as in the configuration; for errors, visitors don't see it
	Path    string // place in the store, slash-separated; "" is the root
	AppURL  string // where the application is, absolute http or https
	PageURL string // where Path is served, absolute http or https, ends in "/"
}

// File is one object for the store.
type File struct {
	Key          string // relative to the store's root
	Data         []byte
	ContentType  string
	CacheControl string
}

const (
	indexName = "index.html"

	htmlType   = "text/html; charset=utf-8"
	schemaType = "application/json; charset=utf-8"

	// pageCache has the page asked for again on each visit, mostly answered by 304: a page from before
	// the last publication may look for a status that has moved.
	pageCache   = "no-cache"
	schemaCache = "public, max-age=3600"
)

// view is what the template gets to see.
type view struct {
	Lang, Title, Description string
	Policy                   template.HTMLAttr
	Style                    template.CSS
	Script                   template.JS
	Canonical                string
	Status                   string // the status document's URL, relative to the page
	AppURL, AppHost          string
	Body                     template.HTML
	Sections                 []section
	Contact                  link
	Links                    []link
}

// Build renders the files of one site: the page of each language, the main one last, and before them
// what lies beside them. It is pure: the same input gives the same bytes. An error says what is wrong
// with s.
func Build(c *Content, s Site) ([]File, error) {
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("build page of site %s: %w", s.Name, err)
	}
	app, err := url.Parse(s.AppURL)
	if err != nil {
		return nil, fmt.Errorf("build page of site %s: %w", s.Name, err)
	}
	files := []File{{path.Join(s.Path, status.SchemaFileName), status.Schema(), schemaType, schemaCache}}
	for i := len(c.pages) - 1; i >= 0; i-- {
		p := c.pages[i]
		v := view{
			Lang: p.lang, Title: p.title, Description: p.description,
			Policy: template.HTMLAttr(`content="` + policy() + `"`), Style: template.CSS(pageStyle), Script: template.JS(pageScript),
			Canonical: s.PageURL, Status: status.FileName, AppURL: s.AppURL, AppHost: app.Host,
			Body: p.body, Sections: p.sections, Contact: p.contact, Links: p.links,
		}
		dir := s.Path
		if i > 0 {
			dir = path.Join(dir, p.lang)
			v.Canonical += p.lang + "/"
			v.Status = "../" + status.FileName
		}
		var out bytes.Buffer
		if err := theme.Execute(&out, v); err != nil {
			return nil, fmt.Errorf("build page of site %s: %w", s.Name, err)
		}
		files = append(files, File{path.Join(dir, indexName), out.Bytes(), htmlType, pageCache})
	}
	return files, nil
}

// policy is the page's content security policy (CSP level 3): nothing but its own style, its own script,
// pictures in the page itself, and requests to its own origin.
func policy() string {
	return strings.Join([]string{
		"default-src 'none'",
		"script-src " + hash(pageScript),
		"style-src " + hash(pageStyle),
		"connect-src 'self'",
		"img-src data:",
		"base-uri 'none'",
		"form-action 'none'",
	}, "; ")
}

// hash returns the source expression that allows exactly the inline element with the given text.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (s Site) validate() error {
	if s.Path != "" && (!fs.ValidPath(s.Path) || s.Path == ".") {
		return fmt.Errorf("path %q is not a relative path without dots", s.Path)
	}
	if err := absolute(s.AppURL); err != nil {
		return fmt.Errorf("app_url: %w", err)
	}
	if err := absolute(s.PageURL); err != nil {
		return fmt.Errorf("page_url: %w", err)
	}
	if !strings.HasSuffix(s.PageURL, "/") {
		return fmt.Errorf("page_url: %q doesn't end in /", s.PageURL)
	}
	return nil
}

func absolute(s string) error {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return fmt.Errorf("%q is not an absolute http or https URL", s)
	}
	return nil
}
