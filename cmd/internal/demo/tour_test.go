package demo

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/msupply-foundation/conforma-status/cmd/internal/terminal"
	"github.com/msupply-foundation/conforma-status/status"
)

const testPage = "http://127.0.0.1:2/demo/"

// TestTourSeesWhatDiffers looks at a site that nobody closes: the application without nginx.
func TestTourSeesWhatDiffers(t *testing.T) {
	app := newApp(testSecret)
	server := httptest.NewServer(app.handler())
	defer server.Close()
	tour := newTour(&demo{app: app, appURL: server.URL, pageURL: server.URL + "/demo/"})
	for _, test := range []struct {
		stage   string
		checks  []check
		differs []string
	}{
		{"offline", tour.offlineChecks(), []string{
			checkRedirected, "the login page is shut, too", "a query gets a 503 that a script can read", "a save gets a 503, and nothing is written", "nothing of all this reached the application", checkStatus,
		}},
		{"admin", tour.adminChecks(), []string{
			checkRedirected, "a query without a token gets a 503", "a query with the user's token gets a 503", "a save with it gets a 503, and nothing is written", "a save with it is accepted", checkStatus,
		}},
	} {
		var differs []string
		for _, c := range test.checks {
			if c.what == checkGet {
				continue // it needs a host
			}
			if err := c.look(context.Background()); err != nil {
				differs = append(differs, c.what)
			}
		}
		if !slices.Equal(differs, test.differs) {
			t.Errorf("%s: differs in\n%q, want\n%q", test.stage, differs, test.differs)
		}
	}
}

func TestWalkStopsWhereItCanNotGoOn(t *testing.T) {
	var out bytes.Buffer
	d := &demo{terminal: terminal.New(&out, &out), self: t.TempDir() + "/fails", dir: t.TempDir(), app: newApp(testSecret)}
	if err := os.WriteFile(d.self, []byte("#!/bin/sh\necho it says why\nexit 4\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	looked, differed, err := newTour(d).walk(context.Background())
	if looked != 0 || len(differed) != 0 || err == nil || err.Error() != "get: exit code 4, want 0" {
		t.Errorf("got %d, %q, %v", looked, differed, err)
	}
	if !strings.Contains(out.String(), "\n    it says why\n") {
		t.Errorf("what the command said is not to be seen:\n%s", &out)
	}
}

func TestTourKnowsARefusal(t *testing.T) {
	const body = `{"error":"maintenance","mode":"offline","expectedUntil":null,"pageUrl":"` + testPage +
		`","errors":[{"message":"maintenance","extensions":{"code":"MAINTENANCE"}}]}`
	for _, test := range []struct {
		name   string
		change func(*answer)
		want   string // in the error; "" for none
	}{
		{"as it should be", func(*answer) {}, ""},
		{"another status", func(a *answer) { a.code = 502 }, "status: got 502, want 503"},
		{"a page", func(a *answer) { a.header.Set("Content-Type", "text/html") }, `Content-Type: got "text/html"`},
		{"no Retry-After", func(a *answer) { a.header.Del("Retry-After") }, "Retry-After"},
		{"cached", func(a *answer) { a.header.Set("Cache-Control", "max-age=60") }, "Cache-Control"},
		{"no JSON", func(a *answer) { a.body = []byte("<html>") }, "invalid character"},
		{"another mode", func(a *answer) { a.body = bytes.Replace(a.body, []byte("offline"), []byte("admin"), 1) }, `mode: got "admin", want "offline"`},
		{"another page", func(a *answer) { a.body = bytes.Replace(a.body, []byte("demo"), []byte("other"), 1) }, "pageUrl"},
		{"nothing for GraphQL", func(a *answer) { a.body = bytes.Replace(a.body, []byte(`"errors"`), []byte(`"x"`), 1) }, "errors: got 0, want 1"},
	} {
		a := answer{http.StatusServiceUnavailable, http.Header{
			"Content-Type": {"application/json"}, "Retry-After": {"60"}, "Cache-Control": {"no-store"},
		}, []byte(body)}
		test.change(&a)
		err := newTour(&demo{app: newApp(testSecret), pageURL: testPage}).refused(a, nil, status.Offline)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

func TestTourKnowsAStatus(t *testing.T) {
	document := func(mode, until, message string) status.Document {
		t.Helper()
		d, err := status.Parse([]byte(`{"version":1,"site":"demo","mode":"` + mode + `","seq":2,"since":"2026-11-22T21:15:00Z","expectedUntil":` + until +
			`,"message":` + message + `,"appUrl":"http://127.0.0.1:1","pageUrl":"` + testPage + `","updatedAt":"2026-11-22T21:15:00Z"}`))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const until, message = `"2026-11-22T21:45:00Z"`, `"` + tourMessage + `"`
	for _, test := range []struct {
		name     string
		document status.Document
		mode     status.Mode
		good     bool
	}{
		{"online", document("online", "null", "null"), status.Online, true},
		{"offline", document("offline", until, message), status.Offline, true},
		{"admin", document("admin", until, message), status.Admin, true},
		{"another mode", document("admin", until, message), status.Offline, false},
		{"no ETA", document("offline", "null", message), status.Offline, false},
		{"no message", document("offline", until, "null"), status.Offline, false},
		{"another message", document("offline", until, `"Hello"`), status.Offline, false},
		{"an ETA that is left over", document("online", until, "null"), status.Online, false},
		{"a message that is left over", document("online", "null", message), status.Online, false},
	} {
		err := newTour(&demo{app: newApp(testSecret), pageURL: testPage}).says(test.document, test.mode)
		if (err == nil) != test.good {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
}

func TestShellWords(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"conforma-status", "set", "offline", "--eta", "30m"}, "conforma-status set offline --eta 30m"},
		{[]string{"--message", "Back soon."}, "--message 'Back soon.'"},
		{[]string{"it's", "", "$HOME"}, `'it'\''s' '' '$HOME'`},
	} {
		if got := shellWords(test.args); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// FuzzShellWords has a shell read what was written for it.
func FuzzShellWords(f *testing.F) {
	f.Add("plain", "it's", "")
	f.Add("--message", "two\nlines", `\"$(false)"`)
	f.Add("~", "*", "a=b")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		args := []string{a, b, c}
		if strings.Contains(a+b+c, "\x00") {
			return // no argument can hold it
		}
		got, err := exec.Command("sh", "-c", `printf '%s\0' `+shellWords(args)).Output()
		if want := strings.Join(args, "\x00") + "\x00"; err != nil || string(got) != want {
			t.Errorf("%q comes out as %q (%v)", args, got, err)
		}
	})
}
