package doctor

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/s3server"
)

// TestRefusedToAnOrdinaryUser has somebody without rights ask the doctor: what they may not see is said, and is no
// fault. Who may not publish is told so.
func TestRefusedToAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	d := newDoctored(t)
	copied := filepath.Join(d.Nginx.Dir, "conforma-status.bin")
	data, err := os.ReadFile(rig.Binary(t))
	rig.Check(t, err)
	rig.Check(t, os.WriteFile(copied, data, 0o755))
	user := fmt.Sprint(rig.Nobody)
	unseen := map[string]bool{}
	expect := []string{"files", "kernel barrier", "nginx configuration", "secret", "store"}
	if os.Geteuid() == 0 {
		d.by(rig.Call{Binary: copied, Before: []string{"setpriv", "--reuid", user, "--regid", user, "--clear-groups"}})
		expect = append(expect, "nginx processes")
	} else { // who may not look at files of theirs either
		user = fmt.Sprint(os.Geteuid())
		for path, mode := range map[string]os.FileMode{d.State: 0o555, filepath.Join(d.State, "lock"): 0, d.EnvFile("demo"): 0, d.Nginx.Conf: 0, filepath.Dir(d.StatusFile()): 0o555} {
			rig.Check(t, os.Chmod(path, mode))
			t.Cleanup(func() { rig.Check(t, os.Chmod(path, 0o755)) })
		}
	}
	for _, f := range d.examine(t) {
		if f.Level == "warning" && strings.Contains(f.Text, "user "+user) {
			unseen[f.Check] = true
		}
	}
	for _, name := range expect {
		if !unseen[name] {
			t.Errorf("%s: it isn't said that it can't be seen, got %v", name, unseen)
		}
	}
	publish := d.how
	publish.Args = []string{"publish"}
	r := d.Call(t, publish).Want(t, 1)
	rig.Says(t, r, "publish the status of demo: lock the state directory: ", "permission denied", "hint: run it as root (sudo)")
	if strings.Contains(r.Stderr, "the store") {
		t.Errorf("the store is blamed:\n%s", r.Stderr)
	}
}

// TestDoctorOnS3 examines a real bucket, with each file in it as it was, headers included; and as somebody who may only
// read it.
func TestDoctorOnS3(t *testing.T) {
	d := newDoctored(t)
	reader := s3server.User{KeyID: "AKIAREADERREADERREAD", Secret: "reader/secret+0123456789abcdef0123456789", Role: "user"}
	srv := s3server.Start(t, reader)
	srv.CreateBucket(t, "maintenance")
	d.PageURL = srv.Endpoint + "/maintenance"
	d.Configure(t, rig.Settings{Store: "s3://maintenance", S3: fmt.Sprintf("path_style = true\nendpoint = %q\nregion = %q", srv.Endpoint, srv.Region)})
	var env []string
	for k, v := range srv.Env() {
		t.Setenv(k, v)
		env = append(env, k+"="+v)
	}
	d.by(rig.Call{Env: env})
	for _, f := range ofCheck(d.findings(t), "store") {
		if f.Level != "warning" || !strings.Contains(f.Text, "nothing is published") {
			t.Errorf("of an empty bucket: %v", f)
		}
	}
	d.Call(t, rig.Call{Env: env, Args: []string{"publish"}}).Want(t, 0)
	listed, err := s3server.OpenStore(t, "s3://maintenance", srv).List(t.Context(), "")
	rig.Check(t, err)
	seen := func() string {
		var b strings.Builder
		for _, o := range listed {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.PageURL+"/"+o.Key, nil)
			rig.Check(t, err)
			r.Header.Set("Accept-Encoding", "gzip") // which keeps Go's client from unpacking it
			res, err := http.DefaultClient.Do(r)
			rig.Check(t, err)
			body, err := io.ReadAll(res.Body)
			rig.Check(t, errors.Join(err, res.Body.Close()))
			res.Header.Del("Date")
			res.Header.Del("X-Amz-Request-Id")
			res.Header.Del("X-Amz-Id-2")
			fmt.Fprintf(&b, "%s %v %x\n", o.Key, res.Header, sha256.Sum256(body))
		}
		return b.String()
	}
	was := seen()
	if len(listed) < 5 || !strings.Contains(was, "gzip") {
		t.Fatalf("in the bucket is\n%s", was)
	}
	time.Sleep(1100 * time.Millisecond) // Last-Modified is in whole seconds
	levels := map[string]string{}
	for _, f := range d.findings(t) {
		levels[f.Check] = f.Level
	}
	for _, name := range []string{"store", "conditional writes", "cache headers", "stale status", "clock"} {
		if levels[name] != "ok" {
			t.Errorf("%s: got %q, want ok", name, levels[name])
		}
	}
	if is := seen(); was != is {
		t.Errorf("in the bucket was\n%v\nand is\n%v", was, is)
	}
	if again, err := s3server.OpenStore(t, "s3://maintenance", srv).List(t.Context(), ""); err != nil || len(again) != len(listed) {
		t.Errorf("in the bucket is now %v (%v)", again, err)
	}
	d.by(rig.Call{Env: append(env, "AWS_ACCESS_KEY_ID="+reader.KeyID, "AWS_SECRET_ACCESS_KEY="+reader.Secret)})
	if found := ofCheck(d.findings(t), "store"); len(found) != 1 || found[0].Level == "ok" || !strings.Contains(found[0].Text, "access denied") {
		t.Errorf("of one who may only read: %v", found)
	}
}

// listing has the path and size of each file below dir.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	rig.Check(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && filepath.Base(path) != "status.json" { // which changes with the modes
			info, err := e.Info()
			rig.Check(t, err)
			fmt.Fprintf(&b, "%s %d\n", path, info.Size())
		}
		return err
	}))
	return b.String()
}

// carelessS3 is an S3 server of one object that writes whatever the condition, as some do.
type carelessS3 struct {
	mu   sync.Mutex
	data []byte
}

func (s *carelessS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodPut {
		s.data, _ = io.ReadAll(r.Body)
	}
	w.Header().Set("ETag", `"0123456789abcdef0123456789abcdef"`)
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, bytes.NewReader(s.data))
	}
}

// expired is a certificate for 127.0.0.1 that nobody should take any more.
func expired(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rig.Check(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	rig.Check(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
