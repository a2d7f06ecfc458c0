package rest_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/fault"
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

// models records what is asked of it last. Sub-tests may share one; a test reads
// the fields when its calls have returned.
type models struct {
	outcome model.Registered
	err     error

	mu         sync.Mutex // Protects the writing of fields below
	registered *model.Registration
	scaled     *model.Scaling
	ref        model.Ref
}

// record has write to itself.
func (m *models) record(write func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	write()
}

func (m *models) Register(_ context.Context, r model.Registration) (model.Registered, error) {
	m.record(func() { m.registered = &r })
	return m.outcome, m.err
}

func (m *models) Scale(_ context.Context, ref model.Ref, s model.Scaling) (model.Progress, error) {
	m.record(func() { m.ref, m.scaled = ref, &s })
	return m.outcome.Progress, m.err
}

func (m *models) Unregister(_ context.Context, ref model.Ref) error {
	m.record(func() { m.ref = ref })
	return m.err
}

func (m *models) SetDefault(_ context.Context, ref model.Ref) error {
	m.record(func() { m.ref = ref })
	return m.err
}

func managed(m *models, c catalog) http.Handler {
	return rest.Management(config(), rest.Deps{Models: m, Catalog: c, Health: health{}, Log: zerolog.Nop()})
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
		"unknown version": {
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
		"unregister": {
			"DELETE", "/models/noop", nil, 200, status(`Model \"noop\" unregistered`), model.Ref{Name: "noop"},
		},
		"unregister a version": {
			"DELETE", "/models/noop/1.0", nil, 200, status(`Model \"noop\" unregistered`), model.Ref{Name: "noop", Version: "1.0"},
		},
		"the default version": {
			"DELETE", "/models/noop", fault.New(fault.DefaultVersion, "Cannot remove default version for model noop"), 403,
			failure("403", "InvalidModelVersionException", "Cannot remove default version for model noop"),
			model.Ref{Name: "noop"},
		},
		"MGT-056 set default": {
			"PUT", "/models/noop/2.0/set-default", nil, 200,
			status(`Default version successfully updated for model \"noop\" to \"2.0\"`),
			model.Ref{Name: "noop", Version: "2.0"},
		},
		"set default to an unknown version": {
			"PUT", "/models/noop/9/set-default", fault.New(fault.VersionNotFound, "Model version 9 does not exist for model noop"), 404,
			failure("404", "ModelVersionNotFoundException", "Model version 9 does not exist for model noop"),
			model.Ref{Name: "noop", Version: "9"},
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
		"PUT token":                         {config(), "PUT", "/token"},
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
	t.Run("no token route without authorization", func(t *testing.T) {
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
