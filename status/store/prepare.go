package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Part is one part of what a store needs before visitors can read it.
type Part string

const (
	PartDirectory Part = "directory" // the directory itself
	PartBucket    Part = "bucket"    // the bucket itself
	PartBlock     Part = "block"     // that the bucket's public access block lets a policy open it
	PartPolicy    Part = "policy"    // that anyone may read objects below the prefix, and do nothing else
	PartCORS      Part = "cors"      // that pages of any origin may read them, with the server's clock
)

// Prepared says what Prepare did about one part.
type Prepared struct {
	Part Part
	// Changed is false where it was so already.
	Changed bool
	// Missing is set where the server doesn't know such a thing, as S3 servers other than Amazon's may not.
	Missing bool
}

// Preparer is a store that can be set up. Both kinds are.
type Preparer interface {
	// Prepare makes the store and what lets visitors read it, and tells of each part as it is done. It changes
	// nothing that is as it must be, and keeps what others have put beside it. With private set nobody is let in who
	// wasn't before: what serves the store, a CDN for one, reads it by a right of its own. Errors are those of a
	// Store.
	Prepare(ctx context.Context, private bool, done func(Prepared)) error
}

func (d *dirStore) Prepare(_ context.Context, _ bool, done func(Prepared)) error {
	doing := "make " + d.root
	_, err := os.Stat(d.root)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(d.root, 0o755); err == nil {
			done(Prepared{Part: PartDirectory, Changed: true})
			return nil
		}
	}
	if err != nil {
		return d.explain(doing, err)
	}
	done(Prepared{Part: PartDirectory})
	return nil
}

func (s *s3Store) Prepare(ctx context.Context, private bool, done func(Prepared)) error {
	parts := []struct {
		part  Part
		doing string
		do    func(context.Context, *s3.Client) (changed bool, err error)
	}{
		{PartBucket, "make", s.makeBucket},
		{PartBlock, "let a policy open", s.unblock},
		{PartPolicy, "let visitors read", s.letRead},
		{PartCORS, "let pages of any origin read", s.letOrigins},
	}
	if private {
		parts = slices.Delete(parts, 1, 3)
	}
	for _, p := range parts {
		did := Prepared{Part: p.part}
		err := s.call(ctx, p.doing+" "+s.String(), func(ctx context.Context, c *s3.Client) (err error) {
			did.Changed, err = p.do(ctx, c)
			if hasCode(err, "NotImplemented", "MethodNotAllowed") {
				did.Missing, err = true, nil
			}
			return err
		})
		if err != nil {
			return err
		}
		done(did)
	}
	return nil
}

// hasCode reports whether err is an answer of S3's with one of the codes.
func hasCode(err error, codes ...string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode())
}

func (s *s3Store) makeBucket(ctx context.Context, c *s3.Client) (bool, error) {
	_, err := c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.bucket})
	if err == nil || !hasCode(err, "NotFound", "NoSuchBucket") {
		return false, err
	}
	in := &s3.CreateBucketInput{Bucket: &s.bucket}
	// us-east-1 is the one region that may not be named:
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
	if region := c.Options().Region; region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
	}
	_, err = c.CreateBucket(ctx, in)
	if hasCode(err, "BucketAlreadyOwnedByYou") {
		return false, nil
	}
	return err == nil, err
}

// unblock takes away of the public access block just what keeps a policy from letting visitors read: ACLs stay
// blocked.
func (s *s3Store) unblock(ctx context.Context, c *s3.Client) (bool, error) {
	want := types.PublicAccessBlockConfiguration{
		BlockPublicAcls: aws.Bool(true), IgnorePublicAcls: aws.Bool(true), BlockPublicPolicy: aws.Bool(false), RestrictPublicBuckets: aws.Bool(false),
	}
	is, err := c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &s.bucket})
	if hasCode(err, "NoSuchPublicAccessBlockConfiguration") {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if b := is.PublicAccessBlockConfiguration; b == nil || !aws.ToBool(b.BlockPublicPolicy) && !aws.ToBool(b.RestrictPublicBuckets) {
		return false, nil
	}
	_, err = c.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: &s.bucket, PublicAccessBlockConfiguration: &want})
	return err == nil, err
}

// policySid marks our statement among those of others.
const policySid = "ConformaStatusPublicRead"

// letRead adds to the bucket's policy that anyone may get an object whose name is known. Listing stays forbidden.
func (s *s3Store) letRead(ctx context.Context, c *s3.Client) (bool, error) {
	was := ""
	out, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &s.bucket})
	switch {
	case err == nil:
		was = aws.ToString(out.Policy)
	case !hasCode(err, "NoSuchBucketPolicy"):
		return false, err
	}
	policy, changed, err := addRead(was, "arn:aws:s3:::"+s.bucket+"/"+*s.object("*"))
	if err != nil || !changed {
		return false, err
	}
	_, err = c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &s.bucket, Policy: &policy})
	return err == nil, err
}

// addRead returns the policy with our statement in it, in the place of an earlier one.
func addRead(policy, resource string) (with string, changed bool, err error) {
	ours, _ := json.Marshal(map[string]any{ // strings only
		"Sid": policySid, "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource,
	})
	doc := map[string]json.RawMessage{}
	var statements []json.RawMessage
	if policy != "" {
		if err := json.Unmarshal([]byte(policy), &doc); err != nil {
			return "", false, fmt.Errorf("read the bucket's policy: %w", err)
		}
		if err := json.Unmarshal(doc["Statement"], &statements); err != nil {
			statements = []json.RawMessage{doc["Statement"]} // a single one may stand without brackets
		}
	}
	kept := []json.RawMessage{}
	for _, st := range statements {
		var is struct{ Sid string }
		if err := json.Unmarshal(st, &is); err != nil {
			return "", false, fmt.Errorf("read the bucket's policy: %w", err)
		}
		if is.Sid != policySid {
			kept = append(kept, st)
		} else if same(st, ours) {
			return policy, false, nil
		}
	}
	if doc["Version"] == nil {
		doc["Version"] = json.RawMessage(`"2012-10-17"`)
	}
	doc["Statement"], _ = json.Marshal(append(kept, ours))
	out, err := json.Marshal(doc)
	return string(out), true, err
}

// same reports whether two JSON values are equal but for spaces and the order of keys.
func same(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	one, _ := json.Marshal(x)
	two, _ := json.Marshal(y)
	return bytes.Equal(one, two)
}

// corsID marks our rule among those of others.
const corsID = "conforma-status"

// letOrigins has pages of any origin read what is public anyway. Date and Age are what the client sets its clock by.
func (s *s3Store) letOrigins(ctx context.Context, c *s3.Client) (bool, error) {
	var rules []types.CORSRule
	out, err := c.GetBucketCors(ctx, &s3.GetBucketCorsInput{Bucket: &s.bucket})
	switch {
	case err == nil:
		rules = out.CORSRules
	case !hasCode(err, "NoSuchCORSConfiguration"):
		return false, err
	}
	ours := types.CORSRule{
		ID: aws.String(corsID), AllowedMethods: []string{"GET", "HEAD"}, AllowedOrigins: []string{"*"}, AllowedHeaders: []string{"*"},
		ExposeHeaders: []string{"Date", "Age", "ETag"}, MaxAgeSeconds: aws.Int32(3600),
	}
	for _, r := range rules {
		if aws.ToString(r.ID) == corsID && slices.Equal(r.AllowedMethods, ours.AllowedMethods) && slices.Equal(r.AllowedOrigins, ours.AllowedOrigins) &&
			slices.Equal(r.ExposeHeaders, ours.ExposeHeaders) {
			return false, nil
		}
	}
	rules = slices.DeleteFunc(rules, func(r types.CORSRule) bool { return aws.ToString(r.ID) == corsID })
	// The first rule that matches is the one that counts.
	rules = append([]types.CORSRule{ours}, rules...)
	_, err = c.PutBucketCors(ctx, &s3.PutBucketCorsInput{Bucket: &s.bucket, CORSConfiguration: &types.CORSConfiguration{CORSRules: rules}})
	return err == nil, err
}
