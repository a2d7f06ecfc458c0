package listen

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	keystore "github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

// Secure makes a listener speak TLS.
type Secure struct {
	Config *tls.Config
	// Plain is told about clients that speak plain HTTP; nil: nobody is.
	Plain func(remote net.Addr)
}

// Certificates says where a certificate comes from: the keystore, else the PEM
// files, else one is made.
type Certificates struct {
	Keystore         string // path of a PKCS#12 or JKS file; empty: none
	KeystorePassword string
	KeyFile          string // PEM, PKCS#8, PKCS#1 or SEC 1
	CertificateFile  string // PEM, the chain
}

// SelfSigned reports whether no source is named, so that a certificate is made.
func (c Certificates) SelfSigned() bool {
	return c.Keystore == "" && (c.KeyFile == "" || c.CertificateFile == "")
}

// Load returns the TLS configuration of a listener. The error names the setting
// to change, never a password.
func (c Certificates) Load() (*tls.Config, error) {
	certificate, err := c.load()
	if err != nil {
		return nil, err
	}
	silent := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
		CipherSuites: cipherSuites(),
	}
	cfg := silent.Clone()
	cfg.NextProtos = []string{"h2", "http/1.1"}
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		known := func(protocol string) bool { return slices.Contains(cfg.NextProtos, protocol) }
		if len(hello.SupportedProtos) > 0 && !slices.ContainsFunc(hello.SupportedProtos, known) {
			return silent, nil // compat(0.12): it never chose a protocol, so no client was refused for its own
		}
		return nil, nil
	}
	return cfg, nil
}

// cipherSuites are Go's choice for TLS 1.2, and the CBC suite that clients of
// 0.12 may insist on, which Go offers last (D-CFG-15).
func cipherSuites() []uint16 {
	var ids []uint16
	for _, s := range tls.CipherSuites() {
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
			ids = append(ids, s.ID)
		}
	}
	if !slices.Contains(ids, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA) {
		ids = append(ids, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA)
	}
	return ids
}

func (c Certificates) load() (tls.Certificate, error) {
	switch {
	case c.Keystore != "":
		return c.fromKeystore()
	case c.SelfSigned():
		return selfSigned()
	}
	certificate, err := tls.LoadX509KeyPair(c.CertificateFile, c.KeyFile)
	if err != nil {
		return certificate, fmt.Errorf("read private_key_file %q and certificate_file %q: %w", c.KeyFile, c.CertificateFile, err)
	}
	return certificate, nil
}

func (c Certificates) fromKeystore() (tls.Certificate, error) {
	raw, err := os.ReadFile(c.Keystore)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read keystore: %w", err)
	}
	// compat(0.12): Java reads either format whatever keystore_type says.
	decode := decodePKCS12
	if bytes.HasPrefix(raw, []byte(magicJKS)) {
		decode = decodeJKS
	}
	certificate, err := decode(raw, c.KeystorePassword)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return tls.Certificate{}, fmt.Errorf("keystore %q does not open with keystore_pass", c.Keystore)
	case errors.Is(err, errNoKey):
		return tls.Certificate{}, err
	case err != nil:
		return tls.Certificate{}, fmt.Errorf("read keystore %q (is keystore_pass right?): %w", c.Keystore, err)
	}
	if _, ok := certificate.PrivateKey.(crypto.Signer); !ok {
		return certificate, fmt.Errorf("keystore %q: a key of type %T cannot sign", c.Keystore, certificate.PrivateKey)
	}
	return certificate, nil
}

var errNoKey = errors.New("No key entry found in keystore.") //nolint:staticcheck,revive // 0.12's text

func decodePKCS12(raw []byte, password string) (tls.Certificate, error) {
	key, leaf, chain, err := pkcs12.DecodeChain(raw, password)
	if err != nil {
		if strings.Contains(err.Error(), "private key missing") { // the library has no value for it
			return tls.Certificate{}, errNoKey
		}
		return tls.Certificate{}, err //nolint:wrapcheck // the caller adds the file
	}
	certificate := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	for _, issuer := range chain {
		certificate.Certificate = append(certificate.Certificate, issuer.Raw)
	}
	return certificate, nil
}

// magicJKS is how a JKS file begins.
const magicJKS = "\xfe\xed\xfe\xed"

func decodeJKS(raw []byte, password string) (tls.Certificate, error) {
	store := keystore.New(keystore.WithOrderedAliases()) // the first key is the same at each start
	if err := store.Load(bytes.NewReader(raw), []byte(password)); err != nil {
		return tls.Certificate{}, err //nolint:wrapcheck // the caller adds the file
	}
	for _, alias := range store.Aliases() {
		if !store.IsPrivateKeyEntry(alias) {
			continue
		}
		entry, err := store.GetPrivateKeyEntry(alias, []byte(password))
		if err != nil {
			return tls.Certificate{}, err //nolint:wrapcheck // the caller adds the file
		}
		key, err := x509.ParsePKCS8PrivateKey(entry.PrivateKey)
		certificate := tls.Certificate{PrivateKey: key}
		for _, c := range entry.CertificateChain {
			certificate.Certificate = append(certificate.Certificate, c.Content)
		}
		return certificate, err //nolint:wrapcheck // the caller adds the file
	}
	return tls.Certificate{}, errNoKey
}

// A certificate of our own is for tries, not for years.
const (
	ownKeyBits  = 2048
	ownLifetime = 365 * 24 * time.Hour
)

// selfSigned makes a certificate for localhost.
func selfSigned() (tls.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, ownKeyBits)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a serial number: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "localhost"},
		NotBefore:             now.Add(-time.Hour), // clocks differ
		NotAfter:              now.Add(ownLifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("sign a certificate: %w", err)
	}
	certificate, err := tls.X509KeyPair(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}),
		pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
	)
	if err != nil {
		return certificate, fmt.Errorf("make a certificate: %w", err)
	}
	return certificate, nil
}
