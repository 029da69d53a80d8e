package store

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, c := range []struct {
		url      string
		kind     Kind
		location string
		fault    string // part of the error
	}{
		{url: "dir:/srv/www", kind: Dir, location: "/srv/www"},
		{url: "dir:/srv/../var//www/", kind: Dir, location: "/var/www"},
		{url: "dir:/with space/ü", kind: Dir, location: "/with space/ü"},
		{url: "s3://conforma-maintenance", kind: S3, location: "conforma-maintenance"},
		{url: "s3://conforma-maintenance/", kind: S3, location: "conforma-maintenance"},
		{url: "s3://maintenance.example.org/a/b/", kind: S3, location: "maintenance.example.org/a/b"},

		{url: "", fault: "unknown kind"},
		{url: "/srv/www", fault: "unknown kind"},
		{url: "https://example.org", fault: "unknown kind"},
		{url: "S3://bucket", fault: "unknown kind"},
		{url: "dir:", fault: "not absolute"},
		{url: "dir:srv/www", fault: "not absolute"},
		{url: "dir:///srv/www", fault: "too many slashes"},
		{url: "dir:/", fault: "root of the file system"},
		{url: "dir:/srv/..", fault: "root of the file system"},
		{url: "dir:/srv\x00", fault: "control character"},
		{url: "s3://", fault: "not a bucket name"},
		{url: "s3://ab", fault: "not a bucket name"},
		{url: "s3://" + long, fault: "not a bucket name"},
		{url: "s3://Bucket", fault: "not a bucket name"},
		{url: "s3://a..b", fault: "not a bucket name"},
		{url: "s3://192.168.0.1", fault: "not a bucket name"},
		{url: "s3://bucket?region=x", fault: "not a bucket name"},
		{url: "s3://AKIAEXAMPLE:hunter2@bucket", fault: "credentials"},
		{url: "s3://bucket//x", fault: "prefix in the bucket"},
		{url: "s3://bucket/../x", fault: "prefix in the bucket"},
	} {
		kind, location, err := ParseURL(c.url)
		if c.fault == "" {
			if err != nil || kind != c.kind || location != c.location {
				t.Errorf("ParseURL(%q) = %q, %q, %v; want %q, %q", c.url, kind, location, err, c.kind, c.location)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.fault) {
			t.Errorf("ParseURL(%q) says %v, want %q in it", c.url, err, c.fault)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ParseURL(%q) repeats a secret: %v", c.url, err)
		}
	}
}

func TestOpenRefusesEndpoints(t *testing.T) {
	for endpoint, fault := range map[string]string{
		"127.0.0.1:7070":            "not an absolute http or https URL",
		"ftp://example.org":         "not an absolute http or https URL",
		"http://":                   "not an absolute http or https URL",
		"http://key:hunter2@s3.org": "holds credentials",
		"http://s3.org/?x=hunter2":  "holds a query",
	} {
		_, err := Open("s3://bucket", S3Options{Endpoint: endpoint})
		if err == nil || !strings.Contains(err.Error(), fault) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("endpoint %q: %v, want %q", endpoint, err, fault)
		}
	}
}

// badKeys are refused by both kinds of store, for every operation.
var badKeys = []string{
	"", "/", "/etc/passwd", "a//b", "a/", "./a", "..", "../a", "a/../b", "a/..", ".hidden", "a/.hidden/b",
	`a\b`, `..\a`, "a\x00b", "a\nb", "a\x7fb", "\xff", strings.Repeat("a/", 250) + "a", strings.Repeat("a", 251),
}

func TestBadKeys(t *testing.T) {
	for _, url := range []string{"dir:" + t.TempDir(), "s3://bucket"} {
		s, err := Open(url, S3Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range badKeys {
			_, _, errGet := s.Get(t.Context(), key)
			_, errPut := s.Put(t.Context(), key, nil, Meta{}, Always())
			errDelete := s.Delete(t.Context(), key)
			for verb, err := range map[string]error{"get": errGet, "put": errPut, "delete": errDelete} {
				if !errors.Is(err, ErrKey) {
					t.Errorf("%s: %s %q: %v, want ErrKey", url, verb, key, err)
				}
			}
		}
		for _, prefix := range []string{"/", "../", "a//", ".a"} {
			if _, err := s.List(t.Context(), prefix); !errors.Is(err, ErrKey) {
				t.Errorf("%s: list %q: %v, want ErrKey", url, prefix, err)
			}
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"dir:/srv/www", "s3://bucket/a/b", "s3://a:b@c", "dir:/..", "s3://bucket/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, url string) {
		kind, location, err := ParseURL(url)
		if err != nil {
			return
		}
		again := "dir:" + location
		if kind == S3 {
			again = "s3://" + location
		} else if !filepath.IsAbs(location) || location == "/" {
			t.Errorf("ParseURL(%q) leads to the directory %q", url, location)
		}
		if k, l, err := ParseURL(again); k != kind || l != location || err != nil {
			t.Errorf("ParseURL(%q) = %q, %q, but ParseURL(%q) = %q, %q, %v", url, kind, location, again, k, l, err)
		}
	})
}

// FuzzKey writes under any key whatever: the file is found again under that key, or the key is refused,
// and nothing outside the store changes.
func FuzzKey(f *testing.F) {
	for _, key := range append(badKeys, "demo/index.html", "status.json", "a b/%2e%2e/ü") {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		outside := t.TempDir()
		inside := filepath.Join(outside, "store")
		mkdir(t, inside)
		s := dirAt(inside)
		ctx := context.Background()
		_, err := s.Put(ctx, key, []byte("x"), Meta{}, IfAbsent())
		if err == nil {
			list, err := s.List(ctx, "")
			if err != nil || len(list) != 1 || list[0].Key != key || list[0].Size != 1 {
				t.Errorf("after writing %q the store lists %v, %v", key, list, err)
			}
		} else if !errors.Is(err, ErrKey) {
			t.Errorf("put %q: %v", key, err)
		}
		filepath.WalkDir(outside, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				t.Error(err)
			} else if !entry.IsDir() && !strings.HasPrefix(name, inside+"/") {
				t.Errorf("put %q wrote %s", key, name)
			}
			return nil
		})
	})
}
