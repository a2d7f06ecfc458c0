package server

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/auth"
	"github.com/torchserve-go/torchserve/pkg/config"
)

// Keys from outside, so that the test knows them.
const (
	managementKey = "management-key-of-the-test"
	inferenceKey  = "inference-key-of-the-test"
	keysFile      = `{"management":{"key":"` + managementKey + `"},"inference":{"key":"` + inferenceKey + `"},"API":{"key":"api-key-of-the-test"}}`
)

// built returns a server that is not run.
func built(t *testing.T, lines ...string) *Server {
	t.Helper()
	dir := t.TempDir()
	lines = append([]string{
		"inference_address=http://127.0.0.1:0", "management_address=http://localhost:0", "metrics_address=http://0.0.0.0:0",
		"enable_model_api=true", "token_keys_file=keys.json", "python=python3", "ts_open_inference_protocol=true",
		"native_plugins=execution-parameters,sagemaker-ping,model-ready",
	}, lines...)
	for name, text := range map[string]string{"python3": "", "keys.json": keysFile, "config.properties": strings.Join(lines, "\n")} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700))
	}
	cfg, err := config.Load(config.Sources{Dir: dir, CPUs: 1, Environ: []string{"TEMP=" + dir, "PATH=" + dir}, Flags: config.Flags{ModelStore: dir}})
	require.NoError(t, err)
	s, err := New(t.Context(), cfg, Deps{Version: "0.12.0", Stdout: io.Discard, Stderr: io.Discard})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.undo.unwind(context.WithoutCancel(t.Context()))) })
	return s
}

// route is a method and a path of a router, its variables filled in.
type route struct{ method, path string }

var variable = regexp.MustCompile(`\{[^}]*\}|\*`)

// routes are those of a router, and some that it does not have.
func routes(t *testing.T, h http.Handler) []route {
	t.Helper()
	router, ok := h.(chi.Routes)
	require.True(t, ok)
	all := []route{{"GET", "/none"}, {"BREW", "/"}, {"PATCH", "/models"}, {"GET", "/execution-parameters"}, {"GET", "/model-ready/x"}}
	require.NoError(t, chi.Walk(router, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		all = append(all, route{method, variable.ReplaceAllString(pattern, "x")})
		return nil
	}))
	return all
}

// open reports whether a request without any key is let through by the guard.
func open(t *testing.T, h http.Handler, r *http.Request) bool {
	t.Helper()
	n := rand.Uint32()
	r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", n>>16&0xff, n>>8&0xff, n&0xff) // who tries too often must wait
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	refused := w.Code == http.StatusBadRequest && w.Header().Get("Www-Authenticate") != ""
	if refused && r.Method != http.MethodHead {
		assert.Contains(t, w.Body.String(), `"type": "InvalidKeyException"`)
	}
	return !refused
}

// TestEveryRoute proves rule W4: a route refuses a request without its key, or
// is a row of the table of exemptions.
func TestEveryRoute(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"as it is":                    "#",
		"token_protect_metrics=true":  "token_protect_metrics=true",
		"token_exempt_ping=true":      "token_exempt_ping=true",
		"browsers may ask beforehand": "cors_allowed_origin=*",
		"without the model API":       "enable_model_api=false",
	} {
		t.Run("TOK-012 "+name, func(t *testing.T) {
			t.Parallel()
			s := built(t, line)
			e, table := s.edges(), auth.Exemptions(auth.Config{
				ExemptPing: s.cfg.Security.ExemptPing, ProtectMetrics: s.cfg.Security.ProtectMetrics, CORS: s.cfg.HTTP.CORS.Origin != "",
			})
			for scope, h := range map[auth.Scope]http.Handler{
				auth.Inference: e.inference, auth.Management: e.management, auth.Metrics: e.metrics,
			} {
				everyRoute(t, s, scope, h, table)
			}
		})
	}
}

func everyRoute(t *testing.T, s *Server, scope auth.Scope, h http.Handler, table []auth.Exemption) {
	t.Helper()
	wrong := inferenceKey // for any listener but its own
	if scope == auth.Inference {
		wrong = managementKey
	}
	all := routes(t, h)
	assert.Greater(t, len(all), 5)
	combined := s.edges().combined
	for _, q := range all {
		r := httptest.NewRequest(q.method, q.path, http.NoBody)
		exempt := slices.ContainsFunc(table, func(row auth.Exemption) bool { return row.Covers(scope, r) })
		assert.Equal(t, exempt, open(t, h, r), "%v %s %s", scope, q.method, q.path)
		r = httptest.NewRequest(q.method, q.path, http.NoBody)
		r.Header.Set("Authorization", "Bearer "+wrong)
		assert.Equal(t, exempt, open(t, h, r), "%v %s %s with another key", scope, q.method, q.path)
		if scope == auth.Metrics && !s.cfg.Security.ProtectMetrics {
			continue // its other paths are nobody's on a listener for all
		}
		r = httptest.NewRequest(q.method, q.path, http.NoBody)
		if open(t, combined, r) {
			covered := func(row auth.Exemption) bool {
				return row.Covers(auth.Inference, r) || row.Covers(auth.Management, r) || row.Covers(auth.Metrics, r) && row.Path != "/*"
			}
			assert.True(t, slices.ContainsFunc(table, covered), "combined %s %s", q.method, q.path)
		}
	}
}

// TestOwnKey: with the key of its listener no route refuses.
func TestOwnKey(t *testing.T) {
	t.Parallel()
	s := built(t, "token_protect_metrics=true")
	e := s.edges()
	for key, handlers := range map[string][]http.Handler{inferenceKey: {e.inference}, managementKey: {e.management, e.metrics}} {
		for _, h := range handlers {
			for _, q := range routes(t, h) {
				if q.path == "/token" {
					continue // needs the API key
				}
				r := httptest.NewRequest(q.method, q.path, http.NoBody)
				r.Header.Set("Authorization", "Bearer "+key)
				assert.True(t, open(t, h, r), "%s %s", q.method, q.path)
			}
		}
	}
}

// TestListenerFails: a server that cannot listen any more stops, and says so.
func TestListenerFails(t *testing.T) {
	t.Parallel()
	s := built(t)
	require.NoError(t, s.doors[1].listener.Close())
	err := s.Run(t.Context())
	require.ErrorIs(t, err, net.ErrClosed)
	assert.ErrorContains(t, err, "management listener: ")
	assert.Empty(t, s.undo.steps)
}
