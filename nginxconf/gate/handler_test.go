package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func fixed(secrets ...string) func() ([]Secret, error) {
	var all []Secret
	for _, s := range secrets {
		all = append(all, Secret(s))
	}
	return func() ([]Secret, error) { return all, nil }
}

func clock() time.Time { return testNow }

// logged is a log that several goroutines may write to, and the text that is in it.
type logged struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(p)
}

// take returns what was written since it was last asked.
func (l *logged) take() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

func newLog() (*logged, *slog.Logger) {
	l := new(logged)
	return l, slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

const otherSecret = "OTHERsecretOTHERsecretOTHERsecret-1234567890"

func testSites() []SiteSource {
	other := testPolicy()
	other.Site = "other"
	broken := testPolicy()
	broken.Site = "broken"
	return []SiteSource{
		{Policy: testPolicy(), Secrets: fixed(testSecret)},
		{Policy: other, Secrets: fixed(otherSecret)},
		{Policy: broken, Secrets: func() ([]Secret, error) { return []Secret{Secret(testSecret)}, errors.New("the disk is gone") }},
	}
}

func TestHandler(t *testing.T) {
	good := mint(goodHeader, adminClaims(), testSecret)
	others := mint(goodHeader, adminClaims(), otherSecret)
	bearer := "Bearer " + good
	for _, tt := range []struct {
		name           string
		method, target string
		authorization  []string
		want           int
		site, reason   string // of the line in the log; no reason, no line
	}{
		{"a good token", "GET", "/check/demo", []string{bearer}, 204, "", ""},
		{"a good token of another site", "GET", "/check/other", []string{"Bearer " + others}, 204, "", ""},
		{"the scheme in small letters", "GET", "/check/demo", []string{"bearer " + good}, 204, "", ""},
		{"the scheme in capitals", "GET", "/check/demo", []string{"BEARER " + good}, 204, "", ""},

		{"no token", "GET", "/check/demo", nil, 401, "", ""},
		{"no token, unknown site", "GET", "/check/nobody", nil, 401, "", ""},
		{"another site's token", "GET", "/check/other", []string{bearer}, 401, "other", "token: " + reasonSignature},
		{"a secret that can't be read", "GET", "/check/broken", []string{bearer}, 401, "broken", "the disk is gone"},
		{"two headers", "GET", "/check/demo", []string{bearer, bearer}, 401, "demo", reasonSeveral},
		{"two headers, one empty", "GET", "/check/demo", []string{"", bearer}, 401, "demo", reasonSeveral},
		{"an empty header", "GET", "/check/demo", []string{""}, 401, "demo", reasonNotBearer},
		{"the scheme alone", "GET", "/check/demo", []string{"Bearer"}, 401, "demo", reasonNotBearer},
		{"the scheme and a space", "GET", "/check/demo", []string{"Bearer "}, 401, "demo", "token: " + reasonEmpty},
		{"the token alone", "GET", "/check/demo", []string{good}, 401, "demo", reasonNotBearer},
		{"two spaces", "GET", "/check/demo", []string{"Bearer  " + good}, 401, "demo", "token: " + reasonCharacter},
		{"a tab", "GET", "/check/demo", []string{"Bearer\t" + good}, 401, "demo", reasonNotBearer},
		{"a space before", "GET", "/check/demo", []string{" " + bearer}, 401, "demo", reasonNotBearer},
		{"a space behind", "GET", "/check/demo", []string{bearer + " "}, 401, "demo", "token: " + reasonCharacter},
		{"two tokens", "GET", "/check/demo", []string{bearer + ", " + bearer}, 401, "demo", "token: " + reasonCharacter},
		{"another scheme", "GET", "/check/demo", []string{"Basic " + good}, 401, "demo", reasonNotBearer},
		{"a longer scheme", "GET", "/check/demo", []string{"Bearers " + good}, 401, "demo", reasonNotBearer},
		{"a colon", "GET", "/check/demo", []string{"Bearer: " + good}, 401, "demo", reasonNotBearer},
		{"quotes", "GET", "/check/demo", []string{`Bearer "` + good + `"`}, 401, "demo", "token: " + reasonCharacter},

		{"unknown site", "GET", "/check/nobody", []string{bearer}, 401, "nobody", reasonUnknownSite},
		{"no site", "GET", "/check/", []string{bearer}, 401, `""`, reasonUnknownSite},
		{"in capitals", "GET", "/check/DEMO", []string{bearer}, 401, "DEMO", reasonUnknownSite},
		{"a slash behind", "GET", "/check/demo/", []string{bearer}, 401, `""`, reasonUnknownSite},
		{"a query", "GET", "/check/demo?x", []string{bearer}, 401, `""`, reasonUnknownSite},
		{"dots", "GET", "/check/other/../demo", []string{bearer}, 401, `""`, reasonUnknownSite},
		{"two slashes", "GET", "//check/demo", []string{bearer}, 401, `""`, reasonUnknownSite},
		{"an escape", "GET", "/check/%64emo", []string{bearer}, 401, `""`, reasonUnknownSite},
		{"absolute form", "GET", "http://gate/check/demo", []string{bearer}, 401, `""`, reasonUnknownSite},
		{"a token for a name", "GET", "/check/" + good, []string{bearer}, 401, `""`, reasonUnknownSite},
		{"somewhere else", "GET", "/", []string{bearer}, 401, `""`, reasonUnknownSite},

		{"HEAD", "HEAD", "/check/demo", []string{bearer}, 401, "", ""},
		{"POST", "POST", "/check/demo", []string{bearer}, 401, "", ""},
		{"OPTIONS", "OPTIONS", "/check/demo", []string{bearer}, 401, "", ""},
		{"a method in small letters", "get", "/check/demo", []string{bearer}, 401, "", ""},
		{"POST to the health check", "POST", "/healthz", nil, 401, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log, logger := newLog()
			r := httptest.NewRequest("GET", "/", nil)
			r.Method, r.RequestURI = tt.method, tt.target
			if tt.authorization != nil {
				r.Header["Authorization"] = tt.authorization
			}
			w := httptest.NewRecorder()
			NewHandler(testSites(), clock, logger).ServeHTTP(w, r)
			if w.Code != tt.want || w.Body.Len() != 0 || len(w.Header()) != 0 {
				t.Errorf("got %d, %v, %q, want a bare %d", w.Code, w.Header(), w.Body, tt.want)
			}
			lines := log.take()
			checkNoLeak(t, lines, good, others)
			if tt.reason == "" {
				if lines != "" {
					t.Errorf("logged: %s", lines)
				}
				return
			}
			if strings.Count(lines, "\n") != 1 || !strings.Contains(lines, " msg=refused site="+tt.site+" reason=") ||
				!strings.Contains(lines, tt.reason) {
				t.Errorf("logged: %s, want one line on site %s with %q", lines, tt.site, tt.reason)
			}
		})
	}

	w := httptest.NewRecorder()
	_, logger := newLog()
	NewHandler(nil, clock, logger).ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
	if w.Code != 200 || w.Body.String() != "ok" {
		t.Errorf("health: %d %q", w.Code, w.Body)
	}
}

// checkNoLeak fails where text holds a secret, or claims or a signature of the tokens given.
func checkNoLeak(t *testing.T, text string, tokens ...string) {
	t.Helper()
	parts := []string{testSecret[:8], otherSecret[:8], encode(testSecret)[:12], "pLkQ8WmXyRt5"}
	for _, token := range tokens {
		for part := range strings.SplitSeq(token, ".") {
			if len(part) > 16 {
				parts = append(parts, part[:16], part[len(part)-12:])
			}
		}
	}
	for _, part := range parts {
		if strings.Contains(text, part) {
			t.Errorf("%q is in: %s", part, text)
		}
	}
}

// Whatever is wrong with a token or a secret, neither turns up in the log or in an error.
func TestNothingSecretIsLogged(t *testing.T) {
	log, logger := newLog()
	sites := testSites()
	for _, content := range []string{"JWT_SECRET='" + testSecret, "JWT_SECRET=" + testSecret[:20], testSecret + ": x\n'\x00", "JWT_SECRET=" + testSecret} {
		policy := testPolicy()
		policy.Site = fmt.Sprintf("file%d", len(sites))
		path := write(t, filepath.Join(t.TempDir(), "demo.env"), content, 0o644)
		sites = append(sites, SiteSource{Policy: policy, Secrets: CachedFile(path, ReadEnvFile, clock)})
	}
	h := NewHandler(sites, clock, logger)
	tokens := malformedTokens()
	tokens = append(tokens, malformed{name: "good", token: mint(goodHeader, adminClaims(), testSecret)})
	for _, tt := range tokens {
		for _, site := range sites {
			r := httptest.NewRequest("GET", "/check/"+site.Policy.Site, nil)
			r.Header["Authorization"] = []string{"Bearer " + tt.token}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			lines := log.take()
			checkNoLeak(t, lines, tt.token)
			if admitted := tt.name == "good" && site.Policy.Site == "demo"; (w.Code == 204) != admitted || strings.Contains(lines, "refused") == admitted {
				t.Errorf("%s at %s: %d, logged: %s", tt.name, site.Policy.Site, w.Code, lines)
			}
			if err := site.Policy.verify(tt.token, []byte(otherSecret), testNow); err != nil {
				checkNoLeak(t, fmt.Sprintf("%v %+v %#v", err, err, err), tt.token)
			}
		}
	}
}

// start serves the sites on a socket of its own and returns its path and what ends it.
func start(t testing.TB, sites []SiteSource, log *slog.Logger) (path string, stop func() error) {
	t.Helper()
	path = filepath.Join(shortDir(t), "run", "gate.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, NewHandler(sites, clock, log)) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return path, stop
}

// shortDir makes a directory whose name leaves room for a socket's, however long the test's name is.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func clientOf(t testing.TB, path string) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func ask(t testing.TB, client *http.Client, site, token string) int {
	t.Helper()
	r, err := http.NewRequest("GET", "http://gate/check/"+site, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || len(body) != 0 || response.ContentLength != 0 {
		t.Errorf("a body: %q, %v, length %d", body, err, response.ContentLength)
	}
	return response.StatusCode
}

func TestOverSocket(t *testing.T) {
	log, logger := newLog()
	path, _ := start(t, testSites(), logger)
	client := clientOf(t, path)
	good := mint(goodHeader, adminClaims(), testSecret)
	large := mint(goodHeader, adminClaims(`"x":"`+strings.Repeat("x", 20000)+`"`), testSecret)
	for _, tt := range []struct {
		name, site, token string
		want              int
	}{
		{"good", "demo", good, 204},
		{"good and large", "demo", large, 204},
		{"another site's", "other", good, 401},
		{"too large", "demo", large + strings.Repeat("A", maxToken), 401},
		{"unknown site", "nobody", good, 401},
	} {
		if got := ask(t, client, tt.site, tt.token); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	response, err := client.Get("http://gate/healthz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != 200 || string(body) != "ok" {
		t.Errorf("health: %d %q %v", response.StatusCode, body, err)
	}
	checkNoLeak(t, log.take(), good, large)
}

// What a library would put right before it is sent, written by hand.
func TestRawRequests(t *testing.T) {
	_, logger := newLog()
	path, _ := start(t, testSites(), logger)
	good := "Authorization: Bearer " + mint(goodHeader, adminClaims(), testSecret) + "\r\n"
	const line, host = "GET /check/demo HTTP/1.1\r\n", "Host: conforma-status\r\nConnection: close\r\n"
	for _, tt := range []struct{ name, request, want string }{
		{"as nginx asks", line + host + good + "\r\n", "HTTP/1.1 204 "},
		{"HTTP/1.0", "GET /check/demo HTTP/1.0\r\n" + good + "\r\n", "HTTP/1.0 204 "},
		{"two headers", line + host + good + good + "\r\n", "HTTP/1.1 401 "},
		{"two headers in other letters", line + host + good + strings.Replace(good, "Authorization", "authorization", 1) + "\r\n", "HTTP/1.1 401 "},
		{"an underscore", line + host + strings.Replace(good, "Authorization", "Authoriz_ation", 1) + "\r\n", "HTTP/1.1 401 "},
		{"a space before the colon", line + host + strings.Replace(good, ":", " :", 1) + "\r\n", "HTTP/1.1 400 "},
		{"a folded header is one with a space (RFC 9112, 5.2)", line + host + strings.Replace(good, "Bearer ", "Bearer\r\n ", 1) + "\r\n", "HTTP/1.1 204 "},
		{"a bare CR", line + host + strings.Replace(good, "Bearer ", "Bearer \r", 1) + "\r\n", "HTTP/1.1 4"},
		{"a NUL", line + host + strings.Replace(good, "Bearer ", "Bearer \x00", 1) + "\r\n", "HTTP/1.1 400 "},
		{"absolute form", "GET http://x/check/demo HTTP/1.1\r\n" + host + good + "\r\n", "HTTP/1.1 401 "},
		{"headers without end", line + host + "X: " + strings.Repeat("x", 80<<10) + "\r\n" + good + "\r\n", "HTTP/1.1 431 "},
		{"HTTP/2 is a method nobody knows", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 401 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			// Its answer to headers without end comes before it has read them all.
			go func() { _, _ = io.WriteString(conn, tt.request) }()
			answer := make([]byte, 512)
			n, err := io.ReadAtLeast(conn, answer, len("HTTP/1.1 200 "))
			if err != nil || !strings.HasPrefix(string(answer[:n]), tt.want) {
				t.Errorf("got %q, %v, want %q", answer[:n], err, tt.want)
			}
		})
	}
}
