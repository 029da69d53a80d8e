package demo

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/nginxconf/gate"
)

var testSecret = []byte("a-secret-of-the-demo-that-is-long-enough")

func TestDemoAppAnswers(t *testing.T) {
	const saveOne = `{"operationName":"saveApplication","variables":{"name":" One "}}`
	for _, test := range []struct {
		name, method, path, body string
		code                     int
		want                     string // in the body
	}{
		{"the page", "GET", "/", "", 200, "<title>Applications"},
		{"the login page is the same", "GET", "/login", "", 200, "<title>Applications"},
		{"so is any other", "GET", "/a/b?c=d", "", 200, "<title>Applications"},
		{"its script", "GET", "/assets/app.js", "", 200, "persistJWT"},
		{"its style", "GET", "/assets/app.css", "", 200, "--ground"},
		{"no other file", "GET", "/assets/config.toml", "", 404, ""},
		{"nothing above", "GET", "/assets/..%2fdemo.go", "", 404, ""},
		{"a query", "POST", "/server/graphql?dev=getApplications", `{"operationName":"getApplications"}`, 200, `"savedBy":"admin"`},
		{"a save", "POST", "/server/graphql?dev=saveApplication", saveOne, 200, `{"id":3,"name":"One","savedBy":null}`},
		{"a save of nothing", "POST", "/server/graphql", `{"operationName":"saveApplication","variables":{"name":" "}}`, 400, `"errors"`},
		{"an unknown operation", "POST", "/server/graphql", `{"operationName":"dropAll"}`, 400, `"errors"`},
		{"no JSON", "POST", "/server/graphql", `<>`, 400, `"errors"`},
		{"too much", "POST", "/server/graphql", `{"x":"` + strings.Repeat("x", maxBody) + `"}`, 400, `"errors"`},
		{"a login", "POST", "/server/api/public/login", `{"username":"user","password":"x"}`, 200, `"success":true`},
		{"a login of somebody else", "POST", "/server/api/public/login", `{"username":"root"}`, 200, `"success":false`},
	} {
		t.Run(test.name, func(t *testing.T) {
			app := newApp(testSecret)
			w := httptest.NewRecorder()
			app.handler().ServeHTTP(w, httptest.NewRequest(test.method, test.path, strings.NewReader(test.body)))
			if w.Code != test.code || !strings.Contains(w.Body.String(), test.want) {
				t.Errorf("got %d, want %d with %s:\n%s", w.Code, test.code, test.want, w.Body)
			}
			if app.arrived() != 1 {
				t.Errorf("%d requests arrived, want 1", app.arrived())
			}
		})
	}
}

func TestDemoTokensAreThoseOfTheGate(t *testing.T) {
	now := time.Date(2026, 11, 22, 21, 15, 0, 0, time.UTC)
	handler := gate.NewHandler([]gate.SiteSource{{
		Policy:  gate.Policy{Site: "demo", Algorithm: "HS256", Audience: "postgraphile", AdminClaim: "isAdmin", MaxAge: 8 * time.Hour},
		Secrets: func() ([]gate.Secret, error) { return []gate.Secret{testSecret}, nil },
	}}, func() time.Time { return now.Add(time.Minute) }, slog.New(slog.DiscardHandler))
	for username, want := range map[string]int{"admin": http.StatusNoContent, "user": http.StatusUnauthorized} {
		token, err := newApp(testSecret).token(username, now)
		if err != nil {
			t.Fatal(err)
		}
		answer, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/check/demo", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		if handler.ServeHTTP(answer, r); answer.Code != want {
			t.Errorf("the gate answers %d to the token of %s, want %d", answer.Code, username, want)
		}
	}
}

func TestDemoAppKnowsWhoSaves(t *testing.T) {
	app := newApp(testSecret)
	good, err := app.token("user", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	forged, err := newApp([]byte("another-secret-that-is-long-enough-too")).token("admin", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, authorization, want string }{
		{"a visitor", "", "null"},
		{"a user", "Bearer " + good, `"user"`},
		{"with a forged token", "Bearer " + forged, "null"},
		{"with another scheme", "Basic " + good, "null"},
	} {
		r := httptest.NewRequest(http.MethodPost, "/server/graphql", nil)
		r.Header.Set("Authorization", test.authorization)
		got, err := json.Marshal(app.bearer(r))
		if err != nil || string(got) != test.want {
			t.Errorf("%s: saved by %s (%v), want %s", test.name, got, err, test.want)
		}
	}
}
