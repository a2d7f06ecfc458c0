package e2e

import (
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

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

func TestCombined(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Properties("management_address=http://127.0.0.1:{inference}"))
	at := func(t *testing.T, method, path string) e2etest.Reply {
		t.Helper()
		return l.In(t).Do(e2etest.Call{Method: method, To: e2etest.Inference, Path: path, Body: "x"})
	}
	t.Run("INF-002 INF-038 MGT-066 CFG-024 both APIs", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, "x", at(t, "POST", "/predictions/lab").Body)
		assert.Equal(t, "x", at(t, "POST", "/models/lab/invoke").Body)
		for _, path := range []string{"/models/lab", "/models/lab/1.0", "/models/lab/all"} {
			assert.Contains(t, at(t, "GET", path).Body, `"modelVersion": "1.0"`, path)
		}
		assert.Equal(t, http.StatusAccepted, at(t, "PUT", "/models/lab/1.0?min_worker=1").Status)
		assert.Equal(t, http.StatusOK, at(t, "PUT", "/models/lab/1.0/set-default").Status)
		assert.Equal(t, "{\n  \"name\": \"lab\",\n  \"ready\": true\n}\n", at(t, "GET", "/v1/models/lab").Body)
		assert.Equal(t, http.StatusOK, at(t, "GET", "/ping").Status)
		assert.Equal(t, http.StatusOK, at(t, "GET", "/metrics").Status)
		assert.Equal(t, http.StatusNotFound, at(t, "GET", "/nothing").Status)
	})
	t.Run("CFG-024 it is bound once", func(t *testing.T) {
		t.Parallel()
		l.In(t).AwaitLog("ts_log.log", "Metrics API bind to: ")
		bound := lines(l.In(t).Logs("ts_log.log"), " API bind to: ")
		require.Len(t, bound, 2)
		assert.Contains(t, bound[0], "Inference API bind to: http://"+l.Address(e2etest.Inference))
		assert.Contains(t, bound[1], "Metrics API bind to: http://"+l.Address(e2etest.Metrics))
	})
	t.Run("INF-038 with tokens each route has its own key", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, e2etest.Properties("management_address=http://127.0.0.1:{inference}"), e2etest.Serve(labArchive("")))
		inference, management := s.Key(e2etest.Inference), s.Key(e2etest.Management)
		for path, keys := range map[string][2]string{
			"/predictions/lab": {inference, management}, "/models/lab": {management, inference}, "/models/lab/1.0": {management, inference},
			"/models/lab/invoke": {inference, management}, "/ping": {inference, management},
		} {
			assert.Equal(t, http.StatusOK, s.Get(e2etest.Inference, path, keys[0]).Status, path)
			assert.Equal(t, http.StatusBadRequest, s.Get(e2etest.Inference, path, keys[1]).Status, path)
		}
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Inference, "/metrics", "").Status)
	})
}

// client is an HTTP client for what the harness does not speak; its connections go
// with the test.
func client(t *testing.T, transport *http.Transport) *http.Client {
	t.Helper()
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: limit}
}

// fetch sends a request and returns its status and body.
func fetch(t *testing.T, c *http.Client, method, url, body string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	answer, err := c.Do(r)
	require.NoError(t, err)
	defer func() { assert.NoError(t, answer.Body.Close()) }()
	content, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(content)
}

func TestUnixListener(t *testing.T) {
	t.Parallel()
	t.Run("INF-003 CFG-023 LOG-015 a stale socket file is replaced", func(t *testing.T) {
		t.Parallel()
		dir, err := os.MkdirTemp("", "ts") //nolint:usetesting // sockets below t.TempDir would have too long a path
		require.NoError(t, err)
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		socket := filepath.Join(dir, "i.sock")
		stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
		require.NoError(t, err)
		stale.SetUnlinkOnClose(false)
		require.NoError(t, stale.Close())
		l := newLab(t, e2etest.Properties("inference_address=unix:"+socket))
		c := client(t, &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}})
		status, body := fetch(t, c, http.MethodPost, "http://any"+path("lab", "echo"), "through the socket")
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "through the socket", body)
		l.AwaitLog("access_log.log", ` - 127.0.0.1 "POST `+path("lab", "echo")+` HTTP/1.1" 200 `)
		assert.Contains(t, l.Logs("ts_log.log"), "Inference API bind to: unix:"+socket, "INF-D1")
		assert.Contains(t, l.Manage(http.MethodGet, "/models").Body, `"lab"`)
		assert.Zero(t, l.Stop())
		assert.NoFileExists(t, socket)
	})
	t.Run("CFG-023 not without native sockets", func(t *testing.T) {
		t.Parallel()
		s := e2etest.NewSite(t, e2etest.Properties("inference_address=unix:/tmp/x.sock", "use_native_io=false"))
		got := s.Run("--start", "--foreground", "--ncs", "--model-store", s.Store)
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stdout, "unix domain socket requires use_native_io set to true.")
	})
}
