package archive_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archive"
)

// signature computes the signature of a request for S3 as it arrived, by the
// words of MAR §3.6.
func signature(r *http.Request, secret, region string) string {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	names, _, _ := strings.Cut(rest, ",")
	path, query, _ := strings.Cut(r.RequestURI, "?")
	pairs := slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool { return pair == "" })
	slices.Sort(pairs)
	lines := []string{r.Method, path, strings.Join(pairs, "&")}
	for name := range strings.SplitSeq(names, ";") {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		lines = append(lines, name+":"+value)
	}
	lines = append(lines, "", names, r.Header.Get("x-amz-content-sha256"))
	date := r.Header.Get("x-amz-date")
	day, _, _ := strings.Cut(date, "T")
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", date, day + "/" + region + "/s3/aws4_request", hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{day, region, "s3", "aws4_request", toSign} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return hex.EncodeToString(key)
}

// newBucket serves an archive to those whose signature is right, whatever the
// key is that they name.
func newBucket(t *testing.T, c archive.Credentials) *host {
	t.Helper()
	content := zipped(t, noop())
	return newHost(t, func(w http.ResponseWriter, r *http.Request) {
		isRight := strings.HasSuffix(r.Header.Get("Authorization"), "Signature="+signature(r, c.SecretKey, c.Region))
		if !isRight || r.Header.Get("x-amz-security-token") != c.Session {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		serve(content)(w, r)
	})
}

func TestSigned(t *testing.T) {
	t.Parallel()
	keys := archive.Credentials{AccessKey: "AKID", SecretKey: "secret", Region: "eu-west-1"}
	signing := func(c archive.Credentials) func(*archive.Config) {
		return func(cfg *archive.Config) {
			cfg.Credentials = func() archive.Credentials { return c }
			cfg.Now = func() time.Time { return time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC) }
		}
	}
	t.Run("MAR-056 MGT-036 a bucket takes the signature for right", func(t *testing.T) {
		t.Parallel()
		temporary := keys
		temporary.Session = "token/with+signs=="
		for _, c := range []archive.Credentials{keys, temporary} {
			bucket := newBucket(t, c)
			f := newFixture(t, signing(c))
			for i, path := range []string{"/noop.mar", "/d%20r/a+b~c(1)/é%2F/1.mar?versionId=a/b%2Bc+d&x=&a=2&a=1", "/a//b/2.mar?flag"} {
				f.opened(t, archive.Request{URL: bucket.URL + path, S3SSEKMS: true})
				assert.EqualValues(t, i+1, bucket.hits.Load())
			}
			wrong := c
			wrong.SecretKey = "stolen"
			f = newFixture(t, signing(wrong))
			f.refused(t, archive.Request{URL: bucket.URL + "/noop.mar", S3SSEKMS: true}, 400, downloadType, "Failed to download archive from: "+bucket.URL+"/noop.mar")
			f.refused(t, archive.Request{URL: bucket.URL + "/noop.mar"}, 400, downloadType, "Failed to download archive from: "+bucket.URL+"/noop.mar")
			assert.NotContains(t, f.log.text.String(), "stolen")
		}
	})
	t.Run("MAR-056 MGT-036 the request is signed", func(t *testing.T) {
		t.Parallel()
		h := newHost(t, serve(zipped(t, noop())))
		f := newFixture(t, signing(keys))
		f.opened(t, archive.Request{URL: h.URL + "/noop.mar", S3SSEKMS: true})
		got := h.last.Load().Header
		assert.Equal(t, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", got.Get("x-amz-content-sha256"))
		assert.Equal(t, "20240506T070809Z", got.Get("x-amz-date"))
		assert.Regexp(t, `^AWS4-HMAC-SHA256 Credential=AKID/20240506/eu-west-1/s3/aws4_request, `+
			`SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=[0-9a-f]{64}$`, got.Get("Authorization"))
	})
	t.Run("MAR-057 without the variables nothing is sent", func(t *testing.T) {
		t.Parallel()
		h := newHost(t, serve(zipped(t, noop())))
		for _, c := range []archive.Credentials{{}, {AccessKey: "a", SecretKey: "b"}} {
			f := newFixture(t, signing(c))
			f.refused(t, archive.Request{URL: h.URL + "/noop.mar", S3SSEKMS: true}, 400, downloadType, "Failed to download archive from: "+h.URL+"/noop.mar")
		}
		assert.Zero(t, h.hits.Load())
	})
	t.Run("a signature does not follow a redirect to another host", func(t *testing.T) {
		t.Parallel()
		other := newHost(t, serve(zipped(t, noop())))
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/first.mar" {
				http.Redirect(w, r, "/second.mar", http.StatusTemporaryRedirect)
				return
			}
			http.Redirect(w, r, other.URL+"/noop.mar", http.StatusTemporaryRedirect)
		})
		withToken := keys
		withToken.Session = "session"
		f := newFixture(t, signing(withToken))
		f.opened(t, archive.Request{URL: h.URL + "/first.mar", S3SSEKMS: true})
		assert.Contains(t, h.last.Load().Header.Get("Authorization"), "x-amz-security-token, Signature=", "signed anew for the same host")
		for _, name := range []string{"Authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"} {
			assert.Empty(t, other.last.Load().Header.Get(name))
		}
	})
	t.Run("a plain http URL of another machine is fetched unsigned", func(t *testing.T) {
		t.Parallel()
		proxy := newHost(t, serve(zipped(t, noop())))
		via, err := url.Parse(proxy.URL)
		require.NoError(t, err)
		f := newFixture(t, func(cfg *archive.Config) {
			signing(keys)(cfg)
			cfg.Transport = &http.Transport{Proxy: http.ProxyURL(via)}
		})
		f.opened(t, archive.Request{URL: "http://models.example/noop.mar?secret", S3SSEKMS: true})
		assert.Empty(t, proxy.last.Load().Header.Get("Authorization"))
		assert.Equal(t, []string{"s3_sse_kms is ignored: requests are signed for https URLs only"}, f.log.lines(t, "warn"))
		assert.NotContains(t, f.log.text.String(), "?secret")
	})
}
