package publishing

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// publisher is a host whose store is a bucket behind two proxies: one that conforma-status sends through, which counts
// and can fail, and one that the world reads through, which answers a folder by its index, as a CDN does, and can
// change what it passes on.
type publisher struct {
	*initHost
	content string // the directory of content

	mu      sync.Mutex
	lists   int
	puts    []string
	failing bool // answers and questions get lost, by chance
	chance  *rig.Chance
	mangle  func(h http.Header, path string, body []byte) []byte
	front   *httptest.Server
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	p := &publisher{initHost: newInitHost(t, "s3://"+bucket)}
	p.CLI(t, "store", "init").Want(t, 0)
	s3URL, err := url.Parse(p.s3.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	back := httptest.NewServer(p.counting(&httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", s3URL.Host }, // the Host that was signed stays
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}))
	t.Cleanup(back.Close)
	p.front = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.front.Close)
	p.content = rig.Dir(t)
	p.EditConfig(t, fmt.Sprintf("endpoint = %q", p.s3.Endpoint), fmt.Sprintf("endpoint = %q", back.URL))
	p.EditConfig(t, `page_url`, "content = \""+p.content+"\"\npage_url")
	p.EditConfig(t, p.s3.Endpoint+"/"+bucket, p.front.URL)
	p.write(t, 0)
	return p
}

func (p *publisher) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		switch {
		case r.Method == http.MethodPut || r.Method == http.MethodDelete:
			p.puts = append(p.puts, r.Method+" "+r.URL.Path)
		case r.URL.Query().Get("list-type") == "2":
			p.lists++
		}
		failing := p.failing
		p.mu.Unlock()
		if failing && p.chance.IntN(4) == 0 {
			if p.chance.IntN(2) == 0 { // the answer gets lost, not the question
				next.ServeHTTP(httptest.NewRecorder(), r)
			}
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

// serve answers as a CDN does.
func (p *publisher) serve(w http.ResponseWriter, r *http.Request) {
	at := r.URL.Path
	if strings.HasSuffix(at, "/") {
		at += "index.html"
	}
	out, err := http.NewRequestWithContext(r.Context(), http.MethodGet, p.s3.Endpoint+"/"+bucket+at, nil)
	if err != nil {
		panic(err)
	}
	out.Header.Set("Origin", "https://demo.example.org")
	out.Header.Set("Accept-Encoding", "gzip") // which keeps Go's client from unpacking it
	res, err := http.DefaultClient.Do(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Cache-Control", "ETag", "Access-Control-Allow-Origin"} {
		if v := res.Header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	p.mu.Lock()
	mangle := p.mangle
	p.mu.Unlock()
	if mangle != nil {
		if w.Header().Get("Content-Encoding") == "gzip" {
			w.Header().Del("Content-Encoding")
			body = unpacked(body)
		}
		body = mangle(w.Header(), r.URL.Path, body)
	}
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(body)
}

func unpacked(data []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return data
	}
	out, _ := io.ReadAll(r)
	return out
}

// write writes one of two versions of the content, which have other texts, and one language each that the other hasn't.
func (p *publisher) write(t *testing.T, version int) {
	t.Helper()
	for _, lang := range []string{"fr", "es"} {
		if err := os.Remove(filepath.Join(p.content, "index."+lang+".md")); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	for _, lang := range []string{"en", "pt", []string{"fr", "es"}[version%2]} {
		rig.WriteFile(t, filepath.Join(p.content, "index."+lang+".md"), fmt.Sprintf("---\ntitle: Version %d\n---\nIn %s.\n", version, lang))
	}
}

// object is what lies in the bucket at key, as anyone gets it.
func (p *publisher) object(t *testing.T, key string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.s3.Endpoint+"/"+bucket+"/"+key, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("Content-Encoding") == "gzip" {
		body = unpacked(body)
	}
	return res, body
}

var hrefs = regexp.MustCompile(`<a href="([^":]*)" hreflang=`)

// pointsAtNothing is what a reader who comes to the main page of a site would miss: pages and parts that it, or a page
// that it leads to, points at. "" for nothing.
func (p *publisher) pointsAtNothing(t *testing.T, site string) string {
	t.Helper()
	seen, queue := map[string]bool{}, []string{site + "/index.html"}
	for len(queue) > 0 {
		key := queue[0]
		queue = queue[1:]
		if seen[key] {
			continue
		}
		seen[key] = true
		res, body := p.object(t, key)
		if res.StatusCode != 200 {
			if key == site+"/index.html" {
				return "" // nobody is sent there yet
			}
			return key
		}
		for _, m := range hrefs.FindAllSubmatch(body, -1) {
			queue = append(queue, path.Join(path.Dir(key), string(m[1]), "index.html"))
		}
	}
	for _, part := range []string{"status.schema.json", "conforma-status.js", "conforma-status-notice.js", "worker.js"} {
		if res, _ := p.object(t, site+"/"+part); res.StatusCode != 200 {
			return part
		}
	}
	return ""
}

// watch looks at a site until it is told to stop: what is missing is missed only where the pages that point at it are
// still the same when it has been looked for.
func (p *publisher) watch(t *testing.T, site string) (stop func()) {
	done, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
			}
			if missing := p.pointsAtNothing(t, site); missing != "" && missing == p.pointsAtNothing(t, site) {
				t.Errorf("%s points at %s, which isn't there", site, missing)
				return
			}
		}
	}()
	return func() { close(done); <-stopped }
}

// isAsBuilt compares the bucket with what a clean publication would have put there.
func (p *publisher) isAsBuilt(t *testing.T) {
	t.Helper()
	out := rig.Dir(t)
	p.CLI(t, "build", "--out", out).Want(t, 0)
	want := map[string][]byte{}
	err := filepath.WalkDir(out, func(file string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		key, err := filepath.Rel(out, file)
		if err == nil {
			want[filepath.ToSlash(key)], err = os.ReadFile(file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	listed, err := p.c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	if err != nil {
		t.Fatal(err)
	}
	var statuses int
	for _, o := range listed.Contents {
		key := aws.ToString(o.Key)
		res, body := p.object(t, key)
		kind, cache, encoding := map[string]string{".html": "text/html; charset=utf-8", ".json": "application/json; charset=utf-8", ".js": "text/javascript; charset=utf-8"}[path.Ext(key)], "public, max-age=3600", "gzip"
		switch {
		case path.Base(key) == "status.json":
			statuses++
			rig.ParseStatus(t, string(body))
			cache, encoding = "no-cache", ""
		case !bytes.Equal(body, want[key]):
			t.Errorf("%s is not what is built", key)
		}
		if path.Ext(key) == ".html" {
			cache = "no-cache"
		}
		if h := res.Header; h.Get("Content-Type") != kind || h.Get("Cache-Control") != cache || h.Get("Content-Encoding") != encoding {
			t.Errorf("%s is served with %v", key, h)
		}
		delete(want, key)
	}
	if len(want) > 0 || statuses < 2 {
		t.Errorf("not there: %v; %d statuses", slices.Collect(func(yield func(string) bool) {
			for k := range want {
				if !yield(k) {
					return
				}
			}
		}), statuses)
	}
}
