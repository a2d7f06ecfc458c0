package rest_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/api"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

const (
	ours     = "0.12 has not got it, and the documents stay 0.12's (INF-D26)"
	left     = "0.12 leaves it out"
	deeper   = "what is below a described path"
	claimed  = "404, where another pattern would match"
	describe = "answers with the document itself"
)

// undescribed are the routes that the document of their listener does not name,
// and why. A row with a method is about that method alone.
var undescribed = map[string]map[string]string{
	"inference": {
		"/livez": ours, "/readyz": ours,
		"/explanations/{}": left, "/explanations/{}/{}": left, "/explanations/{}/{}/*": left,
		"/invocations": left, "/models/{}/invoke": left, "/{}/predict": left, "/{}/{}/predict": left,
		"/v2/models/{}/explain": left, "/v2": left, "/v2/health/live": left, "/v2/health/ready": left,
		"/v2/{}/{}/{}/{}": left, "/v2/{}/{}/{}/{}/*": left,
		"/ping/*": deeper, "/predictions/{}/{}/*": deeper,
		"/invocations/*": claimed, "/models/*": claimed,
	},
	"management": {
		"/livez": ours, "/readyz": ours, "/v1/models/{}": left, "/token": left, "/workflows": left,
		"OPTIONS /models/{}": describe, "OPTIONS /models/{}/{}": describe,
	},
	"metrics": {
		"OPTIONS /": describe, "/api-description": describe, "/metrics/*": deeper,
	},
}

// unrouted are the operations that a document names and its listener has not
// got, as in 0.12.
var unrouted = map[string][]string{"inference": {"GET /metrics"}, "management": {"GET /metrics"}}

// listeners are the routers with all their routes, and their documents. Without
// models there is none that a call could find.
func listeners(t *testing.T, m *models, missing bool) (routers map[string]*chi.Mux, documents map[string]*openapi3.T) {
	t.Helper()
	c := config()
	c.OpenInference = true
	p := &predictor{}
	if missing {
		p = refusing(modelNotFound("m"))
	}
	d := rest.Deps{
		Predictor: p, Models: m, Catalog: catalog{missing: missing}, Health: health{true, true}, Log: zerolog.Nop(),
		Token:    func(http.ResponseWriter, *http.Request) error { return nil },
		Gatherer: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
	}
	documents = map[string]*openapi3.T{}
	for name, text := range map[string][]byte{
		"inference": api.Inference("1"), "management": api.Management("1"), "metrics": api.Metrics("1"),
	} {
		document, err := openapi3.NewLoader().LoadFromData(text)
		require.NoError(t, err)
		documents[name] = document
	}
	return map[string]*chi.Mux{"inference": rest.Inference(c, d), "management": rest.Management(c, d), "metrics": rest.Metrics(c, d)}, documents
}

var variable = regexp.MustCompile(`\{[^}]*\}`)

// operations are "METHOD /path/{}" of a document.
func operations(d *openapi3.T) map[string]bool {
	all := map[string]bool{}
	for path, item := range d.Paths.Map() {
		for method := range item.Operations() {
			all[method+" "+variable.ReplaceAllString(path, "{}")] = true
		}
	}
	return all
}

// routesOf are the methods of each "/path/{}" of a router.
func routesOf(t *testing.T, router chi.Routes) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	require.NoError(t, chi.Walk(router, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		// The verb of KServe v1 is looked at behind the route.
		path := strings.Replace(variable.ReplaceAllString(pattern, "{}"), ":{}", ":predict", 1)
		all[path] = append(all[path], method)
		return nil
	}))
	return all
}

// TestDescribed: a route is described, or a row says why not; a row is about a
// route; and what is described is there.
func TestDescribed(t *testing.T) {
	t.Parallel()
	routers, documents := listeners(t, &models{}, false)
	for name, router := range routers {
		t.Run("MGT-063 the routes of "+name, func(t *testing.T) {
			t.Parallel()
			described, rows := operations(documents[name]), maps.Clone(undescribed[name])
			all := routesOf(t, router)
			assert.NotEmpty(t, all)
			for path, methods := range all {
				anyMethod := slices.Contains(methods, http.MethodTrace) // of all methods, a document names one
				named := slices.ContainsFunc(methods, func(m string) bool { return described[m+" "+path] })
				for _, method := range methods {
					_, pathRow := undescribed[name][path]
					_, methodRow := undescribed[name][method+" "+path]
					ok := described[method+" "+path] || anyMethod && named || pathRow || methodRow
					assert.True(t, ok, "%s %s is neither described nor excepted", method, path)
					delete(rows, path)
					delete(rows, method+" "+path)
				}
			}
			assert.Empty(t, rows, "no such routes")
		})
		t.Run("MGT-063 what is described of "+name, func(t *testing.T) {
			t.Parallel()
			for operation := range operations(documents[name]) {
				method, path, _ := strings.Cut(operation, " ")
				w := call(t, router, request{method: method, target: strings.ReplaceAll(path, "{}", "m") + "?url=x"})
				lost := strings.Contains(w.Body.String(), "ResourceNotFoundException") || w.Code == http.StatusMethodNotAllowed
				assert.Equal(t, slices.Contains(unrouted[name], operation), lost, operation)
			}
		})
	}
	t.Run("MGT-064 what the document of a model describes", func(t *testing.T) {
		t.Parallel()
		document, err := openapi3.NewLoader().LoadFromData(api.Model("1", "m"))
		require.NoError(t, err)
		for operation := range operations(document) {
			assert.True(t, operations(documents["management"])[operation], operation)
		}
	})
}

// TestTrueToTheDocument compares answers with the schemas that describe them.
// One is false in 0.12: that of a described model, which is a list.
func TestTrueToTheDocument(t *testing.T) {
	t.Parallel()
	const (
		byName    = "/models/{model_name}"
		byVersion = byName + "/{model_version}"
	)
	routers, documents := listeners(t, &models{outcome: model.Registered{Progress: model.Done}}, false)
	bare, _ := listeners(t, nil, true)
	for name, c := range map[string]struct {
		routers                        map[string]*chi.Mux
		listener, method, target, path string
		code                           int
	}{
		"ping":                {routers, "inference", "GET", "/ping", "/ping", 200},
		"a model not found":   {bare, "inference", "POST", "/predictions/m", "/predictions/{model_name}", 404},
		"the document itself": {routers, "inference", "OPTIONS", "/", "/", 200},
		"a list of models":    {routers, "management", "GET", "/models", "/models", 200},
		"a registration":      {routers, "management", "POST", "/models?url=x.mar", "/models", 200},
		"a bad registration":  {routers, "management", "POST", "/models", "/models", 400},
		"scaling":             {routers, "management", "PUT", "/models/m", byName, 200},
		"unregistering":       {routers, "management", "DELETE", "/models/m", byName, 200},
		"a default version":   {routers, "management", "PUT", "/models/m/1/set-default", byVersion + "/set-default", 200},
		"describing none":     {bare, "management", "GET", "/models/m/1", byVersion, 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := call(t, c.routers[c.listener], request{method: c.method, target: c.target})
			require.Equal(t, c.code, w.Code, "%s", w.Body)
			response := documents[c.listener].Paths.Value(c.path).GetOperation(c.method).Responses.Status(c.code)
			require.NotNil(t, response)
			var body any
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
			assert.NoError(t, response.Value.Content.Get(w.Header().Get("Content-Type")).Schema.Value.VisitJSON(body), "%s", w.Body)
		})
	}
}
