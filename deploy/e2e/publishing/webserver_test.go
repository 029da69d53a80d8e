package publishing

import (
	"compress/gzip"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/site"
	"github.com/msupply-foundation/conforma-status/status"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// webHost is a host whose store is a directory that one of the examples in deploy/webserver serves, by TLS.
type webHost struct {
	*rig.Single
	cert   rig.Certificate
	client *http.Client
	plain  string // where it listens without TLS; empty where it doesn't
}

// webServers starts the web server of each example, with its addresses, certificate and directory replaced by the
// test's.
var webServers = map[string]func(t *testing.T, h *webHost, addr string){
	"nginx": func(t *testing.T, h *webHost, addr string) {
		h.plain = rig.Loopback(rig.Port(t))
		conf := example(t, "nginx.conf", map[string]string{
			"listen 443 ssl http2;": "listen " + addr + " ssl http2;", "    listen [::]:443 ssl http2;\n": "",
			"listen 80;": "listen " + h.plain + ";", "    listen [::]:80;\n": "",
			"/etc/letsencrypt/live/maintenance.example.org/fullchain.pem": h.cert.Fullchain, "/etc/letsencrypt/live/maintenance.example.org/privkey.pem": h.cert.Privkey,
			"/var/www/maintenance": h.Store, "/var/www/letsencrypt": rig.Dir(t),
		})
		n := rig.NewNginx(t)
		n.Configure(t, conf)
		n.Start(t)
	},
	"caddy": func(t *testing.T, h *webHost, addr string) {
		conf := example(t, "Caddyfile", map[string]string{
			"maintenance.example.org {\n": "https://" + addr + " {\n\tbind 127.0.0.1\n\ttls " + h.cert.Fullchain + " " + h.cert.Privkey + "\n",
			"/var/www/maintenance\n":      h.Store + "\n",
		})
		// Without HTTP/3: the UDP port is rig.Port's mark.
		rig.StartCaddy(t, "{\n\tadmin off\n\tauto_https off\n\tservers {\n\t\tprotocols h1 h2\n\t}\n}\n"+conf, addr)
	},
}

// example is a file of deploy/webserver with words replaced, each of which has to be there.
func example(t *testing.T, name string, replace map[string]string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "webserver", name))
	if err != nil {
		t.Fatal(err)
	}
	var head, body []string // comments name what isn't replaced
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			head = append(head, line)
		} else {
			body = append(body, line)
		}
	}
	text := strings.Join(body, "")
	for old, new := range replace {
		if !strings.Contains(text, old) {
			t.Fatalf("there is no %q in %s", old, name)
		}
		text = strings.ReplaceAll(text, old, new)
	}
	return strings.Join(head, "") + text
}

func newWebHost(t *testing.T, server string) *webHost {
	t.Helper()
	h := &webHost{Single: rig.NewSingle(t), cert: rig.NewCertificate(t, rig.Dir(t), "maintenance.example.org")}
	h.client = &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: h.cert.Roots, ServerName: "maintenance.example.org"}, DisableCompression: true, MaxIdleConnsPerHost: 16,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	addr := rig.Loopback(rig.Port(t))
	h.PageURL = "https://" + addr
	h.Configure(t, rig.Settings{})
	webServers[server](t, h, addr)
	return h
}

// get asks with a request's headers, "Name: value" each.
func (h *webHost) get(t *testing.T, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "maintenance.example.org"
	if !strings.HasPrefix(url, "http:") {
		r.Host = "" // Caddy's example is asked at its address
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	res, err := h.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body io.Reader = res.Body
	if res.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			t.Fatal(err)
		}
	}
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(data)
}

// TestWebServers: each example serves what the binary publishes as the contracts ask, and nothing besides.
func TestWebServers(t *testing.T) {
	t.Parallel()
	for name := range webServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newWebHost(t, name)
			rig.WriteFile(t, filepath.Join(h.Store, "demo", status.ScheduleFileName), string(status.EmptySchedule().Marshal())) // it has a calendar
			r := h.Call(t, rig.Call{Env: []string{"SSL_CERT_FILE=" + h.cert.Fullchain}, Args: []string{"publish", "--json"}}).Want(t, 0)
			var doc struct{ Sites []struct{ Differs []any } }
			if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil || len(doc.Sites) != 1 || len(doc.Sites[0].Differs) > 0 {
				t.Errorf("seen from outside, it differs: %v\n%s", err, r.Stdout)
			}
			h.files(t)
			h.nothingElse(t)
		})
	}
}

// TestPublishToAnOrdinaryWebServer: nginx with its own types and nothing said of caches calls a script
// application/javascript, which is fine; what is missing or too long is said of each file that a front end reads.
func TestPublishToAnOrdinaryWebServer(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ says, problem string }{
		"its own types": {"add_header Access-Control-Allow-Origin *;", ""},
		"no CORS":       {"", "has Access-Control-Allow-Origin"},
		"kept for a year": {"location ~ /[^/]+[.](js|schema.json)$ { add_header Access-Control-Allow-Origin *; expires 1y; }",
			`has Cache-Control "max-age=31536000", not "public, max-age=3600"`},
	} {
		t.Run(name, func(t *testing.T) {
			h := rig.NewSingle(t)
			addr := rig.Loopback(rig.Port(t))
			h.PageURL = "http://" + addr
			h.Configure(t, rig.Settings{})
			n := rig.NewNginx(t)
			n.Configure(t, fmt.Sprintf("include /etc/nginx/mime.types; server { listen %s; root %s; %s "+
				"location ~ /status.json$ { add_header Access-Control-Allow-Origin *; add_header Cache-Control no-cache; } }\n", addr, h.Store, row.says))
			n.Start(t)
			var doc struct {
				Sites []struct{ Differs []site.Difference }
			}
			r := h.CLI(t, "publish", "--json").Want(t, 0)
			if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil || len(doc.Sites) != 1 {
				t.Fatalf("%v: %s", err, r.Stdout)
			}
			var got, want []string
			for _, d := range doc.Sites[0].Differs {
				got = append(got, d.Key+" "+d.Problem)
			}
			if row.problem != "" {
				want = []string{"demo/conforma-status-notice.js ", "demo/conforma-status.js ", "demo/status.schema.json ", "demo/worker.js "}
			}
			if !slices.EqualFunc(got, want, func(got, key string) bool { return strings.HasPrefix(got, key+row.problem) }) {
				t.Errorf("it says %q, want %q of %q", got, row.problem, want)
			}
		})
	}
}

// files looks at every file that was published.
func (h *webHost) files(t *testing.T) {
	t.Helper()
	types := map[string]string{".html": "text/html; charset=utf-8", ".json": "application/json; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".ics": "text/calendar; charset=utf-8"}
	seen := 0
	err := filepath.WalkDir(h.Store, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		seen++
		rel, _ := filepath.Rel(h.Store, path)
		url := h.PageURL + "/" + strings.TrimSuffix(rel, "index.html")
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		res, body := h.get(t, url, "Origin: https://demo.example.org", "Accept-Encoding: gzip")
		want := types[filepath.Ext(path)]
		if got := res.Header.Get("Content-Type"); res.StatusCode != 200 || body != string(data) ||
			got != want && (filepath.Ext(path) != ".json" || got != "application/json") { // whose charset is UTF-8 anyway (RFC 8259)
			t.Errorf("%s: %s, %q, %d bytes instead of %d", url, res.Status, got, len(body), len(data))
		}
		if big := len(data) > 1024; big && res.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: not compressed: %v", url, res.Header)
		}
		h.revalidated(t, url, res)
		return nil
	})
	if err != nil || seen < 7 {
		t.Errorf("%d files, %v", seen, err)
	}
}

// revalidated checks what a page of another origin and a cache need, of the first answer and of the 304 that follows.
func (h *webHost) revalidated(t *testing.T, url string, first *http.Response) {
	t.Helper()
	again, _ := h.get(t, url, "Origin: https://demo.example.org", "Accept-Encoding: gzip", "If-None-Match: "+first.Header.Get("ETag"))
	if again.StatusCode != 304 {
		t.Errorf("%s: the second time %s", url, again.Status)
	}
	for _, res := range []*http.Response{first, again} {
		for header, want := range map[string]string{"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Date, Age, ETag"} {
			if got := res.Header.Get(header); got != want {
				t.Errorf("%s, %s: %s is %q, want %q", url, res.Status, header, got, want)
			}
		}
		if res.Header.Get("Date") == "" || res.Header.Get("ETag") == "" {
			t.Errorf("%s, %s: no Date or no ETag: %v", url, res.Status, res.Header)
		}
	}
}

// nothingElse looks for what nobody is to find.
func (h *webHost) nothingElse(t *testing.T) {
	t.Helper()
	for _, name := range []string{".demo.tmp/x", "demo/.status.json.tmp", ".git/config", "folder/file.txt"} {
		rig.WriteFile(t, filepath.Join(h.Store, name), "hidden-text")
	}
	for path, codes := range map[string][]int{
		"/": {403, 404}, "/folder/": {403, 404}, "/none": {404}, "/demo/none.json": {404},
		"/demo/.status.json.tmp": {404}, "/.demo.tmp/x": {404}, "/.git/config": {404}, "/%2egit/config": {404}, "/demo/%2e%2e/.git/config": {404, 400},
	} {
		res, body := h.get(t, h.PageURL+path)
		ok := false
		for _, code := range codes {
			ok = ok || res.StatusCode == code
		}
		if !ok || strings.Contains(body, "hidden-text") || strings.Contains(body, "file.txt") || strings.Contains(body, "status.json") {
			t.Errorf("%s: %s, want %v\n%s", path, res.Status, codes, body)
		}
	}
	if res, _ := h.get(t, h.PageURL+"/demo"); res.StatusCode/100 != 3 || res.Header.Get("Location") != "/demo/" && res.Header.Get("Location") != "demo/" {
		t.Errorf("/demo: %s to %q", res.Status, res.Header.Get("Location"))
	}
	if h.plain != "" {
		if res, _ := h.get(t, "http://"+h.plain+"/demo/?x=1"); res.StatusCode != 301 || res.Header.Get("Location") != "https://maintenance.example.org/demo/?x=1" {
			t.Errorf("without TLS: %s to %q", res.Status, res.Header.Get("Location"))
		}
	}
	res, err := h.client.Post(h.PageURL+"/demo/status.json", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode/100 == 2 {
		t.Errorf("a POST is answered by %s", res.Status)
	}
}

// TestWebServersDuringWrites: whoever reads the status while it is replaced gets one version whole, and who has an
// older one is never told that it is still the one, however quickly they follow each other.
func TestWebServersDuringWrites(t *testing.T) { duringWrites(t, 40) }

func duringWrites(t *testing.T, writes int) {
	t.Parallel()
	for name := range webServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newWebHost(t, name)
			st, err := store.Open("dir:"+h.Store, store.S3Options{})
			if err != nil {
				t.Fatal(err)
			}
			version := func(n int) []byte { // sizes differ, but not from each to the next
				return fmt.Appendf(nil, `{"n":%06d,"fill":"%s","again":%06d}`, n, strings.Repeat("x", n/4%50*100), n)
			}
			put := func(n int) {
				if _, err := st.Put(t.Context(), "demo/status.json", version(n), store.Meta{}, store.Always()); err != nil {
					t.Fatal(err)
				}
			}
			put(0)
			url := h.PageURL + "/demo/status.json"
			var over atomic.Bool
			var wait sync.WaitGroup
			for range 4 {
				wait.Go(func() {
					for !over.Load() {
						res, body := h.get(t, url, "Accept-Encoding: gzip")
						var n int
						if _, err := fmt.Sscanf(body, `{"n":%06d`, &n); err != nil || res.StatusCode != 200 || body != string(version(n)) {
							t.Errorf("torn: %s, %d bytes: %.60q", res.Status, len(body), body)
							return
						}
					}
				})
			}
			before, _ := h.get(t, url)
			for n := 1; n <= writes; n++ {
				put(n)
				res, body := h.get(t, url, "If-None-Match: "+before.Header.Get("ETag"), "If-Modified-Since: "+before.Header.Get("Last-Modified"))
				if res.StatusCode != 200 || body != string(version(n)) {
					t.Errorf("after version %d was written: %s %.20q", n, res.Status, body)
					break
				}
				before = res
			}
			over.Store(true)
			wait.Wait()
		})
	}
}

// TestDirectoryThatHangs: a store on a file system that doesn't answer, as one from the network may, holds up no
// closing.
func TestDirectoryThatHangs(t *testing.T) {
	t.Parallel()
	h := rig.OnlineSingle(t)
	h.CLI(t, "publish").Want(t, 0)
	if err := os.Remove(h.StatusFile()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(h.StatusFile(), 0o644); err != nil { // opening it waits for somebody who writes
		t.Fatal(err)
	}
	done := make(chan rig.Result, 1)
	go func() { done <- h.CLI(t, "set", "offline") }()
	rig.WaitFor(t, "the site to close", func() bool { return rig.Lets(t, h) == status.Offline })
	if err := os.Remove(h.StatusFile()); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.Code != 0 && r.Code != 3 {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
	h.CLI(t, "reconcile").Want(t, 0)
	rig.Agreed(t, h, status.Offline)
}
