// Package s3server runs an S3 server on loopback, a process of its own that is the test binary once more.
package s3server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/status/store"
)

// Server is a real S3 server on loopback, which checks signatures and conditions as Amazon's does.
type Server struct {
	Endpoint, Region, KeyID, Secret string
}

// User is somebody beside the owner of all, who may nothing but what a bucket's policy says.
type User struct {
	KeyID  string `json:"access"`
	Secret string `json:"secret"`
	Role   string `json:"role"` // "user"
}

// Start starts a server with no bucket yet, which ends with tb. Any number may run at once: each is a
// process of its own, because the gateway allows one in a process and changes its working directory.
func Start(tb testing.TB, users ...User) *Server {
	tb.Helper()
	s := &Server{Region: "ap-southeast-2", KeyID: "AKIAENDTOENDTESTS", Secret: "end-to-end/secret+0123456789abcdef"}
	addr := rig.Loopback(rig.Port(tb))
	s.Endpoint = "http://" + addr
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	log := filepath.Join(rig.Dir(tb), "log")
	out, err := os.Create(log)
	if err != nil {
		tb.Fatal(err)
	}
	defer out.Close()
	accounts := map[string]User{}
	for _, u := range users {
		accounts[u.KeyID] = u
	}
	file, err := json.Marshal(map[string]any{"accessAccounts": accounts})
	if err != nil {
		tb.Fatal(err)
	}
	usersDir := rig.Dir(tb)
	rig.WriteSecret(tb, filepath.Join(usersDir, "users.json"), string(file))
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), s3ServerEnv+"="+addr, "S3_ROOT="+rig.Dir(tb), "S3_USERS="+usersDir,
		"S3_REGION="+s.Region, "S3_KEY_ID="+s.KeyID, "S3_SECRET="+s.Secret)
	cmd.Stdout, cmd.Stderr = out, out
	// The server ends when this end of the pipe does, however the tests end.
	alive, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatalf("start the S3 server: %v", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	tb.Cleanup(func() {
		alive.Close()
		if err := <-exited; err != nil {
			said, _ := os.ReadFile(log)
			tb.Errorf("S3 server: %v\n%s", err, said)
		}
	})
	rig.WaitFor(tb, "the S3 server", func() bool {
		select {
		case err := <-exited:
			exited <- err
			tb.FailNow()
		default:
		}
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return s
}

// Env returns the environment variables with which the SDK's default chain finds the server's
// credentials and nothing of this machine's.
func (s *Server) Env() map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": s.KeyID, "AWS_SECRET_ACCESS_KEY": s.Secret, "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PROFILE": "",
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "",
		"AWS_EC2_METADATA_DISABLED": "true",
	}
}

// CreateBucket makes a bucket whose objects anyone may read, as a maintenance site's are.
func (s *Server) CreateBucket(tb testing.TB, bucket string) {
	tb.Helper()
	s.CreatePrivateBucket(tb, bucket)
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::%s/*"}]}`, bucket)
	s.Allow(tb, bucket, policy)
}

// Allow makes a policy that of a bucket.
func (s *Server) Allow(tb testing.TB, bucket, policy string) {
	tb.Helper()
	if _, err := s.client().PutBucketPolicy(tb.Context(), &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &policy}); err != nil {
		tb.Fatalf("give bucket %s a policy: %v", bucket, err)
	}
}

// client is the owner's.
func (s *Server) client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &s.Endpoint, Region: s.Region, UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: s.KeyID, SecretAccessKey: s.Secret}, nil
		}),
	})
}

// CreatePrivateBucket makes a bucket that nobody but the owner may use.
func (s *Server) CreatePrivateBucket(tb testing.TB, bucket string) {
	tb.Helper()
	if _, err := s.client().CreateBucket(tb.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		tb.Fatalf("create bucket %s: %v", bucket, err)
	}
}

const s3ServerEnv = "E2E_S3_SERVER" // the address to serve at: turns the test binary into the server

func init() {
	if addr := os.Getenv(s3ServerEnv); addr != "" {
		if err := serveS3(addr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// serveS3 serves until standard input ends. An interrupt meant for the tests is left to them.
func serveS3(addr string) error {
	signal.Ignore(syscall.SIGINT)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0) // at once: a graceful end waits ten seconds for idle connections
	}()
	root := os.Getenv("S3_ROOT")
	attributes := meta.XattrMeta{}
	if err := attributes.Test(root); err != nil {
		return fmt.Errorf("keep objects in %s: %w", root, err)
	}
	objects, err := posix.New(root, attributes, posix.PosixOpts{})
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(context.Background(), objects, &embedgw.Config{
		RootUserAccess: os.Getenv("S3_KEY_ID"), RootUserSecret: os.Getenv("S3_SECRET"), Region: os.Getenv("S3_REGION"),
		IAMDir:          os.Getenv("S3_USERS"), // without users, a wrong key id gets an answer that Amazon doesn't give
		IAMCacheDisable: true,                  // else it looks for what is too old all the time, with no pause, and takes a processor
		Ports:           []string{addr}, MaxConnections: 1000, MaxRequests: 1000, MultipartMaxParts: 100,
		KeepAlive: true, Quiet: true,
	})
}

func OpenStore(t *testing.T, url string, srv *Server) store.Store {
	t.Helper()
	s, err := store.Open(url, store.S3Options{Region: srv.Region, Endpoint: srv.Endpoint, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
