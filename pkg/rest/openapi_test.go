package rest_test

import (
	"net/http"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/api"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

func TestDescription(t *testing.T) {
	t.Parallel()
	c := config()
	c.Version = "0.12.0"
	d := rest.Deps{Predictor: &predictor{}, Catalog: catalog{}, Health: health{true, true}, Gatherer: http.NotFoundHandler(), Log: zerolog.Nop()}
	for name, l := range map[string]struct {
		handler  http.Handler
		document []byte
	}{
		"INF-030 INF-137 the inference listener": {rest.Inference(c, d), api.Inference("0.12.0")},
		"MGT-063 the management listener":        {rest.Management(c, d), api.Management("0.12.0")},
		"MET-053 the metrics listener":           {rest.Metrics(c, d), api.Metrics("0.12.0")},
		"the combined listener":                  {rest.Combined(c, d), api.Combined("0.12.0")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := []request{{method: "OPTIONS", target: "/"}, {method: "OPTIONS", target: "//"}, {method: "OPTIONS", target: "/?x=1"}}
			for _, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"} {
				asked = append(asked, request{method: method, target: "/api-description"}, request{method: method, target: "/api-description/"})
			}
			for _, q := range asked {
				w := call(t, l.handler, q)
				assert.Equal(t, 200, w.Code, q)
				assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
				assert.Equal(t, string(l.document), w.Body.String(), q)
			}
		})
		t.Run("INF-030 any other method on the root: "+name, func(t *testing.T) {
			t.Parallel()
			want := failure("405", "MethodNotAllowedException", "Requested method is not allowed, please refer to API document.")
			for _, method := range []string{"GET", "POST", "HEAD", "BREW"} {
				w := call(t, l.handler, request{method: method, target: "/"})
				assert.Equal(t, 405, w.Code, method)
				assert.Equal(t, want, w.Body.String())
			}
		})
		t.Run("OPTIONS * and HEAD on a connection: "+name, func(t *testing.T) {
			t.Parallel()
			address := listen(t, l.handler)
			w := dial(t, address).send("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").response("OPTIONS")
			assert.Equal(t, 200, w.code)
			assert.Equal(t, string(l.document), w.body)
			w = dial(t, address).send("HEAD /api-description HTTP/1.1\r\nHost: h\r\n\r\n").response("HEAD")
			assert.Equal(t, 200, w.code)
			assert.Empty(t, w.body)
		})
	}
}

func TestModelDescription(t *testing.T) {
	t.Parallel()
	c := config()
	c.Version = "0.12.0"
	h := rest.Management(c, rest.Deps{Catalog: catalog{}, Log: zerolog.Nop()})
	for _, target := range []string{"/models/noop", "/models/noop/", "/models/noop/1.0", "/models/noop/1.0/"} {
		t.Run("MGT-064 "+target, func(t *testing.T) {
			t.Parallel()
			w := call(t, h, request{method: "OPTIONS", target: target})
			assert.Equal(t, 200, w.Code)
			assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
			assert.Equal(t, string(api.Model("0.12.0", "noop")), w.Body.String())
		})
	}
	t.Run("without the model API, too", func(t *testing.T) {
		t.Parallel()
		h := rest.Management(rest.Config{}, rest.Deps{Catalog: catalog{}})
		assert.Equal(t, 200, call(t, h, request{method: "OPTIONS", target: "/models/noop"}).Code)
	})
	t.Run("an unknown model", func(t *testing.T) {
		t.Parallel()
		h := rest.Management(c, rest.Deps{Catalog: catalog{missing: true}, Log: zerolog.Nop()})
		w := call(t, h, request{method: "OPTIONS", target: "/models/noop"})
		assert.Equal(t, 404, w.Code)
		assert.Equal(t, failure("404", "ModelNotFoundException", "Model not found: noop"), w.Body.String())
	})
	for _, target := range []string{"/models", "/models/noop/1.0/set-default", "/v1/models/noop"} {
		t.Run("405 "+target, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, 405, call(t, h, request{method: "OPTIONS", target: target}).Code)
		})
	}
	t.Run("of the model and version that the path names", func(t *testing.T) {
		t.Parallel()
		asked := &asking{}
		call(t, rest.Management(c, rest.Deps{Catalog: asked}), request{method: "OPTIONS", target: "/models/m/3"})
		assert.Equal(t, model.Ref{Name: "m", Version: "3"}, asked.ref)
	})
}

// asking is a catalog that keeps what was asked for.
type asking struct {
	catalog
	ref model.Ref
}

func (a *asking) Describe(ref model.Ref) (model.Status, error) {
	a.ref = ref
	return a.catalog.Describe(ref)
}
