package rest_test

import (
	"net/http"
	"slices"
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
		"INF-049 unknown model": {
			refusing(modelNotFound("m")), "/predictions/m", 404, failure("404", "ModelNotFoundException", "Model not found: m"),
		},
		"INF-049 unknown version": {
			refusing(fault.New(fault.VersionNotFound, "Model version: 9 does not exist for model: m")), "/predictions/m/9",
			404, failure("404", "ModelVersionNotFoundException", "Model version: 9 does not exist for model: m"),
		},
		"INF-049 an empty version": {
			&predictor{}, "/predictions/m//x", 404, failure("404", "ModelVersionNotFoundException", "Model version:  does not exist for model: m"),
		},
		"INF-049 an empty version of an unknown model": {
			refusing(modelNotFound("m")), "/predictions/m//x", 404, failure("404", "ModelNotFoundException", "Model not found: m"),
		},
		"INF-110 INF-111 no worker, no version": {
			refusing(fault.New(fault.Busy, "")), "/predictions/m", 503,
			failure("503", "ServiceUnavailableException", `Model \"m\"`+noWorker),
		},
		"INF-110 INF-111 no worker, with version": {
			refusing(fault.New(fault.Busy, "")), "/predictions/m/1.0", 503,
			failure("503", "ServiceUnavailableException", `Model \"m\" Version 1.0\"`+noWorker),
		},
		"INF-113 the status of a handler's exception": {
			worker(422, "m"), "/predictions/m", 422, failure("422", "InternalServerException", "m"),
		},
		"INF-114 no status":           {worker(0, "m"), "/predictions/m", 500, failure("500", "InternalServerException", "m")},
		"INF-114 413 becomes 507":     {worker(413, "m"), "/predictions/m", 507, failure("507", "InternalServerException", "m")},
		"a status that is no failure": {worker(200, "m"), "/predictions/m", 500, failure("500", "InternalServerException", "m")},
		"INF-115 out of resources": {
			worker(507, "Out of resources"), "/predictions/m", 507, failure("507", "InternalServerException", "Out of resources"),
		},
		"INF-116 a failed prediction": {
			worker(503, "Prediction failed"), "/predictions/m", 503, failure("503", "InternalServerException", "Prediction failed"),
		},
		"INF-118 a dead worker": {
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
	t.Run("INF-130 INF-131 ping", func(t *testing.T) {
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
	t.Run("INF-085 bytes above 127 are ISO-8859-1", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, "gr\u00fc\u00df", send("/predictions/m", "X-A: gr\xfc\xdf")["X-A"])
	})
	t.Run("INF-108 predict and explain are different kinds", func(t *testing.T) {
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

func TestRequestID(t *testing.T) {
	t.Parallel()
	ask := func(p *predictor, headers ...string) (string, string) {
		w := call(t, inference(p), request{target: "/predictions/m", headers: headers})
		return w.Header().Get("X-Request-Id"), p.job().ID
	}
	t.Run("INF-099 the answer, the job and the log have one id", func(t *testing.T) {
		t.Parallel()
		answered, worked := ask(replying(job.Reply{Headers: []job.Header{{Name: "x-request-id", Value: "forged"}}}))
		assert.Equal(t, answered, worked)
		assert.Regexp(t, "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$", answered)
	})
	t.Run("INF-099 an incoming id is kept, as decided", func(t *testing.T) {
		t.Parallel()
		answered, worked := ask(&predictor{}, "X-Request-Id: trace 42")
		assert.Equal(t, "trace 42", answered)
		assert.Equal(t, "trace 42", worked)
	})
	for name, id := range map[string]string{
		"too long": strings.Repeat("x", 129), "control characters": "a\tb", "not ASCII": "\u00fc", "empty": "",
	} {
		t.Run("INF-099 an id that is not kept: "+name, func(t *testing.T) {
			t.Parallel()
			answered, _ := ask(&predictor{}, "X-Request-Id: "+id)
			assert.Len(t, answered, 36)
		})
	}
	t.Run("two requests at a time never have the same id", func(t *testing.T) {
		t.Parallel()
		var inner string
		p := &predictor{}
		h := inference(p)
		p.answer = func(j *job.Job) error {
			p.answer = nil
			inner = call(t, h, request{target: "/predictions/m", headers: []string{"X-Request-Id: same"}}).Header().Get("X-Request-Id")
			deliver(j, job.Reply{})
			return nil
		}
		w := call(t, h, request{target: "/predictions/m", headers: []string{"X-Request-Id: same"}})
		assert.Equal(t, "same", w.Header().Get("X-Request-Id"))
		assert.Len(t, inner, 36)
		again := call(t, h, request{target: "/predictions/m", headers: []string{"X-Request-Id: same"}})
		assert.Equal(t, "same", again.Header().Get("X-Request-Id"))
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
	t.Run("INF-049 OPTIONS of an unknown model", func(t *testing.T) {
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
		assert.Equal(t, failure("504", "InternalServerException", "Inference request timed out"), body)
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

func TestCounters(t *testing.T) {
	t.Parallel()
	count := func(p *predictor, target string) *counters {
		c := &counters{}
		call(t, rest.Inference(config(), rest.Deps{Predictor: p, Metrics: c, Health: health{}, Log: zerolog.Nop()}), request{target: target})
		return c
	}
	ref := []model.Ref{{Name: "m", Version: "1.0"}}
	t.Run("MET-016 a prediction", func(t *testing.T) {
		t.Parallel()
		c := count(&predictor{}, "/predictions/m/1.0")
		assert.Equal(t, []int{200}, c.statuses)
		assert.Equal(t, ref, c.requested)
		assert.Equal(t, ref, c.predicted)
	})
	t.Run("MET-018 an unknown model", func(t *testing.T) {
		t.Parallel()
		c := count(refusing(modelNotFound("m")), "/predictions/m/1.0")
		assert.Equal(t, []int{404}, c.statuses)
		assert.Empty(t, c.requested)
		assert.Empty(t, c.predicted)
	})
	t.Run("MET-019 no worker", func(t *testing.T) {
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

func TestAccessLine(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]rest.AccessLine{
		`/127.0.0.1:53514 "POST /models?url=noop.mar HTTP/1.1" 405 0`: {
			Remote: "127.0.0.1:53514", Method: "POST", Target: "/models?url=noop.mar", Protocol: "HTTP/1.1", Status: 405, Duration: 999 * time.Microsecond,
		},
		`127.0.0.1 "GET /ping HTTP/1.1" 200 12`: {
			Remote: "@", Method: "GET", Target: "/ping", Protocol: "HTTP/1.1", Status: 200, Duration: 12 * time.Millisecond,
		},
		`/[0:0:0:0:0:0:0:1]:40312 "GET /ping HTTP/1.1" 200 0`: {
			Remote: "[::1]:40312", Method: "GET", Target: "/ping", Protocol: "HTTP/1.1", Status: 200,
		},
		`/1.2.3.4:5 "GET /\x0Aforged\x7F HTTP/1.1" 200 0`: {
			Remote: "1.2.3.4:5", Method: "GET", Target: "/\nforged\x7f", Protocol: "HTTP/1.1", Status: 200,
		},
	} {
		t.Run("INF-140 LOG-013 "+want, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, want, l.String())
		})
	}
	t.Run("INF-140 LOG-014 the target is raw, secrets are not in it", func(t *testing.T) {
		t.Parallel()
		for target, want := range map[string]string{
			"/models/a%2Fb/?x=%41": "/models/a%2Fb/?x=%41",
			"/models?url=https%3A%2F%2Fb%2Fx.mar%3FX-Amz-Signature%3Dabc%26X-Amz-Date%3D1&initial_workers=1": "/models?url=https%3A%2F%2Fb%2Fx.mar%3FX-Amz-Signature%3D%2A%2A%2A%26X-Amz-Date%3D1&initial_workers=1",
			"/models?url=https://b/x.mar?A=1&X-Amz-Signature=abc&x-amz-credential=k&X-Amz-Security-Token=t":  "/models?url=https://b/x.mar?A=1&X-Amz-Signature=***&x-amz-credential=***&X-Amz-Security-Token=***",
			"/models?url=https://b/x.mar?sig=abc": "/models?url=https%3A%2F%2Fb%2Fx.mar%3Fsig%3D%2A%2A%2A",
			"/models?Signature=abc;sig=d":         "/models?Signature=***;sig=***",
			"/models?url=http://u:p@h/x.mar":      "/models?url=http%3A%2F%2F%2A%2A%2A%40h%2Fx.mar",
			"/models?url=http%3A%2F%2Fu:p%40h":    "/models?url=http%3A%2F%2F%2A%2A%2A%40h",
			"/models?url=a@b.mar&design=1":        "/models?url=a@b.mar&design=1",
		} {
			l := &lines{}
			call(t, rest.Management(config(), rest.Deps{Models: &models{}, Access: l.add}), request{target: target})
			require.Len(t, l.list(), 1)
			assert.Equal(t, want, l.list()[0].Target)
		}
	})
}

func FuzzRedaction(f *testing.F) {
	for _, seed := range []string{"X-Amz-Signature", "a=b&sig", "url=http://h?x=y&Signature"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, before string) {
		const key = "verysecret"
		if strings.ContainsAny(before, " #\r\n\t\x00") || strings.Contains(key, before) {
			t.Skip("not a target")
		}
		l := &lines{}
		r := request{method: "GET", target: "/x"}.http(t)
		r.RequestURI = "/models?" + before + "&sig=" + key
		rest.Metrics(config(), rest.Deps{Access: l.add}).ServeHTTP(discardWriter{}, r)
		all := l.list()
		require.Len(t, all, 1)
		assert.False(t, slices.ContainsFunc(all, func(l rest.AccessLine) bool { return strings.Contains(l.Target, key) }))
	})
}
