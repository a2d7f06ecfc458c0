package rest

import (
	"net/http"

	"github.com/go-chi/chi/v5"
)

// Answers of the health routes, as encode would print them: they are asked for
// often.
const (
	bodyHealthy   = "{\n  \"status\": \"Healthy\"\n}\n"
	bodyUnhealthy = "{\n  \"status\": \"Unhealthy\"\n}\n"
)

// probes adds the routes that orchestrators ask without a key. They name
// nothing.
func (e *edge) probes(r chi.Router) {
	for path, h := range map[string]http.HandlerFunc{"/livez": handle(e.livez), "/readyz": handle(e.readyz)} {
		r.Get(path, h)
		r.Head(path, h)
	}
}

func (e *edge) livez(w http.ResponseWriter, _ *http.Request) error {
	writeBody(w, http.StatusOK, []byte(bodyHealthy))
	return nil
}

func (e *edge) readyz(w http.ResponseWriter, _ *http.Request) error {
	if e.deps.Health.Ready() {
		writeBody(w, http.StatusOK, []byte(bodyHealthy))
	} else {
		writeBody(w, http.StatusServiceUnavailable, []byte(bodyUnhealthy))
	}
	return nil
}

// ping answers by 0.12's rule and with 0.12's status for what is not healthy.
func (e *edge) ping(w http.ResponseWriter, _ *http.Request) error {
	if e.deps.Health.Healthy() {
		writeBody(w, http.StatusOK, []byte(bodyHealthy))
	} else {
		writeBody(w, http.StatusInternalServerError, []byte(bodyUnhealthy))
	}
	return nil
}
