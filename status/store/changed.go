package store

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// ErrUnchanged is returned (wrapped) by GetIfChanged where the file is still of the version that the caller has.
var ErrUnchanged = errors.New("not changed")

// Conditional is a Store that answers a question for what has changed without sending what has not.
type Conditional interface {
	Store
	// GetIfChanged is the function of that name; etag isn't "".
	GetIfChanged(ctx context.Context, key, etag string) (data []byte, now string, err error)
}

// GetIfChanged is Get for a caller that has the version with that ETag already ("" for none). If that version is still
// there, the error wraps ErrUnchanged. A bucket then sends no file (304, RFC 9110, section 15.4.5).
func GetIfChanged(ctx context.Context, s Store, key, etag string) (data []byte, now string, err error) {
	if bucket, is := s.(Conditional); is && etag != "" {
		return bucket.GetIfChanged(ctx, key, etag)
	}
	data, now, err = s.Get(ctx, key)
	if err == nil && etag != "" && now == unquote(etag) {
		return nil, now, ErrUnchanged
	}
	return data, now, err
}

// GetIfChanged is part of Conditional.
func (s *s3Store) GetIfChanged(ctx context.Context, key, etag string) (data []byte, now string, err error) {
	data, now, _, err = s.get(ctx, key, aws.String(`"`+unquote(etag)+`"`))
	return data, now, err
}
