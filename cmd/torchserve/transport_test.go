package main

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/config"
)

// pemFiles writes the identity of a test server.
func pemFiles(t *testing.T, s *httptest.Server) config.TLS {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600))
		return path
	}
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	require.NoError(t, err)
	return config.TLS{Key: write("key.pem", "PRIVATE KEY", key), Certificate: write("cert.pem", "CERTIFICATE", s.Certificate().Raw)}
}

func TestTrust(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(says(200, `{"models":[]}`))
	t.Cleanup(s.Close)
	address, err := config.ParseAddress(s.URL, config.Management)
	require.NoError(t, err)
	own := pemFiles(t, s)
	address.Host = "localhost" // which is not in the certificate
	for name, c := range map[string]struct {
		pid      int
		identity config.TLS
		insecure bool
		advice   string // empty: it works
	}{
		"a server here, with its own certificate":     {1, own, false, ""},
		"a server here, that made one itself":         {1, config.TLS{}, false, "--insecure accepts it, certificate_file gives it a lasting one."},
		"the same, if that does not matter":           {1, config.TLS{}, true, ""},
		"a server elsewhere":                          {0, config.TLS{}, false, "SSL_CERT_FILE names a file with the certificates to trust; --insecure accepts any."},
		"a server elsewhere, if that does not matter": {0, config.TLS{}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := target{pid: c.pid, cfg: config.Config{Listen: config.Listen{TLS: c.identity}}, inference: address, management: address, metrics: address}
			api, err := target.client(c.insecure)
			require.NoError(t, err)
			_, err = api.List(t.Context())
			if c.advice == "" {
				require.NoError(t, err)
				return
			}
			err = (&session{target: target, api: api}).explain(t.Context(), err)
			var hinted *hintedError
			require.ErrorAs(t, err, &hinted)
			assert.Contains(t, hinted.hint, c.advice)
		})
	}
	t.Run("a certificate that cannot be read is named", func(t *testing.T) {
		t.Parallel()
		_, err := (&target{pid: 1, cfg: config.Config{Listen: config.Listen{TLS: config.TLS{Key: "k", Certificate: "nowhere"}}}, inference: address}).client(false)
		require.ErrorContains(t, err, "nowhere")
	})
}

func TestReachable(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"0.0.0.0": "127.0.0.1", "::": "::1", "10.0.0.1": "10.0.0.1", "h": "h"} {
		assert.Equal(t, want, reachable(host))
	}
	zone, err := (&target{}).endpoint(config.Address{Scheme: config.PlainHTTP, Host: "fe80::1%eth0", Port: 8080}, false)
	require.NoError(t, err)
	assert.Equal(t, "http://[fe80::1%25eth0]:8080", zone.Base)
}
