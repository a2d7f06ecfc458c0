package plugin

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
)

// Models tells what the endpoints need to know of the models.
type Models interface {
	// AnyLoaded reports whether a default version has a loaded worker.
	AnyLoaded() bool
	// AllLoaded reports whether there are models and each default version has a
	// loaded worker.
	AllLoaded() bool
}

// Config is what the endpoints show of the server's configuration.
type Config struct {
	MaxTransforms  int    // the key NUM_WORKERS
	MaxRequestSize int64  // bytes
	MultiModel     string // SAGEMAKER_MULTI_MODE
	Handler        string // default_service_handler
}

// Handler returns the endpoint of kind k, nil for Token, which is no endpoint
// of its own.
func Handler(k Kind, c Config, m Models) http.Handler {
	switch k {
	case ExecutionParameters:
		return getOnly(executionParameters(c))
	case SageMakerPing:
		return getOnly(&ping{cfg: c, models: m})
	case ModelReady:
		return getOnly(modelReady(m))
	case Token:
		return nil
	default:
		return nil
	}
}

// getOnly answers other methods as the base class of 0.12's endpoints does (plugins.md A5).
func getOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(notImplemented)) // the client may have gone
	})
}

const notImplemented = `{
  "code": 500,
  "type": "ModelServerEndpointException",
  "message": "No implementation found .. Default implementation invoked"
}
`

func executionParameters(c Config) http.Handler {
	body := fmt.Sprintf("{\n  \"MaxConcurrentTransforms\": %d,\n  \"BatchStrategy\": \"MULTI_RECORD\",\n  \"MaxPayloadInMB\": %d\n}",
		c.MaxTransforms, c.MaxRequestSize>>20)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, body) })
}

// ping answers as containers of SageMaker expect it: healthy from the moment
// that a worker was seen, for good.
type ping struct {
	cfg    Config
	models Models
	seen   atomic.Bool
}

const healthy = "{\n\t\"Status\": \"Healthy\"\n}\n"

// ServeHTTP answers /ping.
func (p *ping) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	missing := "Models are not loaded"
	well := p.seen.Load()
	if multi := p.cfg.MultiModel; multi != "" && !strings.EqualFold(multi, "false") {
		missing, well = "Service file unavailable", p.serviceFile()
	} else if !well && p.models.AnyLoaded() {
		p.seen.Store(true)
		well = true
	}
	if !well {
		write(w, http.StatusServiceUnavailable, missing)
		return
	}
	write(w, http.StatusOK, healthy)
}

// serviceFile reports whether the file of the default handler exists.
func (p *ping) serviceFile() bool {
	file := p.cfg.Handler
	if colon := strings.LastIndexByte(file, ':'); colon >= 0 {
		file = file[:colon]
	}
	if file == "" {
		return false
	}
	if !strings.Contains(file, ".py") {
		file += ".py"
	}
	_, err := os.Stat(file)
	return err == nil
}

func modelReady(m Models) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if m.AllLoaded() {
			write(w, http.StatusOK, "{\n\t\"Status\": \"Model/s ready\"\n}\n")
			return
		}
		write(w, http.StatusServiceUnavailable, "{\n\t\"Status\": \"Model/s not ready\"\n}\n")
	})
}

// write sends a body without a content type, as 0.12's endpoints do.
func write(w http.ResponseWriter, status int, body string) {
	w.Header()["Content-Type"] = nil
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // the client may have gone
}
