package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const (
	visitTimeout = patience // of one request
	visitLimit   = 1 << 20  // bytes of an answer that are read
)

// visitor asks as a browser at the application would.
type visitor struct {
	app   string // URL without a slash at the end
	token string // sent with what a script asks for; "" before signing in
}

type answer struct {
	code   int
	header http.Header
	body   []byte
}

// visits makes each request on a connection of its own and follows no redirect.
var visits = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       visitTimeout,
}

func visit(ctx context.Context, method, url string, header map[string]string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := visits.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, visitLimit))
	return answer{resp.StatusCode, resp.Header, data}, err
}

// navigate opens a page.
func navigate(ctx context.Context, url string) (answer, error) {
	return visit(ctx, http.MethodGet, url, map[string]string{"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}, nil)
}

// fetch gets what a page needs.
func fetch(ctx context.Context, url string) (answer, error) {
	return visit(ctx, http.MethodGet, url, map[string]string{"Accept": "*/*", "Sec-Fetch-Mode": "cors"}, nil)
}

// post sends JSON as the application's script does.
func (v *visitor) post(ctx context.Context, path string, body any) (answer, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	header := map[string]string{"Accept": "*/*", "Content-Type": "application/json", "Sec-Fetch-Mode": "cors", "Origin": v.app}
	if v.token != "" {
		header["Authorization"] = "Bearer " + v.token
	}
	return visit(ctx, http.MethodPost, v.app+path, header, data)
}

func (v *visitor) query(ctx context.Context) (answer, error) {
	return v.post(ctx, "/server/graphql?dev=getApplications", map[string]any{"operationName": "getApplications"})
}

func (v *visitor) save(ctx context.Context, name string) (answer, error) {
	return v.post(ctx, "/server/graphql?dev=saveApplication",
		map[string]any{"operationName": "saveApplication", "variables": map[string]string{"name": name}})
}

// signIn keeps the token that the application hands out.
func (v *visitor) signIn(ctx context.Context, name string) error {
	a, err := v.post(ctx, "/server/api/public/login", map[string]string{"username": name, "password": "demo"})
	if err != nil {
		return err
	}
	if err := a.isOpen("application/json"); err != nil {
		return err
	}
	var body struct{ JWT string }
	if err := json.Unmarshal(a.body, &body); err != nil {
		return err
	}
	if body.JWT == "" {
		return errors.New("there is no token in the answer")
	}
	v.token = body.JWT
	return nil
}

// isOpen returns what is wrong with an answer that should be the application's.
func (a answer) isOpen(contentType string) error {
	return firstOf(sameNumber("status", a.code, http.StatusOK), func() error { return a.hasType(contentType) })
}

// hasType looks at the media type without its parameters.
func (a answer) hasType(want string) error {
	got, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	return sameText("Content-Type", got, want)
}

func (a answer) hasHeader(name, want string) error { return sameText(name, a.header.Get(name), want) }

func sameText(what, got, want string) error {
	if got != want {
		return fmt.Errorf("%s: got %q, want %q", what, got, want)
	}
	return nil
}

func sameNumber(what string, got, want int) error {
	if got != want {
		return fmt.Errorf("%s: got %d, want %d", what, got, want)
	}
	return nil
}

// firstOf returns err, or what the first of the further checks that fails says.
func firstOf(err error, further ...func() error) error {
	for _, check := range further {
		if err != nil {
			return err
		}
		err = check()
	}
	return err
}
