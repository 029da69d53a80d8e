package store

import (
	"errors"
	"io"
	"net/http"
	"testing"
)

// TestMayOverwrite: a server that would write says so by refusing the digest, which comes after the rights.
func TestMayOverwrite(t *testing.T) {
	awsEnv(t, testKeyID, testSecret)
	for name, c := range map[string]struct {
		status int // 200 for a server that doesn't look at the digest
		code   string
		may    bool
		is     error
	}{
		"it may":              {status: 400, code: "BadDigest", may: true},
		"it may not":          {status: 403, code: "AccessDenied"},
		"there is no bucket":  {status: 404, code: "NoSuchBucket", is: ErrNoBucket},
		"nobody looks at it":  {status: 200, may: true, is: ErrWritten},
		"it isn't understood": {status: 400, code: "InvalidDigest", is: ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			url, requests := badServer(t, func(_ int, w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("If-Match") != "" || r.Header.Get("If-None-Match") != "" || r.Header.Get("Content-MD5") == "" {
					t.Errorf("it is asked with %v", r.Header)
				}
				_, _ = io.Copy(io.Discard, r.Body)
				if c.code != "" {
					refuse(w, r, c.status, c.code, "")
				}
			})
			may, err := openS3(t, url, 0).(Guarded).MayOverwrite(t.Context(), "demo/x", []byte("x"))
			if may != c.may || !errors.Is(err, c.is) || requests.Load() != 1 {
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
