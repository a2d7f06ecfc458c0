package archive

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/encoding/httpbinding"
)

// Headers of an S3 request.
const (
	headerHash  = "X-Amz-Content-Sha256"
	headerDate  = "X-Amz-Date"
	headerToken = "X-Amz-Security-Token" //nolint:gosec // a name, not a token
)

// emptyHash is the SHA-256 of no bytes: a GET has no body.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// sign adds an AWS signature of version 4 for S3 (MAR §3.6). Over plain http
// it only signs for this machine: everybody else could replay it.
func (s *Store) sign(req *http.Request) error {
	if req.URL.Scheme != "https" && !isLoopback(req.URL.Hostname()) {
		s.log.Warn().Str("url", redact(req.URL.String())).
			Msg("s3_sse_kms is ignored: requests are signed for https URLs only")
		return nil
	}
	c := s.cfg.Credentials()
	if missing := c.missing(); len(missing) > 0 {
		return errors.New("Miss environment variables " + strings.Join(missing, ", "))
	}
	return signRequest(req, c, s.cfg.Now())
}

// missing returns the names of the variables that are not set.
func (c Credentials) missing() []string {
	var names []string
	for _, v := range [][2]string{
		{"AWS_ACCESS_KEY_ID", c.AccessKey},
		{"AWS_SECRET_ACCESS_KEY", c.SecretKey},
		{"AWS_DEFAULT_REGION", c.Region},
	} {
		if v[1] == "" {
			names = append(names, v[0])
		}
	}
	return names
}

// signRequest signs a GET request. Path and query are sent in the canonical
// spelling that the signature covers.
func signRequest(req *http.Request, c Credentials, now time.Time) error {
	req.URL.RawPath = httpbinding.EscapePath(cmp.Or(req.URL.Path, "/"), false)
	req.Header.Set(headerHash, emptyHash)
	keys := aws.Credentials{AccessKeyID: c.AccessKey, SecretAccessKey: c.SecretKey, SessionToken: c.Session}
	// The path of S3 is escaped once, that of other services twice.
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	return signer.SignHTTP(req.Context(), keys, req, emptyHash, "s3", c.Region, now.UTC())
}
