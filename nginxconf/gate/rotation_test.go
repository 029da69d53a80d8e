package gate

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestRotationWithoutRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "demo.env")
	line := func(secret string) string { return "PORT=8000\nJWT_SECRET='" + secret + "'\n" }
	sites := []SiteSource{{Policy: testPolicy(), Secrets: CachedFile(path, ReadEnvFile, func() time.Time { return time.Now().Add(time.Hour) })}}
	log, logger := newLog()
	socket, _ := start(t, sites, logger)
	client := clientOf(t, socket)
	first := mint(goodHeader, adminClaims(), testSecret)
	second := mint(goodHeader, adminClaims(), otherSecret)
	expect := func(when string, wantFirst, wantSecond int) {
		t.Helper()
		for range 2 { // read, and remembered
			if a, b := ask(t, client, "demo", first), ask(t, client, "demo", second); a != wantFirst || b != wantSecond {
				t.Errorf("%s: %d and %d, want %d and %d", when, a, b, wantFirst, wantSecond)
			}
		}
	}
	expect("no file yet", 401, 401)
	write(t, path, line(testSecret), 0o600)
	expect("the first secret", 204, 401)
	write(t, path, line(otherSecret), 0o600)
	expect("the second", 401, 204)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	expect("open to others", 401, 401)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	expect("closed again", 401, 204)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("removed", 401, 401)
	write(t, path, line("devsecret"), 0o600)
	expect("the default", 401, 401)
	write(t, path, line(testSecret), 0o600)
	expect("the first again", 204, 401)
	checkNoLeak(t, log.take(), first, second)
}

// Several at once, while the secret changes: for go test -race.
func TestConcurrentChecks(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "secret"), testSecret, 0o600)
	later := func() time.Time { return time.Now().Add(time.Hour) } // than the file's time, so that it is remembered
	sites := []SiteSource{{Policy: testPolicy(), Secrets: CachedFile(path, ReadSecretFile, later)}}
	_, logger := newLog()
	h := NewHandler(sites, clock, logger)
	var group sync.WaitGroup
	for _, secret := range []string{testSecret, otherSecret} {
		token := mint(goodHeader, adminClaims(), secret)
		group.Go(func() {
			for range 200 {
				r := httptest.NewRequest("GET", "/check/demo", nil)
				r.Header.Set("Authorization", "Bearer "+token)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != 204 && w.Code != 401 {
					t.Errorf("got %d", w.Code)
				}
			}
		})
	}
	for i := range 50 {
		write(t, path+".new", []string{otherSecret, testSecret}[i%2], 0o600)
		if err := os.Rename(path+".new", path); err != nil {
			t.Error(err)
		}
	}
	group.Wait()
}
