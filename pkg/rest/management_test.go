package rest_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

// catalog describes models of any name.
type catalog struct {
	listed  []model.Listed
	status  *model.Status
	loaded  bool
	missing bool
}

func (c catalog) Describe(ref model.Ref) (model.Status, error) {
	if c.missing {
		return model.Status{}, modelNotFound(string(ref.Name))
	}
	if c.status != nil {
		return *c.status, nil
	}
	return model.Status{Archive: model.Archive{Name: ref.Name, Version: "1.0"}}, nil
}

func (c catalog) DescribeAll(name model.Name) ([]model.Status, error) {
	if c.missing {
		return nil, modelNotFound(string(name))
	}
	return []model.Status{
		{Archive: model.Archive{Name: name, Version: "1.0"}},
		{Archive: model.Archive{Name: name, Version: "2.0"}},
	}, nil
}

func (c catalog) List() []model.Listed { return c.listed }

func (c catalog) Loaded(name model.Name) (bool, error) {
	if c.missing {
		return false, modelNotFound(string(name))
	}
	return c.loaded, nil
}

// models records what is asked of it.
type models struct {
	registered *model.Registration
	scaled     *model.Scaling
	ref        model.Ref
	outcome    model.Registered
	err        error
}

func (m *models) Register(_ context.Context, r model.Registration) (model.Registered, error) {
	m.registered = &r
	return m.outcome, m.err
}

func (m *models) Scale(_ context.Context, ref model.Ref, s model.Scaling) (model.Progress, error) {
	m.ref, m.scaled = ref, &s
	return m.outcome.Progress, m.err
}

func (m *models) Unregister(_ context.Context, ref model.Ref) error {
	m.ref = ref
	return m.err
}

func (m *models) SetDefault(_ context.Context, ref model.Ref) error {
	m.ref = ref
	return m.err
}

func managed(m *models, c catalog) http.Handler {
	return rest.Management(config(), rest.Deps{Models: m, Catalog: c, Health: health{}, Log: zerolog.Nop()})
}

func TestRegister(t *testing.T) {
	t.Parallel()
	done := model.Registered{Name: "noop", Version: "1.0", Workers: 1}
	for name, c := range map[string]struct {
		request request
		outcome model.Registered
		err     error
		code    int
		body    string
	}{
		"MGT-011 without url": {
			request{target: "/models?model_name=x"}, done, nil, 400,
			failure("400", "BadRequestException", "Parameter url is required."),
		},
		"MGT-014 unknown runtime": {
			request{target: "/models?url=a.mar&runtime=perl"}, done, nil, 400,
			failure("400", "BadRequestException", "Invalid RuntimeType value: perl"),
		},
		"MGT-021 without workers": {
			request{target: "/models?url=noop.mar"}, model.Registered{Name: "noop", Version: "1.0"}, nil, 200,
			status(`Model \"noop\" Version: 1.0 registered with 0 initial workers. Use scale workers API to add workers for the model.`),
		},
		"MGT-022 with a worker": {
			request{target: "/models?url=noop.mar&initial_workers=1"}, done, nil, 200,
			status(`Model \"noop\" Version: 1.0 registered with 1 initial workers`),
		},
		"MGT-023 asynchronous": {
			request{target: "/models?url=noop.mar&synchronous=false"}, model.Registered{Progress: model.Accepted}, nil, 202,
			status("Processing worker updates..."),
		},
		"partial": {
			request{target: "/models?url=noop.mar"}, model.Registered{Progress: model.Partial}, nil, 206,
			status("Workers scaling in progress..."),
		},
		"MGT-018 conflict": {
			request{target: "/models?url=noop.mar"}, done,
			fault.New(fault.Conflict, "Model version 1.0 is already registered for model noop"), 409,
			failure("409", "ConflictStatusException", "Model version 1.0 is already registered for model noop"),
		},
		"MGT-024 a worker fails, with its last words": {
			request{target: "/models?url=noop.mar"}, done,
			&fault.Error{
				Kind: fault.Worker, Status: 507, Message: "Failed to start workers for model noop version: 1.0",
				Details: "OutOfMemoryError: CUDA <out> of memory",
			}, 507,
			"{\n  \"code\": 507,\n  \"type\": \"InternalServerException\",\n  \"message\": \"Failed to start workers for model noop version: 1.0\"," +
				"\n  \"details\": \"OutOfMemoryError: CUDA <out> of memory\"\n}\n",
		},
		"MGT-029 empty JSON": {
			request{target: "/models", headers: []string{"Content-Type: application/json"}}, done, nil, 400,
			failure("400", "BadRequestException", "Invalid request body: unexpected end"),
		},
		"MGT-029 no object": {
			request{target: "/models", body: "[1]", headers: []string{"Content-Type: application/json"}}, done, nil, 400,
			failure("400", "BadRequestException", "Invalid request body: not an object"),
		},
		"MGT-029 wrong type": {
			request{target: "/models", body: `{"url":{}}`, headers: []string{"Content-Type: application/json"}}, done, nil, 400,
			failure("400", "BadRequestException", "Invalid request body: wrong value for url"),
		},
		"MGT-026 the query of a JSON registration is ignored": {
			request{target: "/models?url=a.mar", body: `{}`, headers: []string{"Content-Type: application/json"}}, done, nil, 400,
			failure("400", "BadRequestException", "Parameter url is required."),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := call(t, managed(&models{outcome: c.outcome, err: c.err}, catalog{}), c.request)
			assert.Equal(t, c.code, w.Code)
			assert.Equal(t, c.body, w.Body.String())
		})
	}
}

func ptr[T any](v T) *T { return &v }

func TestRegistrationParameters(t *testing.T) {
	t.Parallel()
	const url = "a.mar"
	base := func(change func(*model.Registration)) model.Registration {
		r := model.Registration{URL: url, Synchronous: true}
		change(&r)
		return r
	}
	for name, c := range map[string]struct {
		query, json string
		want        model.Registration
		warning     []string
	}{
		"MGT-022 synchronous is the default": {query: "url=a.mar", want: base(func(*model.Registration) {})},
		"all of them": {
			query: "url=a.mar&model_name=n&handler=h&runtime=python3&batch_size=4&max_batch_delay=50&initial_workers=2" +
				"&response_timeout=7&startup_timeout=8&synchronous=FALSE&s3_sse_kms=true",
			want: model.Registration{
				URL: url, Name: "n", Handler: ptr("h"), Runtime: model.Python3, BatchSize: ptr(4), BatchDelay: ptr(50 * time.Millisecond),
				Workers: ptr(2), Response: ptr(7 * time.Second), Startup: ptr(8 * time.Second), S3SSEKMS: true,
			},
		},
		"MGT-014 runtime in any case": {query: "url=a.mar&runtime=PYTHON", want: base(func(r *model.Registration) { r.Runtime = model.Python })},
		"the first value wins":        {query: "url=a.mar&url=b.mar", want: base(func(*model.Registration) {})},
		"an empty handler replaces":   {query: "url=a.mar&handler=", want: base(func(r *model.Registration) { r.Handler = ptr("") })},
		"timeouts of zero are kept": {
			query: "url=a.mar&response_timeout=0&startup_timeout=0",
			want:  base(func(r *model.Registration) { r.Response, r.Startup = ptr(time.Duration(0)), ptr(time.Duration(0)) }),
		},
		"marks mean not given": {
			query: "url=a.mar&batch_size=-1&max_batch_delay=-100&response_timeout=-1&startup_timeout=-1",
			want:  base(func(*model.Registration) {}),
		},
		"lax numbers are ignored visibly": {
			query: "url=a.mar&batch_size=dd&synchronous=nan", want: base(func(*model.Registration) {}),
			warning: []string{`299 - "batch_size=dd ignored"`, `299 - "synchronous=nan ignored"`},
		},
		"numbers below their least": {
			query: "url=a.mar&batch_size=0&initial_workers=-3&max_batch_delay=-5",
			want: base(func(r *model.Registration) {
				r.BatchSize, r.Workers, r.BatchDelay = ptr(1), ptr(0), ptr(time.Duration(0))
			}),
			warning: []string{`299 - "batch_size=0 ignored"`, `299 - "max_batch_delay=-5 ignored"`, `299 - "initial_workers=-3 ignored"`},
		},
		"a warning cannot break out": {
			query: "url=a.mar&batch_size=%22%0d%0aX:%20y", want: base(func(*model.Registration) {}),
			warning: []string{`299 - "batch_size=\"X: y ignored"`},
		},
		"MGT-028 lax JSON types": {
			json: `{"url":"a.mar","batch_size":"3","initial_workers":1.0,"synchronous":"true","unknown":[{"x":1}],"handler":null}`,
			want: base(func(r *model.Registration) { r.BatchSize, r.Workers = ptr(3), ptr(1) }),
		},
		"MGT-027 JSON without a delay gives none": {json: `{"url":"a.mar"}`, want: base(func(*model.Registration) {})},
		"JSON as lenient as 0.12's": {
			json: "{'url': \"a.mar\"; model_name = n, // why\n /* so */ batch_size: 2, synchronous: false}",
			want: model.Registration{URL: url, Name: "n", BatchSize: ptr(2)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &models{}
			q := request{target: "/models?" + c.query}
			if c.json != "" {
				q = request{target: "/models?url=other.mar", body: c.json, headers: []string{"Content-Type: Application/JSON; charset=utf-8"}}
			}
			w := call(t, managed(m, catalog{}), q)
			require.NotNil(t, m.registered, w.Body)
			assert.Equal(t, c.want, *m.registered)
			assert.Equal(t, c.warning, w.Header()["Warning"])
		})
	}
	t.Run("MGT-030 a charset does not matter", func(t *testing.T) {
		t.Parallel()
		m := &models{}
		call(t, managed(m, catalog{}), request{target: "/models", body: `{"url":"a.mar"}`, headers: []string{"Content-Type: application/json; charset=utf-8"}})
		require.NotNil(t, m.registered)
	})
	t.Run("strict parameters refuse", func(t *testing.T) {
		t.Parallel()
		cfg, m := config(), &models{}
		cfg.StrictParameters = true
		w := call(t, rest.Management(cfg, rest.Deps{Models: m}), request{target: "/models?url=a.mar&batch_size=dd"})
		assert.Equal(t, 400, w.Code)
		assert.Contains(t, w.Body.String(), "Invalid value for parameter batch_size: dd")
		assert.Nil(t, m.registered)
	})
}

func TestScale(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		target   string
		progress model.Progress
		err      error
		code     int
		body     string
		want     *model.Scaling
		version  model.Version
	}{
		"MGT-040 asynchronous": {
			target: "/models/noop?min_worker=2", progress: model.Accepted, code: 202, body: status("Processing worker updates..."),
			want: &model.Scaling{Workers: model.Workers{Min: 2, Max: 2}},
		},
		"MGT-040 synchronous": {
			target: "/models/noop?min_worker=2&max_worker=3&synchronous=true", code: 200, body: status("Workers scaled to 2 for model: noop"),
			want: &model.Scaling{Workers: model.Workers{Min: 2, Max: 3}, Synchronous: true},
		},
		"MGT-040 synchronous with a version": {
			target: "/models/noop/2.0?synchronous=true", code: 200, body: status("Workers scaled to 1 for model: noop, version: 2.0"),
			want: &model.Scaling{Workers: model.Workers{Min: 1, Max: 1}, Synchronous: true}, version: "2.0",
		},
		"MGT-041 version in the query": {
			target: "/models/noop?model_version=2.0&synchronous=true", code: 200, body: status("Workers scaled to 1 for model: noop, version: 2.0"),
			want: &model.Scaling{Workers: model.Workers{Min: 1, Max: 1}, Synchronous: true}, version: "2.0",
		},
		"the version of the path counts": {
			target: "/models/noop/1.0?model_version=2.0", progress: model.Accepted, code: 202, body: status("Processing worker updates..."),
			want: &model.Scaling{Workers: model.Workers{Min: 1, Max: 1}}, version: "1.0",
		},
		"partial": {
			target: "/models/noop", progress: model.Partial, code: 206, body: status("Workers scaling in progress..."),
			want: &model.Scaling{Workers: model.Workers{Min: 1, Max: 1}},
		},
		"MGT-039 max below min, before the model is looked up": {
			target: "/models/unknown?min_worker=3&max_worker=1", code: 400,
			body: failure("400", "BadRequestException", "max_worker cannot be less than min_worker."),
		},
		"MGT-043 negative": {
			target: "/models/noop?min_worker=-1", code: 400,
			body: failure("400", "BadRequestException", "min_worker cannot be negative."),
		},
		"MGT-042 unknown version": {
			target: "/models/noop/9.9", err: fault.New(fault.VersionNotFound, "Model version: 9.9 does not exist for model: noop"), code: 404,
			body:    failure("404", "ModelVersionNotFoundException", "Model version: 9.9 does not exist for model: noop"),
			want:    &model.Scaling{Workers: model.Workers{Min: 1, Max: 1}},
			version: "9.9",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &models{outcome: model.Registered{Progress: c.progress}, err: c.err}
			w := call(t, managed(m, catalog{}), request{method: "PUT", target: c.target})
			assert.Equal(t, c.code, w.Code)
			assert.Equal(t, c.body, w.Body.String())
			assert.Equal(t, c.want, m.scaled)
			assert.Equal(t, c.version, m.ref.Version)
		})
	}
}

func TestUnregisterAndSetDefault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, target string
		err            error
		code           int
		body           string
		ref            model.Ref
	}{
		"MGT-054 unregister": {
			"DELETE", "/models/noop", nil, 200, status(`Model \"noop\" unregistered`), model.Ref{Name: "noop"},
		},
		"unregister a version": {
			"DELETE", "/models/noop/1.0", nil, 200, status(`Model \"noop\" unregistered`), model.Ref{Name: "noop", Version: "1.0"},
		},
		"MGT-053 the default version": {
			"DELETE", "/models/noop", fault.New(fault.DefaultVersion, "Cannot remove default version for model noop"), 403,
			failure("403", "InvalidModelVersionException", "Cannot remove default version for model noop"), model.Ref{Name: "noop"},
		},
		"MGT-056 set default": {
			"PUT", "/models/noop/2.0/set-default", nil, 200,
			status(`Default version successfully updated for model \"noop\" to \"2.0\"`), model.Ref{Name: "noop", Version: "2.0"},
		},
		"MGT-056 unknown version": {
			"PUT", "/models/noop/9/set-default", fault.New(fault.VersionNotFound, "Model version 9 does not exist for model noop"), 404,
			failure("404", "ModelVersionNotFoundException", "Model version 9 does not exist for model noop"), model.Ref{Name: "noop", Version: "9"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &models{err: c.err}
			w := call(t, managed(m, catalog{}), request{method: c.method, target: c.target})
			assert.Equal(t, c.code, w.Code)
			assert.Equal(t, c.body, w.Body.String())
			assert.Equal(t, c.ref, m.ref)
		})
	}
}

func TestMethodNotAllowed(t *testing.T) {
	t.Parallel()
	want := failure("405", "MethodNotAllowedException", "Requested method is not allowed, please refer to API document.")
	off := config()
	off.ModelAPI = false
	d := rest.Deps{Models: &models{}, Catalog: catalog{}, Token: func(http.ResponseWriter, *http.Request) error { return nil }}
	for name, c := range map[string]struct {
		cfg            rest.Config
		method, target string
	}{
		"MGT-008 model API off: register":   {off, "POST", "/models"},
		"MGT-008 model API off: unregister": {off, "DELETE", "/models/x"},
		"MGT-008 model API off: a version":  {off, "DELETE", "/models/x/1.0"},
		"MGT-057 GET set-default":           {config(), "GET", "/models/m/1.0/set-default"},
		"MGT-057 DELETE set-default":        {config(), "DELETE", "/models/m/1.0/set-default"},
		"MGT-061 POST readiness":            {config(), "POST", "/v1/models/m"},
		"HEAD is an unknown method":         {config(), "HEAD", "/models"},
		"PATCH a model":                     {config(), "PATCH", "/models/m"},
		"POST a model":                      {config(), "POST", "/models/m"},
		"a method that nobody knows":        {config(), "BREW", "/models"},
		"methods are case-sensitive":        {config(), "get", "/models"},
		"TOK-023 PUT token":                 {config(), "PUT", "/token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := call(t, rest.Management(c.cfg, d), request{method: c.method, target: c.target})
			assert.Equal(t, 405, w.Code)
			if c.method != "HEAD" {
				assert.Equal(t, want, w.Body.String())
			}
		})
	}
	t.Run("MGT-009 model API off: the rest works", func(t *testing.T) {
		t.Parallel()
		h := rest.Management(off, d)
		for _, q := range []request{
			{method: "GET", target: "/models"},
			{method: "GET", target: "/models/m"},
			{method: "PUT", target: "/models/m?synchronous=true"},
			{method: "PUT", target: "/models/m/1.0/set-default"},
		} {
			assert.Equal(t, 200, call(t, h, q).Code, q.target)
		}
	})
}

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
		s.Workers = []model.WorkerStatus{{ID: 9000, PID: -1, GPU: 1, Error: "boom"}}
		s.GaveUp = true
		body := call(t, managed(nil, catalog{status: &s}), request{method: "GET", target: "/models/noop"}).Body.String()
		assert.Contains(t, body, "\"deviceType\": \"gpu\",\n    \"deviceIds\": [\n      0,\n      1\n    ],\n    \"continuousBatching\"")
		assert.Contains(t, body, "\"status\": \"UNLOADING\",\n        \"memoryUsage\": 0,\n        \"pid\": -1,\n        \"gpu\": true,\n"+
			"        \"gpuUsage\": \"failed to obtained gpu usage\",\n        \"error\": \"boom\"")
		assert.Contains(t, body, "\"gaveUp\": true")
	})
	t.Run("MGT-049 MGT-052 all versions, never customized", func(t *testing.T) {
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

func TestNeighbours(t *testing.T) {
	t.Parallel()
	t.Run("MGT-061 readiness", func(t *testing.T) {
		t.Parallel()
		for target, name := range map[string]string{"/v1/models/noop": "noop", "/v1/models/noop:x": "noop"} {
			w := call(t, managed(nil, catalog{loaded: true}), request{method: "GET", target: target})
			assert.Equal(t, "{\n  \"name\": \""+name+"\",\n  \"ready\": true\n}\n", w.Body.String())
		}
		w := call(t, managed(nil, catalog{}), request{method: "GET", target: "/v1/models/noop"})
		assert.Contains(t, w.Body.String(), "\"ready\": false")
		w = call(t, managed(nil, catalog{missing: true}), request{method: "GET", target: "/v1/models/:"})
		assert.Equal(t, 404, w.Code)
		assert.Equal(t, failure("404", "ModelNotFoundException", "Model not found: "), w.Body.String())
	})
	t.Run("MGT-065 workflows", func(t *testing.T) {
		t.Parallel()
		w := call(t, managed(nil, catalog{}), request{target: "/workflows?url=x.war"})
		assert.Equal(t, 400, w.Code)
		assert.Equal(t, failure("400", "BadRequestException", "Registering new workflows is disabled."), w.Body.String())
	})
	t.Run("TOK-033 no token route without authorization", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, 404, call(t, managed(nil, catalog{}), request{method: "GET", target: "/token?type=inference"}).Code)
	})
	t.Run("the token route is GET and POST", func(t *testing.T) {
		t.Parallel()
		h := rest.Management(config(), rest.Deps{Token: func(w http.ResponseWriter, _ *http.Request) error {
			_, err := w.Write([]byte("\n"))
			return err
		}})
		for _, method := range []string{"GET", "POST"} {
			assert.Equal(t, "\n", call(t, h, request{method: method, target: "/token/"}).Body.String())
		}
	})
	t.Run("livez and readyz", func(t *testing.T) {
		t.Parallel()
		for _, make := range []func(rest.Config, rest.Deps) http.Handler{
			func(c rest.Config, d rest.Deps) http.Handler { return rest.Inference(c, d) },
			func(c rest.Config, d rest.Deps) http.Handler { return rest.Management(c, d) },
		} {
			for ready, code := range map[bool]int{true: 200, false: 503} {
				h := make(config(), rest.Deps{Health: health{ready: ready}})
				assert.Equal(t, code, call(t, h, request{method: "GET", target: "/readyz"}).Code)
				assert.Equal(t, 200, call(t, h, request{method: "GET", target: "/livez"}).Code)
				assert.Equal(t, 405, call(t, h, request{method: "POST", target: "/livez"}).Code)
			}
		}
	})
}
