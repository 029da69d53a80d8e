package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
)

const (
	maxAttempts = 3
	backoff     = 100 * time.Millisecond // before the second attempt, doubled before each further one

	// writeID is the name of the object metadata that tells one conditional write from all others, even
	// from one with the same content.
	writeID = "write-id"
)

// s3Store is a bucket, or what lies below a prefix in one.
type s3Store struct {
	bucket, prefix string // prefix without a slash at its ends, or empty
	opts           S3Options
	timeout        time.Duration // of one operation, retries included
	dialTimeout    time.Duration // of one attempt to connect
	anonymous      bool          // no request is signed

	mu     sync.Mutex
	client *s3.Client // nil before the first use
}

func (s *s3Store) Get(ctx context.Context, key string) ([]byte, string, error) {
	data, etag, _, err := s.get(ctx, key, nil)
	return data, etag, err
}

// GetDated is part of Dated.
func (s *s3Store) GetDated(ctx context.Context, key string) ([]byte, string, time.Time, error) {
	return s.get(ctx, key, nil)
}

// get is GetDated for whoever has the version with the ETag unless already, in quotes; nil for none.
func (s *s3Store) get(ctx context.Context, key string, unless *string) (data []byte, etag string, date time.Time, err error) {
	err = s.on(ctx, "read", key, func(ctx context.Context, c *s3.Client) error {
		out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: s.object(key), IfNoneMatch: unless})
		if err != nil {
			date = dateOf(err)
			return err
		}
		defer out.Body.Close()
		date, _ = awsmiddleware.GetServerTime(out.ResultMetadata)
		etag = unquote(aws.ToString(out.ETag))
		data, err = io.ReadAll(out.Body)
		return err
	})
	if err != nil {
		return nil, "", date, err
	}
	return data, etag, date, nil
}

// dateOf is when the server answered with an error, zero where that isn't known.
func dateOf(err error) time.Time {
	var answer *awshttp.ResponseError
	if !errors.As(err, &answer) || answer.Response == nil {
		return time.Time{}
	}
	date, err := http.ParseTime(answer.Response.Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return date
}

func (s *s3Store) Put(ctx context.Context, key string, data []byte, meta Meta, cond Condition) (string, error) {
	if err := s.checkKey(key); err != nil {
		return "", err
	}
	doing := s.doing("write", key)
	if cond.match && cond.etag == "" {
		return "", &opError{doing: doing, kind: ErrPrecondition}
	}
	in := &s3.PutObjectInput{
		Bucket: &s.bucket, Key: s.object(key), Body: bytes.NewReader(data),
		ContentType: given(meta.ContentType), CacheControl: given(meta.CacheControl), ContentEncoding: given(meta.Encoding),
	}
	if cond.absent {
		in.IfNoneMatch = aws.String("*")
	}
	if cond.match {
		in.IfMatch = aws.String(`"` + cond.etag + `"`)
	}
	if cond.absent || cond.match {
		in.Metadata = map[string]string{writeID: rand.Text()}
	}
	// One bound for the write and for reading it back.
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var etag string
	err := s.call(ctx, doing, func(ctx context.Context, c *s3.Client) error {
		out, err := c.PutObject(ctx, in)
		if err != nil {
			return err
		}
		etag = unquote(aws.ToString(out.ETag))
		return nil
	})
	switch {
	case cond.match && errors.Is(err, ErrNotFound): // S3's answer where there is nothing to match
		return "", &opError{doing: doing, kind: ErrPrecondition}
	case in.Metadata != nil && errors.Is(err, ErrPrecondition):
		return s.readBack(ctx, key, in.Metadata[writeID], err)
	}
	return etag, err
}

// given is nil for "": that header isn't sent.
func given(header string) *string {
	if header == "" {
		return nil
	}
	return &header
}

// readBack finds out whether a write that was refused with refusal had in fact succeeded: when the
// answer to the first attempt is lost, the SDK's next attempt meets the version that the first wrote.
func (s *s3Store) readBack(ctx context.Context, key, id string, refusal error) (string, error) {
	var out *s3.HeadObjectOutput
	err := s.on(ctx, "read back", key, func(ctx context.Context, c *s3.Client) (err error) {
		out, err = c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: s.object(key)})
		return err
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return "", refusal
	case err != nil:
		return "", err
	case out.Metadata[writeID] != id:
		return "", refusal
	}
	return unquote(aws.ToString(out.ETag)), nil
}

// Describe returns how a file is served: what the Put that wrote it was given. ErrNotFound when there is none.
func (s *s3Store) Describe(ctx context.Context, key string) (Meta, error) {
	var m Meta
	err := s.on(ctx, "look at", key, func(ctx context.Context, c *s3.Client) error {
		out, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: s.object(key)})
		if err == nil {
			m = Meta{aws.ToString(out.ContentType), aws.ToString(out.CacheControl), aws.ToString(out.ContentEncoding)}
		}
		return err
	})
	return m, err
}

func (s *s3Store) List(ctx context.Context, prefix string) ([]Object, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, fmt.Errorf("list %s: %w", s, err)
	}
	base := ""
	if s.prefix != "" {
		base = s.prefix + "/"
	}
	var found []Object
	in := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: aws.String(base + prefix)}
	for more := true; more; {
		err := s.call(ctx, s.doing("list", prefix+"*"), func(ctx context.Context, c *s3.Client) error {
			out, err := c.ListObjectsV2(ctx, in)
			if err != nil {
				return err
			}
			for _, o := range out.Contents {
				key := strings.TrimPrefix(aws.ToString(o.Key), base)
				if checkKey(key) == nil {
					found = append(found, Object{Key: key, ETag: unquote(aws.ToString(o.ETag)), Size: aws.ToInt64(o.Size)})
				}
			}
			more = aws.ToBool(out.IsTruncated)
			if more && aws.ToString(out.NextContinuationToken) == aws.ToString(in.ContinuationToken) {
				return errNotS3 // the same page again, for ever
			}
			in.ContinuationToken = out.NextContinuationToken
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(found, func(a, b Object) int { return cmp.Compare(a.Key, b.Key) })
	return found, nil
}

func (s *s3Store) Delete(ctx context.Context, key string) error {
	err := s.on(ctx, "delete", key, func(ctx context.Context, c *s3.Client) error {
		_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.object(key)})
		return err
	})
	if errors.Is(err, ErrNotFound) { // Amazon says 204, not every server does
		return nil
	}
	return err
}

func (s *s3Store) String() string {
	if s.prefix == "" {
		return "s3://" + s.bucket
	}
	return "s3://" + s.bucket + "/" + s.prefix
}

func (s *s3Store) doing(verb, key string) string { return verb + " " + key + " in " + s.String() }

func (s *s3Store) checkKey(key string) error {
	if err := checkKey(key); err != nil {
		return fmt.Errorf("use %s: %w", s, err)
	}
	return nil
}

// on is call for one file.
func (s *s3Store) on(ctx context.Context, verb, key string, do func(context.Context, *s3.Client) error) error {
	if err := s.checkKey(key); err != nil {
		return err
	}
	return s.call(ctx, s.doing(verb, key), do)
}

// object returns the name of key in the bucket.
func (s *s3Store) object(key string) *string {
	if s.prefix != "" {
		key = s.prefix + "/" + key
	}
	return &key
}

// call runs one request, with its retries, within the time allowed. Its errors are opErrors.
func (s *s3Store) call(ctx context.Context, doing string, do func(context.Context, *s3.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	c, err := s.connect(ctx)
	if err == nil {
		err = do(ctx, c)
	}
	if err == nil {
		return nil
	}
	f := s.explain(ctx, err)
	f.doing = doing
	return f
}

// connect returns the client, made at the first use: that reads the environment and ~/.aws, which
// commands that publish nothing needn't wait for.
func (s *s3Store) connect(ctx context.Context) (*s3.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client, nil
	}
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithLogger(logging.Nop{}),
		config.WithHTTPClient(awshttp.NewBuildableClient().
			WithDialerOptions(func(d *net.Dialer) { d.Timeout = s.dialTimeout }).
			WithTransportOptions(func(t *http.Transport) { t.TLSHandshakeTimeout = s.timeout })),
		config.WithRetryer(newRetryer),
		config.WithRegion(s.opts.Region))
	if err != nil {
		return nil, &configError{err}
	}
	if cfg.Region == "" {
		if s.opts.Endpoint == "" {
			return nil, errNoRegion
		}
		cfg.Region = "us-east-1" // what S3 servers other than Amazon's go by, unless told otherwise
	}
	if cfg.Credentials = (&credentials{cfg.Credentials}); s.anonymous {
		cfg.Credentials = aws.AnonymousCredentials{}
	}
	s.client = s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = s.opts.PathStyle
		if s.opts.Endpoint != "" {
			o.BaseEndpoint = &s.opts.Endpoint
		}
		o.DisableLogOutputChecksumValidationSkipped = true
	})
	return s.client, nil
}

// newRetryer makes few attempts, quickly. To the SDK's own reasons to try again it adds S3's 409, said
// to one of two conditional writes of an object at the same moment
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			return backoff << attempt, nil
		})
		o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if api, is := errors.AsType[smithy.APIError](err); is && api.ErrorCode() == "ConditionalRequestConflict" {
				return aws.TrueTernary
			}
			return aws.UnknownTernary
		}))
	})
}

// credentials marks the errors of a provider, so that they can be told from a refusal by S3.
type credentials struct{ aws.CredentialsProvider }

func (c *credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	v, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return v, &credentialsError{err}
	}
	return v, nil
}
