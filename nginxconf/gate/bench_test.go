package gate

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkCheck is one check without the socket: with a small token, with one of the size that Conforma's have for
// a user with many permissions, and with one that is refused.
func BenchmarkCheck(b *testing.B) {
	var permissions []string
	for i := range 150 {
		permissions = append(permissions, fmt.Sprintf(`"pp%dpermission":"%d"`, i, i*7))
	}
	path := write(b, filepath.Join(b.TempDir(), "demo.env"), "PORT=8000\nJWT_SECRET='"+testSecret+"'\n", 0o600)
	later := func() time.Time { return time.Now().Add(time.Hour) } // than the file's time, so that it is remembered
	h := NewHandler([]SiteSource{{Policy: testPolicy(), Secrets: CachedFile(path, ReadEnvFile, later)}}, clock, slog.New(slog.DiscardHandler))
	good := mint(goodHeader, adminClaims(), testSecret)
	for _, bench := range []struct{ name, token string }{
		{"small", good},
		{"4kB", mint(goodHeader, adminClaims(permissions...), testSecret)},
		{"refused", good[:strings.LastIndexByte(good, '.')+1] + encode(strings.Repeat("x", 32))},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/check/demo", nil)
			r.Header.Set("Authorization", "Bearer "+bench.token)
			w := discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
