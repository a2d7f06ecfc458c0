package server

import (
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/torchserve-go/torchserve/pkg/auth"
	"github.com/torchserve-go/torchserve/pkg/logging"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

// edges are the handlers of the REST listeners.
type edges struct{ inference, management, metrics, combined http.Handler }

func (s *Server) edges() edges {
	c := s.restConfig()
	d := rest.Deps{
		Predictor: s.service,
		Models:    s.service,
		Catalog:   s.service,
		Health:    s.service,
		Access:    s.access(),
		Metrics:   s.metrics,
		Endpoints: s.endpoints(),
		Log:       s.logs.Logger(logging.HTTPRequestHandler, httpThread),
	}
	if s.cfg.Metrics.API {
		d.Gatherer = s.metrics.Handler()
	}
	if s.cfg.Security.TokensEnabled() {
		d.Token = s.keys.Token
		d.Guards = rest.Guards{
			Inference:  s.keys.TokenAuthorizationHandler(auth.Inference, rest.Fail),
			Management: s.keys.TokenAuthorizationHandler(auth.Management, rest.Fail),
			Metrics:    s.keys.TokenAuthorizationHandler(auth.Metrics, rest.Fail),
		}
	}
	return edges{
		inference:  rest.Inference(c, d),
		management: rest.Management(c, d),
		metrics:    rest.Metrics(c, d),
		combined:   rest.Combined(c, d),
	}
}

// httpThread is the thread text of lines about requests.
const httpThread = "http"

func (s *Server) restConfig() rest.Config {
	h := s.cfg.HTTP
	return rest.Config{
		Version:          s.deps.Version,
		ModelAPI:         s.cfg.Security.ModelAPI.Enabled,
		MaxRequestSize:   h.MaxRequest,
		StrictParameters: s.cfg.Server.StrictParameters,
		OpenInference:    s.cfg.Listen.OpenInference,
		CORS:             rest.CORS{Origin: h.CORS.Origin, Methods: h.CORS.Methods, Headers: h.CORS.Headers},
		SequenceHeaders:  []string{h.Sequence.ID, h.Sequence.Start, h.Sequence.End},
	}
}

// access writes the lines of answered requests.
func (s *Server) access() func(rest.AccessLine) {
	out := s.logs.Access(httpThread)
	return func(l rest.AccessLine) { out.Log(logging.AccessLine(l)) }
}

// netLog takes the complaints of net/http about single connections.
func (s *Server) netLog() *log.Logger {
	logger := s.logs.Logger(logging.HTTPRequestHandler, httpThread)
	return log.New(debugWriter(func(text string) { logger.Debug().Msg(text) }), "", 0)
}

type debugWriter func(text string)

func (w debugWriter) Write(p []byte) (int, error) {
	w(strings.TrimSpace(string(p)))
	return len(p), nil
}

// clock returns the time in zone.
func clock(zone *time.Location) func() time.Time {
	if zone == nil {
		return time.Now
	}
	return func() time.Time { return time.Now().In(zone) }
}

// environment makes a map of NAME=value texts.
func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			env[name] = value
		}
	}
	return env
}
