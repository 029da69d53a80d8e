// Package demo shows the whole thing on one machine: an application with nginx in front, a maintenance server, a gate.
package demo

import (
	"embed"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

//go:embed files
var files embed.FS

// embedded returns one of the files that the demo is made of.
func embedded(name string) string {
	data, err := files.ReadFile("files/" + name)
	if err != nil {
		panic("demo: " + err.Error())
	}
	return string(data)
}

// maxBody is the largest request that the demo's application reads, in bytes.
const maxBody = 64 << 10

// app is a little application of Conforma's shape: a page that queries GraphQL and can save things, a login that
// hands out tokens. It has no idea of maintenance.
type app struct {
	secret []byte // signs the tokens

	mu      sync.Mutex
	saved   []application
	reached int // requests that have arrived
}

type application struct {
	ID      int     `json:"id"`
	Name    string  `json:"name"`
	SavedBy *string `json:"savedBy"` // nil for a visitor who has not signed in
}

func newApp(secret []byte) *app {
	a := &app{secret: secret}
	admin := "admin"
	for _, name := range []string{"Registration of a community pharmacy", "Import permit for amoxicillin 500 mg"} {
		a.save(name, &admin)
	}
	return a
}

// handler serves the application and counts what arrives.
func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /server/graphql", a.graphQL)
	mux.HandleFunc("POST /server/api/public/login", a.login)
	mux.HandleFunc("GET /assets/{file}", asset)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { // as single-page applications do
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte(embedded("index.html")))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.reached++
		a.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
}

func asset(w http.ResponseWriter, r *http.Request) {
	types := map[string]string{"app.js": "text/javascript; charset=utf-8", "app.css": "text/css; charset=utf-8"}
	file := r.PathValue("file")
	if types[file] == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", types[file])
	_, _ = w.Write([]byte(embedded(file)))
}

// graphQL understands two operations, by their names.
func (a *app) graphQL(w http.ResponseWriter, r *http.Request) {
	var body struct {
		OperationName string
		Variables     struct{ Name string }
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&body); err != nil {
		graphQLError(w, "not JSON")
		return
	}
	switch name := strings.TrimSpace(body.Variables.Name); {
	case body.OperationName == "getApplications":
		writeJSON(w, http.StatusOK, map[string]any{"data": map[string]any{"applications": a.all()}})
	case body.OperationName == "saveApplication" && name != "":
		writeJSON(w, http.StatusOK, map[string]any{"data": map[string]any{"saveApplication": a.save(name, a.bearer(r))}})
	default:
		graphQLError(w, "no such operation, or no name")
	}
}

func graphQLError(w http.ResponseWriter, text string) {
	writeJSON(w, http.StatusBadRequest, map[string]any{"errors": []map[string]string{{"message": text}}})
}

// login knows two people, and believes them.
func (a *app) login(w http.ResponseWriter, r *http.Request) {
	var body struct{ Username string }
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&body)
	if err != nil || !slices.Contains([]string{"admin", "user"}, body.Username) {
		writeJSON(w, http.StatusOK, map[string]any{"success": false})
		return
	}
	token, err := a.token(body.Username, time.Now())
	if err != nil {
		http.Error(w, "no token", http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"success": true, "username": body.Username, "JWT": token})
}

// token signs the claims that Conforma's tokens have, which have no exp.
func (a *app) token(username string, now time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iat": now.Unix(), "aud": "postgraphile", "username": username, "isAdmin": username == "admin",
	}).SignedString(a.secret)
}

// bearer is the name of who has signed in, or nil.
func (a *app) bearer(r *http.Request) *string {
	text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil
	}
	token, err := jwt.Parse(text, func(*jwt.Token) (any, error) { return a.secret, nil }, jwt.WithValidMethods([]string{"HS256"}))
	if err != nil {
		return nil
	}
	claims, _ := token.Claims.(jwt.MapClaims)
	if name, ok := claims["username"].(string); ok {
		return &name
	}
	return nil
}

func (a *app) save(name string, by *string) application {
	a.mu.Lock()
	defer a.mu.Unlock()
	one := application{len(a.saved) + 1, name, by}
	a.saved = append(a.saved, one)
	return one
}

func (a *app) all() []application {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.saved)
}

// arrived is how many requests have reached the application so far.
func (a *app) arrived() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reached
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // who asked may be gone
}
