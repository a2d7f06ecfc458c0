package rest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

const noWorker = " has no worker to serve inference request. Please use scale workers API to add workers." +
	" If this is a sequence inference, please check if it is closed, or expired; or exceeds maxSequenceJobQueueSize"

func TestPredictErrors(t *testing.T) {
	t.Parallel()
	worker := func(status int, message string) *predictor {
		return failing(&fault.Error{Kind: fault.Worker, Status: status, Message: message})
	}
	for name, c := range map[string]struct {
		p      *predictor
		target string
		code   int
		body   string
	}{
		"unknown model": {
			refusing(modelNotFound("m")), "/predictions/m", 404, failure("404", "ModelNotFoundException", "Model not found: m"),
		},
		"unknown version": {
			refusing(fault.New(fault.VersionNotFound, "Model version: 9 does not exist for model: m")), "/predictions/m/9",
			404, failure("404", "ModelVersionNotFoundException", "Model version: 9 does not exist for model: m"),
		},
		"an empty version": {
			&predictor{}, "/predictions/m//x", 404, failure("404", "ModelVersionNotFoundException", "Model version:  does not exist for model: m"),
		},
		"an empty version of an unknown model": {
			refusing(modelNotFound("m")), "/predictions/m//x", 404, failure("404", "ModelNotFoundException", "Model not found: m"),
		},
		"INF-110 no worker, no version": {
			refusing(fault.New(fault.Busy, "")), "/predictions/m", 503,
			failure("503", "ServiceUnavailableException", `Model \"m\"`+noWorker),
		},
		"INF-110 no worker, with version": {
			refusing(fault.New(fault.Busy, "")), "/predictions/m/1.0", 503,
			failure("503", "ServiceUnavailableException", `Model \"m\" Version 1.0\"`+noWorker),
		},
		"the status of a handler's exception": {
			worker(422, "m"), "/predictions/m", 422, failure("422", "InternalServerException", "m"),
		},
		"no status":                   {worker(0, "m"), "/predictions/m", 500, failure("500", "InternalServerException", "m")},
		"413 becomes 507":             {worker(413, "m"), "/predictions/m", 507, failure("507", "InternalServerException", "m")},
		"a status that is no failure": {worker(200, "m"), "/predictions/m", 500, failure("500", "InternalServerException", "m")},
		"out of resources": {
			worker(507, "Out of resources"), "/predictions/m", 507, failure("507", "InternalServerException", "Out of resources"),
		},
		"a failed prediction": {
			worker(503, "Prediction failed"), "/predictions/m", 503, failure("503", "InternalServerException", "Prediction failed"),
		},
		"a dead worker": {
			worker(500, "Worker died."), "/predictions/m", 500, failure("500", "InternalServerException", "Worker died."),
		},
		"INF-098 an impossible status": {
			replying(job.Reply{Status: 1000}), "/predictions/m", 500, failure("500", "InternalServerException", "Invalid response status: 1000"),
		},
		"a cause is not shown": {
			refusing(fault.Wrap(fault.Internal, "", assert.AnError)), "/predictions/m", 500,
			"{\n  \"code\": 500,\n  \"type\": \"InternalServerException\"\n}\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := call(t, inference(c.p), request{target: c.target, body: "x"})
			assert.Equal(t, c.code, w.Code)
			assert.Equal(t, c.body, w.Body.String())
			assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
			assert.Equal(t, "close", w.Header().Get("Connection"))
			want := ""
			if fault.Is(c.p.resolve, fault.Busy) {
				want = "1"
			}
			assert.Equal(t, want, w.Header().Get("Retry-After"))
		})
	}
}

func TestInvocations(t *testing.T) {
	t.Parallel()
	form := []string{"Content-Type: application/x-www-form-urlencoded"}
	for name, c := range map[string]struct {
		startup model.Name
		request request
		code    int
		want    model.Name
	}{
		"the query names the model":                        {"only", request{target: "/invocations?model_name=m"}, 200, "m"},
		"INF-045 the only model of the start":              {"only", request{target: "/invocations"}, 200, "only"},
		"compat(0.12): a name that no path can hold":       {"only", request{target: "/invocations?model_name=a%2Fb"}, 200, "a/b"},
		"an empty name counts as none":                     {"only", request{target: "/invocations?model_name="}, 200, "only"},
		"INF-046 no name":                                  {"", request{target: "/invocations"}, 400, ""},
		"INF-047 a form field":                             {"", request{target: "/invocations", body: "a=b&model_name=m", headers: form}, 200, "m"},
		"INF-047 the start comes first":                    {"only", request{target: "/invocations", body: "model_name=m", headers: form}, 200, "only"},
		"an empty name that nothing replaces":              {"", request{target: "/invocations?model_name=", body: "model_name=m", headers: form}, 200, ""},
		"models invoke":                                    {"only", request{target: "/models/m/invoke?model_name=x"}, 200, "m"},
		"models invoke with an empty name":                 {"only", request{target: "/models//invoke"}, 200, "only"},
		"models invoke with an empty name and no start-up": {"", request{target: "/models//invoke?model_name=x"}, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &predictor{startup: c.startup}
			w := call(t, inference(p), c.request)
			require.Equal(t, c.code, w.Code)
			if c.code != 200 {
				assert.Equal(t, failure("400", "BadRequestException", "Parameter model_name is required."), w.Body.String())
				return
			}
			assert.Equal(t, model.Ref{Name: c.want}, p.job().Ref)
		})
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "BREW"} {
		t.Run("INF-034 "+method, func(t *testing.T) {
			t.Parallel()
			w := call(t, inference(replying(job.Reply{Body: []byte("ok")})), request{method: method, target: "/predictions/m"})
			assert.Equal(t, "ok", w.Body.String())
		})
	}
	t.Run("ping", func(t *testing.T) {
		t.Parallel()
		w := call(t, inference(&predictor{}), request{method: "GET", target: "/ping"})
		assert.Equal(t, 200, w.Code)
		assert.Equal(t, status("Healthy"), w.Body.String())
		w = call(t, rest.Inference(config(), rest.Deps{Health: health{}}), request{method: "GET", target: "/ping"})
		assert.Equal(t, 500, w.Code)
		assert.Equal(t, status("Unhealthy"), w.Body.String())
		assert.Equal(t, "close", w.Header().Get("Connection"))
	})
}

func headersOf(j *job.Job) map[string]string {
	headers := map[string]string{}
	for _, h := range j.Request.Headers {
		headers[h.Name] = h.Value
	}
	return headers
}

func TestHeadersToTheModel(t *testing.T) {
	t.Parallel()
	send := func(target string, headers ...string) map[string]string {
		p := &predictor{}
		call(t, inference(p), request{target: target, body: "abc", headers: headers})
		return headersOf(p.job())
	}
	t.Run("INF-080 names are canonical, those of TorchServe as it spells them", func(t *testing.T) {
		t.Parallel()
		got := send("/predictions/m", "x-own: 1", "TS_Request_Sequence_ID: s")
		assert.Equal(t, map[string]string{
			"Host": "example.com", "X-Own": "1", "ts_request_sequence_id": "s", "content-length": "3", "explain": "False", "url_path": "",
		}, got)
	})
	t.Run("INF-081 the last of repeated headers", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, "2", send("/predictions/m", "X-A: 1", "X-A: 2")["X-A"])
	})
	t.Run("INF-082 a length is added", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, "3", send("/predictions/m")["content-length"])
	})
	t.Run("a declared length stays", func(t *testing.T) {
		t.Parallel()
		got := send("/predictions/m", "Content-Length: 3")
		assert.Equal(t, "3", got["Content-Length"])
		assert.NotContains(t, got, "content-length")
	})
	t.Run("INF-083 INF-084 the client does not set the mode", func(t *testing.T) {
		t.Parallel()
		got := send("/predictions/m/v/real", "explain: True", "Url_path: forged", "describe: True", "Expect: 100-continue")
		assert.Equal(t, "False", got["explain"])
		assert.Equal(t, "real", got["url_path"])
		for _, name := range []string{"Explain", "Url_path", "Describe", "describe", "Expect"} {
			assert.NotContains(t, got, name)
		}
		assert.NotContains(t, send("/invocations?model_name=m", "explain: True"), "explain")
	})
	t.Run("bytes above 127 are ISO-8859-1", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, "gr\u00fc\u00df", send("/predictions/m", "X-A: gr\xfc\xdf")["X-A"])
	})
	t.Run("predict and explain are different kinds", func(t *testing.T) {
		t.Parallel()
		for target, kind := range map[string]job.Kind{
			"/predictions/m": job.Predict, "/explanations/m": job.Explain, "/v1/models/m:explain": job.Explain, "/v2/models/m/explain": job.Explain,
		} {
			p := &predictor{}
			call(t, inference(p), request{target: target})
			assert.Equal(t, kind, p.job().Kind, target)
		}
	})
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"/predictions/echo", "/predictions/echo/1.0", "/explanations/echo", "/invocations?model_name=echo", "/models/echo/invoke",
		"/echo/predict", "/v1/models/echo:predict", "/v2/models/echo/infer",
	} {
		t.Run("INF-053 INF-138 "+target, func(t *testing.T) {
			t.Parallel()
			p := &predictor{answer: func(*job.Job) error { return fault.New(fault.Busy, "") }}
			w := call(t, inference(p), request{method: "OPTIONS", target: target})
			assert.Equal(t, 200, w.Code)
			assert.Len(t, w.Body.Bytes(), 3637)
			assert.Equal(t, "0a37df7a8dffbcc2cb1a255e7d1bb4a9e67e88e16246373ed620bf8daf7a3d95", sum(w.Body.Bytes()))
			assert.Nil(t, p.job())
		})
	}
	t.Run("OPTIONS of an unknown model", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, 404, call(t, inference(refusing(modelNotFound("m"))), request{method: "OPTIONS", target: "/predictions/m"}).Code)
	})
	t.Run("a name that needs escapes", func(t *testing.T) {
		t.Parallel()
		w := call(t, inference(&predictor{}), request{method: "OPTIONS", target: "/predictions/a%22%3C%5C"})
		assert.Contains(t, w.Body.String(), `"title": "RESTful API for: a\"<\\"`)
	})
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, taken bool) (int, string, string, *job.Job) {
		var code int
		var body, logged string
		var j *job.Job
		synctest.Test(t, func(t *testing.T) {
			var log strings.Builder
			p := &predictor{answer: func(j *job.Job) error {
				j.Deadline = time.Now().Add(time.Minute)
				if taken {
					j.Take(time.Now())
				}
				return nil
			}}
			start := time.Now()
			w := call(t, rest.Inference(config(), rest.Deps{Predictor: p, Log: zerolog.New(&log)}),
				request{target: "/predictions/m", headers: []string{"X-Request-Id: r1"}})
			assert.Equal(t, time.Minute, time.Since(start))
			code, body, logged, j = w.Code, w.Body.String(), log.String(), p.job()
		})
		return code, body, logged, j
	}
	t.Run("INF-123 a queued job is dropped", func(t *testing.T) {
		t.Parallel()
		code, body, logged, j := run(t, false)
		assert.Equal(t, 504, code)
		assert.Equal(t, failure("504", "InternalServerException", "Request timed out after 60000 ms"), body)
		assert.Contains(t, logged, "Drop inference request r1 due to client timeout")
		assert.False(t, j.Take(time.Now()), "no worker gets it")
	})
	t.Run("INF-123 the reply of a running job is dropped", func(t *testing.T) {
		t.Parallel()
		code, _, logged, j := run(t, true)
		assert.Equal(t, 504, code)
		assert.Contains(t, logged, "Drop response for inference request r1 due to client timeout")
		assert.True(t, j.Abandoned())
	})
}
