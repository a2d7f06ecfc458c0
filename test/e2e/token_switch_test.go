package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// The two refusals of TOK §9.1, byte by byte.
const (
	refusal = `{
  "code": 400,
  "type": "InvalidKeyException",
  "message": "Token Authorization failed. Token either incorrect, expired, or not provided correctly"
}
`
	tokenRefusal = `{
  "code": 400,
  "type": "InvalidKeyException",
  "message": "Token Authentication failed. Token either incorrect, expired, or not provided correctly"
}
`
)

// switches is one setting of what turns authorization off.
type switches struct {
	file, env []string // lines of config.properties, settings of the environment
	flag      bool
}

func (w switches) start(t *testing.T) *e2etest.Server {
	t.Helper()
	options := []e2etest.Option{e2etest.Properties(w.file...), e2etest.Env(w.env...)}
	if w.flag {
		options = append(options, e2etest.NoTokens())
	}
	return e2etest.Start(t, options...)
}

// assertSwitch checks by key file and by a call without key whether authorization
// is on.
func assertSwitch(t *testing.T, on bool, s *e2etest.Server) {
	t.Helper()
	status := http.StatusOK
	if on {
		status = http.StatusBadRequest
	}
	assert.Equal(t, on, s.Exists("key_file.json"), "key file")
	assert.Equal(t, status, s.Get(e2etest.Management, "/models", "").Status)
}

// TestTokenSwitches goes through the table of TOK §2.2.
func TestTokenSwitches(t *testing.T) {
	t.Parallel()
	const variable = "TS_DISABLE_TOKEN_AUTHORIZATION="
	files := map[string][]string{
		"absent": nil, "true": {"disable_token_authorization=TRUE"}, "other": {"disable_token_authorization=false"},
	}
	rows := []struct {
		env      string
		settings []string
		flag     bool
		on       map[string]bool // by file
	}{
		{"none", nil, false, map[string]bool{"absent": true, "true": false, "other": true}},
		{"none", nil, true, map[string]bool{"absent": false, "true": false, "other": false}},
		{"true", []string{variable + "True"}, false, map[string]bool{"absent": false, "true": false, "other": false}},
		{"true", []string{variable + "true"}, true, map[string]bool{"absent": false, "true": false, "other": false}},
		{"other", []string{variable + "false"}, false, map[string]bool{"absent": true, "true": true, "other": true}},
		{"other", []string{variable}, true, map[string]bool{"absent": true, "true": true, "other": true}},
	}
	for _, row := range rows {
		for name, file := range files {
			flag := map[bool]string{false: "absent", true: "present"}[row.flag]
			t.Run("TOK-031 env "+row.env+", flag "+flag+", file "+name, func(t *testing.T) {
				t.Parallel()
				w := switches{file: append([]string{"enable_envvars_config=true"}, file...), env: row.settings, flag: row.flag}
				assertSwitch(t, row.on[name], w.start(t))
			})
		}
	}
	for name, w := range map[string]switches{
		"TOK-031 the variable needs its gate":      {env: []string{variable + "true"}},
		"TOK-031 the gate is none of its own":      {env: []string{variable + "true", "TS_ENABLE_ENVVARS_CONFIG=true"}},
		"TOK-032 a trailing blank is another text": {file: []string{"disable_token_authorization=true "}},
		"TOK-032 yes is another text":              {file: []string{"disable_token_authorization=yes"}},
		"TOK-032 so is 1":                          {file: []string{"disable_token_authorization=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assertSwitch(t, true, w.start(t))
		})
	}
}

//nolint:tparallel // one scenario, step by step
func TestTokensDisabled(t *testing.T) {
	t.Parallel()
	s := e2etest.Start(t, e2etest.NoTokens(), e2etest.Serve(e2etest.Archive{Name: "echo", Handler: e2etest.Echo}))
	t.Run("TOK-033 no key file, no keys, no /token", func(t *testing.T) {
		s := s.In(t)
		assert.False(t, s.Exists("key_file.json"))
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Inference, "/ping", "").Status)
		assert.Equal(t, "open", s.Predict("echo", "open").Body)
		assert.Equal(t, http.StatusOK, s.Manage(http.MethodPut, "/models/echo?min_worker=2&synchronous=true").Status)
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Inference, "/ping", "of-no-meaning").Status)
		for _, listener := range []e2etest.Role{e2etest.Inference, e2etest.Management, e2etest.Metrics} {
			reply := s.Get(listener, "/token?type=inference", "")
			assert.Equal(t, http.StatusNotFound, reply.Status)
			assert.Contains(t, reply.Body, `"type": "ResourceNotFoundException"`)
		}
	})
	t.Run("the log warns", func(t *testing.T) {
		s.In(t).Stop()
		log := s.In(t).Logs("ts_log.log")
		assert.Contains(t, log, "[WARN ] main org.pytorch.serve.http.TokenAuthorizationHandler - Token Authorization Disabled")
		assert.NotContains(t, log, "Token Authorization Enabled")
		assert.NotContains(t, log, "Key file located at")
	})
}

// expiry returns when the key of a kind expires, as the key file says.
func expiry(t *testing.T, s *e2etest.Server, kind string) time.Time {
	t.Helper()
	_, after, found := strings.Cut(s.Read("key_file.json"), `"`+kind+`"`)
	require.True(t, found)
	_, after, found = strings.Cut(after, `"expiration time": "`)
	require.True(t, found)
	text, _, _ := strings.Cut(after, `"`)
	at, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(text, "Z"))
	return at
}

func TestTokenLifetime(t *testing.T) {
	t.Parallel()
	const mistake = "[ERROR] main org.pytorch.serve.util.ConfigManager - Token expiration not a valid integer"
	tests := []struct {
		name     string
		file     []string
		env      []string
		minutes  float64
		mistaken bool
	}{
		{name: "TOK-004 an hour by default", minutes: 60},
		{name: "A14 half an hour", file: []string{"token_expiration_min=30"}, minutes: 30},
		{name: "TOK-027 nonsense", file: []string{"token_expiration_min=abc"}, minutes: 60, mistaken: true},
		{
			name: "TOK-030 of the environment", file: []string{"token_expiration_min=30", "enable_envvars_config=true"},
			env: []string{"TS_TOKEN_EXPIRATION_TIME_MIN=7"}, minutes: 7,
		},
		{name: "TOK-030 of the environment without its gate", env: []string{"TS_TOKEN_EXPIRATION_TIME_MIN=7"}, minutes: 60},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := e2etest.Start(t, e2etest.Properties(tt.file...), e2etest.Env(tt.env...))
			for _, kind := range []string{"inference", "management"} {
				left := time.Until(expiry(t, s, kind)).Minutes()
				assert.InDelta(t, tt.minutes, left, 0.2, kind)
			}
			s.Stop()
			assert.Equal(t, tt.mistaken, strings.Contains(s.Logs("ts_log.log"), mistake))
		})
	}
	for _, value := range []string{"0", "-1", "0.01"} {
		t.Run("TOK-028 expired at once "+value, func(t *testing.T) {
			t.Parallel()
			s := e2etest.Start(t, e2etest.Properties("token_expiration_min="+value))
			assert.Equal(t, refusal, s.Get(e2etest.Inference, "/ping", s.Key(e2etest.Inference)).Body)
			assert.Equal(t, refusal, s.Get(e2etest.Management, "/models", s.Key(e2etest.Management)).Body)
		})
	}
	for _, value := range []string{"Infinity", "5e15"} {
		t.Run("TOK-029 out of range "+value, func(t *testing.T) {
			t.Parallel()
			s := e2etest.NewSite(t, e2etest.Properties("token_expiration_min="+value))
			got := s.Run("--foreground", "--ncs", "--model-store", s.Store)
			assert.Equal(t, 1, got.Code)
			assert.Contains(t, got.Stdout, "Invalid configuration: token_expiration_min is out of range")
			assert.False(t, s.Exists("key_file.json"))
		})
	}
	t.Run("TOK-026 expired after three seconds, renewed by a rotation", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, e2etest.Properties("token_expiration_min=0.05"))
		key := s.Key(e2etest.Inference)
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Inference, "/ping", key).Status)
		s.Await("the key expires", func() bool { return s.Get(e2etest.Inference, "/ping", key).Status != http.StatusOK })
		assert.InDelta(t, 0, time.Since(expiry(t, s, "inference")).Seconds(), 0.5)
		assert.Equal(t, refusal, s.Get(e2etest.Inference, "/ping", key).Body)
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Management, "/token?type=inference", s.Key(e2etest.API)).Status)
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Inference, "/ping", s.Key(e2etest.Inference)).Status)
		assert.Equal(t, refusal, s.Get(e2etest.Inference, "/ping", key).Body)
		s.AwaitOutput("org.pytorch.serve.http.TokenAuthorizationHandler - Inference token expired")
	})
}
