package archive_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/archive"
	"github.com/torchserve-go/torchserve/pkg/fault"
)

func TestRedirects(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	other := newHost(t, serve(zipped(t, noop())))
	otherName := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	secure := httptest.NewTLSServer(nil)
	t.Cleanup(secure.Close)
	to := func(target string) string { return h.URL + "/noop.mar?to=" + url.QueryEscape(target) }
	f := newFixture(t, func(cfg *archive.Config) {
		cfg.AllowedURLs = urls(h.URL+"/.*", other.URL+"/.*", "https://127.*", "http://169.254.*")
	})
	t.Run("an admitted host is followed", func(t *testing.T) {
		t.Parallel()
		u := f.opened(t, archive.Request{URL: to(other.URL + "/elsewhere.mar")})
		assert.Empty(t, other.last.Load().Header.Get("Referer"), "it holds the signature of a signed URL")
		assert.Contains(t, f.visible(t), "noop.mar", "the name is that of the first URL")
		require.NoError(t, u.Remove())
	})
	for name, target := range map[string]string{
		"MAR-053 MGT-038 another host":         otherName + "/noop.mar",
		"MAR-053 MGT-038 no URL of a file":     "http://evil.example/",
		"MAR-053 a link-local address":         "http://169.254.0.0:1/latest/meta-data",
		"MAR-053 a link-local address as IPv6": "http://[::ffff:169.254.0.0]:1/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(cfg *archive.Config) {
				cfg.AllowedURLs = urls(h.URL+"/.*", `http://169\.254\.0.*`, `http://\[::ffff:.*`)
			})
			f.refused(t, archive.Request{URL: to(target)}, 404, notFoundType, "Given URL "+target+" does not match any allowed URL(s)")
			assert.Empty(t, tree(t, f.models))
		})
	}
	t.Run("MGT-038 dots in a redirect", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		u := to(other.URL + "/a/%2e%2e/b.mar")
		_, err := f.Open(t.Context(), archive.Request{URL: u})
		assert.Contains(t, fault.Message(err), "Relative path is not allowed in url: ")
	})
	t.Run("MGT-038 another protocol", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		u := to(secure.URL + "/noop.mar")
		f.refused(t, archive.Request{URL: u}, 400, downloadType, "Failed to download archive from: "+u)
	})
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	h := newHost(t, serve(zipped(t, noop())))
	t.Run("link-local addresses are refused, also where every URL is admitted", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		for _, host := range []string{"169.254.169.254", "[fe80::1%25lo]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "100.100.100.200", "[fd00:ec2::254]", "2852039166", "0xa9fea9fe", "169.254.0xa9fe"} {
			u := "http://" + host + "/noop.mar"
			f.refused(t, archive.Request{URL: u}, 404, notFoundType, "Given URL "+u+" does not match any allowed URL(s)")
		}
	})
	t.Run("loopback is admitted, and refused with strict_security", func(t *testing.T) {
		t.Parallel()
		u := strings.Replace(h.URL, "127.0.0.1", "localhost", 1) + "/noop.mar"
		newFixture(t, nil).opened(t, archive.Request{URL: u})
		f := newFixture(t, func(cfg *archive.Config) { cfg.StrictSecurity = true })
		for _, u := range []string{u, h.URL + "/noop.mar", "http://10.0.0.1/noop.mar", "http://[::1]/noop.mar", "http://0.0.0.0/noop.mar"} {
			f.refused(t, archive.Request{URL: u}, 404, notFoundType, "Given URL "+u+" does not match any allowed URL(s)")
		}
	})
	t.Run("a proxy is used, and its own address is not judged", func(t *testing.T) {
		t.Parallel()
		proxy := newHost(t, serve(zipped(t, noop())))
		via, err := url.Parse(proxy.URL)
		require.NoError(t, err)
		f := newFixture(t, func(cfg *archive.Config) {
			cfg.StrictSecurity = true
			cfg.Transport = &http.Transport{Proxy: http.ProxyURL(via)}
		})
		f.opened(t, archive.Request{URL: "http://models.example/noop.mar"})
		assert.Equal(t, "models.example", proxy.last.Load().Host)
		u := "http://169.254.169.254/x.mar"
		f.refused(t, archive.Request{URL: u}, 404, notFoundType, "Given URL "+u+" does not match any allowed URL(s)")
		assert.EqualValues(t, 1, proxy.hits.Load())
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
