package publishing

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/s3server"
	"github.com/msupply-foundation/conforma-status/status"
)

// bucketHost is a host whose store is a bucket, on a server that can be cut off.
type bucketHost struct {
	*rig.Host
	door *door
	s3   *s3server.Server
	said strings.Builder // all that conforma-status has said
}

const bucket = "conforma-maintenance"

func newBucketHost(t *testing.T) *bucketHost {
	t.Helper()
	h := &bucketHost{Host: rig.NewHost(t), s3: s3server.Start(t)}
	h.s3.CreateBucket(t, bucket)
	h.door = newDoor(t, strings.TrimPrefix(h.s3.Endpoint, "http://"))
	h.EditConfig(t, `"dir:`+h.Store+`"`, `"s3://`+bucket+`"`)
	h.EditConfig(t, h.PageURL, h.s3.Endpoint+"/"+bucket)
	h.EditConfig(t, "\n[nginx]\n", fmt.Sprintf("\n[s3]\nregion = %q\nendpoint = %q\npath_style = true\n\n[nginx]\n",
		h.s3.Region, "http://"+h.door.addr))
	rig.WriteSecret(t, filepath.Join(h.Nginx.Dir, ".aws", "credentials"), fmt.Sprintf(
		"[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", h.s3.KeyID, h.s3.Secret))
	h.Install(t)
	return h
}

func (h *bucketHost) run(t *testing.T, code int, args ...string) rig.Result {
	t.Helper()
	r := h.CLI(t, args...).Want(t, code)
	h.said.WriteString(r.Stdout + r.Stderr)
	return r
}

// object returns what anyone gets of an object in the bucket.
func (h *bucketHost) object(t *testing.T, key string) (*http.Response, string) {
	t.Helper()
	res, err := http.Get(h.s3.Endpoint + "/" + bucket + "/" + key)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%s: got %s %q, %v", key, res.Status, body, err)
	}
	return res, string(body)
}

func (h *bucketHost) published(t *testing.T) status.Document {
	t.Helper()
	_, body := h.object(t, "demo/status.json")
	return rig.ParseStatus(t, body)
}

// put replaces an object as somebody else would.
func (h *bucketHost) put(t *testing.T, key string, data []byte) {
	t.Helper()
	client := s3.New(s3.Options{
		BaseEndpoint: &h.s3.Endpoint, Region: h.s3.Region, UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: h.s3.KeyID, SecretAccessKey: h.s3.Secret}, nil
		}),
	})
	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(data)})
	if err != nil {
		t.Fatal(err)
	}
}

// answers checks what nginx makes of a call, and whether the application sees it.
func (h *bucketHost) answers(t *testing.T, want int) {
	t.Helper()
	app := h.Block(t, "demo").App
	n := app.Count()
	if got := h.Client(t, "demo").Do(t, rig.GraphQL("")).Status; got != want {
		t.Errorf("a call is answered with %d, want %d", got, want)
	}
	if reached := app.Count() > n; reached != (want == 200) {
		t.Errorf("the call reached the application: %v", reached)
	}
}

func TestBucketFollowsTheSwitch(t *testing.T) {
	t.Parallel()
	h := newBucketHost(t)
	h.run(t, 0, "publish")
	for key, want := range map[string][2]string{
		"demo/index.html":         {"text/html; charset=utf-8", "no-cache"},
		"demo/status.json":        {"application/json; charset=utf-8", "no-cache"},
		"demo/status.schema.json": {"", ""},
		"archive/status.json":     {"application/json; charset=utf-8", "no-cache"},
	} {
		res, _ := h.object(t, key)
		if got := res.Header.Get("Content-Type"); want[0] != "" && !strings.EqualFold(got, want[0]) {
			t.Errorf("%s: Content-Type is %q, want %q", key, got, want[0])
		}
		if got := res.Header.Get("Cache-Control"); want[1] != "" && got != want[1] {
			t.Errorf("%s: Cache-Control is %q, want %q", key, got, want[1])
		}
	}
	seq := h.published(t).Seq
	for _, mode := range []string{"offline", "admin", "online"} {
		h.run(t, 0, "set", mode, "--site", "demo")
		h.run(t, 0, "get", "--site", "demo")
		d := h.published(t)
		if string(d.Mode) != mode || d.Seq <= seq {
			t.Errorf("published is %s (seq %d) after %s, before it was seq %d", d.Mode, d.Seq, mode, seq)
		}
		if res, _ := h.object(t, "demo/status.json"); res.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("Cache-Control of status.json is %q", res.Header.Get("Cache-Control"))
		}
		seq = d.Seq
	}

	// What somebody else has published is replaced, and they are told.
	d := h.published(t)
	d.Mode, d.Seq = status.Offline, 4711
	h.put(t, "demo/status.json", d.Marshal())
	if r := h.run(t, 5, "get", "--site", "demo"); !strings.Contains(r.Stdout, "4711") {
		t.Errorf("get says %s", r.Stdout)
	}
	if r := h.run(t, 0, "set", "admin", "--site", "demo"); !strings.Contains(r.Stderr, "warning: somebody else had published offline (seq 4711)") {
		t.Errorf("no warning about somebody else's document: %s", r.Stderr)
	}
	if d := h.published(t); d.Mode != status.Admin || d.Seq <= 4711 {
		t.Errorf("published is %s (seq %d), want admin with a seq above 4711", d.Mode, d.Seq)
	}
	h.run(t, 0, "get", "--site", "demo")

	// A machine that knows nothing of the site replaces nothing.
	res, was := h.object(t, "demo/status.json")
	h.EditConfig(t, h.State, filepath.Join(h.Nginx.Dir, "state-of-a-laptop"))
	h.run(t, 0, "publish")
	if now, body := h.object(t, "demo/status.json"); body != was || now.Header.Get("Last-Modified") != res.Header.Get("Last-Modified") {
		t.Errorf("published was %s and is %s", was, body)
	}
	h.forgetsNothingSecret(t)
}

// TestBucketOutOfReach stops the store in the middle of things.
func TestBucketOutOfReach(t *testing.T) {
	t.Parallel()
	h := newBucketHost(t)
	h.run(t, 0, "publish")

	// A closing goes through, and its publication is made up for.
	h.door.shut()
	r := h.run(t, 3, "set", "offline", "--site", "demo", "--eta", "30m")
	if !strings.Contains(r.Stderr, "not published yet") || !strings.Contains(r.Stderr, "\nhint: ") {
		t.Errorf("set says %s", r.Stderr)
	}
	h.answers(t, 503)
	if d := rig.Served(t, h.Host, "demo"); d.Mode != status.Offline {
		t.Errorf("nginx's own status.json says %s", d.Mode)
	}
	h.run(t, 5, "get", "--site", "demo")
	h.run(t, 1, "publish", "--site", "demo")
	h.door.open(t)
	if d := h.published(t); d.Mode != status.Online {
		t.Errorf("published is %s before it was made up for", d.Mode)
	}
	h.run(t, 5, "get", "--site", "demo")
	h.run(t, 0, "publish", "--site", "demo")
	if d := h.published(t); d.Mode != status.Offline || d.ExpectedUntil == nil {
		t.Errorf("published is %+v after it was made up for", d)
	}
	h.run(t, 0, "get", "--site", "demo")

	// So does an opening, and a new ETA; the next set makes up for it just as well.
	h.door.shut()
	h.run(t, 3, "extend", "2h", "--site", "demo")
	h.run(t, 3, "set", "online", "--site", "demo")
	h.answers(t, 200)
	h.door.open(t)
	if d := h.published(t); d.Mode != status.Offline {
		t.Errorf("published is %s before it was made up for", d.Mode)
	}
	h.run(t, 0, "set", "online", "--site", "demo")
	if d := h.published(t); d.Mode != status.Online {
		t.Errorf("published is %s after it was made up for", d.Mode)
	}
	h.run(t, 0, "get", "--site", "demo")
	h.forgetsNothingSecret(t)
}

// TestBucketThatHangs has a store that takes connections and never answers: a closing doesn't wait for it long.
func TestBucketThatHangs(t *testing.T) {
	t.Parallel()
	h := newBucketHost(t)
	h.run(t, 0, "publish")
	h.door.hang()
	done := make(chan rig.Result, 1)
	go func() { done <- h.CLI(t, "set", "offline", "--site", "demo") }()
	rig.WaitFor(t, "the site to close", func() bool { return h.Client(t, "demo").Do(t, rig.GraphQL("")).Status == 503 })
	h.door.open(t)
	r := <-done
	r.Want(t, 3)
	h.run(t, 0, "publish", "--site", "demo")
	h.run(t, 0, "get", "--site", "demo")
}

// forgetsNothingSecret checks that nothing that was said has a key in it.
func (h *bucketHost) forgetsNothingSecret(t *testing.T) {
	t.Helper()
	for _, secret := range []string{h.s3.Secret, h.s3.KeyID, h.Block(t, "demo").Secret} {
		if strings.Contains(h.said.String(), secret) {
			t.Errorf("%s was printed", secret)
		}
	}
}

// door is a way to a server that can be shut, so that nobody answers, or hang, so that nobody answers in time.
type door struct {
	addr, to string
	mu       sync.Mutex
	listener net.Listener // nil while shut
	hangs    bool
	conns    map[net.Conn]bool
}

func newDoor(t *testing.T, to string) *door {
	t.Helper()
	d := &door{addr: rig.Loopback(rig.Port(t)), to: to, conns: map[net.Conn]bool{}}
	d.open(t)
	t.Cleanup(d.shut)
	return d
}

// open lets everyone through again.
func (d *door) open(t *testing.T) {
	t.Helper()
	d.shut()
	l, err := net.Listen("tcp4", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	d.listener, d.hangs = l, false
	d.mu.Unlock()
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go d.carry(in)
		}
	}()
}

// hang takes new connections and leaves them waiting.
func (d *door) hang() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hangs = true
}

// shut ends every connection and takes no more.
func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listener != nil {
		d.listener.Close()
		d.listener = nil
	}
	for c := range d.conns {
		c.Close()
	}
}

func (d *door) carry(in net.Conn) {
	defer in.Close()
	d.mu.Lock()
	d.conns[in] = true
	hangs := d.hangs
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.conns, in)
	}()
	if hangs {
		_, _ = io.Copy(io.Discard, in) // until the client or the test has enough
		return
	}
	out, err := net.Dial("tcp4", d.to)
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(out, in)
		out.Close()
	}()
	_, _ = io.Copy(in, out)
}
