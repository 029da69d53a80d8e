// Package store keeps the published files of the maintenance site and its status where visitors can
// read them: in a directory that a web server serves, or in an S3 bucket.
package store

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"strings"
	"time"
)

// A site that is being closed waits for its announcement, so these are short.
const (
	operationTimeout = 8 * time.Second // one operation, retries included, a listing by the page
	dialTimeout      = 2 * time.Second // one attempt to connect
)

// Every error of a Store is, for errors.Is, one of these (or ErrKey). Errors name the key and the
// directory, bucket or endpoint, never an access key, a secret or a signature.
var (
	ErrNotFound     = errors.New("not found")
	ErrPrecondition = errors.New("changed by somebody else in the meantime")
	// ErrUnavailable: the store can't be reached, timed out, or failed. What was being written may or
	// may not have been.
	ErrUnavailable = errors.New("store unavailable")
	// ErrDenied: credentials that are missing or refused, or a permission that is missing.
	ErrDenied      = errors.New("access denied")
	ErrNoBucket    = errors.New("no such bucket")
	ErrWrongRegion = errors.New("wrong region")
)

// Store keeps files under keys: relative paths with slashes, such as "demo/index.html". A key is at
// most 500 bytes of UTF-8; its segments are not empty, at most 250 bytes long, don't start with a dot
// and hold no backslash or control character. Any other key gives an error wrapping ErrKey.
//
// A reader finds a file whole, as it was before a Put or as it is after. Any number of goroutines,
// processes and (S3) hosts may use one store at the same time.
type Store interface {
	// Get returns a file and its ETag. ErrNotFound when there is none.
	Get(ctx context.Context, key string) (data []byte, etag string, err error)
	// Put writes a file if cond holds, and returns its new ETag. ErrPrecondition when cond doesn't
	// hold; of several writers with the same IfMatch or IfAbsent exactly one succeeds.
	Put(ctx context.Context, key string, data []byte, meta Meta, cond Condition) (etag string, err error)
	// List returns the files whose keys start with prefix, sorted by key. An empty prefix means all;
	// any other has the form of a key, possibly ending in a slash. What lies in the store under a name
	// that is no key (hidden files, for one) is left out. The result may be empty.
	List(ctx context.Context, prefix string) ([]Object, error)
	// Delete removes a file. One that isn't there is not an error.
	Delete(ctx context.Context, key string) error
}

// Dated is a Store whose server tells the time with its answers.
type Dated interface {
	Store
	// GetDated is Get, with the time by the server's clock in whole seconds (Date of RFC 9110, section 6.6.1), zero
	// where it doesn't say. It says so with ErrNotFound, too.
	GetDated(ctx context.Context, key string) (data []byte, etag string, date time.Time, err error)
}

// Object is a file in a store.
type Object struct {
	Key string
	// ETag equals ContentETag of the file's content, except in S3 buckets whose objects are encrypted
	// with KMS keys or were uploaded in parts, where it is opaque.
	ETag string
	Size int64 // bytes
}

// Meta says how a file is served. Empty fields are left to the server. The directory kind doesn't
// store it: there the web server's configuration decides.
type Meta struct {
	ContentType  string // MIME type
	CacheControl string // RFC 9111, section 5.2
	// Encoding is what the data is compressed with, as in Content-Encoding (RFC 9110, section 8.4).
	Encoding string
}

// Condition says when a Put may write. Make one with Always, IfAbsent or IfMatch; the zero Condition
// is Always.
type Condition struct {
	absent, match bool
	etag          string
}

// Always writes, whatever is there.
func Always() Condition { return Condition{} }

// IfAbsent writes only where no file is.
func IfAbsent() Condition { return Condition{absent: true} }

// IfMatch writes only over the version of the file whose ETag Get, Put or List returned. An empty
// etag matches no version.
func IfMatch(etag string) Condition { return Condition{match: true, etag: unquote(etag)} }

// holds reports whether c allows a write where the present version's ETag is etag, "" for no file.
func (c Condition) holds(etag string) bool {
	switch {
	case c.absent:
		return etag == ""
	case c.match:
		return etag != "" && etag == c.etag
	}
	return true
}

// ContentETag returns the ETag that a file with this content gets: the MD5 in hexadecimal, which is
// what S3 gives an object uploaded in one piece.
func ContentETag(data []byte) string {
	sum := md5.Sum(data)
	return hex.EncodeToString(sum[:])
}

func unquote(etag string) string { return strings.Trim(etag, `"`) }

// Hint returns what an operator can do about err in plain words, "" when there is nothing to say.
func Hint(err error) string {
	if f, is := errors.AsType[*opError](err); is {
		return f.hint
	}
	return ""
}

// opError is the error of an operation on a store.
type opError struct {
	doing string // "read demo/status.json in s3://bucket"
	kind  error  // one of the package's sentinel errors
	why   string // in plain words; empty when kind says enough
	hint  string // may be empty
	cause error  // for errors.Is only, never printed; may be nil
}

func (f *opError) Error() string {
	if f.why == "" {
		return f.doing + ": " + f.kind.Error()
	}
	return f.doing + ": " + f.why
}

func (f *opError) Unwrap() []error {
	if f.cause == nil {
		return []error{f.kind}
	}
	return []error{f.kind, f.cause}
}
