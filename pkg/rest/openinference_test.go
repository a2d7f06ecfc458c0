package rest_test

import (
	"net/http"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

// openInference returns an inference listener that speaks the protocol.
func openInference(p *predictor, is health) http.Handler {
	c := config()
	c.Version, c.OpenInference = "0.12.0", true
	return rest.Inference(c, rest.Deps{Predictor: p, Health: is, Log: zerolog.Nop()})
}

func TestOpenInference(t *testing.T) {
	t.Parallel()
	const (
		metadata = "{\n  \"name\": \"Torchserve\",\n  \"version\": \"0.12.0\",\n" +
			"  \"extenstion\": [\n    \"kserve\",\n    \"kubeflow\"\n  ],\n  \"extensions\": [\n    \"kserve\",\n    \"kubeflow\"\n  ]\n}\n"
		noVersions = "{\n  \"error\": \"Model versioning is not yet supported.\"\n}\n"
	)
	well := health{healthy: true}
	lost := failure("404", "ResourceNotFoundException", "Requested resource is not found, please refer to API document.")
	for name, c := range map[string]struct {
		target string
		is     health
		code   int
		body   string
	}{
		"INF-050 metadata":                            {"/v2", well, 200, metadata},
		"INF-050 metadata, a slash at the end":        {"/v2/", well, 200, metadata},
		"INF-050 live":                                {"/v2/health/live", well, 200, "{\n  \"live\": true\n}\n"},
		"INF-050 live while it is not healthy":        {"/v2/health/live", health{}, 200, "{\n  \"live\": true\n}\n"},
		"INF-050 ready":                               {"/v2/health/ready", well, 200, "{\n  \"ready\": true\n}\n"},
		"INF-050 not ready (INF-D10)":                 {"/v2/health/ready", health{ready: true}, 503, "{\n  \"ready\": false\n}\n"},
		"INF-052 a version of a model":                {"/v2/models/m/versions/1", well, 501, noVersions},
		"INF-052 its prediction":                      {"/v2/models/m/versions/1/infer", well, 501, noVersions},
		"INF-052 anything that long":                  {"/v2/a/b/c/versionsX/", well, 501, noVersions},
		"INF-052 not what is shorter":                 {"/v2/models/m/versions", well, 404, lost},
		"INF-052 not what is long without versions":   {"/v2/models/m/infer/1/2", well, 404, lost},
		"INF-052 not outside of the protocol (D10)":   {"/v3/models/m/versions/1/infer", well, 404, lost},
		"metadata of a model, as in 0.12":             {"/v2/models/m", well, 404, lost},
		"readiness of a model, as in 0.12":            {"/v2/models/m/ready", well, 404, lost},
		"letter case counts":                          {"/V2", well, 404, lost},
		"nothing else is there: /v2/health":           {"/v2/health", well, 404, lost},
		"nothing else is there: /v2/health/live/more": {"/v2/health/live/more", well, 404, lost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{"GET", "POST", "PUT", "DELETE", "BREW"} {
				w := call(t, openInference(&predictor{}, c.is), request{method: method, target: c.target})
				assert.Equal(t, c.code, w.Code, method)
				assert.Equal(t, c.body, w.Body.String(), method)
			}
		})
	}
	t.Run("predictions are where they were", func(t *testing.T) {
		t.Parallel()
		for target, want := range map[string]model.Ref{
			"/v2/models/m/infer":   {Name: "m"},
			"/v2/models/m/explain": {Name: "m"},
			"/v2/predict":          {Name: "v2"},
			"/v2/models/predict":   {Name: "v2", Version: "models"},
			"/v2/health/predict":   {Name: "v2", Version: "health"},
		} {
			p := &predictor{}
			require.Equal(t, 200, call(t, openInference(p, well), request{target: target}).Code, target)
			assert.Equal(t, want, p.job().Ref, target)
		}
	})
	for _, target := range []string{"/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/m/versions/1/infer"} {
		t.Run("INF-050 INF-051 switched off: "+target, func(t *testing.T) {
			t.Parallel()
			w := call(t, inference(&predictor{}), request{method: "GET", target: target})
			assert.Equal(t, 404, w.Code)
			assert.Equal(t, lost, w.Body.String())
		})
	}
}
