package publishing

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/s3server"
)

// initHost is a host whose store is to be set up on an S3 server that is empty.
type initHost struct {
	*rig.Host
	s3 *s3server.Server
	c  *s3.Client
}

func newInitHost(t *testing.T, store string) *initHost {
	t.Helper()
	h := &initHost{Host: rig.NewHost(t), s3: s3server.Start(t)}
	h.EditConfig(t, `"dir:`+h.Store+`"`, `"`+store+`"`)
	h.EditConfig(t, h.PageURL, h.s3.Endpoint+"/"+strings.TrimPrefix(store, "s3://"))
	h.EditConfig(t, "\n[nginx]\n", fmt.Sprintf("\n[s3]\nregion = %q\nendpoint = %q\npath_style = true\n\n[nginx]\n", h.s3.Region, h.s3.Endpoint))
	h.credentials(t, h.s3.Secret)
	h.c = s3.New(s3.Options{
		BaseEndpoint: &h.s3.Endpoint, Region: h.s3.Region, UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: h.s3.KeyID, SecretAccessKey: h.s3.Secret}, nil
		}),
	})
	return h
}

func (h *initHost) credentials(t *testing.T, secret string) {
	t.Helper()
	rig.WriteSecret(t, filepath.Join(h.Nginx.Dir, ".aws", "credentials"), fmt.Sprintf(
		"[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", h.s3.KeyID, secret))
}

// anyone asks for a path without credentials.
func (h *initHost) anyone(t *testing.T, path string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.s3.Endpoint+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://demo.example.org")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res
}

// TestStoreInit: an empty S3 server becomes a maintenance site that anyone may read, and no more than that; what others
// have put into the bucket stays.
func TestStoreInit(t *testing.T) {
	t.Parallel()
	h := newInitHost(t, "s3://maintenance/pages")
	r := h.CLI(t, "store", "init").Want(t, 0)
	for _, want := range []string{"the bucket was made", "anyone may get objects now", "pages of any origin may read them now"} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("it doesn't say %q:\n%s", want, r.Stdout)
		}
	}
	if r := h.CLI(t, "store", "init").Want(t, 0); strings.Contains(r.Stdout, "+ ") {
		t.Errorf("a second time it changes something:\n%s", r.Stdout)
	}
	// All is as it was sent, but that this server, as S3 itself, doesn't answer a folder by its index.
	r = h.CLI(t, "publish", "--site", "demo").Want(t, 0)
	if strings.Count(r.Stderr, "seen from outside, it differs") != strings.Count(r.Stderr, "answered by 404, though index.html is there") || !strings.Contains(r.Stderr, "/demo/ is answered by 404, though index.html is there") {
		t.Errorf("seen from outside, it differs:\n%s%s", r.Stdout, r.Stderr)
	}
	bucket := aws.String("maintenance")
	if _, err := h.c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("private/x"), Body: strings.NewReader("x")}); err != nil {
		t.Fatal(err)
	}
	for path, code := range map[string]int{
		"/maintenance/pages/demo/status.json": 200, "/maintenance/pages/demo/index.html": 200,
		"/maintenance/private/x": 403, "/maintenance/?list-type=2": 403, "/maintenance/?list-type=2&prefix=pages/": 403, "/maintenance/pages/": 403,
		"/maintenance/pages/demo/none": 403, "/maintenance?policy": 403, "/maintenance?cors": 403,
	} {
		if got := h.anyone(t, path); got.StatusCode != code && (code != 403 || got.StatusCode/100 == 2) {
			t.Errorf("%s: anyone gets %s, want %d", path, got.Status, code)
		}
	}
	header := h.anyone(t, "/maintenance/pages/demo/status.json").Header
	if header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(header.Get("Access-Control-Expose-Headers"), "Date") {
		t.Errorf("the status comes with %v", header)
	}

	// Somebody else has rules of their own beside ours, and changes ours.
	theirs := `{"Sid":"Theirs","Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::maintenance/private/*"}`
	ours := `{"Sid":"ConformaStatusPublicRead","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::maintenance/old/*"}`
	if _, err := h.c.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: bucket, Policy: aws.String(
		`{"Version":"2012-10-17","Statement":[` + theirs + `,` + ours + `]}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.c.PutBucketCors(t.Context(), &s3.PutBucketCorsInput{Bucket: bucket, CORSConfiguration: &types.CORSConfiguration{
		CORSRules: []types.CORSRule{{ID: aws.String("theirs"), AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"https://theirs.example.org"}}},
	}}); err != nil {
		t.Fatal(err)
	}
	h.CLI(t, "store", "init").Want(t, 0)
	policy, err := h.c.GetBucketPolicy(t.Context(), &s3.GetBucketPolicyInput{Bucket: bucket})
	if err != nil || !strings.Contains(*policy.Policy, "Theirs") || strings.Contains(*policy.Policy, "/old/") || strings.Count(*policy.Policy, "ConformaStatus") != 1 {
		t.Errorf("the policy is %v, %v", aws.ToString(policy.Policy), err)
	}
	cors, err := h.c.GetBucketCors(t.Context(), &s3.GetBucketCorsInput{Bucket: bucket})
	if err != nil || len(cors.CORSRules) != 2 {
		t.Errorf("the CORS rules are %v, %v", cors, err)
	}
	if got := h.anyone(t, "/maintenance/pages/demo/status.json"); got.StatusCode != 200 || got.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("the status is answered by %s, %v", got.Status, got.Header)
	}

	h.credentials(t, "a-wrong/secret")
	if r := h.CLI(t, "store", "init").Want(t, 1); !strings.Contains(r.Stderr, "hint: ") || strings.Contains(r.Stdout+r.Stderr, "a-wrong") {
		t.Errorf("with a wrong secret it says %s", r.Stderr)
	}
}

// TestStoreInitOfOthers: a bucket that a CDN is to read stays closed, and a directory is made.
func TestStoreInitOfOthers(t *testing.T) {
	t.Parallel()
	h := newInitHost(t, "s3://closed")
	h.CLI(t, "store", "init", "--private").Want(t, 0)
	if r := h.CLI(t, "publish").Want(t, 0); !strings.Contains(r.Stderr, "seen from outside, it differs") {
		t.Errorf("publish doesn't say that nobody sees it: %s", r.Stderr)
	}
	if got := h.anyone(t, "/closed/demo/status.json"); got.StatusCode != 403 {
		t.Errorf("anyone gets %s", got.Status)
	}
	h.EditConfig(t, `"s3://closed"`, `"dir:`+filepath.Join(h.Store, "new")+`"`)
	if r := h.CLI(t, "store", "init").Want(t, 0); !strings.Contains(r.Stdout, "the directory was made") {
		t.Errorf("it says %s", r.Stdout)
	}
	h.CLI(t, "store", "init").Want(t, 0)
	h.CLI(t, "store").Want(t, 2)
	h.CLI(t, "store", "burn").Want(t, 2)
}
