package rest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/rest"
)

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
			request{target: "/models?model_name=x"},
			done, nil, 400,
			failure("400", "BadRequestException", "Parameter url is required."),
		},
		"MGT-014 unknown runtime": {
			request{target: "/models?url=a.mar&runtime=perl"},
			done, nil, 400,
			failure("400", "BadRequestException", "Invalid RuntimeType value: perl"),
		},
		"MGT-021 without workers": {
			request{target: "/models?url=noop.mar"},
			model.Registered{Name: "noop", Version: "1.0"},
			nil, 200,
			status(`Model \"noop\" Version: 1.0 registered with 0 initial workers. Use scale workers API to add workers for the model.`),
		},
		"MGT-022 with a worker": {
			request{target: "/models?url=noop.mar&initial_workers=1"},
			done, nil, 200,
			status(`Model \"noop\" Version: 1.0 registered with 1 initial workers`),
		},
		"asynchronous": {
			request{target: "/models?url=noop.mar&synchronous=false"},
			model.Registered{Name: "a b/c", Version: "1.0", Progress: model.Accepted},
			nil, 202,
			status("Processing worker updates..."),
		},
		"partial": {
			request{target: "/models?url=noop.mar"},
			model.Registered{Progress: model.Partial},
			nil, 206,
			status("Workers scaling in progress..."),
		},
		"conflict": {
			request{target: "/models?url=noop.mar"},
			done,
			fault.New(fault.Conflict, "Model version 1.0 is already registered for model noop"), 409,
			failure("409", "ConflictStatusException", "Model version 1.0 is already registered for model noop"),
		},
		"a worker fails, with its last words": {
			request{target: "/models?url=noop.mar"},
			done,
			&fault.Error{
				Kind: fault.Worker, Status: 507, Message: "Failed to start workers for model noop version: 1.0",
				Details: "OutOfMemoryError: CUDA <out> of memory",
			}, 507,
			"{\n  \"code\": 507,\n  \"type\": \"InternalServerException\",\n  \"message\": \"Failed to start workers for model noop version: 1.0\"," +
				"\n  \"details\": \"OutOfMemoryError: CUDA <out> of memory\"\n}\n",
		},
		"MGT-029 empty JSON": {
			request{target: "/models", headers: []string{"Content-Type: application/json"}},
			done, nil, 400,
			failure("400", "BadRequestException", "Invalid request body: unexpected end at byte 0"),
		},
		"MGT-029 no object": {
			request{target: "/models", body: "[1]", headers: []string{"Content-Type: application/json"}},
			done, nil, 400,
			failure("400", "BadRequestException", "Invalid request body: not an object"),
		},
		"MGT-029 wrong type": {
			request{target: "/models", body: `{"url":{}}`, headers: []string{"Content-Type: application/json"}},
			done, nil, 400,
			failure("400", "BadRequestException", "Invalid request body: wrong value for url"),
		},
		"MGT-026 the query of a JSON registration is ignored": {
			request{target: "/models?url=a.mar", body: `{}`, headers: []string{"Content-Type: application/json"}},
			done, nil, 400,
			failure("400", "BadRequestException", "Parameter url is required."),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := call(t, managed(&models{outcome: c.outcome, err: c.err}, catalog{}), c.request)
			assert.Equal(t, c.code, w.Code)
			assert.Equal(t, c.body, w.Body.String())
			assert.Equal(t, c.code < 300, w.Header().Get("Location") != "")
		})
	}
}

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
				URL: url, Name: "n", Handler: new("h"), Runtime: model.Python3, BatchSize: new(4), BatchDelay: new(50 * time.Millisecond),
				Workers: new(2), Response: new(7 * time.Second), Startup: new(8 * time.Second), S3SSEKMS: true,
			},
		},
		"MGT-014 runtime in any case": {query: "url=a.mar&runtime=PYTHON", want: base(func(r *model.Registration) { r.Runtime = model.Python })},
		"the first value wins":        {query: "url=a.mar&url=b.mar", want: base(func(*model.Registration) {})},
		"an empty handler replaces":   {query: "url=a.mar&handler=", want: base(func(r *model.Registration) { r.Handler = new("") })},
		"timeouts of zero are kept": {
			query: "url=a.mar&response_timeout=0&startup_timeout=0",
			want:  base(func(r *model.Registration) { r.Response, r.Startup = new(time.Duration(0)), new(time.Duration(0)) }),
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
				r.BatchSize, r.Workers, r.BatchDelay = new(1), new(0), new(time.Duration(0))
			}),
			warning: []string{`299 - "batch_size=0 ignored"`, `299 - "max_batch_delay=-5 ignored"`, `299 - "initial_workers=-3 ignored"`},
		},
		"a warning cannot break out": {
			query: "url=a.mar&batch_size=%22%0d%0aX:%20y", want: base(func(*model.Registration) {}),
			warning: []string{`299 - "batch_size=\"X: y ignored"`},
		},
		"MGT-028 lax JSON types": {
			json: `{"url":"a.mar","batch_size":"3","initial_workers":1.0,"synchronous":"true","unknown":[{"x":1}],"handler":null}`,
			want: base(func(r *model.Registration) { r.BatchSize, r.Workers = new(3), new(1) }),
		},
		"JSON without a delay gives none": {json: `{"url":"a.mar"}`, want: base(func(*model.Registration) {})},
		"JSON escapes": {
			json: `{"url":"a.mar","model_name":"\u00fc\ud83d\ude00\ud83d\n\"\\","handler":5,"runtime":'python'}`,
			want: base(func(r *model.Registration) {
				r.Name, r.Handler, r.Runtime = "\u00fc\U0001F600\uFFFD\n\"\\", new("5"), model.Python
			}),
		},
		"JSON as lenient as 0.12's": {
			json: "{'url': \"a.mar\"; model_name = n, // why\n /* so */ batch_size => 2, synchronous: false}",
			want: model.Registration{URL: url, Name: "n", BatchSize: new(2)},
		},
		"JSON behind a byte order mark": {json: "\ufeff{\"url\":\"a.mar\"}", want: base(func(*model.Registration) {})},
		"JSON behind a guard":           {json: ")]}'\n{\"url\":\"a.mar\"}", want: base(func(*model.Registration) {})},
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
	for name, text := range map[string]string{
		"an open object": "{", "an open string": `{"url":"a`, "an open escape": `{"url":"a\`, "half an escape": `{"url":"\u12`, "a bad escape": `{"url":"\q"}`,
		"bad digits": `{"url":"\u12zz"}`, "half a pair": `{"url":"\ud83d\u12`, "no colon": `{"url" "a"}`, "no key": `{:1}`, "no value": `{"url":,}`,
		"no comma": `{"url":"a" "b":1}`, "text behind": `{"url":"a"} x`, "an open comment": `{"url":"a" /* }`, "nesting": strings.Repeat("[", 200),
		"an open array": `{"x":[1`, "no comma in an array": `{"x":[1 2]}`, "a fraction": `{"url":"a","batch_size":1.5}`,
		"a number that is none": `{"url":"a","batch_size":"x"}`, "a flag for a number": `{"url":"a","batch_size":true}`, "a number for a flag": `{"url":"a","synchronous":1}`,
		"a number beyond 32 bits": `{"url":"a","batch_size":4294967296}`,
	} {
		t.Run("MGT-029 "+name, func(t *testing.T) {
			t.Parallel()
			m := &models{}
			w := call(t, managed(m, catalog{}), request{target: "/models", body: text, headers: []string{"Content-Type: application/json"}})
			assert.Equal(t, 400, w.Code)
			assert.Contains(t, w.Body.String(), `"message": "Invalid request body: `)
			assert.Nil(t, m.registered)
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
