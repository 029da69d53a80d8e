package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"syscall"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// Errors from before a request is sent. What they wrap may quote configuration files or the output of
// a credential process, so it is never printed.
type (
	configError      struct{ error }
	credentialsError struct{ error }
)

var (
	errNoRegion = errors.New("no region")
	errNotS3    = errors.New("not an answer of S3")
)

// refusals are the error codes of S3 that an operator can do something about.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
var refusals = map[string]struct{ why, hint string }{
	"AccessDenied":          {"access denied", hintPermissions},
	"Forbidden":             {"access denied", hintPermissions}, // HEAD has no body to name a code in
	"InvalidAccessKeyId":    {"the access key id is not known there", hintKeys},
	"SignatureDoesNotMatch": {"the secret access key doesn't belong to the access key id", hintKeys},
	"ExpiredToken":          {"the session credentials have expired", "sign in again, or use the instance's role"},
	"InvalidToken":          {"the session token is not valid", hintKeys},
	"RequestTimeTooSkewed":  {"this machine's clock is too far from the server's", "set the clock: timedatectl set-ntp true"},
	"AllAccessDisabled":     {"all access is disabled", "see whether the bucket or the account is suspended"},
}

const (
	hintPermissions = "allow these credentials s3:ListBucket on the bucket and s3:GetObject, s3:PutObject and s3:DeleteObject on what is in it" +
		" (without s3:ListBucket, a file that isn't there yet counts as denied)"
	hintKeys = "check the credentials of the user that runs conforma-status: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials"
)

// explain puts what the SDK said into an opError, without the SDK's own words: they can quote what the
// server or a configuration file says.
func (s *s3Store) explain(ctx context.Context, err error) *opError {
	f := &opError{kind: ErrUnavailable, cause: ctx.Err()}
	var cfgErr *configError
	var credErr *credentialsError
	var answer *awshttp.ResponseError
	switch {
	case errors.Is(err, errNoRegion):
		f.kind, f.why = ErrWrongRegion, "no region is configured"
		f.hint = "set region under [s3] to where the bucket is, or AWS_REGION"
	case errors.As(err, &cfgErr):
		f.kind, f.why = ErrDenied, "the AWS configuration of this user can't be read"
		f.hint = "see what is wrong with it: aws sts get-caller-identity, as the user that runs conforma-status"
	case errors.Is(ctx.Err(), context.Canceled):
		f.why = "interrupted"
	case errors.As(err, &credErr):
		f.kind, f.why = ErrDenied, "found no AWS credentials"
		f.hint = "give the user that runs conforma-status credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws/credentials, or a role of the instance"
	case ctx.Err() != nil:
		f.why = s.host(err) + " did not answer in time"
		f.hint = hintReach
	case errors.As(err, &answer) && answer.Response != nil && answer.Response.StatusCode >= 300:
		s.explainAnswer(f, err, answer.Response.Response)
	default:
		f.why, f.hint = s.host(err)+" "+transportWords(err), hintReach
	}
	return f
}

const hintReach = "see that this machine reaches the store, and endpoint under [s3] if one is set"

// explainAnswer is explain for an answer with an error status.
func (s *s3Store) explainAnswer(f *opError, err error, resp *http.Response) {
	code := "no code"
	api, is := errors.AsType[smithy.APIError](err)
	if is && errorCode().MatchString(api.ErrorCode()) {
		code = api.ErrorCode()
	}
	status := resp.StatusCode
	refusal, refused := refusals[code]
	switch {
	case status == http.StatusNotModified:
		f.kind = ErrUnchanged
	case code == "NoSuchKey", code == "NotFound":
		f.kind = ErrNotFound
	case code == "NoSuchBucket", code == "InvalidBucketName":
		f.kind, f.why = ErrNoBucket, fmt.Sprintf("bucket %q does not exist", s.bucket)
		f.hint = "create the bucket, or correct store in the configuration"
	case status == http.StatusPreconditionFailed, code == "ConditionalRequestConflict":
		f.kind = ErrPrecondition
	case status == http.StatusMovedPermanently, status == http.StatusTemporaryRedirect,
		code == "AuthorizationHeaderMalformed", code == "IllegalLocationConstraintException":
		f.kind, f.why = ErrWrongRegion, fmt.Sprintf("bucket %q is in another region", s.bucket)
		f.hint = "set region under [s3] to the bucket's own"
		if region := regionIn(resp, api); region != "" {
			f.why = fmt.Sprintf("bucket %q is in region %s", s.bucket, region)
			f.hint = fmt.Sprintf("set region = %q under [s3]", region)
		}
	case refused:
		f.kind, f.why, f.hint = ErrDenied, refusal.why+" (bucket "+s.bucket+")", refusal.hint
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		f.kind, f.why, f.hint = ErrDenied, fmt.Sprintf("access denied (bucket %s: %d, %s)", s.bucket, status, code), hintPermissions
	case code == "NotImplemented":
		f.why = s.host(err) + " doesn't know conditional writes"
		f.hint = "use a store that does: Amazon S3, or the directory kind"
	default:
		f.why = fmt.Sprintf("%s answered %d (%s)", s.host(err), status, code)
		if status < 500 {
			f.hint = "see that endpoint under [s3] is that of an S3 server"
		}
	}
}

var (
	errorCode  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z]{1,64}$`) })
	regionName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9-]{1,32}$`) })
	expecting  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`expecting ['"]([a-z0-9-]{1,32})['"]`) })
)

// regionIn returns the region that S3 names in refusing a request for another, or "".
func regionIn(resp *http.Response, api smithy.APIError) string {
	if region := resp.Header.Get("x-amz-bucket-region"); regionName().MatchString(region) {
		return region
	}
	if api != nil {
		if m := expecting().FindStringSubmatch(api.ErrorMessage()); m != nil {
			return m[1]
		}
	}
	return ""
}

// host names the server that err is about.
func (s *s3Store) host(err error) string {
	if urlErr, is := errors.AsType[*url.Error](err); is {
		if u, err := url.Parse(urlErr.URL); err == nil && u.Host != "" {
			return u.Host
		}
	}
	if u, err := url.Parse(s.opts.Endpoint); err == nil && u.Host != "" {
		return u.Host
	}
	return "S3"
}

// transportWords continues "host …" for a request that got no answer, or none that is S3's.
func transportWords(err error) string {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var timeout net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "is a name that doesn't resolve"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refuses connections"
	case errors.As(err, &cert):
		return "shows a certificate that isn't trusted here"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "did not answer in time"
	}
	var answer *awshttp.ResponseError
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "broke off in the middle of an answer"
	}
	if errors.Is(err, errNotS3) || errors.As(err, &answer) {
		return "gave an answer that isn't S3's"
	}
	return "can't be reached, or broke off"
}
