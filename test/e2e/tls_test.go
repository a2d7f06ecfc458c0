package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// identity is a key with a certificate for this machine that it signed itself.
type identity struct {
	key         *rsa.PrivateKey
	certificate *x509.Certificate
}

func newIdentity(t *testing.T, name string) identity {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	return identity{key, certificate}
}

// certificateFile writes the certificate and returns the property that names it.
func (i identity) certificateFile(t *testing.T, dir string) string {
	t.Helper()
	return "certificate_file=" + pemFile(t, dir, "CERTIFICATE", i.certificate.Raw)
}

func pemFile(t *testing.T, dir, kind string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, strings.ReplaceAll(kind, " ", "")+".pem")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600))
	return path
}

// keystore writes a PKCS#12 keystore and returns the property that names it.
func (i identity) keystore(t *testing.T, dir string) string {
	t.Helper()
	raw, err := pkcs12.Modern.Encode(i.key, i.certificate, nil, "changeit")
	require.NoError(t, err)
	path := filepath.Join(dir, "keystore.p12")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	return "keystore=" + path
}

func (i identity) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(i.certificate)
	return pool
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, other := newIdentity(t, "one"), newIdentity(t, "other")
	pkcs8, err := x509.MarshalPKCS8PrivateKey(one.key)
	require.NoError(t, err)
	newKey := "private_key_file=" + pemFile(t, dir, "PRIVATE KEY", pkcs8)
	oldKey := "private_key_file=" + pemFile(t, dir, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(one.key))
	certificate := one.certificateFile(t, dir)
	for name, properties := range map[string][]string{
		"INF-005 CFG-028 CFG-029 with PEM files":                        {newKey, certificate},
		"INF-005 CFG-029 with PEM files, the key in PKCS#1":             {oldKey, certificate},
		"INF-006 CFG-028 a keystore of type and password as by default": {one.keystore(t, dir)},
		"CFG-028 a keystore beats PEM files":                            {one.keystore(t, dir), newKey, other.certificateFile(t, t.TempDir())},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, e2etest.Properties(append(properties, "inference_address=HTTPS://127.0.0.1:{inference}")...))
			address := l.Address(e2etest.Inference)
			for version, suite := range map[uint16]uint16{tls.VersionTLS12: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.VersionTLS13: 0} {
				c := client(t, &http.Transport{TLSClientConfig: &tls.Config{
					RootCAs: one.pool(), MinVersion: version, MaxVersion: version, CipherSuites: []uint16{suite},
				}})
				status, body := fetch(t, c, http.MethodPost, "https://"+address+path("lab", "echo"), "secret")
				assert.Equal(t, http.StatusOK, status)
				assert.Equal(t, "secret", body)
			}
			assert.Equal(t, http.StatusOK, l.Get(e2etest.Management, "/models", "").Status, "the other listener has none")
			answer := l.Raw(e2etest.Inference, "GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
			assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 403 Forbidden\r\n"), "INF-007 CFG-030: %s", answer)
			assert.True(t, strings.HasSuffix(answer,
				"\r\n\r\n{\n  \"status\": \"This TorchServe instance only accepts HTTPS requests\"\n}\n"), "INF-007 CFG-030: %s", answer)
			l.AwaitLog("ts_log.log", "Recieved HTTP request!") //nolint:misspell // as 0.12 has it
			l.AwaitLog("ts_metrics.log", "Requests4XX.Count:1")
		})
	}
	t.Run("CFG-028 without anything there is a certificate for the run", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, e2etest.Properties("inference_address=https://127.0.0.1:{inference}"))
		c := client(t, &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}})
		status, _ := fetch(t, c, http.MethodGet, "https://"+l.Address(e2etest.Inference)+"/ping", "")
		assert.Equal(t, http.StatusOK, status)
		assert.Contains(t, l.Logs("ts_log.log"), "No certificate is configured")
	})
	t.Run("CFG-028 what cannot be used is named", func(t *testing.T) {
		t.Parallel()
		s := e2etest.NewSite(t, e2etest.Properties("keystore=nowhere.p12", "inference_address=https://127.0.0.1:{inference}"))
		got := s.Run("--start", "--foreground", "--ncs", "--model-store", s.Store)
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stdout+got.Stderr, "nowhere.p12")
		assert.False(t, s.Exists("key_file.json"))
	})
}
