package publishing

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// publishThroughFaults publishes one version after the other, killed at random or with a store that fails at random,
// and in the end undisturbed.
func publishThroughFaults(t *testing.T, kills int) {
	p := newPublisher(t)
	p.chance = rig.NewChance(t)
	began := time.Now()
	p.CLI(t, "publish", "--prune").Want(t, 0)
	whole := time.Since(began)
	stop := p.watch(t, "demo")
	killed, failed := 0, 0
	for i := 0; killed < kills; i++ {
		p.write(t, i+1)
		p.mu.Lock()
		p.failing = i%2 == 1
		p.mu.Unlock()
		r := p.Start(t, rig.Call{Args: []string{"publish", "--prune"}})
		if i%2 == 0 {
			time.Sleep(time.Duration(p.chance.IntN(int(whole))))
			r.Signal(syscall.SIGKILL)
		}
		switch res := r.Wait(t); {
		case res.Code == -1:
			killed++
		case res.Code == 1:
			failed++
			if !strings.Contains(res.Stderr, "hint: ") {
				t.Errorf("it fails with %s", res.Stderr)
			}
		case res.Code != 0:
			t.Errorf("it ends with %d: %s", res.Code, res.Stderr)
		}
	}
	p.mu.Lock()
	p.failing = false
	p.mu.Unlock()
	p.CLI(t, "publish", "--prune").Want(t, 0)
	stop()
	p.isAsBuilt(t)
	t.Logf("killed %d times, failed %d times", killed, failed)
}

func TestPublishThroughFaults(t *testing.T) {
	t.Parallel()
	publishThroughFaults(t, 3)
}

// TestPublishSendsWhatChanged: nothing where nothing has, and one listing tells.
func TestPublishSendsWhatChanged(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	publish := func(lists, puts int) {
		t.Helper()
		p.mu.Lock()
		p.lists, p.puts = 0, nil
		p.mu.Unlock()
		p.CLI(t, "publish").Want(t, 0)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.lists != lists || len(p.puts) != puts {
			t.Errorf("%d listings and %d writes, want %d and %d: %q", p.lists, len(p.puts), lists, puts, p.puts)
		}
	}
	sites := strings.Count(rig.ReadFile(t, p.Config), "[[site]]")
	publish(1, sites*(4+3+1)) // parts, pages and the status of each
	p.isAsBuilt(t)
	publish(1, 0)
	rig.WriteFile(t, filepath.Join(p.content, "index.pt.md"), "---\ntitle: Outra\n---\n")
	publish(1, sites)
	publish(1, 0)
}

// TestPublishMendsHeaders has somebody change nothing but the headers of files in the bucket: what the world sees
// otherwise for that is sent again, once.
func TestPublishMendsHeaders(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	p.CLI(t, "publish").Want(t, 0)
	publish := func(puts ...string) {
		t.Helper()
		p.mu.Lock()
		p.puts, p.lists = nil, 0
		p.mu.Unlock()
		r := p.CLI(t, "publish", "--site", "demo").Want(t, 0)
		p.mu.Lock()
		defer p.mu.Unlock()
		if slices.Sort(p.puts); !slices.Equal(p.puts, puts) || p.lists != 1 || !strings.Contains(r.Stdout, "seen from outside, it is what was sent") {
			t.Errorf("%d listings, it writes %q, want %q; it says\n%s%s", p.lists, p.puts, puts, r.Stdout, r.Stderr)
		}
	}
	publish()
	var want []string
	for name, headers := range map[string]s3.PutObjectInput{
		"conforma-status-notice.js": {ContentType: aws.String("text/javascript; charset=utf-8"), ContentEncoding: aws.String("gzip"), CacheControl: aws.String("max-age=31536000, immutable")},
		"conforma-status.js":        {ContentType: aws.String("binary/octet-stream"), ContentEncoding: aws.String("gzip"), CacheControl: aws.String("public, max-age=3600")},
		"index.html":                {ContentType: aws.String("text/html; charset=utf-8"), ContentEncoding: aws.String("gzip"), CacheControl: aws.String("max-age=600")},
		"status.json":               {ContentType: aws.String("application/json; charset=utf-8")},
		"status.schema.json":        {ContentType: aws.String("application/json; charset=utf-8"), CacheControl: aws.String("public, max-age=3600")},
	} {
		key := aws.String("demo/" + name)
		out, err := p.c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: key})
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		out.Body.Close()
		headers.Bucket, headers.Key, headers.Body = aws.String(bucket), key, bytes.NewReader(data)
		if _, err := p.c.PutObject(t.Context(), &headers); err != nil {
			t.Fatal(err)
		}
		want = append(want, "PUT /"+bucket+"/demo/"+name)
	}
	slices.Sort(want)
	publish(want...)
	p.isAsBuilt(t)
	publish()
}

// TestPublishSeesWhatIsRewritten has a CDN change what it passes on: publish says what the world sees otherwise.
func TestPublishSeesWhatIsRewritten(t *testing.T) {
	t.Parallel()
	p := newPublisher(t)
	p.CLI(t, "publish").Want(t, 0)
	page := func(path string) bool { return strings.HasSuffix(path, "/demo/") }
	isStatus := func(path string) bool { return strings.HasSuffix(path, "/demo/status.json") }
	isScript := func(path string) bool { return strings.HasSuffix(path, "/demo/conforma-status.js") }
	for name, c := range map[string]struct {
		mangle  func(h http.Header, path string, body []byte) []byte
		at      string
		problem string
	}{
		"nothing":  {nil, "", ""},
		"unpacked": {func(_ http.Header, _ string, body []byte) []byte { return body }, "", ""},
		"a tracker": {func(_ http.Header, path string, body []byte) []byte {
			if page(path) {
				return bytes.Replace(body, []byte("</body>"), []byte("<script src=x></script></body>"), 1)
			}
			return body
		}, "/demo/", "is not what was sent"},
		"minified": {func(_ http.Header, path string, body []byte) []byte {
			if page(path) {
				return bytes.ReplaceAll(body, []byte("\n"), []byte(" "))
			}
			return body
		}, "/demo/", "is not what was sent"},
		"kept": {func(h http.Header, path string, body []byte) []byte {
			if isStatus(path) {
				h.Set("Cache-Control", "max-age=300")
			}
			return body
		}, "/demo/status.json", "has Cache-Control"},
		"a page kept": {func(h http.Header, path string, body []byte) []byte {
			if page(path) {
				h.Set("Cache-Control", "max-age=86400")
			}
			return body
		}, "/demo/", "has Cache-Control"},
		"no CORS": {func(h http.Header, path string, body []byte) []byte {
			if isStatus(path) {
				h.Del("Access-Control-Allow-Origin")
			}
			return body
		}, "/demo/status.json", "has Access-Control-Allow-Origin"},
		"no CORS for a script": {func(h http.Header, path string, body []byte) []byte {
			if isScript(path) {
				h.Del("Access-Control-Allow-Origin")
			}
			return body
		}, "/demo/conforma-status.js", "has Access-Control-Allow-Origin"},
		"a script kept": {func(h http.Header, path string, body []byte) []byte {
			if isScript(path) {
				h.Set("Cache-Control", "max-age=31536000, immutable")
			}
			return body
		}, "/demo/conforma-status.js", "has Cache-Control"},
		"a script by its other name": {func(h http.Header, path string, body []byte) []byte {
			if isScript(path) {
				h.Set("Content-Type", "application/javascript")
			}
			return body
		}, "", ""},
		"a cookie": {func(h http.Header, path string, body []byte) []byte {
			if page(path) {
				h.Set("Set-Cookie", "visitor=1")
			}
			return body
		}, "/demo/", "sets a cookie"},
		"a policy": {func(h http.Header, path string, body []byte) []byte {
			if page(path) {
				h.Set("Content-Security-Policy", "default-src 'self'")
			}
			return body
		}, "/demo/", "has a Content-Security-Policy of its own"},
		"an error page": {func(h http.Header, path string, body []byte) []byte {
			if isStatus(path) {
				h.Set("Content-Type", "text/html")
				return []byte("<!doctype html><title>Checking your browser</title>")
			}
			return body
		}, "/demo/status.json", "is not a status document"},
	} {
		t.Run(name, func(t *testing.T) {
			p.mu.Lock()
			p.mangle, p.puts = c.mangle, nil
			p.mu.Unlock()
			r := p.CLI(t, "publish", "--site", "demo", "--json").Want(t, 0)
			var got struct {
				Sites []struct {
					Differs []struct{ URL, Problem string }
				}
			}
			if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil || len(got.Sites) != 1 {
				t.Fatalf("%v: %s", err, r.Stdout)
			}
			d := got.Sites[0].Differs
			if c.problem == "" && len(d) > 0 || c.problem != "" && (len(d) != 1 || d[0].URL != p.front.URL+c.at || !strings.HasPrefix(d[0].Problem, c.problem)) {
				t.Errorf("it says %v, want %q of %s", d, c.problem, c.at)
			}
			if c.problem != "" && !strings.Contains(r.Stderr, c.problem) {
				t.Errorf("nobody is told: %s", r.Stderr)
			}
			if p.mu.Lock(); len(p.puts) > 0 { // which would mend nothing
				t.Errorf("it writes %q", p.puts)
			}
			p.mu.Unlock()
		})
	}
}
