package store

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Kind is a kind of store.
type Kind string

// The kinds of store.
const (
	Dir Kind = "dir"
	S3  Kind = "s3"
)

// S3Options says how to reach a bucket. The zero value leaves all to the SDK's default chain. The
// directory kind ignores it.
type S3Options struct {
	Region    string
	Endpoint  string // http or https URL of another S3 server than Amazon's
	PathStyle bool   // the bucket in the path instead of the host name
}

// Open returns the store at url, which ParseURL must accept. It reads nothing and connects to nothing:
// the directory is neither looked at nor made, and S3 credentials are looked for at the first use, in
// the SDK's default chain. Errors are about url and opts only.
func Open(url string, opts S3Options) (Store, error) {
	kind, location, err := ParseURL(url)
	if err != nil {
		return nil, err
	}
	if kind == Dir {
		return &dirStore{root: location, lockWait: operationTimeout, limits: limits{operationTimeout, grace}}, nil
	}
	if err := checkEndpoint(opts.Endpoint); err != nil {
		return nil, fmt.Errorf("s3 endpoint: %w", err)
	}
	bucket, prefix, _ := strings.Cut(location, "/")
	return &s3Store{bucket: bucket, prefix: prefix, opts: opts, timeout: operationTimeout, dialTimeout: dialTimeout}, nil
}

// ParseURL takes a store's URL apart without touching anything. "dir:/srv/www" gives Dir and the
// cleaned absolute path; "s3://bucket/some/prefix" gives S3 and "bucket/some/prefix", without a slash
// at the end. Its errors don't repeat the URL, which may hold credentials by mistake.
func ParseURL(url string) (kind Kind, location string, err error) {
	if path, ok := strings.CutPrefix(url, "dir:"); ok {
		if err := checkDir(path); err != nil {
			return "", "", err
		}
		return Dir, filepath.Clean(path), nil
	}
	if rest, ok := strings.CutPrefix(url, "s3://"); ok {
		bucket, prefix, slash := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
		if err := checkBucket(bucket); err != nil {
			return "", "", err
		}
		if !slash {
			return S3, bucket, nil
		}
		if err := checkKey(prefix); err != nil {
			return "", "", fmt.Errorf("prefix in the bucket: %w", err)
		}
		return S3, bucket + "/" + prefix, nil
	}
	return "", "", errors.New("unknown kind of store: want dir:/absolute/path or s3://bucket/prefix")
}

func checkDir(path string) error {
	switch {
	case !strings.HasPrefix(path, "/"):
		return errors.New("the directory is not absolute: want dir:/absolute/path")
	case strings.HasPrefix(path, "//"):
		return errors.New("too many slashes: want dir:/absolute/path")
	case !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl):
		return errors.New("the directory's name holds a control character or is not UTF-8")
	case filepath.Clean(path) == "/":
		return errors.New("the root of the file system can't be a store")
	}
	return nil
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
var bucketName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`) })

func checkBucket(name string) error {
	if strings.ContainsAny(name, "@:") {
		return errors.New("credentials or a port in the URL: want s3://bucket/prefix")
	}
	if _, err := netip.ParseAddr(name); err == nil || !bucketName().MatchString(name) || strings.Contains(name, "..") {
		return errors.New("not a bucket name: want 3 to 63 lower-case letters, digits, hyphens and dots")
	}
	return nil
}

func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return errors.New("not an absolute http or https URL")
	case u.User != nil:
		return errors.New("holds credentials, which belong in the environment or in ~/.aws/credentials")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("holds a query or a fragment")
	}
	return nil
}

// ErrKey is wrapped by the errors for keys and prefixes that a Store doesn't accept.
var ErrKey = errors.New("unusable key")

const (
	maxKey     = 500 // with a prefix as long, within the 1024 bytes that S3 allows
	maxSegment = 250 // with the marks of a temporary file, within the 255 bytes of a file name
)

// checkKey refuses everything but plain relative paths, so that no key leads out of a directory or
// means one thing to S3 and another to a web server. Segments that start with a dot are kept for
// temporary files, and are hidden from visitors by many servers.
func checkKey(key string) error {
	refuse := func(why string) error { return fmt.Errorf("%w %q: %s", ErrKey, key, why) }
	switch {
	case key == "":
		return refuse("is empty")
	case len(key) > maxKey:
		return fmt.Errorf("%w: longer than %d bytes", ErrKey, maxKey)
	case !utf8.ValidString(key):
		return refuse("is not UTF-8")
	case strings.ContainsFunc(key, unicode.IsControl):
		return refuse("holds a control character")
	case strings.Contains(key, `\`):
		return refuse("holds a backslash")
	}
	for segment := range strings.SplitSeq(key, "/") {
		switch {
		case segment == "":
			return refuse("is not a relative path without empty segments")
		case segment[0] == '.':
			return refuse("has a segment that starts with a dot")
		case len(segment) > maxSegment:
			return refuse(fmt.Sprintf("has a segment longer than %d bytes", maxSegment))
		}
	}
	return nil
}

func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return checkKey(strings.TrimSuffix(prefix, "/"))
}
