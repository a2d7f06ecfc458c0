package rest

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
)

// openInference adds the routes of the Open Inference Protocol that tell of the
// server (INF §4.8). Its predictions are there without it; metadata and
// readiness of one model are not offered over REST, as in 0.12.
func (e *edge) openInference(r chi.Router) {
	r.Handle("/v2", handle(e.serverMetadata))
	r.Handle("/v2/health/live", handle(e.serverLive))
	r.Handle("/v2/health/ready", handle(e.serverReady))
	// Not /v2/*, which would hide the legacy predictions of a model named v2.
	for _, path := range []string{"/v2/{a}/{b}/{c}/{d}", "/v2/{a}/{b}/{c}/{d}/*"} {
		r.Handle(path, handle(e.noVersions))
	}
}

// extensionsOfServer are those that the protocol's clients look for.
//
//nolint:gochecknoglobals // read-only table
var extensionsOfServer = []string{"kserve", "kubeflow"}

func (e *edge) serverMetadata(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, struct {
		Name       string   `json:"name"`
		Version    string   `json:"version"`
		Extenstion []string `json:"extenstion"` // compat(0.12): its spelling
		Extensions []string `json:"extensions"` // the protocol's (INF-D10)
	}{"Torchserve", e.cfg.Version, extensionsOfServer, extensionsOfServer})
}

func (e *edge) serverLive(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, struct {
		Live bool `json:"live"`
	}{true})
}

// serverReady says what /ping says (INF-D10).
func (e *edge) serverReady(w http.ResponseWriter, _ *http.Request) error {
	ready, status := e.deps.Health.Healthy(), http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	return writeJSON(w, status, struct {
		Ready bool `json:"ready"`
	}{ready})
}

// noVersions refuses the protocol's routes that name a version of a model.
func (e *edge) noVersions(w http.ResponseWriter, r *http.Request) error {
	if !strings.Contains(r.URL.Path, "/versions") {
		return notFound(w, r)
	}
	return writeJSON(w, http.StatusNotImplemented, struct {
		Error string `json:"error"`
	}{"Model versioning is not yet supported."})
}
