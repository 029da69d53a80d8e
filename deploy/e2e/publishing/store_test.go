package publishing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/s3server"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// TestBothStoresBehaveAlike holds both kinds of store, S3 being a real server, against one table of behaviour.
func TestBothStoresBehaveAlike(t *testing.T) {
	srv := s3server.Start(t)
	for name, value := range srv.Env() {
		t.Setenv(name, value)
	}
	srv.CreateBucket(t, "plain")
	srv.CreateBucket(t, "shared")
	dir := rig.Dir(t)
	for _, kind := range []struct{ name, url string }{
		{"dir", "dir:" + dir}, {"s3", "s3://plain"}, {"s3 prefix", "s3://shared/some/prefix"},
	} {
		for _, behaviour := range storeBehaviours {
			t.Run(kind.name+"/"+behaviour.name, func(t *testing.T) {
				s := s3server.OpenStore(t, kind.url, srv)
				behaviour.check(t, s)
				list, err := s.List(t.Context(), "")
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range list { // the next one starts with an empty store
					if err := s.Delete(t.Context(), o.Key); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
	t.Run("s3/more files than a listing has on one page", func(t *testing.T) {
		const files = 1050
		srv.CreateBucket(t, "many")
		s := s3server.OpenStore(t, "s3://many", srv)
		keys := make(chan string)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for key := range keys {
					if _, err := s.Put(t.Context(), key, nil, store.Meta{}, store.Always()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range files {
			keys <- fmt.Sprintf("many/%04d", i)
		}
		close(keys)
		wg.Wait()
		found, err := s.List(t.Context(), "many/")
		if len(found) != files || err != nil {
			t.Fatalf("%d of %d files are listed, %v", len(found), files, err)
		}
		for i, o := range found {
			if want := fmt.Sprintf("many/%04d", i); o.Key != want {
				t.Fatalf("file %d is %s, want %s", i, o.Key, want)
			}
		}
	})
	t.Run("s3/prefix keeps to itself", func(t *testing.T) {
		putIn(t, s3server.OpenStore(t, "s3://shared", srv), "some/prefix-2/x", "outside", store.Always())
		inside := s3server.OpenStore(t, "s3://shared/some/prefix", srv)
		putIn(t, inside, "x", "inside", store.Always())
		if got := keysIn(t, inside, ""); got != "x" {
			t.Errorf("below the prefix lies %q", got)
		}
		if got := keysIn(t, s3server.OpenStore(t, "s3://shared", srv), "some/prefix/"); got != "some/prefix/x" {
			t.Errorf("in the bucket lies %q", got)
		}
	})
}

func putIn(t *testing.T, s store.Store, key, content string, cond store.Condition) (etag string) {
	t.Helper()
	etag, err := s.Put(t.Context(), key, []byte(content), store.Meta{}, cond)
	if err != nil {
		t.Fatal(err)
	}
	return etag
}

func keysIn(t *testing.T, s store.Store, prefix string) string {
	t.Helper()
	found, err := s.List(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, o := range found {
		keys = append(keys, o.Key)
	}
	return strings.Join(keys, " ")
}

var storeBehaviours = []struct {
	name  string
	check func(t *testing.T, s store.Store)
}{
	{"what was put is what is got, listed and deleted", func(t *testing.T, s store.Store) {
		contents := map[string]string{
			"status.json": "{}", "demo/index.html": "<p>", "demo/ar/index.html": "", "demo-2/with space & ü%2f+.html": "x",
			"big": string(bytes.Repeat([]byte{0, 255, '\n'}, 1<<20)),
		}
		for key, content := range contents {
			if etag := putIn(t, s, key, content, store.Always()); etag != store.ContentETag([]byte(content)) {
				t.Errorf("put %s: ETag %s", key, etag)
			}
		}
		putIn(t, s, "demo/index.html", "<p>new", store.Always())
		contents["demo/index.html"] = "<p>new"
		for key, content := range contents {
			data, etag, err := s.Get(t.Context(), key)
			if string(data) != content || etag != store.ContentETag(data) || err != nil {
				t.Errorf("get %s = %d bytes, %s, %v", key, len(data), etag, err)
			}
		}
		found, err := s.List(t.Context(), "")
		if len(found) != len(contents) || err != nil {
			t.Errorf("list = %v, %v", found, err)
		}
		for _, o := range found {
			if content := contents[o.Key]; o.ETag != store.ContentETag([]byte(content)) || o.Size != int64(len(content)) {
				t.Errorf("list has %+v", o)
			}
		}
		for prefix, want := range map[string]string{
			"demo":     "demo-2/with space & ü%2f+.html demo/ar/index.html demo/index.html",
			"demo/":    "demo/ar/index.html demo/index.html",
			"demo/ar":  "demo/ar/index.html",
			"nothing/": "",
		} {
			if got := keysIn(t, s, prefix); got != want {
				t.Errorf("list %q = %q, want %q", prefix, got, want)
			}
		}
		for _, key := range []string{"demo/index.html", "demo/index.html", "never/was"} {
			if err := s.Delete(t.Context(), key); err != nil {
				t.Errorf("delete %s: %v", key, err)
			}
		}
		for _, key := range []string{"demo/index.html", "demo", "never/was"} {
			if _, _, err := s.Get(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("get %s: %v, want ErrNotFound", key, err)
			}
		}
	}},
	{"a condition that doesn't hold writes nothing", func(t *testing.T, s store.Store) {
		refused := func(cond store.Condition, when string) {
			t.Helper()
			if _, err := s.Put(t.Context(), "x", []byte("refused"), store.Meta{}, cond); !errors.Is(err, store.ErrPrecondition) {
				t.Errorf("%s: %v, want ErrPrecondition", when, err)
			}
		}
		refused(store.IfMatch(store.ContentETag(nil)), "match where nothing is")
		first := putIn(t, s, "x", "first", store.IfAbsent())
		refused(store.IfAbsent(), "absent where something is")
		second := putIn(t, s, "x", "second", store.IfMatch(first))
		refused(store.IfMatch(first), "stale")
		refused(store.IfMatch(""), "match with no ETag")
		if data, etag, err := s.Get(t.Context(), "x"); string(data) != "second" || etag != second || err != nil {
			t.Errorf("after all that: %q, %s, %v", data, etag, err)
		}
	}},
	{"concurrent increments lose nothing", func(t *testing.T, s store.Store) {
		const writers, times = 20, 3
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range times {
					if err := addOne(t.Context(), s); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if data, _, err := s.Get(t.Context(), "counter"); string(data) != strconv.Itoa(writers*times) || err != nil {
			t.Errorf("after %d increments the counter is at %s, %v", writers*times, data, err)
		}
	}},
}

// addOne adds one to the number in the store, by conditional puts only.
func addOne(ctx context.Context, s store.Store) error {
	for {
		data, etag, err := s.Get(ctx, "counter")
		cond := store.IfMatch(etag)
		if errors.Is(err, store.ErrNotFound) {
			data, cond, err = []byte("0"), store.IfAbsent(), nil
		}
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(data))
		if err != nil {
			return err
		}
		_, err = s.Put(ctx, "counter", []byte(strconv.Itoa(n+1)), store.Meta{}, cond)
		if !errors.Is(err, store.ErrPrecondition) {
			return err
		}
	}
}

// TestStoreServesFiles looks at a published file as a visitor's browser does.
func TestStoreServesFiles(t *testing.T) {
	srv := s3server.Start(t)
	for name, value := range srv.Env() {
		t.Setenv(name, value)
	}
	srv.CreateBucket(t, "plain")
	s := s3server.OpenStore(t, "s3://plain", srv)
	for _, cond := range []store.Condition{store.IfAbsent(), store.Always()} {
		meta := store.Meta{ContentType: "application/json; charset=utf-8", CacheControl: "no-cache"}
		etag, err := s.Put(t.Context(), "demo/status.json", []byte("{}\n"), meta, cond)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Get(srv.Endpoint + "/plain/demo/status.json")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		for header, want := range map[string]string{
			"Content-Type": meta.ContentType, "Cache-Control": meta.CacheControl, "ETag": `"` + etag + `"`, "Content-Length": "3",
		} {
			if got := resp.Header.Get(header); got != want {
				t.Errorf("%d, %s: %q, want %q", resp.StatusCode, header, got, want)
			}
		}
	}
}

// TestStoreFaults: what a real server's refusals come to, for each operation.
func TestStoreFaults(t *testing.T) {
	srv := s3server.Start(t)
	srv.CreateBucket(t, "plain")
	for _, c := range []struct {
		name, url, region string
		env               map[string]string
		is                error
		says, hint        string
	}{
		{"missing bucket", "s3://missing", "", nil, store.ErrNoBucket, `bucket "missing" does not exist`, "create the bucket"},
		{"wrong key id", "s3://plain", "", map[string]string{"AWS_ACCESS_KEY_ID": "AKIANOBODYKNOWSIT"}, store.ErrDenied, "key id is not known", "AWS_ACCESS_KEY_ID"},
		{"wrong secret", "s3://plain", "", map[string]string{"AWS_SECRET_ACCESS_KEY": "not/the/secret"}, store.ErrDenied, "secret access key doesn't belong", "AWS_SECRET_ACCESS_KEY"},
		{"no credentials", "s3://plain", "", map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, store.ErrDenied, "found no AWS credentials", "~/.aws/credentials"},
		{"wrong region", "s3://plain", "eu-west-1", nil, store.ErrWrongRegion, "is in region ap-southeast-2", `region = "ap-southeast-2"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, env := range []map[string]string{srv.Env(), c.env} {
				for name, value := range env {
					t.Setenv(name, value)
				}
			}
			asked := *srv
			if c.region != "" {
				asked.Region = c.region
			}
			s := s3server.OpenStore(t, c.url, &asked)
			_, _, getErr := s.Get(t.Context(), "x")
			_, putErr := s.Put(t.Context(), "x", []byte("x"), store.Meta{}, store.Always())
			_, condErr := s.Put(t.Context(), "x", []byte("x"), store.Meta{}, store.IfAbsent())
			_, listErr := s.List(t.Context(), "")
			deleteErr := s.Delete(t.Context(), "x")
			for verb, err := range map[string]error{"get": getErr, "put": putErr, "conditional put": condErr, "list": listErr, "delete": deleteErr} {
				if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || !strings.Contains(store.Hint(err), c.hint) {
					t.Errorf("%s: %v (hint: %s)", verb, err, store.Hint(err))
					continue
				}
				for _, secret := range []string{srv.KeyID, srv.Secret, "AKIANOBODYKNOWSIT", "not/the/secret", "Signature="} {
					if strings.Contains(err.Error()+store.Hint(err), secret) {
						t.Errorf("%s: the error gives away %s: %v", verb, secret, err)
					}
				}
			}
		})
	}
}
