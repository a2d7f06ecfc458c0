package plugin_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/plugin"
)

// models is what a server has loaded.
type models struct{ any, all bool }

func (m *models) AnyLoaded() bool { return m.any }
func (m *models) AllLoaded() bool { return m.all }

// answers checks status, body and content type of an endpoint's answer.
func answers(t testing.TB, h http.Handler, method string, status int, contentType, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, "/x", http.NoBody))
	assert.Equal(t, status, w.Code)
	assert.Equal(t, body, w.Body.String())
	assert.Equal(t, contentType, w.Result().Header.Get("Content-Type"))
}

func get(t testing.TB, h http.Handler, status int, body string) {
	t.Helper()
	answers(t, h, http.MethodGet, status, "", body)
}

func TestExecutionParameters(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  plugin.Config
		body string
	}{
		"CLI-048 PLG-025 as configured by nobody": {
			plugin.Config{MaxTransforms: 1, MaxRequestSize: 6_553_500},
			"{\n  \"MaxConcurrentTransforms\": 1,\n  \"BatchStrategy\": \"MULTI_RECORD\",\n  \"MaxPayloadInMB\": 6\n}",
		},
		"CLI-048 rounded down": {
			plugin.Config{MaxTransforms: 4, MaxRequestSize: 20<<20 - 1},
			"{\n  \"MaxConcurrentTransforms\": 4,\n  \"BatchStrategy\": \"MULTI_RECORD\",\n  \"MaxPayloadInMB\": 19\n}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			get(t, plugin.Handler(plugin.ExecutionParameters, c.cfg, &models{}), http.StatusOK, c.body)
		})
	}
}

const (
	healthy     = "{\n\t\"Status\": \"Healthy\"\n}\n"
	notLoaded   = "Models are not loaded"
	unavailable = "Service file unavailable"
)

func TestPing(t *testing.T) {
	t.Parallel()
	for _, multi := range []string{"", "false", "FALSE"} {
		t.Run("CLI-048 PLG-026 one model: healthy once a worker was seen, for good, mode "+multi, func(t *testing.T) {
			t.Parallel()
			m := &models{}
			h := plugin.Handler(plugin.SageMakerPing, plugin.Config{MultiModel: multi}, m)
			get(t, h, http.StatusServiceUnavailable, notLoaded)
			m.any = true
			get(t, h, http.StatusOK, healthy)
			m.any = false
			get(t, h, http.StatusOK, healthy)
		})
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "service.py"), nil, 0o600))
	for handler, there := range map[string]bool{
		"":                      false,
		dir + "/service.py:f":   true,
		dir + "/service.py":     true,
		dir + "/service:handle": true,
		dir + "/service":        true,
		dir + "/other.py:f":     false,
		dir + "/service.pyc:f":  false,
		":handle":               false,
	} {
		t.Run("PLG-026 many models, handler "+filepath.Base(handler), func(t *testing.T) {
			t.Parallel()
			h := plugin.Handler(plugin.SageMakerPing, plugin.Config{MultiModel: "true", Handler: handler}, &models{any: true})
			if there {
				get(t, h, http.StatusOK, healthy)
			} else {
				get(t, h, http.StatusServiceUnavailable, unavailable)
			}
		})
	}
}

func TestModelReady(t *testing.T) {
	t.Parallel()
	for all, c := range map[bool]struct {
		status int
		body   string
	}{
		false: {http.StatusServiceUnavailable, "{\n\t\"Status\": \"Model/s not ready\"\n}\n"},
		true:  {http.StatusOK, "{\n\t\"Status\": \"Model/s ready\"\n}\n"},
	} {
		t.Run("PLG-027 "+strconv.FormatBool(all), func(t *testing.T) {
			t.Parallel()
			get(t, plugin.Handler(plugin.ModelReady, plugin.Config{}, &models{any: true, all: all}), c.status, c.body)
		})
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	for _, k := range []plugin.Kind{plugin.ExecutionParameters, plugin.SageMakerPing, plugin.ModelReady} {
		h := plugin.Handler(k, plugin.Config{}, &models{any: true, all: true})
		for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodDelete} {
			t.Run("PLG-008 "+k.Pattern()+" "+method, func(t *testing.T) {
				t.Parallel()
				answers(t, h, method, http.StatusInternalServerError, "application/json",
					"{\n  \"code\": 500,\n  \"type\": \"ModelServerEndpointException\",\n  \"message\": \"No implementation found .. Default implementation invoked\"\n}\n")
			})
		}
	}
	t.Run("the token plugin has no endpoint of its own", func(t *testing.T) {
		t.Parallel()
		assert.Nil(t, plugin.Handler(plugin.Token, plugin.Config{}, &models{}))
		assert.Equal(t, "token", plugin.Token.Pattern())
		assert.Empty(t, plugin.Kind(99).Pattern())
	})
}
