package rest_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/rest"
)

// plugin answers with what it was asked.
func plugin(pattern string) rest.Endpoint {
	return rest.Endpoint{Pattern: pattern, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Asked", r.Method+" "+r.URL.Path+"?"+r.URL.RawQuery)
		_, _ = w.Write([]byte(pattern))
	})}
}

func plugins(names ...string) rest.Deps {
	d := rest.Deps{Predictor: &predictor{}, Catalog: catalog{}, Health: health{true, true}, Log: zerolog.Nop()}
	for _, name := range names {
		d.Endpoints = append(d.Endpoints, plugin(name))
	}
	return d
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	names := []string{"extra", "ping", "predictions", "models", "v1", "api-description", ""}
	h := rest.Inference(config(), plugins(names...))
	for name, c := range map[string]struct{ target, want string }{
		"PLG-004 the first segment":               {"/extra", "extra"},
		"PLG-004 deeper paths":                    {"/extra/x/y", "extra"},
		"PLG-005 in the place of ping":            {"/ping", "ping"},
		"PLG-005 and of what is below":            {"/ping/x", "ping"},
		"PLG-005 in the place of predictions":     {"/predictions/m/1.0/x", "predictions"},
		"PLG-005 in the place of invoke":          {"/models/m/invoke", "models"},
		"PLG-005 in the place of KServe":          {"/v1/models/m:predict", "v1"},
		"PLG-005 in the place of the legacy form": {"/extra/predict", "extra"},
		"PLG-006 below the description":           {"/api-description/x", "api-description"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{"GET", "PUT", "POST", "DELETE"} {
				w := call(t, h, request{method: method, target: c.target + "?a=1"})
				assert.Equal(t, 200, w.Code, method)
				assert.Equal(t, c.want, w.Body.String(), method)
				assert.Equal(t, method+" "+c.target+"?a=1", w.Header().Get("X-Asked"))
			}
		})
	}
	for name, c := range map[string]struct {
		target, want string
		code         int
	}{
		"PLG-004 letter case":               {"/Extra", "ResourceNotFoundException", 404},
		"PLG-004 the whole segment":         {"/extras", "ResourceNotFoundException", 404},
		"PLG-004 the first one":             {"/x/extra", "ResourceNotFoundException", 404},
		"PLG-006 the description itself":    {"/api-description", `"openapi": "3.0.1"`, 200},
		"PLG-006 the root":                  {"/", "MethodNotAllowedException", 405},
		"the other routes are as they were": {"/livez", "Healthy", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := call(t, h, request{method: "GET", target: c.target})
			assert.Equal(t, c.code, w.Code)
			assert.Contains(t, w.Body.String(), c.want)
		})
	}
	t.Run("another method", func(t *testing.T) {
		t.Parallel()
		want := failure("500", "ServiceUnavailableException", "Unknown exception")
		for _, method := range []string{"PATCH", "OPTIONS", "HEAD", "BREW"} {
			w := call(t, h, request{method: method, target: "/extra"})
			assert.Equal(t, 500, w.Code, method)
			assert.Equal(t, want, w.Body.String(), method)
			assert.Empty(t, w.Header().Get("Retry-After"))
		}
	})
	t.Run("PLG-011 200 without a content type, with the fixed headers", func(t *testing.T) {
		t.Parallel()
		w := dial(t, listen(t, h)).send("GET /extra HTTP/1.1\r\nHost: h\r\n\r\n").response("GET")
		assert.Equal(t, 200, w.code)
		assert.NotContains(t, w.header, "Content-Type")
		assert.Len(t, w.header.Get("X-Request-Id"), 36)
		assert.Equal(t, "no-cache", w.header.Get("Pragma"))
	})
}

func TestEndpointsElsewhere(t *testing.T) {
	t.Parallel()
	t.Run("not on the management listener", func(t *testing.T) {
		t.Parallel()
		w := call(t, rest.Management(config(), plugins("extra")), request{method: "GET", target: "/extra"})
		assert.Equal(t, 404, w.Code)
	})
	t.Run("PLG-005 on the combined listener, in the place of management routes", func(t *testing.T) {
		t.Parallel()
		h := rest.Combined(config(), plugins("extra", "models"))
		for target, want := range map[string]string{"/extra": "extra", "/models": "models", "/models/m": "models"} {
			assert.Equal(t, want, call(t, h, request{method: "GET", target: target}).Body.String(), target)
		}
		assert.Equal(t, 200, call(t, h, request{method: "GET", target: "/v1/models/m"}).Code)
	})
	t.Run("PLG-007 behind the guard", func(t *testing.T) {
		t.Parallel()
		d := plugins("extra")
		d.Guards.Inference = func(http.Handler) http.Handler { return http.NotFoundHandler() }
		w := call(t, rest.Inference(config(), d), request{method: "GET", target: "/extra"})
		assert.Empty(t, w.Header().Get("X-Asked"))
	})
	t.Run("a body that is declared too large does not reach it", func(t *testing.T) {
		t.Parallel()
		c := config()
		c.MaxRequestSize = 3
		assert.Equal(t, 413, call(t, rest.Inference(c, plugins("extra")), request{target: "/extra", body: "1234"}).Code)
	})
	t.Run("PLG-019 its lines and its count", func(t *testing.T) {
		t.Parallel()
		var log bytes.Buffer
		l, n := &lines{}, &counters{}
		d := plugins("extra")
		d.Log, d.Access, d.Metrics = zerolog.New(&log), l.add, n
		call(t, rest.Inference(config(), d), request{method: "GET", target: "/extra/x"})
		assert.Regexp(t, `^{"level":"info","message":"Running \\"extra\\" endpoint took [0-9]+ ms"}\n$`, log.String())
		assert.Len(t, l.list(), 1)
		assert.Equal(t, []int{200}, n.answered())
	})
}
