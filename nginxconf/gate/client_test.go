package gate

import (
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestClient(t *testing.T) {
	secret := strings.Repeat("s", minSecret)
	site := SiteSource{
		Policy:  testPolicy(),
		Secrets: func() ([]Secret, error) { return []Secret{Secret(secret)}, nil },
	}
	ask := Client{Socket: serveAt(t, Count(NewHandler([]SiteSource{site}, func() time.Time { return testNow }, slog.New(slog.DiscardHandler)), []string{"demo"}))}
	if err := ask.Answers(t.Context()); err != nil {
		t.Errorf("the gate is not seen to answer: %v", err)
	}
	for token, want := range map[string]int{"no-token": http.StatusUnauthorized, mint(`{"alg":"HS256"}`, adminClaims(), secret): http.StatusNoContent} {
		if code, err := ask.Check(t.Context(), "demo", token); err != nil || code != want {
			t.Errorf("a token is answered %d (%v), want %d", code, err, want)
		}
	}
	if metrics, err := ask.Metrics(t.Context()); err != nil || !strings.Contains(string(metrics), `site="demo"`) {
		t.Errorf("metrics: %q (%v)", metrics, err)
	}

	older := Client{Socket: serveAt(t, http.NotFoundHandler())}
	if err := older.Answers(t.Context()); err == nil || err.Error() != "it answers 404 Not Found" {
		t.Errorf("something else than a gate: %v", err)
	}
	if metrics, err := older.Metrics(t.Context()); metrics != nil || err != nil {
		t.Errorf("metrics of a gate that has none: %q (%v)", metrics, err)
	}

	nobody := Client{Socket: filepath.Join(shortDir(t), "gate.sock")}
	if err := nobody.Answers(t.Context()); err == nil {
		t.Error("it answers where nobody listens")
	}
	if _, err := nobody.Metrics(t.Context()); err == nil {
		t.Error("it has metrics where nobody listens")
	}
}

// serveAt answers on a unix socket, whose path it returns.
func serveAt(t *testing.T, h http.Handler) string {
	t.Helper()
	path := filepath.Join(shortDir(t), "gate.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(l) }() // until it is closed
	t.Cleanup(func() { server.Close() })
	return path
}
