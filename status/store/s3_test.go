package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	testKeyID  = "AKIATESTTESTTESTTEST"
	testSecret = "hunter2/hunter2/hunter2"
)

// awsEnv makes the SDK's default chain find the test's credentials and nothing of this machine's.
func awsEnv(t *testing.T, keyID, secret string) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": keyID, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_PROFILE": "",
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
		"AWS_MAX_ATTEMPTS": "", "AWS_RETRY_MODE": "",
	} {
		t.Setenv(name, value)
	}
}

// badServer answers every request with handler, which is told how many came before it.
func badServer(t *testing.T, handler func(n int, w http.ResponseWriter, r *http.Request)) (url string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1) - 1
		io.Copy(io.Discard, r.Body)
		handler(int(n), w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, requests
}

// refuse answers as S3 does, quoting in its message what must not be repeated.
func refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s %s</Message><AWSAccessKeyId>%s</AWSAccessKeyId><StringToSign>%s</StringToSign></Error>`,
		code, message, r.Header.Get("Authorization"), testKeyID, testSecret)
}

func openS3(t *testing.T, endpoint string, bound time.Duration) Store {
	t.Helper()
	s, err := Open("s3://bucket/pre", S3Options{Region: "eu-west-1", Endpoint: endpoint, PathStyle: true})
	must(t, err)
	if bound > 0 {
		s.(*s3Store).timeout = bound
	}
	return s
}

// plain fails the test when err says anything that nobody but S3 may know.
func plain(t *testing.T, err error) {
	t.Helper()
	text := fmt.Sprintf("%v %s", err, Hint(err))
	for _, secret := range []string{testKeyID, "hunter2", "Signature=", "Credential="} {
		if strings.Contains(text, secret) {
			t.Errorf("the error gives away %q: %s", secret, text)
		}
	}
}

func TestS3Refusals(t *testing.T) {
	awsEnv(t, testKeyID, testSecret)
	region := func(w http.ResponseWriter) { w.Header().Set("x-amz-bucket-region", "ap-southeast-2") }
	for _, c := range []struct {
		status   int
		code     string
		message  string
		header   func(http.ResponseWriter)
		is       error
		says     string
		hint     string
		requests int64
	}{
		{status: 403, code: "AccessDenied", is: ErrDenied, says: "access denied (bucket bucket)", hint: "s3:PutObject", requests: 1},
		{status: 403, code: "InvalidAccessKeyId", is: ErrDenied, says: "key id is not known", hint: "AWS_ACCESS_KEY_ID", requests: 1},
		{status: 403, code: "SignatureDoesNotMatch", is: ErrDenied, says: "secret access key doesn't belong", hint: "AWS_SECRET_ACCESS_KEY", requests: 1},
		{status: 400, code: "ExpiredToken", is: ErrDenied, says: "expired", hint: "sign in again", requests: 1},
		{status: 403, code: "RequestTimeTooSkewed", is: ErrDenied, says: "clock", hint: "timedatectl", requests: 1},
		{status: 403, code: "SomethingNew", is: ErrDenied, says: "403, SomethingNew", hint: "s3:PutObject", requests: 1},
		{status: 403, code: "Quoted " + testSecret, is: ErrDenied, says: "403, no code", hint: "s3:PutObject", requests: 1},
		{status: 404, code: "NoSuchBucket", is: ErrNoBucket, says: `bucket "bucket" does not exist`, hint: "create the bucket", requests: 1},
		{status: 404, code: "NoSuchKey", is: ErrNotFound, says: "not found", requests: 1},
		{status: 404, code: "Page not found", is: ErrUnavailable, says: "answered 404 (no code)", hint: "endpoint", requests: 1},
		{status: 301, code: "PermanentRedirect", header: region, is: ErrWrongRegion, says: "is in region ap-southeast-2", hint: `region = "ap-southeast-2"`, requests: 1},
		{status: 301, code: "PermanentRedirect", is: ErrWrongRegion, says: "is in another region", hint: "region", requests: 1},
		{status: 400, code: "AuthorizationHeaderMalformed", message: "the region 'eu-west-1' is wrong; expecting 'us-west-2'", is: ErrWrongRegion, says: "is in region us-west-2", hint: `region = "us-west-2"`, requests: 1},
		{status: 409, code: "OperationAborted", is: ErrUnavailable, says: "answered 409 (OperationAborted)", requests: 1},
		{status: 501, code: "NotImplemented", is: ErrUnavailable, says: "conditional writes", hint: "directory kind", requests: 1},
		{status: 500, code: "InternalError", is: ErrUnavailable, says: "answered 500 (InternalError)", requests: 3},
		{status: 503, code: "SlowDown", is: ErrUnavailable, says: "answered 503 (SlowDown)", requests: 3},
	} {
		t.Run(fmt.Sprint(c.status, c.code), func(t *testing.T) {
			t.Parallel() // most of the time goes into waiting before further attempts
			url, requests := badServer(t, func(_ int, w http.ResponseWriter, r *http.Request) {
				if c.header != nil {
					c.header(w)
				}
				refuse(w, r, c.status, c.code, c.message)
			})
			s := openS3(t, url, 0)
			_, _, err := s.Get(t.Context(), "demo/x")
			if !errors.Is(err, c.is) || !strings.HasPrefix(err.Error(), "read demo/x in s3://bucket/pre: ") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("get: %v, want %v: %q", err, c.is, c.says)
			}
			if !strings.Contains(Hint(err), c.hint) {
				t.Errorf("hint %q, want %q", Hint(err), c.hint)
			}
			if n := requests.Load(); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
			plain(t, err)
			// The other operations say the same, but a file that isn't there can be deleted.
			_, err = s.Put(t.Context(), "demo/x", nil, Meta{}, Always())
			if !errors.Is(err, c.is) {
				t.Errorf("put: %v, want %v", err, c.is)
			}
			plain(t, err)
			if _, err = s.List(t.Context(), ""); !errors.Is(err, c.is) {
				t.Errorf("list: %v, want %v", err, c.is)
			}
			if err = s.Delete(t.Context(), "demo/x"); c.is == ErrNotFound && err != nil || c.is != ErrNotFound && !errors.Is(err, c.is) {
				t.Errorf("delete: %v, want %v", err, c.is)
			}
		})
	}
}

func TestS3Unreachable(t *testing.T) {
	awsEnv(t, testKeyID, testSecret)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	refused := l.Addr().String()
	must(t, l.Close())

	release := make(chan struct{})
	hangs, _ := badServer(t, func(_ int, _ http.ResponseWriter, _ *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	breaksOff, _ := badServer(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Write([]byte("half"))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	tls := httptest.NewUnstartedServer(nil)
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	t.Cleanup(tls.Close)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()

	for _, c := range []struct {
		name, endpoint string
		ctx            context.Context
		bound          time.Duration
		also           error
		says           string
	}{
		{"refused", "http://" + refused, t.Context(), 0, ErrUnavailable, refused + " refuses connections"},
		{"hangs", hangs, t.Context(), 200 * time.Millisecond, context.DeadlineExceeded, strings.TrimPrefix(hangs, "http://") + " did not answer in time"},
		{"breaks off", breaksOff, t.Context(), 0, ErrUnavailable, strings.TrimPrefix(breaksOff, "http://") + " broke off in the middle of an answer"},
		{"untrusted certificate", tls.URL, t.Context(), 0, ErrUnavailable, "shows a certificate that isn't trusted"},
		{"interrupted", hangs, canceled, 0, context.Canceled, "interrupted"},
	} {
		s := openS3(t, c.endpoint, c.bound)
		_, _, err := s.Get(c.ctx, "x")
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, c.also) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
		plain(t, err)
	}

	if _, err := openS3(t, breaksOff, 0).List(t.Context(), ""); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "broke off") {
		t.Errorf("a list that breaks off: %v", err)
	}
	notS3, _ := badServer(t, func(_ int, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Welcome to nginx!") })
	if _, err := openS3(t, notS3, 0).List(t.Context(), ""); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "isn't S3's") {
		t.Errorf("a server that isn't S3: %v", err)
	}
}

func TestS3BeforeAnyRequest(t *testing.T) {
	inFile := func(line string) func(*testing.T) {
		return func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "credentials")
			write(t, name, "[default]\n"+line+"\n")
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", name)
		}
	}
	for _, c := range []struct {
		name       string
		env        func(t *testing.T)
		opts       S3Options
		is         error
		says, hint string
	}{
		{"no credentials", func(t *testing.T) {}, S3Options{Region: "eu-west-1"}, ErrDenied, "found no AWS credentials", "role of the instance"},
		{"no region", func(t *testing.T) {}, S3Options{}, ErrWrongRegion, "no region", "AWS_REGION"},
		{"no such profile", func(t *testing.T) { t.Setenv("AWS_PROFILE", "hunter2") }, S3Options{Region: "eu-west-1"}, ErrDenied, "configuration of this user", "aws sts"},
		{"half a key", inFile("aws_access_key_id = " + testKeyID), S3Options{Region: "eu-west-1"}, ErrDenied, "configuration of this user", "aws sts"},
		{"failing process", inFile("credential_process = /nonexistent/hunter2"), S3Options{Region: "eu-west-1"}, ErrDenied, "found no AWS credentials", "AWS_ACCESS_KEY_ID"},
	} {
		t.Run(c.name, func(t *testing.T) {
			awsEnv(t, "", "")
			c.env(t)
			s, err := Open("s3://bucket", c.opts)
			must(t, err)
			_, _, err = s.Get(t.Context(), "x")
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || !strings.Contains(Hint(err), c.hint) {
				t.Errorf("%v (hint: %s)", err, Hint(err))
			}
			plain(t, err)
		})
	}
}

// bucketOfOne is an S3 server with room for one object, which loses answers and refuses in passing.
type bucketOfOne struct {
	etag, id string
	puts     int
	before   func(n int, w http.ResponseWriter, r *http.Request) (done bool) // before put n is looked at
	after    func(n int, w http.ResponseWriter)                              // after put n was done, before its answer
}

func (b *bucketOfOne) serve(_ int, w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodHead && b.etag == "":
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodHead:
		w.Header().Set("ETag", `"`+b.etag+`"`)
		w.Header().Set("x-amz-meta-write-id", b.id)
	case r.Method == http.MethodPut:
		b.puts++
		if b.before != nil && b.before(b.puts, w, r) {
			return
		}
		match := r.Header.Get("If-Match")
		switch {
		case match != "" && b.etag == "":
			refuse(w, r, 404, "NoSuchKey", "")
		case match != "" && match != `"`+b.etag+`"`, r.Header.Get("If-None-Match") == "*" && b.etag != "":
			refuse(w, r, 412, "PreconditionFailed", "")
		default:
			b.etag, b.id = fmt.Sprintf("etag%d", b.puts), r.Header.Get("x-amz-meta-write-id")
			if b.after != nil {
				b.after(b.puts, w)
			}
			w.Header().Set("ETag", `"`+b.etag+`"`)
		}
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func TestS3ConditionalPut(t *testing.T) {
	awsEnv(t, testKeyID, testSecret)
	conflict := func(times int) func(int, http.ResponseWriter, *http.Request) bool {
		return func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n <= times {
				refuse(w, r, 409, "ConditionalRequestConflict", "")
			}
			return n <= times
		}
	}
	lose := func(n int, _ http.ResponseWriter) {
		if n == 1 {
			panic(http.ErrAbortHandler)
		}
	}
	for _, c := range []struct {
		name   string
		bucket bucketOfOne
		cond   Condition
		etag   string
		is     error
		puts   int
	}{
		{name: "absent, and is", cond: IfAbsent(), etag: "etag1", puts: 1},
		{name: "absent, but is there", bucket: bucketOfOne{etag: "other"}, cond: IfAbsent(), is: ErrPrecondition, puts: 1},
		{name: "match", bucket: bucketOfOne{etag: "old"}, cond: IfMatch("old"), etag: "etag1", puts: 1},
		{name: "match, quoted", bucket: bucketOfOne{etag: "old"}, cond: IfMatch(`"old"`), etag: "etag1", puts: 1},
		{name: "stale", bucket: bucketOfOne{etag: "other"}, cond: IfMatch("old"), is: ErrPrecondition, puts: 1},
		{name: "match, but gone", cond: IfMatch("old"), is: ErrPrecondition, puts: 1},
		{name: "match with nothing", bucket: bucketOfOne{etag: "old"}, cond: IfMatch(""), is: ErrPrecondition, puts: 0},
		{name: "409, then 200", bucket: bucketOfOne{etag: "old", before: conflict(1)}, cond: IfMatch("old"), etag: "etag2", puts: 2},
		{name: "409 for ever", bucket: bucketOfOne{etag: "old", before: conflict(9)}, cond: IfMatch("old"), is: ErrPrecondition, puts: 3},
		{name: "lost answer, match", bucket: bucketOfOne{etag: "old", after: lose}, cond: IfMatch("old"), etag: "etag1", puts: 2},
		{name: "lost answer, absent", bucket: bucketOfOne{after: lose}, cond: IfAbsent(), etag: "etag1", puts: 2},
		{name: "lost answer, always", bucket: bucketOfOne{after: lose}, cond: Always(), etag: "etag2", puts: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url, _ := badServer(t, c.bucket.serve)
			etag, err := openS3(t, url, 0).Put(t.Context(), "x", []byte("data"), Meta{}, c.cond)
			if etag != c.etag || !errors.Is(err, c.is) || c.bucket.puts != c.puts {
				t.Errorf("put = %q, %v after %d attempts; want %q, %v after %d", etag, err, c.bucket.puts, c.etag, c.is, c.puts)
			}
		})
	}

	// Somebody else wrote the same content while our first attempt failed: theirs, not ours.
	b := &bucketOfOne{etag: "old"}
	b.before = func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n == 1 {
			b.etag, b.id = ContentETag([]byte("data")), "theirs"
			panic(http.ErrAbortHandler)
		}
		return false
	}
	url, _ := badServer(t, b.serve)
	if etag, err := openS3(t, url, 0).Put(t.Context(), "x", []byte("data"), Meta{}, IfMatch("old")); !errors.Is(err, ErrPrecondition) {
		t.Errorf("a write of the same content by somebody else counts as ours: %q, %v", etag, err)
	}
}

// TestS3List: what is no key is left out, and a server that sends the same page for ever is found out.
func TestS3List(t *testing.T) {
	awsEnv(t, testKeyID, testSecret)
	for _, truncated := range []bool{false, true} {
		url, requests := badServer(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `<ListBucketResult><IsTruncated>%v</IsTruncated><NextContinuationToken>t</NextContinuationToken>
				<Contents><Key>pre/a/b</Key><ETag>"e"</ETag><Size>1</Size></Contents>
				<Contents><Key>pre/a/</Key></Contents><Contents><Key>pre/a/.b</Key></Contents><Contents><Key>pre/a//b</Key></Contents></ListBucketResult>`, truncated)
		})
		list, err := openS3(t, url, 0).List(t.Context(), "a")
		if truncated && (!errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "isn't S3's") || requests.Load() != 2) {
			t.Errorf("a list without end: %v, %v after %d requests", list, err, requests.Load())
		}
		if !truncated && (err != nil || len(list) != 1 || list[0] != Object{Key: "a/b", ETag: "e", Size: 1}) {
			t.Errorf("list = %v, %v", list, err)
		}
	}
}
