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
	// MayOverwrite reports whether whoever uses the store may write a file without a condition. The server is given data
	// with the digest of other data. It looks at the rights first, and then refuses that (BadDigest of
	// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). A server that doesn't look at the digest
	// writes data: the error wraps ErrWritten.
	MayOverwrite(ctx context.Context, key string, data []byte) (bool, error)
	// ToAnyone returns the store as those find it who have no credentials.
	ToAnyone() Store
}

// MayOverwrite is part of Guarded.
func (s *s3Store) MayOverwrite(ctx context.Context, key string, data []byte) (may bool, err error) {
	other := md5.Sum(append(bytes.Clone(data), '\n'))
	written := false
	err = s.on(ctx, "try to write", key, func(ctx context.Context, c *s3.Client) error {
		_, err := c.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &s.bucket, Key: s.object(key), Body: bytes.NewReader(data), ContentMD5: aws.String(base64.StdEncoding.EncodeToString(other[:])),
		})
		if api, is := errors.AsType[smithy.APIError](err); is && api.ErrorCode() == "BadDigest" {
			may = true
			return nil
		}
		written = err == nil
		return err
	})
	switch {
	case written:
		return true, fmt.Errorf("%s: %w", s.doing("try to write", key), ErrWritten)
	case errors.Is(err, ErrDenied):
		return false, nil
	}
	return may, err
}

// ToAnyone is part of Guarded.
func (s *s3Store) ToAnyone() Store {
	return &s3Store{bucket: s.bucket, prefix: s.prefix, opts: s.opts, timeout: s.timeout, dialTimeout: s.dialTimeout, anonymous: true}
}
