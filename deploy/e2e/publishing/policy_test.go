package publishing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/s3server"
)

var publisherKeys = s3server.User{KeyID: "AKIAPUBLISHERPUBLISH", Secret: "publisher/secret+0123456789abcdef0123456", Role: "user"}

// newPublisherHost is a host whose keys are the publisher's, on an S3 server where they may what Terraform's policies
// say.
func newPublisherHost(t *testing.T) *initHost {
	t.Helper()
	h := &initHost{Host: rig.NewHost(t), s3: s3server.Start(t, publisherKeys)}
	h.EditConfig(t, `"dir:`+h.Store+`"`, `"s3://maintenance/pages"`)
	h.EditConfig(t, h.PageURL, h.s3.Endpoint+"/maintenance/pages")
	h.EditConfig(t, "\n[nginx]\n", fmt.Sprintf("\n[s3]\nregion = %q\nendpoint = %q\npath_style = true\n\n[nginx]\n", h.s3.Region, h.s3.Endpoint))
	rig.WriteSecret(t, filepath.Join(h.Nginx.Dir, ".aws", "credentials"), fmt.Sprintf(
		"[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", publisherKeys.KeyID, publisherKeys.Secret))
	h.c = h.client(h.s3.KeyID, h.s3.Secret)
	if _, err := h.c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("maintenance")}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"private/x", "pagesX/x"} {
		if _, err := h.c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("maintenance"), Key: &key, Body: strings.NewReader("x")}); err != nil {
			t.Fatal(err)
		}
	}
	h.allow(t, "publisher-policy.json")
	return h
}

func (h *initHost) client(keyID, secret string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &h.s3.Endpoint, Region: h.s3.Region, UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}, nil
		}),
	})
}

// allow makes the policies of Terraform's the publisher's, and lets anyone read pages, as CloudFront may.
func (h *initHost) allow(t *testing.T, files ...string) {
	t.Helper()
	statements := []map[string]any{{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::maintenance/pages/*"}}
	for _, name := range files {
		for _, s := range policyFile(t, name, map[string]string{"bucket": "maintenance", "prefix": "pages/"}) {
			s["Principal"] = map[string]string{"AWS": publisherKeys.KeyID} // an identity's policy has none, a bucket's has to
			statements = append(statements, s)
		}
	}
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.c.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: aws.String("maintenance"), Policy: aws.String(string(policy))}); err != nil {
		t.Fatalf("%v\n%s", err, policy)
	}
}

// TestPublisherPolicy: with the keys that Terraform makes, the host does its work, and nothing else.
func TestPublisherPolicy(t *testing.T) {
	t.Parallel()
	h := newPublisherHost(t)
	h.Install(t)
	h.CLI(t, "publish").Want(t, 0)
	for _, args := range [][]string{
		{"set", "offline", "--site", "demo", "--eta", "30m"}, {"extend", "1h", "--site", "demo"}, {"set", "online", "--site", "demo"},
		{"get"}, {"publish"}, {"reconcile"},
	} {
		h.CLI(t, args...).Want(t, 0)
	}
	if got := h.anyone(t, "/maintenance/pages/demo/status.json"); got.StatusCode != 200 || got.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("the status is answered by %s, %v", got.Status, got.Header)
	}

	// A page that is no longer built can't be deleted, unless Terraform was told that it may.
	stale := aws.String("pages/demo/tet/index.html")
	if _, err := h.c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("maintenance"), Key: stale, Body: strings.NewReader("x")}); err != nil {
		t.Fatal(err)
	}
	if r := h.CLI(t, "publish", "--site", "demo", "--prune").Want(t, 1); !strings.Contains(r.Stderr, "delete demo/tet/index.html") || !strings.Contains(r.Stderr, "hint: ") {
		t.Errorf("it says %s", r.Stderr)
	}
	h.mayOnly(t)
	h.allow(t, "publisher-policy.json", "prune-policy.json")
	h.CLI(t, "publish", "--site", "demo", "--prune").Want(t, 0)
	if _, err := h.c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("maintenance"), Key: stale}); err == nil {
		t.Error("the stale page is still there")
	}
}

// mayOnly tries everything with the publisher's keys.
func (h *initHost) mayOnly(t *testing.T) {
	t.Helper()
	ctx, c, b := t.Context(), h.client(publisherKeys.KeyID, publisherKeys.Secret), aws.String("maintenance")
	put := func(key string) error {
		_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: &key, Body: strings.NewReader("x")})
		return err
	}
	get := func(key string) error {
		_, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: &key})
		return err
	}
	list := func(prefix *string) error {
		_, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: b, Prefix: prefix})
		return err
	}
	del := func(key string) error {
		_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: &key})
		return err
	}
	object := aws.String("pages/demo/index.html")
	for _, try := range []struct {
		what    string
		allowed bool
		do      func() error
	}{
		{"put on its prefix", true, func() error { return put("pages/new/index.html") }},
		{"get on its prefix", true, func() error { return get("pages/demo/status.json") }},
		{"head on its prefix", true, func() error {
			_, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: b, Key: object})
			return err
		}},
		{"list its prefix", true, func() error { return list(aws.String("pages/")) }},
		{"list below its prefix", true, func() error { return list(aws.String("pages/demo")) }},
		{"put on another prefix", false, func() error { return put("private/y") }},
		{"put on a prefix that begins like its own", false, func() error { return put("pagesX/y") }},
		{"put in the bucket's root", false, func() error { return put("index.html") }},
		{"put over its prefix's name", false, func() error { return put("pages") }},
		{"get on another prefix", false, func() error { return get("private/x") }},
		{"get on a prefix that begins like its own", false, func() error { return get("pagesX/x") }},
		{"get what isn't there on another prefix", false, func() error { return get("private/none") }},
		{"copy from another prefix", false, func() error {
			_, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: b, Key: aws.String("pages/stolen"), CopySource: aws.String("maintenance/private/x")})
			return err
		}},
		{"list everything", false, func() error { return list(nil) }},
		{"list another prefix", false, func() error { return list(aws.String("private/")) }},
		{"list what begins less than its prefix", false, func() error { return list(aws.String("pages")) }},
		{"delete on its prefix", false, func() error { return del(*object) }},
		{"delete on another prefix", false, func() error { return del("private/x") }},
		{"delete several", false, func() error {
			out, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: b, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: object}}}})
			if err == nil && len(out.Errors) == 1 {
				return &smithy.GenericAPIError{Code: *out.Errors[0].Code}
			}
			return err
		}},
		{"read the bucket's policy", false, func() error {
			_, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: b})
			return err
		}},
		{"replace the bucket's policy", false, func() error {
			_, err := c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: b, Policy: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::maintenance","arn:aws:s3:::maintenance/*"]}]}`)})
			return err
		}},
		{"remove the bucket's policy", false, func() error {
			_, err := c.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: b})
			return err
		}},
		{"read the bucket's ACL", false, func() error {
			_, err := c.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: b})
			return err
		}},
		{"open the bucket by its ACL", false, func() error {
			_, err := c.PutBucketAcl(ctx, &s3.PutBucketAclInput{Bucket: b, ACL: types.BucketCannedACLPublicReadWrite})
			return err
		}},
		{"open an object by its ACL", false, func() error {
			_, err := c.PutObjectAcl(ctx, &s3.PutObjectAclInput{Bucket: b, Key: object, ACL: types.ObjectCannedACLPublicReadWrite})
			return err
		}},
		{"change the bucket's CORS rules", false, func() error {
			_, err := c.PutBucketCors(ctx, &s3.PutBucketCorsInput{Bucket: b, CORSConfiguration: &types.CORSConfiguration{
				CORSRules: []types.CORSRule{{AllowedMethods: []string{"PUT"}, AllowedOrigins: []string{"*"}}}}})
			return err
		}},
		{"change the bucket's versioning", false, func() error {
			_, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: b, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended}})
			return err
		}},
		{"change who owns objects", false, func() error {
			_, err := c.PutBucketOwnershipControls(ctx, &s3.PutBucketOwnershipControlsInput{Bucket: b, OwnershipControls: &types.OwnershipControls{
				Rules: []types.OwnershipControlsRule{{ObjectOwnership: types.ObjectOwnershipObjectWriter}}}})
			return err
		}},
		{"tag an object", false, func() error {
			_, err := c.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: b, Key: object, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}})
			return err
		}},
		{"begin an upload in parts on another prefix", false, func() error {
			_, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: b, Key: aws.String("private/big")})
			return err
		}},
		{"remove the bucket", false, func() error {
			_, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: b})
			return err
		}},
		{"make another bucket", false, func() error {
			_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("another")})
			return err
		}},
	} {
		err := try.do()
		var api smithy.APIError
		switch denied := errors.As(err, &api) && (api.ErrorCode() == "AccessDenied" || api.ErrorCode() == "Forbidden"); {
		case try.allowed && err != nil, !try.allowed && !denied:
			t.Errorf("%s: allowed %v, but the answer is %v", try.what, try.allowed, err)
		}
	}
}
