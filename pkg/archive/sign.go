package archive

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
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
	signRequest(req, c, s.cfg.Now())
	return nil
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
func signRequest(req *http.Request, c Credentials, now time.Time) {
	date := now.UTC().Format("20060102T150405Z")
	scope := strings.Join([]string{date[:8], c.Region, "s3", "aws4_request"}, "/")
	u := req.URL
	u.RawPath = escape(cmp.Or(u.Path, "/"), true)
	u.RawQuery = canonicalQuery(u.Query())

	headers := [][2]string{{"host", u.Host}, {"x-amz-content-sha256", emptyHash}, {"x-amz-date", date}}
	if c.Session != "" {
		headers = append(headers, [2]string{"x-amz-security-token", c.Session})
		req.Header.Set(headerToken, c.Session)
	}
	signed := make([]string, 0, len(headers))
	var lines strings.Builder
	for _, h := range headers {
		signed = append(signed, h[0])
		lines.WriteString(h[0] + ":" + h[1] + "\n")
	}
	names := strings.Join(signed, ";")
	request := strings.Join([]string{req.Method, u.RawPath, u.RawQuery, lines.String(), names, emptyHash}, "\n")
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", date, scope, digest(request)}, "\n")

	key := []byte("AWS4" + c.SecretKey)
	for _, part := range []string{date[:8], c.Region, "s3", "aws4_request"} {
		key = mac(key, part)
	}
	req.Header.Set(headerHash, emptyHash)
	req.Header.Set(headerDate, date)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+c.AccessKey+"/"+scope+
		", SignedHeaders="+names+", Signature="+hex.EncodeToString(mac(key, toSign)))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonicalQuery returns the query sorted by name and value, escaped as S3
// expects.
func canonicalQuery(q url.Values) string {
	var pairs [][2]string
	for name, values := range q {
		for _, v := range values {
			pairs = append(pairs, [2]string{escape(name, false), escape(v, false)})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	texts := make([]string, 0, len(pairs))
	for _, p := range pairs {
		texts = append(texts, p[0]+"="+p[1])
	}
	return strings.Join(texts, "&")
}

// escape escapes all but the unreserved characters of RFC 3986, and slashes if
// they are kept.
func escape(text string, keepSlash bool) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case isHostByte(c, true) || c == '~' || c == '/' && keepSlash:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}
