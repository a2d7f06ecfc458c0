package rest

import (
	"net/http"
	"strings"
	"time"

	"github.com/torchserve-go/torchserve/pkg/fault"
)

// endpoints are the handlers of plugins by the first segment of a path.
type endpoints map[string]Endpoint

func newEndpoints(all []Endpoint) endpoints {
	byPattern := make(endpoints, len(all))
	for _, e := range all {
		byPattern[e.Pattern] = e
	}
	return byPattern
}

// at returns the plugin that answers path. Nobody answers in the place of the
// API description.
func (s endpoints) at(path string) (Endpoint, bool) {
	if len(s) == 0 || path == pathDescription {
		return Endpoint{}, false
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	e, found := s[first]
	return e, found && first != ""
}

// plugins lets plugins answer before any route is looked up, so that they hide
// built-in ones (PLG §A4).
func (e *edge) plugins(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		endpoint, found := e.endpoints.at(r.URL.Path)
		if !found {
			next.ServeHTTP(w, r)
			return
		}
		switch r.Method {
		case http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete:
			start := time.Now()
			endpoint.Handler.ServeHTTP(w, r)
			e.deps.Log.Info().Msgf("Running %q endpoint took %d ms", endpoint.Pattern, time.Since(start).Milliseconds())
		default:
			// compat(0.12): CLI §10
			Fail(w, r, &fault.Error{Kind: fault.Busy, Status: http.StatusInternalServerError, Message: "Unknown exception"})
		}
	})
}
