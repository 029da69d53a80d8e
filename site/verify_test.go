package site

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/status"
)

// TestVerify: whatever is done to a file on the way is found, and named with its address.
func TestVerify(t *testing.T) {
	page := File{"demo/index.html", []byte("<p>page"), htmlType, pageCache, ""}
	schema := File{"demo/status.schema.json", []byte("{}"), schemaType, schemaCache, ""}
	script := File{"demo/conforma-status.js", []byte("//"), scriptType, scriptCache, ""}
	at := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	doc := status.Document{Version: 1, Site: "demo", Mode: status.Online, Since: at, UpdatedAt: at, AppURL: "https://a.example", PageURL: "https://b.example/"}
	type answer struct {
		code  int
		body  string
		types string
		also  map[string]string
	}
	fine := func() map[string]answer {
		return map[string]answer{
			"/demo/":                   {200, "<p>page", "text/html; charset=utf-8", nil},
			"/demo/status.schema.json": {200, "{}", "application/json", map[string]string{"Access-Control-Allow-Origin": "*"}},
			"/demo/conforma-status.js": {200, "//", "text/javascript", map[string]string{
				"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=3600"}},
			"/demo/status.json": {200, string(doc.Marshal()), "application/json", map[string]string{
				"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache, max-age=0"}},
		}
	}
	for name, c := range map[string]struct {
		path   string
		change func(*answer)
		want   string
	}{
		"nothing":               {"/demo/", func(*answer) {}, ""},
		"a page that is gone":   {"/demo/", func(a *answer) { a.code = 404 }, "/demo/: is answered by 404"},
		"a page with a tracker": {"/demo/", func(a *answer) { a.body += "<script>" }, "/demo/: is not what was sent"},
		"an old page":           {"/demo/", func(a *answer) { a.body = "<p>old." }, "/demo/: is not what was sent"},
		"a page as a download":  {"/demo/", func(a *answer) { a.types = "binary/octet-stream" }, `is served as "binary/octet-stream", not "text/html"`},
		"a schema cut short":    {"/demo/status.schema.json", func(a *answer) { a.body = "{" }, "/demo/status.schema.json: is not what"},
		"a forbidden status":    {"/demo/status.json", func(a *answer) { a.code = 403 }, "/demo/status.json: is answered by 403"},
		"a status of HTML":      {"/demo/status.json", func(a *answer) { a.body = "<p>" }, "is not a status document"},
		"no CORS":               {"/demo/status.json", func(a *answer) { delete(a.also, "Access-Control-Allow-Origin") }, `Access-Control-Allow-Origin ""`},
		"a cached status":       {"/demo/status.json", func(a *answer) { a.also["Cache-Control"] = "max-age=300" }, `Cache-Control "max-age=300"`},
		"a kept page":           {"/demo/", func(a *answer) { a.also = map[string]string{"Cache-Control": "max-age=300"} }, `Cache-Control "max-age=300"`},
		"a script without CORS": {"/demo/conforma-status.js", func(a *answer) { delete(a.also, "Access-Control-Allow-Origin") }, `/demo/conforma-status.js: has Access-Control-Allow-Origin ""`},
		"a schema without CORS": {"/demo/status.schema.json", func(a *answer) { a.also = nil }, `/demo/status.schema.json: has Access-Control-Allow-Origin ""`},
		"a script for some":     {"/demo/conforma-status.js", func(a *answer) { a.also["Access-Control-Allow-Origin"] = "https://a.example" }, `has Access-Control-Allow-Origin "https://a.example"`},
		"a script for a year": {"/demo/conforma-status.js", func(a *answer) { a.also["Cache-Control"] = "max-age=31536000, immutable" },
			`has Cache-Control "max-age=31536000, immutable", not "public, max-age=3600"`},
		"a script kept by a CDN": {"/demo/conforma-status.js", func(a *answer) { a.also["Cache-Control"] = "max-age=0, S-MaxAge=99999999999999999999" }, "has Cache-Control"},
		"a script for a minute":  {"/demo/conforma-status.js", func(a *answer) { a.also["Cache-Control"] = "max-age=60" }, ""},
		"a script asked for":     {"/demo/conforma-status.js", func(a *answer) { a.also["Cache-Control"] = "no-cache, max-age=31536000" }, ""},
		"a script of nginx":      {"/demo/conforma-status.js", func(a *answer) { a.types = "application/javascript"; delete(a.also, "Cache-Control") }, ""},
		"a script as text":       {"/demo/conforma-status.js", func(a *answer) { a.types = "text/plain" }, `is served as "text/plain", not "text/javascript"`},
		"a schema as a script":   {"/demo/status.schema.json", func(a *answer) { a.types = "application/javascript" }, `is served as "application/javascript"`},
	} {
		t.Run(name, func(t *testing.T) {
			answers := fine()
			changed := answers[c.path]
			c.change(&changed)
			answers[c.path] = changed
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				a := answers[r.URL.Path]
				w.Header().Set("Content-Type", a.types)
				for k, v := range a.also {
					w.Header().Set(k, v)
				}
				w.WriteHeader(cmp.Or(a.code, 404))
				_, _ = w.Write([]byte(a.body))
			}))
			defer server.Close()
			var got []string
			for _, d := range Verify(t.Context(), server.Client(), Site{Path: "demo", PageURL: server.URL + "/demo/"}, []File{schema, script, page}) {
				got = append(got, strings.TrimPrefix(d.URL, server.URL)+": "+d.Problem)
			}
			if all := strings.Join(got, "; "); c.want == "" && all != "" || !strings.Contains(all, c.want) || len(got) > 1 {
				t.Errorf("found %q, want %q", all, c.want)
			}
		})
	}
	server := httptest.NewServer(nil)
	server.Close()
	if got := Verify(t.Context(), http.DefaultClient, Site{PageURL: server.URL + "/"}, []File{page, schema}); len(got) != 1 || !strings.Contains(got[0].Problem, "refused") {
		t.Errorf("a server that isn't there: %v", got)
	}
}
