package rest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

func TestCounters(t *testing.T) {
	t.Parallel()
	count := func(p *predictor, target string) *counters {
		c := &counters{}
		call(t, rest.Inference(config(), rest.Deps{Predictor: p, Metrics: c, Health: health{}, Log: zerolog.Nop()}), request{target: target})
		return c
	}
	ref := []model.Ref{{Name: "m", Version: "1.0"}}
	t.Run("a prediction", func(t *testing.T) {
		t.Parallel()
		c := count(&predictor{}, "/predictions/m/1.0")
		assert.Equal(t, []int{200}, c.statuses)
		assert.Equal(t, ref, c.requested)
		assert.Equal(t, ref, c.predicted)
	})
	t.Run("an unknown model", func(t *testing.T) {
		t.Parallel()
		c := count(refusing(modelNotFound("m")), "/predictions/m/1.0")
		assert.Equal(t, []int{404}, c.statuses)
		assert.Empty(t, c.requested)
		assert.Empty(t, c.predicted)
	})
	t.Run("no worker", func(t *testing.T) {
		t.Parallel()
		c := count(refusing(fault.New(fault.Busy, "")), "/predictions/m/1.0")
		assert.Equal(t, []int{503}, c.statuses)
		assert.Equal(t, ref, c.requested)
		assert.Empty(t, c.predicted)
	})
	t.Run("an answer is counted once, whoever makes it", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, []int{404}, count(&predictor{}, "/nothing").statuses)
		assert.Equal(t, []int{500}, count(&predictor{}, "/ping").statuses)
	})
}

func TestPanics(t *testing.T) {
	t.Parallel()
	t.Run("a panic is answered and logged once", func(t *testing.T) {
		t.Parallel()
		var log strings.Builder
		p := &predictor{answer: func(*job.Job) error { panic("a mistake") }}
		w := call(t, rest.Inference(config(), rest.Deps{Predictor: p, Log: zerolog.New(&log)}), request{target: "/predictions/m"})
		assert.Equal(t, 500, w.Code)
		assert.NotContains(t, w.Body.String(), "mistake")
		assert.Contains(t, log.String(), "a mistake")
		assert.Contains(t, log.String(), "TestPanics")
	})
	t.Run("an abort goes through", func(t *testing.T) {
		t.Parallel()
		p := &predictor{answer: func(*job.Job) error { panic(http.ErrAbortHandler) }}
		assert.PanicsWithError(t, http.ErrAbortHandler.Error(), func() { call(t, inference(p), request{target: "/predictions/m"}) })
	})
}

// wrapped is a ResponseWriter around another, as a guard may make one.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestFail(t *testing.T) {
	t.Parallel()
	err := fault.New(fault.InvalidKey, "no")
	t.Run("without a router", func(t *testing.T) {
		t.Parallel()
		w := httptest.NewRecorder()
		rest.Fail(w, request{target: "/"}.http(t), err)
		assert.Equal(t, failure("400", "InvalidKeyException", "no"), w.Body.String())
	})
	t.Run("through a wrapped writer it breaks a begun answer off", func(t *testing.T) {
		t.Parallel()
		guard := func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w = wrapped{w}
				w.WriteHeader(http.StatusOK)
				rest.Fail(w, r, err)
			})
		}
		h := rest.Inference(config(), rest.Deps{Guards: rest.Guards{Inference: guard}, Log: zerolog.Nop()})
		assert.PanicsWithError(t, http.ErrAbortHandler.Error(), func() { call(t, h, request{target: "/ping"}) })
	})
}

func TestFailureLevels(t *testing.T) {
	t.Parallel()
	logged := func(err error) string {
		var log strings.Builder
		call(t, rest.Inference(config(), rest.Deps{Predictor: refusing(err), Log: zerolog.New(&log)}), request{target: "/predictions/m"})
		return log.String()
	}
	assert.Empty(t, logged(modelNotFound("m")))
	assert.Contains(t, logged(&fault.Error{Kind: fault.Worker, Status: 500, Message: "Worker died."}), `"level":"warn"`)
	assert.Contains(t, logged(fault.Wrap(fault.Internal, "", assert.AnError)), `"level":"error"`)
}

func TestCORS(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.CORS = rest.CORS{Origin: "https://a.example", Methods: "GET, POST"}
	guard := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { rest.Fail(w, r, fault.New(fault.InvalidKey, "no")) })
	}
	open := rest.Inference(cfg, rest.Deps{Predictor: replying(job.Reply{}), Health: health{}})
	t.Run("INF-133 on successes and failures, as configured", func(t *testing.T) {
		t.Parallel()
		for _, target := range []string{"/predictions/m", "/nothing"} {
			h := call(t, open, request{target: target}).Header()
			assert.Equal(t, "https://a.example", h.Get("Access-Control-Allow-Origin"))
			assert.Equal(t, "GET, POST", h.Get("Access-Control-Allow-Methods"))
			assert.NotContains(t, h, "Access-Control-Allow-Headers")
		}
		assert.NotContains(t, call(t, inference(&predictor{}), request{target: "/ping"}).Header(), "Access-Control-Allow-Origin")
	})
	t.Run("INF-096 the model's own header wins", func(t *testing.T) {
		t.Parallel()
		p := replying(job.Reply{Headers: []job.Header{{Name: "access-control-allow-origin", Value: "*"}}})
		h := call(t, rest.Inference(cfg, rest.Deps{Predictor: p}), request{target: "/predictions/m"}).Header()
		assert.Equal(t, []string{"*"}, h["Access-Control-Allow-Origin"])
	})
	preflight := request{method: "OPTIONS", headers: []string{"Origin: https://a.example", "Access-Control-Request-Method: GET"}}
	t.Run("INF-134 a preflight passes without a token", func(t *testing.T) {
		t.Parallel()
		closed := rest.Management(cfg, rest.Deps{Guards: rest.Guards{Management: guard}})
		for _, target := range []string{"/models", "/nothing", "/models/m"} {
			q := preflight
			q.target = target
			w := call(t, closed, q)
			assert.Equal(t, 200, w.Code, target)
			assert.Empty(t, w.Body.String())
			assert.Equal(t, "GET, POST", w.Header().Get("Access-Control-Allow-Methods"))
		}
		assert.Equal(t, 400, call(t, closed, request{method: "OPTIONS", target: "/models", headers: preflight.headers[:1]}).Code)
		assert.Equal(t, 400, call(t, closed, request{method: "GET", target: "/models", headers: preflight.headers}).Code)
	})
	t.Run("INF-134 not without CORS", func(t *testing.T) {
		t.Parallel()
		closed := rest.Management(config(), rest.Deps{Guards: rest.Guards{Management: guard}})
		q := preflight
		q.target = "/models"
		assert.Equal(t, 400, call(t, closed, q).Code)
	})
}
