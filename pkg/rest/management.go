package rest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// Texts of 0.12 for changes that are under way.
const (
	textAccepted = "Processing worker updates..."
	textPartial  = "Workers scaling in progress..."
)

// allVersions is the version that stands for all of them when describing.
const allVersions = "all"

// management adds the routes of the management API. With the model API off the
// methods that need it do not exist, so that the router itself answers 405
// (MGT §3).
func (e *edge) management(r chi.Router) {
	r.Get("/models", handle(e.list))
	if e.cfg.ModelAPI {
		r.Post("/models", handle(e.register))
	}
	for _, path := range []string{"/models/{model}", "/models/{model}/{version}"} {
		r.Get(path, handle(e.describe))
		r.Options(path, handle(e.describeModel))
		r.Put(path, handle(e.scale))
		if e.cfg.ModelAPI {
			r.Delete(path, handle(e.unregister))
		}
	}
	r.Put("/models/{model}/{version}/set-default", handle(e.setDefault))
	r.Get("/v1/models/{target}", handle(e.ready))
	r.Post("/workflows", handle(noWorkflows))
	if e.deps.Token != nil {
		r.Get("/token", handle(e.deps.Token))
		r.Post("/token", handle(e.deps.Token))
	}
}

// pathRef returns the model that the path names.
func pathRef(r *http.Request) model.Ref {
	return model.Ref{Name: model.Name(chi.URLParam(r, "model")), Version: model.Version(chi.URLParam(r, "version"))}
}

func (e *edge) register(w http.ResponseWriter, r *http.Request) error {
	given, err := e.registerParameters(w, r)
	if err != nil {
		return err
	}
	reg, err := registration(given)
	if err != nil {
		return err
	}
	if err := e.warn(w, given); err != nil {
		return err
	}
	done, err := e.deps.Models.Register(r.Context(), reg)
	if err != nil {
		return err
	}
	w.Header().Set(headerLocation, "/models/"+url.PathEscape(string(done.Name))+"/"+url.PathEscape(string(done.Version)))
	switch done.Progress {
	case model.Accepted:
		return writeStatus(w, http.StatusAccepted, textAccepted)
	case model.Partial:
		return writeStatus(w, http.StatusPartialContent, textPartial)
	case model.Done:
	}
	text := `Model "` + string(done.Name) + `" Version: ` + string(done.Version) +
		" registered with " + strconv.Itoa(done.Workers) + " initial workers"
	if done.Workers == 0 {
		text += ". Use scale workers API to add workers for the model."
	}
	return writeStatus(w, http.StatusOK, text)
}

func (e *edge) scale(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r.RequestURI)
	if err != nil {
		return err
	}
	given := &parameters{source: q}
	least := given.integer("min_worker", 1)
	most := given.integer("max_worker", least)
	wanted := model.Scaling{Workers: model.Workers{Min: least, Max: most}, Synchronous: given.boolean("synchronous", false)}
	switch {
	case most < least:
		return fault.New(fault.BadRequest, "max_worker cannot be less than min_worker.")
	case least < 0:
		return fault.New(fault.BadRequest, "min_worker cannot be negative.")
	}
	ref := pathRef(r)
	if ref.Version == "" {
		version, _ := q.get("model_version")
		ref.Version = model.Version(version)
	}
	if err := e.warn(w, given); err != nil {
		return err
	}
	progress, err := e.deps.Models.Scale(r.Context(), ref, wanted)
	if err != nil {
		return err
	}
	switch progress {
	case model.Accepted:
		return writeStatus(w, http.StatusAccepted, textAccepted)
	case model.Partial:
		return writeStatus(w, http.StatusPartialContent, textPartial)
	case model.Done:
	}
	text := "Workers scaled to " + strconv.Itoa(least) + " for model: " + string(ref.Name)
	if ref.Version != "" {
		text += ", version: " + string(ref.Version)
	}
	return writeStatus(w, http.StatusOK, text)
}

func (e *edge) unregister(w http.ResponseWriter, r *http.Request) error {
	ref := pathRef(r)
	if err := e.deps.Models.Unregister(r.Context(), ref); err != nil {
		return err
	}
	return writeStatus(w, http.StatusOK, `Model "`+string(ref.Name)+`" unregistered`)
}

func (e *edge) setDefault(w http.ResponseWriter, r *http.Request) error {
	ref := pathRef(r)
	if err := e.deps.Models.SetDefault(r.Context(), ref); err != nil {
		return err
	}
	return writeStatus(w, http.StatusOK,
		`Default version successfully updated for model "`+string(ref.Name)+`" to "`+string(ref.Version)+`"`)
}

// ready answers KServe's question after one model. The name ends at the first
// colon.
func (e *edge) ready(w http.ResponseWriter, r *http.Request) error {
	name, _, _ := strings.Cut(chi.URLParam(r, "target"), ":")
	loaded, err := e.deps.Catalog.Loaded(model.Name(name))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		Name  string `json:"name"`
		Ready bool   `json:"ready"`
	}{name, loaded})
}

func noWorkflows(http.ResponseWriter, *http.Request) error {
	return fault.New(fault.BadRequest, "Registering new workflows is disabled.")
}
