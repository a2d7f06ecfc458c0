package listen_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	keystore "github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/torchserve-go/torchserve/pkg/listen"
)

// identity is a key with its certificate and the one that signed it.
type identity struct {
	key    crypto.Signer
	leaf   *x509.Certificate
	issuer *x509.Certificate
}

// pool trusts the issuer only: a server must send its whole chain.
func (i identity) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(i.issuer)
	return p
}

func newIdentity(t testing.TB, key crypto.Signer) identity {
	t.Helper()
	_, issuerKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"example.org"},
	}
	return identity{key: key, leaf: signed(t, leaf, root, key.Public(), issuerKey), issuer: signed(t, root, root, issuerKey.Public(), issuerKey)}
}

func signed(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	require.NoError(t, err)
	c, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	return c
}

func rsaKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return key
}

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func file(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func pemFile(t testing.TB, kind string, blocks ...[]byte) string {
	t.Helper()
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})...)
	}
	return file(t, "x.pem", text)
}

func pkcs8(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return raw
}

const password = "hunter2"

func pkcs12File(t testing.TB, i identity, how *pkcs12.Encoder) string {
	t.Helper()
	raw, err := how.Encode(i.key, i.leaf, []*x509.Certificate{i.issuer}, password)
	require.NoError(t, err)
	return file(t, "k.p12", raw)
}

// jksFile makes a JKS file with a trusted certificate before the keys.
func jksFile(t testing.TB, keys map[string]identity) string {
	t.Helper()
	store := keystore.New()
	for alias, i := range keys {
		trusted := keystore.TrustedCertificateEntry{CreationTime: time.Now(), Certificate: keystore.Certificate{Type: "X509", Content: i.issuer.Raw}}
		require.NoError(t, store.SetTrustedCertificateEntry("a-"+alias, trusted))
		if i.key == nil {
			continue
		}
		require.NoError(t, store.SetPrivateKeyEntry(alias, keystore.PrivateKeyEntry{
			CreationTime: time.Now(), PrivateKey: pkcs8(t, i.key),
			CertificateChain: []keystore.Certificate{{Type: "X509", Content: i.leaf.Raw}, {Type: "X509", Content: i.issuer.Raw}},
		}, []byte(password)))
	}
	var b bytes.Buffer
	require.NoError(t, store.Store(&b, []byte(password)))
	return file(t, "k.jks", b.Bytes())
}

// serve answers "hello" over TLS and returns the address. plain is told about
// clients without.
func serve(t *testing.T, c listen.Certificates, plain func(net.Addr)) string {
	t.Helper()
	cfg, err := c.Load()
	require.NoError(t, err)
	l := open(t, "tcp", "127.0.0.1:0", &listen.Secure{Config: cfg, Plain: plain})
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "hello over "+r.Proto)
		}),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return l.Addr().String()
}

// get asks for / and returns the body and the state of the connection.
func get(t *testing.T, address string, cfg *tls.Config, h2 bool) (string, *tls.ConnectionState) {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: h2}
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address, http.NoBody)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: tr}).Do(r)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body), resp.TLS
}

// TestCertificates serves with each kind of identity to a client that checks it.
func TestCertificates(t *testing.T) {
	t.Parallel()
	keyRSA, keyEC := rsaKey(t), ecKey(t)
	theRSA, theEC := newIdentity(t, keyRSA), newIdentity(t, keyEC)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	theEd := newIdentity(t, ed)
	ec, err := x509.MarshalECPrivateKey(keyEC)
	require.NoError(t, err)
	chain := func(i identity) string { return pemFile(t, "CERTIFICATE", i.leaf.Raw, i.issuer.Raw) }
	rsaPKCS1 := x509.MarshalPKCS1PrivateKey(keyRSA)
	for name, c := range map[string]struct {
		id   identity
		from listen.Certificates
	}{
		"CFG-028 CFG-029 PEM, PKCS#1": {theRSA, listen.Certificates{KeyFile: pemFile(t, "RSA PRIVATE KEY", rsaPKCS1), CertificateFile: chain(theRSA)}},
		"CFG-029 PEM, PKCS#8":         {theRSA, listen.Certificates{KeyFile: pemFile(t, "PRIVATE KEY", pkcs8(t, theRSA.key)), CertificateFile: chain(theRSA)}},
		"PEM, EC in SEC 1":            {theEC, listen.Certificates{KeyFile: pemFile(t, "EC PRIVATE KEY", ec), CertificateFile: chain(theEC)}},
		"PEM, Ed25519":                {theEd, listen.Certificates{KeyFile: pemFile(t, "PRIVATE KEY", pkcs8(t, ed)), CertificateFile: chain(theEd)}},
		"CFG-028 PKCS#12":             {theRSA, listen.Certificates{Keystore: pkcs12File(t, theRSA, pkcs12.Modern), KeystorePassword: password}},
		"PKCS#12 of old Java":         {theRSA, listen.Certificates{Keystore: pkcs12File(t, theRSA, pkcs12.LegacyRC2), KeystorePassword: password}},
		"PKCS#12, EC":                 {theEC, listen.Certificates{Keystore: pkcs12File(t, theEC, pkcs12.Modern), KeystorePassword: password}},
		"JKS":                         {theRSA, listen.Certificates{Keystore: jksFile(t, map[string]identity{"ts": theRSA}), KeystorePassword: password}},
		"JKS, the first key": {theRSA, listen.Certificates{
			Keystore:         jksFile(t, map[string]identity{"b": theRSA, "c": theEC, "d": theEd, "e": theEC, "f": theEd}),
			KeystorePassword: password,
		}},
		"CFG-028 the keystore is preferred": {theRSA, listen.Certificates{
			Keystore: pkcs12File(t, theRSA, pkcs12.Modern), KeystorePassword: password,
			KeyFile: pemFile(t, "EC PRIVATE KEY", ec), CertificateFile: chain(theEC),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.False(t, c.from.SelfSigned())
			body, state := get(t, serve(t, c.from, nil), &tls.Config{RootCAs: c.id.pool(), ServerName: "example.org"}, false)
			assert.Equal(t, "hello over HTTP/1.1", body)
			assert.Equal(t, c.id.leaf.Raw, state.PeerCertificates[0].Raw)
			assert.Equal(t, uint16(tls.VersionTLS13), state.Version)
		})
	}
	for name, from := range map[string]listen.Certificates{
		"nothing":       {},
		"a key alone":   {KeyFile: "/k.pem"},
		"a certificate": {CertificateFile: "/c.pem"},
	} {
		t.Run("CFG-028 self-signed, configured: "+name, func(t *testing.T) {
			t.Parallel()
			assert.True(t, from.SelfSigned())
			cfg, err := from.Load()
			require.NoError(t, err)
			leaf, err := x509.ParseCertificate(cfg.Certificates[0].Certificate[0])
			require.NoError(t, err)
			assert.Equal(t, "localhost", leaf.Subject.CommonName)
			assert.IsType(t, &rsa.PublicKey{}, leaf.PublicKey)
			require.NoError(t, leaf.VerifyHostname("localhost"))
			require.NoError(t, leaf.VerifyHostname("127.0.0.1"))
			pool := x509.NewCertPool()
			pool.AddCert(leaf)
			_, err = leaf.Verify(x509.VerifyOptions{Roots: pool})
			require.NoError(t, err)
		})
	}
}

// TestProtocols is about what a client may insist on.
func TestProtocols(t *testing.T) {
	t.Parallel()
	i := newIdentity(t, rsaKey(t))
	from := listen.Certificates{Keystore: pkcs12File(t, i, pkcs12.Modern), KeystorePassword: password}
	client := func(change func(*tls.Config)) *tls.Config {
		c := &tls.Config{RootCAs: i.pool(), ServerName: "example.org"}
		change(c)
		return c
	}
	t.Run("HTTP/2", func(t *testing.T) {
		t.Parallel()
		body, state := get(t, serve(t, from, nil), client(func(*tls.Config) {}), true)
		assert.Equal(t, "hello over HTTP/2.0", body)
		assert.Equal(t, "h2", state.NegotiatedProtocol)
	})
	t.Run("a protocol that is not known", func(t *testing.T) {
		t.Parallel()
		body, state := get(t, serve(t, from, nil), client(func(c *tls.Config) { c.NextProtos = []string{"spdy/3"} }), false)
		assert.Equal(t, "hello over HTTP/1.1", body)
		assert.Empty(t, state.NegotiatedProtocol)
	})
	for _, suite := range []uint16{
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	} {
		t.Run("TLS 1.2, "+tls.CipherSuiteName(suite), func(t *testing.T) {
			t.Parallel()
			body, state := get(t, serve(t, from, nil), client(func(c *tls.Config) {
				c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{suite}
			}), false)
			assert.Equal(t, "hello over HTTP/1.1", body)
			assert.Equal(t, suite, state.CipherSuite)
		})
	}
	for name, change := range map[string]func(*tls.Config){
		"TLS 1.1": func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
		"no forward secrecy": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
		},
		"a broken cipher suite": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA}
		},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			t.Parallel()
			d := tls.Dialer{Config: client(change)}
			_, err := d.DialContext(t.Context(), "tcp", serve(t, from, nil))
			require.ErrorContains(t, err, "remote error: tls: ")
		})
	}
	t.Run("the suite with CBC comes last", func(t *testing.T) {
		t.Parallel()
		_, state := get(t, serve(t, from, nil), client(func(c *tls.Config) {
			c.MaxVersion = tls.VersionTLS12
			c.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
		}), false)
		assert.Equal(t, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, state.CipherSuite)
	})
}

func TestCertificateFaults(t *testing.T) {
	t.Parallel()
	i := newIdentity(t, rsaKey(t))
	other := newIdentity(t, rsaKey(t))
	p12, jks := pkcs12File(t, i, pkcs12.Modern), jksFile(t, map[string]identity{"ts": i})
	trustStore, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{i.leaf}, password)
	require.NoError(t, err)
	certificate, key := pemFile(t, "CERTIFICATE", i.leaf.Raw), pemFile(t, "PRIVATE KEY", pkcs8(t, i.key))
	const noKey = "No key entry found in keystore."
	for name, c := range map[string]struct {
		from listen.Certificates
		says []string
	}{
		"the password of PKCS#12":       {listen.Certificates{Keystore: p12, KeystorePassword: "wrong-secret"}, []string{p12, "keystore_pass"}},
		"the password of JKS":           {listen.Certificates{Keystore: jks, KeystorePassword: "wrong-secret"}, []string{jks, "keystore_pass"}},
		"a missing keystore":            {listen.Certificates{Keystore: "/none.p12"}, []string{"read keystore", "/none.p12"}},
		"a keystore that is none":       {listen.Certificates{Keystore: key, KeystorePassword: password}, []string{key}},
		"a JKS file cut short":          {listen.Certificates{Keystore: file(t, "k", []byte("\xfe\xed\xfe\xed\x00")), KeystorePassword: password}, []string{"read keystore"}},
		"no key in PKCS#12":             {listen.Certificates{Keystore: file(t, "k", trustStore), KeystorePassword: password}, []string{noKey}},
		"no key in JKS":                 {listen.Certificates{Keystore: jksFile(t, map[string]identity{"ts": {issuer: i.issuer}}), KeystorePassword: password}, []string{noKey}},
		"a missing key file":            {listen.Certificates{KeyFile: "/none.pem", CertificateFile: certificate}, []string{"private_key_file", "/none.pem"}},
		"a certificate of another key":  {listen.Certificates{KeyFile: key, CertificateFile: pemFile(t, "CERTIFICATE", other.leaf.Raw)}, []string{"certificate_file", "private key does not match"}},
		"a certificate file of nothing": {listen.Certificates{KeyFile: key, CertificateFile: file(t, "c", nil)}, []string{"certificate_file"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.from.Load()
			require.Error(t, err)
			for _, text := range c.says {
				assert.ErrorContains(t, err, text)
			}
			assert.NotContains(t, err.Error(), "wrong-secret")
			assert.NotContains(t, err.Error(), password)
		})
	}
}

const refusal = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\nPragma: no-cache\r\n" +
	"Cache-Control: no-cache; no-store, must-revalidate, private\r\nExpires: Thu, 01 Jan 1970 00:00:00 UTC\r\n" +
	"content-length: 71\r\nconnection: close\r\n\r\n" +
	"{\n  \"status\": \"This TorchServe instance only accepts HTTPS requests\"\n}\n"

// TestPlain lets clients speak plain HTTP to a TLS listener.
func TestPlain(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"a request":               "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n",
		"one with a body":         "POST /predictions/m HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 1_000_000),
		"one with a huge head":    "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 1<<20),
		"one that does not end":   "GET /ping HTTP/1.1\r\nHost: x\r\n",
		"something else entirely": "\x00\x01\x02\x03\r\n\r\n",
	} {
		t.Run("INF-007 CFG-030 "+name, func(t *testing.T) {
			t.Parallel()
			told := make(chan net.Addr, 1)
			var d net.Dialer
			c, err := d.DialContext(t.Context(), "tcp", serve(t, listen.Certificates{}, func(a net.Addr) { told <- a }))
			require.NoError(t, err)
			defer func() { require.NoError(t, c.Close()) }()
			go func() { _, _ = io.WriteString(c, request) }() // it need not be read to its end
			answer, err := io.ReadAll(c)
			assert.Equal(t, refusal, string(answer))
			require.NoError(t, err)
			assert.Equal(t, c.LocalAddr().String(), (<-told).String())
		})
	}
	t.Run("net/http understands it", func(t *testing.T) {
		t.Parallel()
		r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(refusal)), nil)
		require.NoError(t, err)
		defer func() { require.NoError(t, r.Body.Close()) }()
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		assert.Equal(t, strconv.Itoa(len(body)), r.Header.Get("Content-Length"))
	})
}
