package store

import (
	"errors"
	"io"
	"net/http"
	"testing"
)

// TestMayOverwrite: a server that would write says so by refusing the digest, which comes after the rights. Before that
// it has shown that it looks at the digest, where nobody's write can be lost.
func TestMayOverwrite(t *testing.T) {
	awsEnv(t, testKeyID, testSecret)
	type answer struct {
		status int // 200 for a server that doesn't look at the digest
		code   string
	}
	digest, denied := answer{400, "BadDigest"}, answer{403, "AccessDenied"}
	for name, c := range map[string]struct {
		answers []answer // to the write with a condition, and to that without
		may     bool
		is      error
	}{
		"it may":                       {answers: []answer{digest, digest}, may: true},
		"it may not":                   {answers: []answer{denied}},
		"it may only with a condition": {answers: []answer{digest, denied}},
		"there is no bucket":           {answers: []answer{{404, "NoSuchBucket"}}, is: ErrNoBucket},
		"there is another version":     {answers: []answer{{412, "PreconditionFailed"}}, is: ErrPrecondition},
		"nobody looks at the digest":   {answers: []answer{{200, ""}}, is: ErrWritten},
		"the digest isn't understood":  {answers: []answer{{400, "InvalidDigest"}}, is: ErrUnavailable},
		"only the first is understood": {answers: []answer{digest, {400, "InvalidDigest"}}, is: ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			url, requests := badServer(t, func(n int, w http.ResponseWriter, r *http.Request) {
				match := ""
				if n == 0 {
					match = `"1"`
				}
				if r.Header.Get("If-Match") != match || r.Header.Get("Content-MD5") == "" || r.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("request %d has %v", n, r.Header)
				}
				_, _ = io.Copy(io.Discard, r.Body)
				if a := c.answers[min(n, len(c.answers)-1)]; a.code != "" {
					refuse(w, r, a.status, a.code, "")
				}
			})
			may, err := openS3(t, url, 0).(Guarded).MayOverwrite(t.Context(), "demo/x", []byte("x"), Meta{CacheControl: "no-store"}, "1")
			if may != c.may || !errors.Is(err, c.is) || int(requests.Load()) != len(c.answers) {
				t.Errorf("%v, %v after %d requests", may, err, requests.Load())
			}
		})
	}
}

// TestToAnyone: no request has a signature.
func TestToAnyone(t *testing.T) {
	awsEnv(t, testKeyID, testSecret)
	url, requests := badServer(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("it is signed: %v", r.Header)
		}
		refuse(w, r, 403, "AccessDenied", "")
	})
	anyone := openS3(t, url, 0).(Guarded).ToAnyone()
	if _, _, err := anyone.Get(t.Context(), "demo/x"); !errors.Is(err, ErrDenied) {
		t.Error(err)
	}
	if _, err := anyone.List(t.Context(), "demo/"); !errors.Is(err, ErrDenied) || requests.Load() != 2 {
		t.Errorf("%v after %d requests", err, requests.Load())
	}
}
