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

// Verify asks for every file of s, and its status, where the world sees them, s.PageURL, and says what differs from what
// was sent: a web server or a CDN on the way may keep old copies, compress, rewrite or forbid. Nothing that it finds is an
// error. The client bounds each request; where the server can't be reached at all, that is the one thing said. No
// published file is larger than what is sent.
func Verify(ctx context.Context, client *http.Client, s Site, files []File) []Difference {
	at := func(key string) string { // what a key is made of needs no escaping, or nearly so
		rel := (&url.URL{Path: strings.TrimPrefix(strings.TrimPrefix(key, s.Path), "/")}).EscapedPath()
		return s.PageURL + strings.TrimSuffix(rel, indexName)
	}
	statusKey := path.Join(s.Path, status.FileName)
	seen, err := fetch(ctx, client, at(statusKey), 1<<20)
	if err != nil {
		return []Difference{{statusKey, at(statusKey), err.Error()}}
	}
	var out []Difference
	for _, problem := range seen.status() {
		out = append(out, Difference{statusKey, at(statusKey), problem})
	}
	var mu sync.Mutex
	var wait sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for _, f := range files {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			address := at(f.Key)
			problem := ""
			if seen, err := fetch(ctx, client, address, len(f.Data)+1); err != nil {
				problem = err.Error()
			} else {
				problem = seen.file(f)
				if seen.code != http.StatusOK && strings.HasSuffix(address, "/") {
					// A bucket's own address doesn't look for an index.
					if named, err := fetch(ctx, client, address+indexName, len(f.Data)+1); err == nil && named.code == http.StatusOK {
						problem += ", though " + indexName + " is there: what serves the store has to answer a folder by its " + indexName
					}
				}
			}
			if problem != "" {
				mu.Lock()
				defer mu.Unlock()
				out = append(out, Difference{f.Key, address, problem})
			}
		})
	}
	wait.Wait()
	slices.SortFunc(out, func(a, b Difference) int { return strings.Compare(a.URL+a.Problem, b.URL+b.Problem) })
	return out
}

// sight is an answer as the world gets it.
type sight struct {
	code   int
	header http.Header
	body   []byte
}

func fetch(ctx context.Context, client *http.Client, address string, most int) (*sight, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Origin", "https://origin.invalid") // as a page of the application does
	answer, err := client.Do(r)
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err // it begins with the URL again
	}
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, int64(most)))
	return &sight{answer.StatusCode, answer.Header, body}, err
}

// file says what is other than in f, "" for nothing.
func (s *sight) file(f File) string {
	want, _, _ := mime.ParseMediaType(f.ContentType)
	got, _, _ := mime.ParseMediaType(s.header.Get("Content-Type"))
	cache := s.header.Get("Cache-Control")
	switch {
	case s.code != http.StatusOK:
		return fmt.Sprintf("is answered by %d", s.code)
	case !bytes.Equal(s.body, f.Data):
		return fmt.Sprintf("is not what was sent (SHA-256 %.4x… instead of %.4x…)", sha256.Sum256(s.body), sha256.Sum256(f.Data))
	case got != want && !(javaScript.MatchString(got) && javaScript.MatchString(want)):
		return fmt.Sprintf("is served as %q, not %q", got, want)
	case s.header.Get("Set-Cookie") != "":
		return "sets a cookie"
	case want != "text/html" && !revalidated(s.header) && kept(cache) > kept(f.CacheControl):
		return fmt.Sprintf("has Cache-Control %q, not %q: front ends would go on with an old one", cache, f.CacheControl)
	case want != "text/html":
		return s.readByAll()
	case s.header.Get("Content-Security-Policy") != "":
		return "has a Content-Security-Policy of its own, which may forbid the page what its own allows"
	case cache != "" && !revalidated(s.header):
		return fmt.Sprintf("has Cache-Control %q, not \"no-cache\": people would see an old page", cache)
	}
	return ""
}

// javaScript is text/javascript by any of its names (RFC 9239, section 6), which browsers take alike.
var javaScript = regexp.MustCompile(`^(text|application)/(x-)?(java|ecma)script$`)

// lifetime is how long a Cache-Control lets a cache keep an answer, a shared one or a browser's (RFC 9111, section 5.2.2).
var lifetime = regexp.MustCompile(`(?i)\b(?:s-maxage|max-age)="?([0-9]+)`)

// kept is the longest of these times in seconds, 0 for none.
func kept(cache string) (seconds int) {
	for _, m := range lifetime.FindAllStringSubmatch(cache, -1) {
		n, _ := strconv.Atoi(m[1]) // the largest int, where it is larger
		seconds = max(seconds, n)
	}
	return seconds
}

// readByAll says why a page of another origin can't read the answer, "" where it can. It can't load a module that it can't
// read either (https://html.spec.whatwg.org/#fetch-a-single-module-script).
func (s *sight) readByAll() string {
	if got := s.header.Get("Access-Control-Allow-Origin"); got != "*" {
		return fmt.Sprintf("has Access-Control-Allow-Origin %q, not \"*\": the front end can't read it", got)
	}
	return ""
}

// revalidated reports whether an answer is asked for again each time (RFC 9111, section 5.2.2).
func revalidated(h http.Header) bool {
	cache := h.Get("Cache-Control")
	return strings.Contains(cache, "no-cache") || strings.Contains(cache, "no-store") || lifetime.MatchString(cache) && kept(cache) == 0
}

// status says what is wrong with how the status is served. What it says may have changed since it was sent.
func (s *sight) status() (problems []string) {
	if s.code != http.StatusOK {
		return []string{fmt.Sprintf("is answered by %d", s.code)}
	}
	if _, err := status.Parse(s.body); err != nil {
		problems = append(problems, "is not a status document: "+err.Error())
	}
	if problem := s.readByAll(); problem != "" {
		problems = append(problems, problem)
	}
	if !revalidated(s.header) {
		problems = append(problems, fmt.Sprintf("has Cache-Control %q, not \"no-cache\": people would see old news", s.header.Get("Cache-Control")))
	}
	return problems
}
