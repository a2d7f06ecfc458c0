package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/torchserve-go/torchserve/pkg/client"
	"github.com/torchserve-go/torchserve/pkg/config"
	"github.com/torchserve-go/torchserve/pkg/listen"
)

// Times of a connection.
const (
	dialLimit      = 10 * time.Second
	handshakeLimit = 10 * time.Second
)

// client returns a client for the target's listeners.
func (t *target) client(insecure bool) (*client.Client, error) {
	cfg := client.Config{Key: t.key}
	for _, l := range []struct {
		to *client.Endpoint
		at config.Address
	}{{&cfg.Inference, t.inference}, {&cfg.Management, t.management}, {&cfg.Metrics, t.metrics}} {
		var err error
		if *l.to, err = t.endpoint(l.at, insecure); err != nil {
			return nil, err
		}
	}
	return client.New(cfg), nil
}

// endpoint returns what reaches an address of the target. A proxy is used for
// servers elsewhere only.
func (t *target) endpoint(a config.Address, insecure bool) (client.Endpoint, error) {
	dialer := &net.Dialer{Timeout: dialLimit}
	transport := &http.Transport{
		DialContext:         dialer.DialContext,
		DisableCompression:  true, // models see the headers
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: handshakeLimit,
	}
	e := client.Endpoint{HTTP: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if a.Scheme == config.Unix {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", a.Path)
		}
		e.Base, e.Name = "http://localhost", a.String()
		return e, nil
	}
	if !t.here() {
		transport.Proxy = http.ProxyFromEnvironment
	}
	base := url.URL{Scheme: string(a.Scheme), Host: net.JoinHostPort(reachable(a.Host), strconv.Itoa(a.Port))}
	e.Base = base.String()
	if a.Scheme == config.HTTPS {
		var err error
		transport.TLSClientConfig, err = t.trust(insecure)
		return e, err
	}
	return e, nil
}

// reachable returns where a listener of any address is reached on this machine.
func reachable(host string) string {
	ip := net.ParseIP(host)
	switch {
	case ip == nil || !ip.IsUnspecified():
		return host
	case ip.To4() != nil:
		return "127.0.0.1"
	default:
		return "::1"
	}
}

// trust says which certificates count: of a server here only the one that it is
// configured with, whatever names are in it; else those that this machine trusts.
func (t *target) trust(insecure bool) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} //nolint:gosec // G402: --insecure
	if insecure || !t.here() || t.cfg.Listen.TLS.SelfSigned() {
		return cfg, nil
	}
	identity := t.cfg.Listen.TLS
	own, err := listen.Certificates{
		Keystore: identity.Keystore, KeystorePassword: identity.Password,
		KeyFile: identity.Key, CertificateFile: identity.Certificate,
	}.Load()
	if err != nil {
		return nil, fmt.Errorf("certificate of the server: %w", err)
	}
	leaf := own.Certificates[0].Certificate[0]
	cfg.InsecureSkipVerify = true // VerifyConnection asks for more than a name
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		if !bytes.Equal(s.PeerCertificates[0].Raw, leaf) {
			return errOtherCertificate
		}
		return nil
	}
	return cfg, nil
}

var errOtherCertificate = errors.New("the certificate is not the one that the server is configured with")

// untrusted reports whether err is about a certificate.
func untrusted(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok || errors.Is(err, errOtherCertificate)
}
