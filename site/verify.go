package site

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/msupply-foundation/conforma-status/status"
)

// Difference is something that the world sees otherwise than it was sent.
type Difference struct {
	Key     string `json:"key"`
	URL     string `json:"url"`
	Problem string `json:"problem"`
}

// Verify asks for every file of s, and its status, where visitors get them, at s.PageURL. It says what differs from
// what was sent: a web server or a CDN on the way may keep old copies, compress, rewrite or forbid. Nothing that it
// finds is an error. The client bounds each request. If the server can't be reached at all, it says only that. No
// published file is larger than what is sent.
func Verify(ctx context.Context, client *http.Client, s Site, files []File) []Difference {
	statusKey := path.Join(s.Path, status.FileName)
	statusURL := s.urlOf(statusKey)
	a, err := fetch(ctx, client, statusURL, 1<<20)
	if err != nil {
		return []Difference{{statusKey, statusURL, err.Error()}}
	}
	var out []Difference
	for _, problem := range a.statusProblems() {
		out = append(out, Difference{statusKey, statusURL, problem})
	}
	var mu sync.Mutex
	inParallel(files, func(f File) {
		address := s.urlOf(f.Key)
		if problem := verifyFile(ctx, client, address, f); problem != "" {
			mu.Lock()
			defer mu.Unlock()
			out = append(out, Difference{f.Key, address, problem})
		}
	})
	slices.SortFunc(out, func(a, b Difference) int { return strings.Compare(a.URL+a.Problem, b.URL+b.Problem) })
	return out
}

// urlOf is where visitors get a file of the site.
func (s Site) urlOf(key string) string {
	// What a key is made of needs no escaping, or nearly so.
	rel := (&url.URL{Path: strings.TrimPrefix(strings.TrimPrefix(key, s.Path), "/")}).EscapedPath()
	return s.PageURL + strings.TrimSuffix(rel, indexName)
}

// verifyFile says what is wrong with the file at the address, "" for nothing.
func verifyFile(ctx context.Context, client *http.Client, address string, f File) string {
	a, err := fetch(ctx, client, address, len(f.Data)+1)
	if err != nil {
		return err.Error()
	}
	problem := a.fileProblem(f)
	if a.code == http.StatusOK || !strings.HasSuffix(address, "/") {
		return problem
	}
	// A bucket's own address doesn't look for an index.
	if index, err := fetch(ctx, client, address+indexName, len(f.Data)+1); err == nil && index.code == http.StatusOK {
		problem += ", though " + indexName + " is there: what serves the store has to answer a folder by its " + indexName
	}
	return problem
}

// answer is what a visitor is answered.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

// fetch reads at most so many bytes of an answer.
func fetch(ctx context.Context, client *http.Client, address string, most int) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Origin", "https://origin.invalid") // as a page of the application does
	resp, err := client.Do(r)
	if inner, is := errors.AsType[*url.Error](err); is {
		err = inner.Err // it begins with the URL again
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(most)))
	return &answer{resp.StatusCode, resp.Header, body}, err
}

// fileProblem says what is other than in f, "" for nothing.
func (a *answer) fileProblem(f File) string {
	want, _, _ := mime.ParseMediaType(f.ContentType)
	got, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	cache := a.header.Get("Cache-Control")
	switch {
	case a.code != http.StatusOK:
		return fmt.Sprintf("is answered by %d", a.code)
	case !bytes.Equal(a.body, f.Data):
		got, want := sha256.Sum256(a.body), sha256.Sum256(f.Data)
		return fmt.Sprintf("is not what was sent (SHA-256 %.4x… instead of %.4x…)", got, want)
	case got != want && !(javaScript.MatchString(got) && javaScript.MatchString(want)):
		return fmt.Sprintf("is served as %q, not %q", got, want)
	case a.header.Get("Set-Cookie") != "":
		return "sets a cookie"
	case want != "text/html" && !revalidated(a.header) && maxAge(cache) > maxAge(f.CacheControl):
		return fmt.Sprintf("has Cache-Control %q, not %q: front ends would go on with an old one", cache, f.CacheControl)
	case want != "text/html":
		return a.readByAll()
	case a.header.Get("Content-Security-Policy") != "":
		return "has a Content-Security-Policy of its own, which may forbid the page what its own allows"
	case cache != "" && !revalidated(a.header):
		return fmt.Sprintf("has Cache-Control %q, not \"no-cache\": people would see an old page", cache)
	}
	return ""
}

// javaScript is text/javascript by any of its names (RFC 9239, section 6), which browsers take alike.
var javaScript = regexp.MustCompile(`^(text|application)/(x-)?(java|ecma)script$`)

// lifetime is how long a Cache-Control lets a cache, a shared one or a browser's, keep an answer (RFC 9111, 5.2.2).
var lifetime = regexp.MustCompile(`(?i)\b(?:s-maxage|max-age)="?([0-9]+)`)

// maxAge is the longest of these times in seconds, 0 for none.
func maxAge(cache string) (seconds int) {
	for _, m := range lifetime.FindAllStringSubmatch(cache, -1) {
		n, _ := strconv.Atoi(m[1]) // the largest int, where it is larger
		seconds = max(seconds, n)
	}
	return seconds
}

// readByAll says why a page of another origin can't read the answer, "" where it can. It can't load a module either
// that it can't read (https://html.spec.whatwg.org/#fetch-a-single-module-script).
func (a *answer) readByAll() string {
	if got := a.header.Get("Access-Control-Allow-Origin"); got != "*" {
		return fmt.Sprintf("has Access-Control-Allow-Origin %q, not \"*\": the front end can't read it", got)
	}
	return ""
}

// revalidated reports whether an answer is asked for again each time (RFC 9111, section 5.2.2).
func revalidated(h http.Header) bool {
	cache := h.Get("Cache-Control")
	never := lifetime.MatchString(cache) && maxAge(cache) == 0
	return never || strings.Contains(cache, "no-cache") || strings.Contains(cache, "no-store")
}

// statusProblems says what is wrong with how the status is served. What it says may have changed since it was sent.
func (a *answer) statusProblems() (problems []string) {
	if a.code != http.StatusOK {
		return []string{fmt.Sprintf("is answered by %d", a.code)}
	}
	if _, err := status.Parse(a.body); err != nil {
		problems = append(problems, "is not a status document: "+err.Error())
	}
	if problem := a.readByAll(); problem != "" {
		problems = append(problems, problem)
	}
	if !revalidated(a.header) {
		cache := a.header.Get("Cache-Control")
		problems = append(problems, fmt.Sprintf("has Cache-Control %q, not \"no-cache\": people would see old news", cache))
	}
	return problems
}
