package config_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/config"
)

// TestTokenSwitch goes through the table of TOK §2.2; an empty source does not
// speak.
func TestTokenSwitch(t *testing.T) {
	t.Parallel()
	const env, flag, file = "TS_DISABLE_TOKEN_AUTHORIZATION", "--disable-token-auth", "config.properties"
	for _, c := range []struct {
		env        string
		flag       bool
		off        [3]string // by file: absent, true, other
		envIsEmpty bool
	}{
		{off: [3]string{"", file, ""}},
		{flag: true, off: [3]string{flag, flag, flag}},
		{env: "TRUE", off: [3]string{env, env, env}},
		{env: "true", flag: true, off: [3]string{env, env, env}},
		{env: "false"},
		{env: "false", flag: true},
		{env: "1", flag: true},
		{envIsEmpty: true, flag: true},
	} {
		for i, line := range []string{"", "disable_token_authorization=true", "disable_token_authorization=off"} {
			s := with(t, "enable_envvars_config=true", line)
			s.src.Flags.DisableTokenAuth = c.flag
			if c.env != "" || c.envIsEmpty {
				s.env[env] = c.env
			}
			assert.Equal(t, c.off[i], s.load().Security.TokensDisabledBy, "%+v, %q", c, line)
		}
	}
	t.Run("the variable without enable_envvars_config", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.env[env] = "true"
		assert.True(t, s.load().Security.TokensEnabled())
	})
	t.Run("TOK-032 a stray blank leaves authorization on", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"true ", "yes", "1"} {
			c := with(t, "disable_token_authorization="+text).load()
			assert.True(t, c.Security.TokensEnabled(), text)
			assert.Contains(t, strings.Join(texts(c), "\n"), "token authorization stays on")
		}
	})
}

func TestTokenLifetime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"30": 30 * time.Minute, "0.5": 30 * time.Second, "30d": 30 * time.Minute, "0x1p3": 8 * time.Minute,
		"1e1f": 10 * time.Minute, ".05": 3 * time.Second, "0": 0, "NaN": 0, "0.01": 0, "-5": 0, "1e9": math.MaxInt64,
		"abc": time.Hour, "": time.Hour, "inf": time.Hour, "1_0": time.Hour,
	} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, want, with(t, "token_expiration_min="+text).load().Security.TokenLifetime)
		})
	}
	t.Run("TOK-027 abc is an error in the log", func(t *testing.T) {
		t.Parallel()
		c := with(t, "token_expiration_min=abc").load()
		assert.Equal(t, time.Hour, c.Security.TokenLifetime)
		require.NotEmpty(t, c.Warnings)
		assert.Equal(t, config.Warning{Key: "token_expiration_min", Text: "Token expiration not a valid integer", Level: config.Mistake, Lax: true}, c.Warnings[0])
	})
	for _, text := range []string{"Infinity", "-Infinity", "5e14", "1e999"} {
		assert.Contains(t, with(t, "token_expiration_min="+text).faults()[0], "Invalid configuration: token_expiration_min is out of range", text)
	}
}

func TestModelAPI(t *testing.T) {
	t.Parallel()
	s := with(t, "enable_model_api=true")
	assert.Equal(t, config.ModelAPI{Enabled: true}, s.load().Security.ModelAPI)
	s.src.Flags.RefuseModelAPI = true
	assert.Equal(t, config.ModelAPI{Refused: true}, s.load().Security.ModelAPI)
	assert.Equal(t, config.ModelAPI{Refused: true}, with(t, "enable_model_api=nonsense").load().Security.ModelAPI)
	assert.Equal(t, config.ModelAPI{}, newSite(t).load().Security.ModelAPI, "nobody has said anything")
}

func TestExposure(t *testing.T) {
	t.Parallel()
	const open = "The management API is open to other machines without token authorization: "
	t.Run("without authorization", func(t *testing.T) {
		t.Parallel()
		s := with(t, "allowed_urls=.*", "management_address=http://0.0.0.0:8081", "inference_address=http://0.0.0.0")
		s.src.Flags.DisableTokenAuth = true
		assert.Equal(t, []string{open + "http://0.0.0.0:8081 (management_address)"}, texts(s.load()))
		s.properties("strict_security=true", "management_address=http://0.0.0.0:8081")
		assert.Equal(t, []string{
			"Invalid configuration: management_address: http://0.0.0.0:8081 is open to other machines without token authorization (management_address; config.properties)",
		}, s.faults())
	})
	t.Run("keys in clear text", func(t *testing.T) {
		t.Parallel()
		c := with(t, "allowed_urls=.*", "inference_address=http://0.0.0.0", "management_address=https://0.0.0.0", "strict_security=true").load()
		assert.Equal(t, []string{
			"No certificate is configured: https listeners use a self-signed one",
			"Token authorization keys are sent in clear text to http://0.0.0.0:80 (inference_address)",
		}, texts(c))
	})
}

func TestTLS(t *testing.T) {
	t.Parallel()
	t.Run("the keystore is preferred", func(t *testing.T) {
		t.Parallel()
		s := with(t, "inference_address=https://localhost", "keystore=k.p12", "keystore_pass=p", "private_key_file=key.pem", "certificate_file=/c.pem", "keystore_type=jks")
		s.file("k.p12", "")
		assert.Equal(t, config.TLS{
			Keystore: s.path("k.p12"), KeystoreType: config.JKS, Password: "p", Key: s.path("key.pem"), Certificate: "/c.pem",
		}, s.load().Listen.TLS)
	})
	t.Run("files must exist where TLS is used", func(t *testing.T) {
		t.Parallel()
		s := with(t, "private_key_file=key.pem", "certificate_file=cert.pem")
		s.load()
		s.properties("private_key_file=key.pem", "certificate_file=cert.pem", "enable_grpc_ssl=true")
		assert.Equal(t, []string{
			"Invalid configuration: private_key_file: file not found: " + s.path("key.pem") + " (private_key_file; config.properties)",
			"Invalid configuration: certificate_file: file not found: " + s.path("cert.pem") + " (certificate_file; config.properties)",
		}, s.faults())
	})
	t.Run("formats of keystores", func(t *testing.T) {
		t.Parallel()
		s := with(t, "metrics_address=https://localhost", "keystore=k", "keystore_type=BKS")
		s.file("k", "")
		assert.Equal(t, []string{"Invalid configuration: Unsupported keystore type: BKS (keystore_type; one of PKCS12, JKS; config.properties)"}, s.faults())
	})
	t.Run("Unix sockets need native I/O", func(t *testing.T) {
		t.Parallel()
		s := with(t, "inference_address=unix:/tmp/x.sock", "use_native_io=false")
		assert.Equal(t, []string{
			"Invalid configuration: unix domain socket requires use_native_io set to true. (inference_address; config.properties)",
		}, s.faults())
	})
}
