package serving_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/serving"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

// preset configures the key models for version 1.0 of noop.
func preset(p serving.Preset) func(*serving.Config) {
	return func(c *serving.Config) {
		c.Models = map[model.Name]map[model.Version]serving.Preset{"noop": {"1.0": p}}
	}
}

// TestPrecedence is MAR §6.5 as decided: the request beats the archive, which
// beats the key models, which beats what the server has by default.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	type settings struct {
		batch                    int
		delay, response, startup time.Duration
		queue                    int
	}
	builtIn := settings{1, 100 * time.Millisecond, 120 * time.Second, 120 * time.Second, 100}
	const archived = "batchSize: 4\nmaxBatchDelay: 7\nresponseTimeout: 33\nstartupTimeout: 34\njobQueueSize: 5\n"
	models := preset(serving.Preset{BatchSize: 8, BatchDelay: 9 * time.Millisecond, Response: 61 * time.Second, Startup: 62 * time.Second})
	request := model.Registration{
		BatchSize: new(2), BatchDelay: new(11 * time.Millisecond), Response: new(44 * time.Second), Startup: new(55 * time.Second),
	}
	for name, c := range map[string]struct {
		yaml    string
		change  func(*serving.Config)
		request model.Registration
		want    settings
	}{
		"nobody says anything": {want: builtIn},
		"the server's own": {
			change: func(c *serving.Config) {
				c.Defaults.QueueSize, c.Defaults.Response, c.Defaults.Startup = 3, time.Second, 2*time.Second
			},
			want: settings{1, 100 * time.Millisecond, time.Second, 2 * time.Second, 3},
		},
		"CFG-039 the key models beats the defaults": {
			change: models, want: settings{8, 9 * time.Millisecond, 61 * time.Second, 62 * time.Second, 100},
		},
		"CFG-039 MAR-102 values of the key models that say nothing": {
			change: preset(serving.Preset{BatchSize: 8}),
			want:   settings{8, 100 * time.Millisecond, 120 * time.Second, 120 * time.Second, 100},
		},
		"MGT-032 MAR-101 the archive beats the key models": {
			yaml: archived, change: models,
			want: settings{4, 7 * time.Millisecond, 33 * time.Second, 34 * time.Second, 5},
		},
		"MGT-032 MAR-101 the request beats the archive": {
			yaml: archived, change: models, request: request,
			want: settings{2, 11 * time.Millisecond, 44 * time.Second, 55 * time.Second, 5},
		},
		"MGT-033 MAR-103 a time-out of the request beats that of the archive": {
			yaml: "responseTimeout: 33\n", request: model.Registration{Response: new(7 * time.Second)},
			want: settings{1, 100 * time.Millisecond, 7 * time.Second, 120 * time.Second, 100},
		},
		"MGT-033 MAR-103 an archive that names no time-out hides none": {
			yaml:    "batchSize: 4\n",
			change:  func(c *serving.Config) { c.Defaults.Startup = 77 * time.Second },
			request: model.Registration{Response: new(7 * time.Second)},
			want:    settings{4, 100 * time.Millisecond, 7 * time.Second, 77 * time.Second, 100},
		},
		"MAR-103 a time-out of the request beats that of the key models": {
			change: models, request: model.Registration{Response: new(5 * time.Second)},
			want: settings{8, 9 * time.Millisecond, 5 * time.Second, 62 * time.Second, 100},
		},
		"MAR-092 what an archive says and means nothing": {
			yaml: "batchSize: 0\nmaxBatchDelay: 0\njobQueueSize: 0\n", change: models,
			want: settings{1, 9 * time.Millisecond, 61 * time.Second, 62 * time.Second, 100},
		},
		"a request of no time": {
			request: model.Registration{Response: new(time.Duration(0)), BatchDelay: new(time.Duration(0))},
			want:    settings{1, 0, 0, 120 * time.Second, 100},
		},
		"MAR-105 an empty model config": {yaml: "# nothing\n", want: builtIn},
		"MAR-106 a broken model config": {yaml: "batchSize: [4\n", want: builtIn},
		"CFG-039 the key models speaks of another version": {
			change: func(c *serving.Config) {
				c.Models = map[model.Name]map[model.Version]serving.Preset{"noop": {"2.0": {BatchSize: 8}}, "other": {"1.0": {BatchSize: 8}}}
			},
			want: builtIn,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, c.change)
			f.put("noop.mar", source{yaml: c.yaml})
			c.request.URL = "noop.mar"
			f.registered(c.request)
			s := f.described(noop("")).Settings
			assert.Equal(t, c.want, settings{s.Batching.Size, s.Batching.Delay, s.Timeouts.Response, s.Timeouts.Startup, s.QueueSize})
		})
	}
	t.Run("CFG-039 the name after renaming counts", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, preset(serving.Preset{BatchSize: 8}))
		f.put("other.mar", source{name: "other"})
		f.registered(model.Registration{URL: "other.mar", Name: "noop"})
		assert.Equal(t, 8, f.described(noop("")).Settings.Batching.Size)
	})
}

// TestInitialWorkers counts the workers of a registration by a client.
func TestInitialWorkers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		defaults int
		yaml     string
		request  *int
		want     model.Workers
	}{
		"nobody says anything":                        {},
		"MGT-034 default_workers_per_model":           {defaults: 2, want: model.Workers{Min: 2, Max: 2}},
		"the request beats it":                        {defaults: 2, request: new(1), want: model.Workers{Min: 1, Max: 1}},
		"even with none":                              {defaults: 2, request: new(0)},
		"a negative number is none":                   {defaults: 2, request: new(-3)},
		"MGT-031 MAR-093 the archive beats them":      {defaults: 3, yaml: "minWorkers: 1\nmaxWorkers: 2\n", request: new(0), want: model.Workers{Min: 1, Max: 2}},
		"MAR-093 half a pair does not count":          {yaml: "minWorkers: 2\n", request: new(1), want: model.Workers{Min: 1, Max: 1}},
		"MAR-093 a pair the wrong way round does not": {yaml: "minWorkers: 2\nmaxWorkers: 1\n", request: new(1), want: model.Workers{Min: 1, Max: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(c2 *serving.Config) {
				c2.Defaults.Workers = c.defaults
				preset(serving.Preset{MinWorkers: 5, MaxWorkers: 5})(c2) // of the start only
			})
			f.put("noop.mar", source{yaml: c.yaml})
			done := f.registered(model.Registration{URL: "noop.mar", Workers: c.request, Synchronous: true})
			status := f.described(noop(""))
			assert.Equal(t, c.want, status.Settings.Workers)
			assert.Len(t, status.Workers, c.want.Min)
			assert.Equal(t, c.want.Min, done.Workers)
		})
	}
}

// TestStartWorkers counts the workers of a model that is loaded at start.
func TestStartWorkers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		preset serving.Preset
		yaml   string
		want   model.Workers
	}{
		"CFG-038 the server's number":           {want: model.Workers{Min: 2, Max: 2}},
		"CFG-038 the key models":                {preset: serving.Preset{MinWorkers: 1, MaxWorkers: 3}, want: model.Workers{Min: 1, Max: 3}},
		"CFG-038 each of its numbers by itself": {preset: serving.Preset{MinWorkers: 1}, want: model.Workers{Min: 1, Max: 2}},
		"a minimum above the maximum":           {preset: serving.Preset{MinWorkers: 3}, want: model.Workers{Min: 3, Max: 3}},
		"CFG-038 MAR-093 the archive wins":      {preset: serving.Preset{MinWorkers: 3}, yaml: "minWorkers: 1\nmaxWorkers: 4\n", want: model.Workers{Min: 1, Max: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(cfg *serving.Config) {
				cfg.Defaults.StartWorkers, cfg.Defaults.Workers = 2, 9
				preset(c.preset)(cfg)
			})
			f.put("noop.mar", source{yaml: c.yaml})
			f.Load(t.Context(), "", "noop.mar")
			status := f.described(noop(""))
			assert.Equal(t, c.want, status.Settings.Workers)
			assert.Len(t, status.Workers, c.want.Min)
		})
	}
}

func TestRuntime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ models, request, want model.Runtime }{
		"the manifest's":          {want: model.Python},
		"the key models beats it": {models: model.Python3, want: model.Python3},
		"the request beats both":  {models: model.Python3, request: model.LSP, want: model.LSP},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, preset(serving.Preset{Runtime: c.models}))
			f.put("noop.mar", source{})
			f.registered(model.Registration{URL: "noop.mar", Runtime: c.request})
			assert.Equal(t, c.want, f.described(noop("")).Archive.Runtime)
		})
	}
}

func TestHandlerAndEnvelope(t *testing.T) {
	t.Parallel()
	t.Run("CFG-049 MAR-121 default_service_handler and service_envelope", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(c *serving.Config) { c.Handler, c.Envelope = workertest.Echoes, "body" })
		f.file("bare/MAR-INF/MANIFEST.json", `{"model":{"modelName":"bare","envelope":"json"}}`)
		f.file("bare/weights", "")
		f.put("noop.mar", source{handler: workertest.Chats})
		f.registered(model.Registration{URL: "bare", Workers: new(1), Synchronous: true})
		f.registered(model.Registration{URL: "noop.mar"})
		bare, named := f.described(model.Ref{Name: "bare"}).Archive, f.described(noop("")).Archive
		assert.Equal(t, workertest.Echoes, bare.Handler, "CFG-049 MAR-121 default_service_handler")
		assert.Equal(t, workertest.Chats, named.Handler)
		assert.Equal(t, "body", bare.Envelope, "CFG-049 service_envelope")
		assert.Equal(t, "body", named.Envelope)
	})
}

func TestSubmitDeadline(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.put("noop.mar", source{yaml: "clientTimeoutInMills: 60000\n"})
	f.put("other.mar", source{name: "other"})
	for _, url := range []string{"noop.mar", "other.mar"} {
		f.registered(model.Registration{URL: url, Workers: new(1), Synchronous: true})
	}
	j, s := f.submit(noop(""), "x")
	workertest.Reply(t, s)
	assert.Equal(t, j.Created.Add(time.Minute), j.Deadline)
	j, s = f.submit(model.Ref{Name: "other"}, "x")
	workertest.Reply(t, s)
	assert.Zero(t, j.Deadline)
	require.NoError(t, f.Resolve(model.Ref{Name: "other"}))
}
