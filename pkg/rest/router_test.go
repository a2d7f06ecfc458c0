package rest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

// route is where a path of the inference listener leads.
type route struct {
	action  string // "404", "405", "ping", "predict", "invocations", "description"
	ref     model.Ref
	explain string // the header; empty: none
	urlPath string // "-": none
}

// table is INF §3.3 as it is written there, over the segments of §3.1.
func table(path string) route {
	s := strings.Split(strings.TrimRight(path, "/"), "/")
	at := func(i int) string {
		if i < len(s) {
			return s[i]
		}
		return ""
	}
	name := func(i int) model.Name {
		before, _, _ := strings.Cut(at(i), ":")
		return model.Name(before)
	}
	n := len(s)
	lost := route{action: "404"}
	switch {
	case n == 1:
		return route{action: "405"} // the root; nobody here asks with OPTIONS
	case n == 2 && at(1) == "api-description":
		return route{action: "description"}
	case n == 2 && (at(1) == "livez" || at(1) == "readyz"):
		return route{action: "ping"}
	case at(1) == "ping":
		return route{action: "ping"}
	case n == 2 && at(1) == "invocations":
		return route{action: "invocations"}
	case n == 4 && at(1) == "models" && at(3) == "invoke":
		return route{action: "predict", ref: model.Ref{Name: model.Name(at(2))}, urlPath: "-"}
	case at(1) == "invocations", n == 4 && at(1) == "models", n == 3 && at(1) == "models" && at(2) == "predict":
		return lost
	case at(1) == "predictions" || at(1) == "explanations":
		if n == 2 {
			return lost
		}
		r := route{action: "predict", ref: model.Ref{Name: model.Name(at(2)), Version: model.Version(at(3))}, explain: "False"}
		if at(1) == "explanations" {
			r.explain = "True"
		}
		if n > 4 {
			r.urlPath = strings.Join(s[4:], "/")
		}
		if n > 3 && at(3) == "" {
			return lost // an empty version
		}
		return r
	case n == 4 && at(3) == "predict":
		if at(2) == "" {
			return lost // an empty version
		}
		return route{action: "predict", ref: model.Ref{Name: model.Name(at(1)), Version: model.Version(at(2))}, urlPath: "-"}
	case n == 3 && at(2) == "predict":
		return route{action: "predict", ref: model.Ref{Name: model.Name(at(1))}, urlPath: "-"}
	case n == 4 && at(1) == "v1" && at(2) == "models" && strings.Contains(at(3), ":predict"):
		return route{action: "predict", ref: model.Ref{Name: name(3)}, explain: "False", urlPath: "-"}
	case n == 4 && at(1) == "v1" && at(2) == "models" && strings.Contains(at(3), ":explain"):
		return route{action: "predict", ref: model.Ref{Name: name(3)}, explain: "True", urlPath: "-"}
	case n == 5 && at(1) == "v2" && at(2) == "models" && at(4) == "infer":
		return route{action: "predict", ref: model.Ref{Name: name(3)}, explain: "False", urlPath: "-"}
	case n == 5 && at(1) == "v2" && at(2) == "models" && at(4) == "explain":
		return route{action: "predict", ref: model.Ref{Name: name(3)}, explain: "True", urlPath: "-"}
	default:
		return lost
	}
}

// routed is where the router under test led a path.
func routed(w *httptest.ResponseRecorder, j *job.Job) route {
	switch {
	case j != nil:
		r := route{action: "predict", ref: j.Ref, urlPath: "-"}
		for _, h := range j.Request.Headers {
			switch h.Name {
			case "explain":
				r.explain = h.Value
			case "url_path":
				r.urlPath = h.Value
			}
		}
		return r
	case w.Code == http.StatusOK && strings.Contains(w.Body.String(), "openapi"):
		return route{action: "description"}
	case w.Code == http.StatusOK:
		return route{action: "ping"}
	case w.Code == http.StatusMethodNotAllowed:
		return route{action: "405"}
	case w.Code == http.StatusBadRequest:
		return route{action: "invocations"} // no name in it
	default:
		return route{action: "404"}
	}
}

func assertRouted(t *testing.T, method, path string) {
	t.Helper()
	p := &predictor{}
	r := request{method: method, target: "/"}.http(t)
	r.URL.Path, r.URL.RawPath = path, ""
	w := httptest.NewRecorder()
	inference(p).ServeHTTP(w, r)
	require.Equal(t, table(path), routed(w, p.job()), "%s %q answered %d", method, path, w.Code)
}

func TestInferenceRoutes(t *testing.T) {
	t.Parallel()
	ids := map[string]string{
		"/predictions/m":                    "INF-040 default version",
		"/predictions/m/v":                  "INF-040 named version",
		"/predictions/m/v/a/b":              "INF-042 INF-043 extra segments",
		"/predictions/m/v//x":               "INF-042 empty segment",
		"/explanations/m":                   "INF-043 explanations",
		"/predictions":                      "INF-035 predictions without model",
		"/explanations":                     "INF-035 explanations without model",
		"/predictions/m///":                 "INF-032 trailing slashes",
		"/ping/":                            "INF-032 trailing slash of ping",
		"/ping/x/y":                         "ping with further segments",
		"/models/m/invokeX":                 "INF-036 invokeX",
		"/invocations/x":                    "INF-036 invocations with a segment",
		"/v1/models/m":                      "INF-036 readiness is of the management listener",
		"/metrics":                          "INF-037 metrics",
		"/models":                           "INF-037 models",
		"/models/m":                         "model",
		"/v1/models/m:predict":              "INF-044 KServe v1 predict",
		"/v1/models/m:explain":              "INF-044 KServe v1 explain",
		"/v1/models/m:predictX":             "KServe v1 contains",
		"/v1/models/m:x:predict":            "KServe v1 contains behind",
		"/v1/models/m:explain:predict":      "KServe v1 both",
		"/v1/models/m:":                     "KServe v1 no verb",
		"/v2/models/m/infer":                "INF-044 KServe v2 infer",
		"/v2/models/m/explain":              "INF-044 KServe v2 explain",
		"/v2/models/m:x/infer":              "KServe v2 colon",
		"/v2/models/m/versions/1/infer":     "KServe v2 with version",
		"/m/predict":                        "INF-048 legacy",
		"/m/v/predict":                      "INF-048 legacy with version",
		"/a/predict/predict":                "legacy version predict",
		"/predict/predict":                  "legacy model predict",
		"/v1/models/predict":                "legacy model v1",
		"/v2/models/predict":                "legacy model v2",
		"/models/predict":                   "models predict",
		"/models/m/predict":                 "models with version predict",
		"/invocations/predict":              "invocations predict",
		"/predictions/predict":              "model predict",
		"/predictions/a/predict":            "version predict",
		"/models/m/invoke":                  "models invoke",
		"/api-description":                  "INF-030 description",
		"/api-description/":                 "INF-032 description with a trailing slash",
		"/api-description/predict":          "legacy model api-description",
		"/api-description/x":                "below the description",
		"/predictions//x":                   "empty model",
		"/predictions/m//x":                 "empty version",
		"//predict":                         "legacy empty model",
		"//ping":                            "two leading slashes",
		"/":                                 "INF-030 root",
		"//":                                "INF-030 root, two slashes",
		"/unknown":                          "INF-031 unknown",
		"/explanations/m/v/predict/predict": "long",
	}
	for path, name := range ids {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "BREW"} {
				assertRouted(t, method, path)
			}
		})
	}
}

func FuzzInferenceRoutes(f *testing.F) {
	for _, path := range []string{"/predictions/m/v/a/b", "//models/m/invoke", "/v1/models/m:predict", "/v2/models/m/infer", "/a/b/predict"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if !strings.HasPrefix(path, "/") || !utf8.ValidString(path) {
			t.Skip("not a path behind the normalizer")
		}
		assertRouted(t, http.MethodPost, path)
	})
}

func TestPaths(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		target string
		want   model.Ref
	}{
		"INF-033 an encoded slash separates":   {"/predictions/m%2F2.0", model.Ref{Name: "m", Version: "2.0"}},
		"INF-033 a plus is literal":            {"/predictions/a+b", model.Ref{Name: "a+b"}},
		"escapes are decoded once":             {"/predictions/a%2525", model.Ref{Name: "a%25"}},
		"invalid UTF-8 is replaced":            {"/predictions/a%FFb", model.Ref{Name: "a\uFFFDb"}},
		"a fragment is cut off":                {"/predictions/m#/v", model.Ref{Name: "m"}},
		"an encoded hash is not a fragment":    {"/predictions/m%23v", model.Ref{Name: "m#v"}},
		"absolute form is reduced":             {"http://host/predictions/m", model.Ref{Name: "m"}},
		"an encoded trailing slash is dropped": {"/predictions/m%2F", model.Ref{Name: "m"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &predictor{}
			address := listen(t, inference(p))
			w := dial(t, address).send("POST " + c.target + " HTTP/1.1\r\nHost: h\r\n\r\n").response("POST")
			require.Equal(t, http.StatusOK, w.code)
			assert.Equal(t, c.want, p.job().Ref)
		})
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	want := failure("404", "ResourceNotFoundException", "Requested resource is not found, please refer to API document.")
	t.Run("INF-031 INF-012 INF-127 unknown path", func(t *testing.T) {
		t.Parallel()
		w := call(t, inference(&predictor{}), request{target: "/nothing/here"})
		assert.Equal(t, 404, w.Code)
		assert.Equal(t, want, w.Body.String())
	})
	t.Run("MGT-070 MGT-005 unknown path of the management listener", func(t *testing.T) {
		t.Parallel()
		w := call(t, rest.Management(config(), rest.Deps{}), request{method: "GET", target: "/models/a/b/c"})
		assert.Equal(t, 404, w.Code)
		assert.Equal(t, want, w.Body.String())
	})
	t.Run("any method of an unknown path of the management listener", func(t *testing.T) {
		t.Parallel()
		w := call(t, rest.Management(config(), rest.Deps{}), request{method: "BREW", target: "/nothing"})
		assert.Equal(t, 404, w.Code)
	})
}

// TestGuardIsInFrontOfEverything walks all routes: none is reached when the
// guard refuses, nor is 404 or 405.
func TestGuardIsInFrontOfEverything(t *testing.T) {
	t.Parallel()
	refuse := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rest.Fail(w, r, fault.New(fault.InvalidKey, "no"))
		})
	}
	d := rest.Deps{
		Guards:   rest.Guards{Inference: refuse, Management: refuse, Metrics: refuse},
		Token:    func(http.ResponseWriter, *http.Request) error { return nil },
		Gatherer: http.NotFoundHandler(), Log: zerolog.Nop(),
	}
	routers := map[string]*chi.Mux{
		"inference": rest.Inference(config(), d), "management": rest.Management(config(), d), "metrics": rest.Metrics(config(), d),
	}
	for name, router := range routers {
		t.Run("refused on "+name, func(t *testing.T) {
			t.Parallel()
			seen := 0
			require.NoError(t, chi.Walk(router, func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
				seen++
				w := call(t, router, request{method: method, target: strings.NewReplacer("{", "", "}", "", "*", "x").Replace(path)})
				assert.Equal(t, 400, w.Code, "%s %s", method, path)
				assert.Contains(t, w.Body.String(), "InvalidKeyException")
				return nil
			}))
			assert.Positive(t, seen)
			for _, path := range []string{"/", "/nothing", "//", "/models"} {
				assert.Equal(t, 400, call(t, router, request{method: "BREW", target: path}).Code, path)
			}
		})
	}
}

func TestCombined(t *testing.T) {
	t.Parallel()
	refused := func(who string) func(http.Handler) http.Handler {
		return func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("By", who) })
		}
	}
	h := rest.Combined(config(), rest.Deps{
		Guards:   rest.Guards{Inference: refused("inference"), Management: refused("management"), Metrics: refused("metrics")},
		Gatherer: http.NotFoundHandler(),
	})
	for path, want := range map[string]string{
		"/ping": "inference", "/predictions/m": "inference", "/models/m/invoke": "inference", "/invocations": "inference",
		"/models/m/invoke/": "inference", "/v1/models/m:predict": "inference", "/nothing": "inference", "/": "inference",
		"//models": "inference", "/token/x": "inference", "/v1/models": "inference", "/livez": "inference",
		"/models": "management", "/models/": "management", "/models/m": "management", "/models/m/1.0": "management",
		"/models%2Fm/1.0": "management", "/models/m/all": "management", "/models/m/1.0/set-default": "management",
		"/models/m/invoke/x": "management", "/v1/models/m": "management", "/workflows": "management",
		"/workflows/w": "management", "/token": "management", "/token/": "management",
		"/metrics": "metrics", "/metrics/x": "metrics",
	} {
		t.Run("INF-038 MGT-066 "+path, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, want, call(t, h, request{target: path}).Header().Get("By"))
		})
	}
	t.Run("INF-038 MGT-066 the routes of both work", func(t *testing.T) {
		t.Parallel()
		p := &predictor{}
		h := rest.Combined(config(), rest.Deps{Predictor: p, Catalog: catalog{}, Health: health{}})
		assert.Equal(t, 200, call(t, h, request{target: "/models/m/invoke"}).Code)
		assert.Equal(t, model.Name("m"), p.job().Ref.Name)
		w := call(t, h, request{method: "GET", target: "/models/noop/1.0"})
		assert.Equal(t, 200, w.Code)
		assert.Contains(t, w.Body.String(), `"modelName": "noop"`)
	})
}

func TestMetricsListener(t *testing.T) {
	t.Parallel()
	h := rest.Metrics(config(), rest.Deps{Gatherer: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("x 1\n"))
	})})
	for _, target := range []string{"/metrics", "/metrics/", "/metrics/x", "/metrics?name[]=x"} {
		assert.Equal(t, "x 1\n", call(t, h, request{method: "GET", target: target}).Body.String(), target)
	}
	assert.Equal(t, 404, call(t, h, request{method: "GET", target: "/ping"}).Code)
	t.Run("an answer without a body has the fixed headers", func(t *testing.T) {
		t.Parallel()
		l := &lines{}
		empty := rest.Metrics(config(), rest.Deps{Access: l.add, Gatherer: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
		w := call(t, empty, request{method: "GET", target: "/metrics"})
		assert.Equal(t, 200, w.Code)
		assert.Equal(t, "no-cache", w.Header().Get("Pragma"))
		assert.Len(t, l.list(), 1)
	})
	w := call(t, rest.Metrics(config(), rest.Deps{}), request{method: "GET", target: "/metrics"})
	assert.Equal(t, 404, w.Code)
	assert.NotEmpty(t, w.Header().Get("X-Request-Id"))
}
