package rest_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

func TestList(t *testing.T) {
	t.Parallel()
	three := []model.Listed{{Name: "a", URL: "a.mar"}, {Name: "b", URL: "b.mar"}, {Name: "c"}}
	many := make([]model.Listed, 150)
	for i := range many {
		many[i] = model.Listed{Name: model.Name("m" + strconv.Itoa(i))}
	}
	for name, c := range map[string]struct {
		listed []model.Listed
		query  string
		want   string
	}{
		"MGT-001 none":                                {nil, "", "{\n  \"models\": []\n}\n"},
		"MGT-058 a page":                              {three, "?limit=1&next_page_token=1", "{\n  \"nextPageToken\": \"2\",\n  \"models\": [\n    {\n      \"modelName\": \"b\",\n      \"modelUrl\": \"b.mar\"\n    }\n  ]\n}\n"},
		"MGT-058 a page that ends at the last":        {three, "?limit=1&next_page_token=2", "{\n  \"nextPageToken\": \"3\",\n  \"models\": [\n    {\n      \"modelName\": \"c\"\n    }\n  ]\n}\n"},
		"MGT-058 the page behind the last":            {three, "?limit=1&next_page_token=3", "{\n  \"models\": []\n}\n"},
		"MGT-059 limit zero":                          {three, "?limit=0", "{\n  \"nextPageToken\": \"0\",\n  \"models\": []\n}\n"},
		"MGT-060 a huge token":                        {three, "?next_page_token=2147483647", "{\n  \"models\": []\n}\n"},
		"MGT-060 a token beyond 32 bits is no number": {nil, "?next_page_token=9223372036854775807", "{\n  \"models\": []\n}\n"},
		"a negative token":                            {nil, "?next_page_token=-5", "{\n  \"models\": []\n}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := call(t, managed(nil, catalog{listed: c.listed}), request{method: "GET", target: "/models" + c.query})
			assert.Equal(t, 200, w.Code)
			assert.Equal(t, c.want, w.Body.String())
		})
	}
	for name, query := range map[string]string{
		"MGT-059 a limit above 100 acts as 100": "?limit=1000", "MGT-007 a limit that is none": "?limit=x", "a negative limit": "?limit=-1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := call(t, managed(nil, catalog{listed: many}), request{method: "GET", target: "/models" + query})
			assert.Contains(t, w.Body.String(), "\"nextPageToken\": \"100\"")
		})
	}
	t.Run("MGT-002 a trailing slash", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, 200, call(t, managed(nil, catalog{}), request{method: "GET", target: "/models/"}).Code)
		assert.Equal(t, 404, call(t, managed(nil, catalog{}), request{method: "GET", target: "//models"}).Code)
	})
	t.Run("MGT-006 a bad escape", func(t *testing.T) {
		t.Parallel()
		w := call(t, managed(nil, catalog{}), request{method: "GET", target: "/models?limit=%zz"})
		assert.Equal(t, 400, w.Code)
		assert.Equal(t, failure("400", "BadRequestException", "invalid hex byte 'zz' at index 15 of '/models?limit=%zz'"), w.Body.String())
	})
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	full := &model.Status{
		Archive: model.Archive{Name: "noop", Version: "2.0", URL: "noop2.mar", Runtime: model.Python},
		Settings: model.Settings{
			Workers:  model.Workers{Min: 1, Max: 1},
			Batching: model.Batching{Size: 1, Delay: model.DefaultBatchDelay},
			Timeouts: model.Timeouts{Response: model.DefaultResponse, Startup: model.DefaultStartup, Retry: model.DefaultRetryWindow},
		},
		Workers: []model.WorkerStatus{{
			ID: 9000, Created: time.Date(2024, 11, 22, 5, 22, 22, 260e6, time.FixedZone("", 3600)), Ready: true, PID: 14679, GPU: -1,
		}},
		QueueCapacity: 100,
	}
	const want = `[
  {
    "modelName": "noop",
    "modelVersion": "2.0",
    "modelUrl": "noop2.mar",
    "runtime": "python",
    "minWorkers": 1,
    "maxWorkers": 1,
    "batchSize": 1,
    "maxBatchDelay": 100,
    "responseTimeout": 120,
    "startupTimeout": 120,
    "maxRetryTimeoutInSec": 300,
    "clientTimeoutInMills": 0,
    "parallelType": "",
    "parallelLevel": 0,
    "deviceType": "cpu",
    "continuousBatching": false,
    "useJobTicket": false,
    "useVenv": false,
    "stateful": false,
    "sequenceMaxIdleMSec": 0,
    "sequenceTimeoutMSec": 0,
    "maxNumSequence": 0,
    "maxSequenceJobQueueSize": 0,
    "loadedAtStartup": false,
    "workers": [
      {
        "id": "9000",
        "startTime": "2024-11-22T04:22:22.260Z",
        "status": "READY",
        "memoryUsage": 0,
        "pid": 14679,
        "gpu": false,
        "gpuUsage": "N/A"
      }
    ],
    "jobQueueStatus": {
      "remainingCapacity": 100,
      "pendingRequests": 0
    }
  }
]
`
	t.Run("MGT-045 MGT-048 all keys in order, UTC", func(t *testing.T) {
		t.Parallel()
		w := call(t, managed(nil, catalog{status: full}), request{method: "GET", target: "/models/noop"})
		assert.Equal(t, want, w.Body.String())
	})
	t.Run("MGT-046 MGT-047 devices, a loading worker, a failed one, giving up", func(t *testing.T) {
		t.Parallel()
		s := *full
		s.Settings.Devices.IDs = []int{0, 1}
		s.Settings.Devices.Type = "gpu"
		s.Workers = []model.WorkerStatus{{ID: 9000, PID: -1, GPU: 1, Error: "boom"}, {ID: 9001, Usage: "gpuId::0 …"}}
		s.GaveUp = true
		body := call(t, managed(nil, catalog{status: &s}), request{method: "GET", target: "/models/noop"}).Body.String()
		assert.Contains(t, body, "\"deviceType\": \"gpu\",\n    \"deviceIds\": [\n      0,\n      1\n    ],\n    \"continuousBatching\"")
		assert.Contains(t, body, "\"status\": \"UNLOADING\",\n        \"memoryUsage\": 0,\n        \"pid\": -1,\n        \"gpu\": true,\n"+
			"        \"gpuUsage\": \"failed to obtained gpu usage\",\n        \"error\": \"boom\"")
		assert.Contains(t, body, "\"gpu\": true,\n        \"gpuUsage\": \"gpuId::0 …\"\n")
		assert.Contains(t, body, "\"gaveUp\": true")
	})
	t.Run("automatic scaling", func(t *testing.T) {
		t.Parallel()
		s := *full
		s.Settings.Workers.Max = 4
		s.Settings.Autoscale = model.Autoscale{On: true, QueueWait: 100 * time.Millisecond, UpAfter: 5 * time.Second, DownAfter: time.Minute}
		body := call(t, managed(nil, catalog{status: &s}), request{method: "GET", target: "/models/noop"}).Body.String()
		assert.Contains(t, body, "\"minWorkers\": 1,\n    \"maxWorkers\": 4,\n")
		assert.Contains(t, body, "    },\n    \"autoscale\": {\n      \"queueWaitMs\": 100,\n      \"upAfterMs\": 5000,\n      \"downAfterMs\": 60000\n    }\n  }\n]\n")
	})
	t.Run("MGT-052 all versions, never customized", func(t *testing.T) {
		t.Parallel()
		body := call(t, managed(nil, catalog{}), request{method: "GET", target: "/models/noop/all?customized=true"}).Body.String()
		assert.Regexp(t, `(?s)"modelVersion": "1.0".*"modelVersion": "2.0"`, body)
	})
	for _, target := range []string{"/models/x", "/models/x/all", "/models/x?customized=true"} {
		t.Run("unknown "+target, func(t *testing.T) {
			t.Parallel()
			w := call(t, managed(nil, catalog{missing: true}), request{method: "GET", target: target})
			assert.Equal(t, 404, w.Code)
			assert.Equal(t, failure("404", "ModelNotFoundException", "Model not found: x"), w.Body.String())
		})
	}
}

func TestDescribeCustomized(t *testing.T) {
	t.Parallel()
	ask := func(p *predictor) (int, http.Header, string) {
		h := rest.Management(config(), rest.Deps{Predictor: p, Catalog: catalog{}, Log: zerolog.Nop()})
		w := call(t, h, request{method: "GET", target: "/models/noop?customized=true", headers: []string{"X-A: b", "Describe: False"}})
		return w.Code, w.Header(), w.Body.String()
	}
	t.Run("MGT-050 an object", func(t *testing.T) {
		t.Parallel()
		p := replying(job.Reply{Status: 201, Body: []byte(`{"b": 1, "a": "<&>"}`), Headers: []job.Header{{Name: "X-Own", Value: "v"}}})
		code, headers, body := ask(p)
		assert.Equal(t, 201, code)
		assert.Equal(t, "application/json", headers.Get("Content-Type"))
		assert.Equal(t, "v", headers.Get("X-Own"))
		assert.Contains(t, body, "    },\n    \"customizedMetadata\": {\n      \"b\": 1,\n      \"a\": \"<&>\"\n    }\n  }\n]\n")
		assert.Equal(t, job.Describe, p.job().Kind)
		assert.Contains(t, p.job().Request.Headers, job.Header{Name: "describe", Value: "True"})
		assert.NotContains(t, p.job().Request.Headers, job.Header{Name: "Describe", Value: "False"})
		assert.Contains(t, p.job().Request.Headers, job.Header{Name: "X-A", Value: "b"})
	})
	for _, text := range []string{"[1]", "text", "{broken", "null", " "} {
		t.Run("MGT-050 not an object: "+text, func(t *testing.T) {
			t.Parallel()
			_, _, body := ask(replying(job.Reply{Status: 200, Body: []byte(text)}))
			assert.Contains(t, body, "\"customizedMetadata\": {}")
		})
	}
	t.Run("an empty answer adds no key", func(t *testing.T) {
		t.Parallel()
		_, _, body := ask(replying(job.Reply{Status: 200}))
		assert.NotContains(t, body, "customizedMetadata")
	})
	t.Run("MGT-051 no worker", func(t *testing.T) {
		t.Parallel()
		code, _, body := ask(refusing(fault.New(fault.Busy, "")))
		assert.Equal(t, 503, code)
		assert.Equal(t, failure("503", "ServiceUnavailableException",
			`Model \"noop\" has no worker to serve describe request. Please use scale workers API to add workers.`), body)
	})
	t.Run("MGT-051 the text names no version", func(t *testing.T) {
		t.Parallel()
		h := rest.Management(config(), rest.Deps{Predictor: refusing(fault.New(fault.Busy, "")), Catalog: catalog{status: &model.Status{}}, Log: zerolog.Nop()})
		w := call(t, h, request{method: "GET", target: "/models/noop/2.0?customized=true"})
		assert.Equal(t, 503, w.Code)
		assert.Contains(t, w.Body.String(), `"Model \"noop\" has no worker to serve describe request.`)
	})
	t.Run("a worker that dies", func(t *testing.T) {
		t.Parallel()
		code, _, body := ask(failing(&fault.Error{Kind: fault.Worker, Status: 500, Message: "Worker died."}))
		assert.Equal(t, 500, code)
		assert.Equal(t, failure("500", "InternalServerException", "Worker died."), body)
	})
	t.Run("no answer in time", func(t *testing.T) {
		t.Parallel()
		s := &model.Status{Settings: model.Settings{Timeouts: model.Timeouts{Response: time.Millisecond}}}
		p := &predictor{answer: func(*job.Job) error { return nil }}
		h := rest.Management(config(), rest.Deps{Predictor: p, Catalog: catalog{status: s}, Log: zerolog.Nop()})
		w := call(t, h, request{method: "GET", target: "/models/noop?customized=true"})
		assert.Equal(t, 500, w.Code)
		assert.Equal(t, failure("500", "InternalServerException", "Failed to get customized model matadata."), w.Body.String())
		assert.True(t, p.job().Done(), "the job was given up")
	})
}
