package rest

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/torchserve-go/torchserve/api"
	"github.com/torchserve-go/torchserve/pkg/fault"
)

// edge is what all handlers of a listener share. It does not change.
type edge struct {
	cfg       Config
	deps      Deps
	head      head
	names     map[string]string // header names that keep their spelling, by canonical form
	endpoints endpoints
	ids       identities
}

func newEdge(cfg Config, d Deps) *edge {
	if d.Metrics == nil {
		d.Metrics = discard{}
	}
	if d.Access == nil {
		d.Access = func(AccessLine) {}
	}
	return &edge{
		cfg: cfg, deps: d, head: newHead(cfg.CORS), names: spellings(cfg.SequenceHeaders),
		endpoints: newEndpoints(d.Endpoints),
	}
}

// Inference returns the router of the inference listener.
func Inference(cfg Config, d Deps) *chi.Mux {
	return newEdge(cfg, d).inference(api.Inference(cfg.Version))
}

// inference returns the router of a listener that document describes.
func (e *edge) inference(document []byte) *chi.Mux {
	r := e.router(e.deps.Guards.Inference)
	r.Use(e.plugins)
	e.description(r, document)
	e.probes(r)
	r.Handle("/ping", handle(e.ping))
	r.Handle("/ping/*", handle(e.ping))
	e.predictions(r)
	if e.cfg.OpenInference {
		e.openInference(r)
	}
	return r
}

// Management returns the router of the management listener.
func Management(cfg Config, d Deps) *chi.Mux {
	e := newEdge(cfg, d)
	r := e.router(d.Guards.Management)
	e.description(r, api.Management(cfg.Version))
	e.probes(r)
	e.management(r)
	return r
}

// Metrics returns the router of the metrics listener.
func Metrics(cfg Config, d Deps) *chi.Mux {
	e := newEdge(cfg, d)
	r := e.router(d.Guards.Metrics)
	e.description(r, api.Metrics(cfg.Version))
	if d.Gatherer != nil {
		r.Handle("/metrics", d.Gatherer)
		r.Handle("/metrics/*", d.Gatherer)
	}
	return r
}

// Combined returns the handler of a listener that is inference and management
// in one. The path alone decides whose routes and whose guard a request meets,
// so each needs one key only (INF-D8, D-MGT-4).
func Combined(cfg Config, d Deps) http.Handler {
	e := newEdge(cfg, d)
	inference, management, metrics := e.inference(api.Combined(cfg.Version)), Management(cfg, d), Metrics(cfg, d)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, _, err := normalPath(r)
		_, plugin := e.endpoints.at(path)
		switch owner := owner(path); {
		case err != nil, plugin, owner == "", owner == "metrics" && d.Gatherer == nil:
			inference.ServeHTTP(w, r)
		case owner == "metrics":
			metrics.ServeHTTP(w, r)
		default:
			management.ServeHTTP(w, r)
		}
	})
}

// owner names the first segment of a path that belongs to management or
// metrics; empty: inference, unknown paths included.
func owner(path string) string {
	segments := strings.Split(path, "/")
	if len(segments) < 2 || segments[0] != "" {
		return ""
	}
	switch first := segments[1]; first {
	case "models":
		if len(segments) == 4 && segments[3] == "invoke" {
			return ""
		}
		return first
	case "v1":
		if len(segments) != 4 || segments[2] != "models" || hasVerb(segments[3]) {
			return ""
		}
		return first
	case "token":
		if len(segments) > 2 {
			return ""
		}
		return first
	case "metrics", "workflows":
		return first
	default:
		return ""
	}
}

// router returns an empty router behind the middlewares, in their order.
func (e *edge) router(guard func(http.Handler) http.Handler) *chi.Mux {
	r := chi.NewRouter()
	r.Use(e.frame, normalize, e.preflight)
	if guard != nil {
		r.Use(guard)
	}
	r.Use(e.limit)
	r.NotFound(handle(notFound))
	r.MethodNotAllowed(handle(methodNotAllowed))
	return r
}

// handle makes h a handler whose error Fail answers.
func handle(h func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			Fail(w, r, err)
		}
	}
}

func notFound(http.ResponseWriter, *http.Request) error {
	return fault.New(fault.RouteNotFound, fault.RouteNotFoundMessage)
}

func methodNotAllowed(http.ResponseWriter, *http.Request) error {
	return fault.New(fault.MethodNotAllowed, fault.MethodNotAllowedMessage)
}
