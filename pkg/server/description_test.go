package server_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/api"
	"github.com/torchserve-go/torchserve/pkg/config"
	"github.com/torchserve-go/torchserve/pkg/server"
)

const version = "0.12.0"

// start runs a server with token authorization and three listeners in a
// directory of its own until the test ends. Variables are NAME=value, properties
// are lines of its configuration.
func start(t *testing.T, variables []string, properties ...string) *server.Server {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"bin/python3": "", "store/.keep": "",
		"config.properties": "inference_address=http://127.0.0.1:0\nmanagement_address=http://localhost:0\nmetrics_address=http://0.0.0.0:0\n" +
			strings.Join(properties, "\n"),
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o700))
	}
	env := append([]string{"PATH=" + filepath.Join(dir, "bin"), "TEMP=" + dir}, variables...)
	cfg, err := config.Load(config.Sources{Dir: dir, CPUs: 1, Environ: env, Flags: config.Flags{ModelStore: "store"}})
	require.NoError(t, err)
	s, err := server.New(t.Context(), cfg, server.Deps{Version: version, Environ: env, Stdout: io.Discard, Stderr: io.Discard})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
	return s
}

// ask sends one request as it stands and returns the status and the body.
func ask(t *testing.T, s *server.Server, role, method, target string) (status int, body string) {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr(role).String())
	require.NoError(t, err)
	defer func() { assert.NoError(t, c.Close()) }()
	_, err = io.WriteString(c, method+" "+target+" HTTP/1.1\r\nHost: h\r\n\r\n")
	require.NoError(t, err)
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	require.NoError(t, err)
	defer func() { assert.NoError(t, r.Body.Close()) }()
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(text)
}

// TestDescription asks without a key, through guard and routes together.
func TestDescription(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for role, document := range map[string][]byte{
		"Inference": api.Inference(version), "Management": api.Management(version), "Metrics": api.Metrics(version),
	} {
		t.Run("TOK-012 INF-030 INF-136 MGT-062 "+role, func(t *testing.T) {
			t.Parallel()
			for _, q := range [][2]string{
				{"OPTIONS", "/"},
				{"OPTIONS", "*"},
				{"GET", "/api-description"},
				{"POST", "/api-description"},
				{"DELETE", "/api-description"},
				{"OPTIONS", "/api-description"},
				{"BREW", "/api-description/"},
			} {
				status, body := ask(t, s, role, q[0], q[1])
				assert.Equal(t, 200, status, q)
				assert.Equal(t, string(document), body, q)
			}
			status, body := ask(t, s, role, "GET", "/")
			assert.Equal(t, 405, status)
			assert.Contains(t, body, "MethodNotAllowedException")
		})
	}
	t.Run("INF-136 the metrics listener needs no key", func(t *testing.T) {
		t.Parallel()
		status, _ := ask(t, s, "Metrics", "GET", "/nothing")
		assert.Equal(t, 404, status)
	})
	t.Run("the description of a model needs one", func(t *testing.T) {
		t.Parallel()
		for role, target := range map[string]string{"Inference": "/predictions/m", "Management": "/models/m"} {
			status, body := ask(t, s, role, "OPTIONS", target)
			assert.Equal(t, 400, status, target)
			assert.Contains(t, body, "InvalidKeyException")
		}
	})
	t.Run("probes may ask with HEAD", func(t *testing.T) {
		t.Parallel()
		for _, role := range []string{"Inference", "Management"} {
			for _, target := range []string{"/livez", "/readyz"} {
				status, body := ask(t, s, role, "HEAD", target)
				assert.Equal(t, 200, status, target)
				assert.Empty(t, body)
			}
		}
	})
}

func TestOpenInference(t *testing.T) {
	t.Parallel()
	t.Run("INF-051 the variable switches it on", func(t *testing.T) {
		t.Parallel()
		s := start(t, []string{"TS_OPEN_INFERENCE_PROTOCOL=oip"}, "disable_token_authorization=true")
		status, body := ask(t, s, "Inference", "GET", "/v2")
		assert.Equal(t, 200, status)
		assert.Contains(t, body, `"version": "`+version+`"`)
		status, _ = ask(t, s, "Management", "GET", "/v2")
		assert.Equal(t, 404, status, "of the inference listener only")
	})
	t.Run("INF-050 it needs the key", func(t *testing.T) {
		t.Parallel()
		s := start(t, nil, "ts_open_inference_protocol=true")
		for _, target := range []string{"/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/m/versions/1"} {
			status, body := ask(t, s, "Inference", "GET", target)
			assert.Equal(t, 400, status, target)
			assert.Contains(t, body, "InvalidKeyException")
		}
	})
}
