package rest

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/torchserve-go/torchserve/api"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// description adds the routes that answer with the document of a listener.
func (e *edge) description(r chi.Router, document []byte) {
	h := func(w http.ResponseWriter, _ *http.Request) { writeBody(w, http.StatusOK, document) }
	r.Options("/", h)
	r.HandleFunc(pathDescription, h)
}

const pathDescription = "/api-description"

// describeRoute answers OPTIONS on the routes of a model (INF §17.4).
func (e *edge) describeRoute(w http.ResponseWriter, ref model.Ref) error {
	if err := e.deps.Predictor.Resolve(ref); err != nil {
		return err
	}
	writeBody(w, http.StatusOK, api.Prediction(string(ref.Name)))
	return nil
}

// describeModel answers OPTIONS on the management routes of a model (MGT §11.2).
func (e *edge) describeModel(w http.ResponseWriter, r *http.Request) error {
	ref := pathRef(r)
	if _, err := e.deps.Catalog.Describe(ref); err != nil {
		return err
	}
	writeBody(w, http.StatusOK, api.Model(e.cfg.Version, string(ref.Name)))
	return nil
}
