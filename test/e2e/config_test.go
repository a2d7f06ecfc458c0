package e2e

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// refusedStart starts a server that must not come up, and checks what it leaves.
func refusedStart(t *testing.T, options ...e2etest.Option) e2etest.Result {
	t.Helper()
	s := e2etest.NewSite(t, append(options, e2etest.Shelve(labArchive("")))...)
	got := s.Run("--start", "--foreground", "--ncs", "--model-store", s.Store, "--models", "lab.mar")
	assert.Equal(t, 1, got.Code, "%s%s", got.Stdout, got.Stderr)
	assert.NotContains(t, got.Stdout, "Model server started.")
	assert.Empty(t, s.Processes())
	assert.False(t, s.Exists("key_file.json"))
	assert.False(t, s.Exists("logs/config"), "no snapshot")
	return got
}

func TestAddressTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	address := "http://" + taken.Addr().String()
	for _, key := range []string{"inference_address", "management_address", "metrics_address"} {
		t.Run("CFG-025 "+key, func(t *testing.T) {
			t.Parallel()
			got := refusedStart(t, e2etest.Properties(key+"="+address))
			assert.Contains(t, got.Stderr, "Failed to bind to address: "+address)
			assert.Contains(t, got.Stderr, key, "what to change")
		})
	}
	t.Run("CFG-025 metrics where inference is", func(t *testing.T) {
		t.Parallel()
		got := refusedStart(t, e2etest.Properties("metrics_address=http://127.0.0.1:{inference}"))
		assert.Contains(t, got.Stderr, "Failed to bind to address: http://127.0.0.1:")
		assert.Contains(t, got.Stderr, "metrics_address must differ from inference_address")
	})
}

// TestBadValues is about what is found wrong before anything is opened.
func TestBadValues(t *testing.T) {
	t.Parallel()
	for property, want := range map[string]string{
		"blacklist_env_vars=(":                          "(blacklist_env_vars; ",
		"inference_address=127.0.0.1:8080":              "Invalid binding address: 127.0.0.1:8080",
		"inference_address=http://127.0.0.1:8080/":      "Invalid binding address: http://127.0.0.1:8080/",
		"allowed_urls=(":                                "(allowed_urls; ",
		"default_response_timeout=abc":                  "(default_response_timeout; ",
		"job_queue_size=abc":                            "(job_queue_size; ",
		"max_response_size=abc":                         "(max_response_size; ",
		"metric_time_interval=0":                        "(metric_time_interval; ",
		"grpc_inference_max_connection_age_ms=-1":       "max connection age must be positive: -1",
		"model_store=$$NO_SUCH_VARIABLE$$":              "Invalid Environment Variable NO_SUCH_VARIABLE",
		"default_workers_per_model=\\u00zz":             "Malformed \\uxxxx encoding.",
		"metrics_config=nowhere.yaml":                   "nowhere.yaml",
		"shutdown_grace_sec=x\njob_queue_size=y":        "(shutdown_grace_sec; ",
		"management_address=unix:x.sock":                "Invalid binding address: unix:x.sock",
		"inference_address=http://no.such.host.invalid": "Failed to resolve address: http://no.such.host.invalid",
	} {
		id := map[bool]string{true: "CFG-043 ", false: "CFG-019 CFG-021 "}[strings.HasPrefix(property, "blacklist")]
		if strings.HasPrefix(property, "metrics_config") {
			id = "CFG-045 decided otherwise than in 0.12: "
		}
		t.Run(id+property, func(t *testing.T) {
			t.Parallel()
			got := refusedStart(t, e2etest.Properties(property))
			assert.Contains(t, got.Stdout, "Invalid configuration: ")
			assert.Contains(t, got.Stdout, want)
		})
	}
}

func TestListenersOpened(t *testing.T) {
	t.Parallel()
	t.Run("CFG-027 enable_metrics_api=false", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, e2etest.NoTokens(), e2etest.Properties("enable_metrics_api=false"))
		assert.Equal(t, http.StatusOK, s.Get(e2etest.Inference, "/ping", "").Status)
		_, err := net.DialTimeout("tcp", s.Address(e2etest.Metrics), time.Second)
		require.Error(t, err)
	})
	t.Run("INF-008 CFG-052 LOG-012 it says that it serves once, and when it does", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, e2etest.NoTokens(), e2etest.Serve(labArchive("")))
		for _, role := range []e2etest.Role{e2etest.Inference, e2etest.Management, e2etest.Metrics} {
			conn, err := net.DialTimeout("tcp", s.Address(role), time.Second)
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		}
		assert.Equal(t, http.StatusOK, s.Manage(http.MethodGet, "/models/lab").Status, "models are known then")
		s.Stop()
		found := lines(s.Stdout.String(), "Model server started.")
		assert.Equal(t, []string{"Model server started."}, found)
	})
}

func TestLocations(t *testing.T) {
	t.Parallel()
	logs, metrics := t.TempDir(), filepath.Join(t.TempDir(), "made", "for", "it")
	t.Run("CFG-047 LOG-002 LOG_LOCATION and METRICS_LOCATION", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, e2etest.Env("LOG_LOCATION="+logs, "METRICS_LOCATION="+metrics))
		l.ask("echo", "x")
		l.Stop()
		assert.Subset(t, names(t, logs), []string{"access_log.log", "model_log.log", "ts_log.log"})
		assert.ElementsMatch(t, []string{"model_metrics.log", "ts_metrics.log"}, names(t, metrics))
		assert.NoDirExists(t, l.Path("logs"))
		content, err := os.ReadFile(filepath.Join(logs, "access_log.log"))
		require.NoError(t, err)
		assert.Contains(t, string(content), "POST "+path("lab", "echo"))
		assert.Contains(t, l.Stdout.String(), "\nLog dir: "+logs+"\nMetrics dir: "+metrics+"\n")
	})
}

func TestMetricsListener(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Properties("metrics_mode=prometheus"))
	assert.Equal(t, "x", l.ask("echo", "x").Body)
	get := func(t *testing.T, query string) e2etest.Reply {
		t.Helper()
		return l.In(t).Get(e2etest.Metrics, "/metrics"+query, "")
	}
	t.Run("INF-139 families by name", func(t *testing.T) {
		t.Parallel()
		for _, query := range []string{"?name[]=Requests2XX&name[]=ts_inference_requests_total", "?name%5B%5D=Requests2XX&name%5B%5D=ts_inference_requests_total"} {
			reply := get(t, query)
			assert.Equal(t, "text/plain; version=0.0.4; charset=utf-8", reply.Header.Get("Content-Type"))
			families := lines(reply.Body, "# TYPE ")
			assert.ElementsMatch(t, []string{"# TYPE Requests2XX counter", "# TYPE ts_inference_requests_total counter"}, families)
		}
		assert.Empty(t, get(t, "?name[]=nothing").Body)
	})
	t.Run("INF-139 counts what was answered", func(t *testing.T) {
		t.Parallel()
		found := lines(get(t, "?name[]=ts_inference_requests_total").Body, `model_name="lab"`)
		require.Len(t, found, 1)
		assert.True(t, strings.HasSuffix(found[0], " 1.0") || strings.HasSuffix(found[0], " 1"), "%s", found[0])
	})
}
