package store

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// ErrWritten is returned (wrapped) by Guarded.MayOverwrite where the file was written after all.
var ErrWritten = errors.New("it was written")

// Guarded is a Store in which not everybody may do everything. An S3 bucket is one.
type Guarded interface {
	Store
	// MayOverwrite reports whether whoever uses the store may write a file without a condition. The server is given what
	// the file has, data and meta in the version of that ETag, with the digest of other data. It looks at the rights
	// first, and then refuses that (BadDigest of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). A
	// server that doesn't look at the digest is found out by a write over that version and no other, so nobody's is lost:
	// the error wraps ErrWritten. It wraps ErrPrecondition where the file has another version by now.
	MayOverwrite(ctx context.Context, key string, data []byte, meta Meta, etag string) (bool, error)
	// ToAnyone returns the store as those find it who have no credentials.
	ToAnyone() Store
}

// MayOverwrite is part of Guarded.
func (s *s3Store) MayOverwrite(ctx context.Context, key string, data []byte, meta Meta, etag string) (bool, error) {
	other := md5.Sum(append(bytes.Clone(data), '\n'))
	for _, match := range []*string{aws.String(`"` + etag + `"`), nil} {
		refused := false
		err := s.on(ctx, "try to write", key, func(ctx context.Context, c *s3.Client) error {
			_, err := c.PutObject(ctx, &s3.PutObjectInput{
				Bucket: &s.bucket, Key: s.object(key), Body: bytes.NewReader(data), ContentMD5: aws.String(base64.StdEncoding.EncodeToString(other[:])),
				ContentType: given(meta.ContentType), CacheControl: given(meta.CacheControl), IfMatch: match,
			})
			if api, is := errors.AsType[smithy.APIError](err); is && api.ErrorCode() == "BadDigest" {
				refused = true
				return nil
			}
			return err
		})
		switch {
		case refused:
		case err == nil:
			return false, fmt.Errorf("%s: %w", s.doing("try to write", key), ErrWritten)
		case errors.Is(err, ErrDenied):
			return false, nil
		default:
			return false, err
		}
	}
	return true, nil
}

// ToAnyone is part of Guarded.
func (s *s3Store) ToAnyone() Store {
	return &s3Store{bucket: s.bucket, prefix: s.prefix, opts: s.opts, timeout: s.timeout, dialTimeout: s.dialTimeout, anonymous: true}
}
