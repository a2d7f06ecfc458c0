package serving_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	t.Run("MGT-021 MGT-069 MAR-075 without workers", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{version: "2.0"})
		done := f.registered(model.Registration{URL: "noop.mar", Synchronous: true})
		assert.Equal(t, model.Registered{Name: "noop", Version: "2.0"}, done)
		status := f.described(noop("2.0"))
		assert.Empty(t, status.Workers)
		assert.Equal(t, "noop.mar", status.Archive.URL)
		assert.True(t, status.Default)
		assert.False(t, status.LoadedAtStartup, "MGT-069")
		j, _ := newJob(noop(""), "x")
		f.fails(f.Submit(t.Context(), j), fault.Busy, "")
		assert.Contains(t, f.log.of(t, "info"), "org.pytorch.serve.wlm.ModelManager Model noop loaded.")
	})
	t.Run("MGT-022 synchronous: the workers serve when it returns", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		done := f.registered(model.Registration{URL: "noop.mar", Workers: new(2), Synchronous: true})
		assert.Equal(t, model.Registered{Name: "noop", Version: "1.0", Workers: 2, Progress: model.Done}, done)
		for _, w := range f.described(noop("")).Workers {
			assert.True(t, w.Ready)
		}
		assert.Equal(t, "hello", f.predict(noop("1.0"), "hello"))
	})
	t.Run("MGT-023 asynchronous: it returns before they do, and all of them are there", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		gate := f.gated("noop", workertest.Action{})
		done := f.registered(model.Registration{URL: "noop", Workers: new(2)})
		assert.Equal(t, model.Accepted, done.Progress)
		status := f.described(noop(""))
		require.Len(t, status.Workers, 2)
		for _, w := range status.Workers {
			assert.False(t, w.Ready)
		}
		assert.Equal(t, model.Workers{Min: 2, Max: 2}, status.Settings.Workers)
		gate.Await(t)
		gate.Open(t)
		assert.Equal(t, "hello", f.predict(noop(""), "hello"), "a request waits for them")
	})
	t.Run("asynchronous: a failure keeps the model", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{handler: workertest.Unloadable})
		assert.Equal(t, model.Accepted, f.registered(model.Registration{URL: "noop.mar", Workers: new(1)}).Progress)
		_, err := f.Scale(t.Context(), noop(""), model.Scaling{Workers: model.Workers{Min: 2, Max: 2}, Synchronous: true})
		require.Error(t, err, "by now the first one has failed, too, or is about to")
		assert.Len(t, f.described(noop("")).Workers, 2)
	})
	t.Run("MGT-018 MAR-076 the same version twice (D-MGT-16)", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		f.registered(model.Registration{URL: "noop.mar", Workers: new(1), Synchronous: true})
		_, err := f.Register(t.Context(), model.Registration{URL: "noop.mar", Workers: new(1), Synchronous: true})
		f.fails(err, fault.Conflict, "Model version 1.0 is already registered for model noop")
		assert.Len(t, f.unpacked(), 1, "D-MGT-16")
		assert.Equal(t, "hello", f.predict(noop(""), "hello"), "the first one serves on")
	})
	t.Run("a name and a handler of the request", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{handler: workertest.Unloadable})
		done := f.registered(model.Registration{
			URL: "noop.mar", Name: "other", Handler: new(workertest.Echoes), Workers: new(1), Synchronous: true,
		})
		assert.Equal(t, model.Name("other"), done.Name)
		assert.Equal(t, "hello", f.predict(model.Ref{Name: "other"}, "hello"))
	})
	t.Run("a name that no path can hold is told of", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		for _, name := range []model.Name{"a b", "..", "%2F", `a\b`} {
			f.registered(model.Registration{URL: "noop.mar", Name: name})
		}
		assert.Empty(t, f.log.of(t, "warn"), "paths can hold these")
		f.registered(model.Registration{URL: "noop.mar", Name: "a/b", Workers: new(1), Synchronous: true})
		require.Len(t, f.log.of(t, "warn"), 1)
		assert.Contains(t, f.log.of(t, "warn")[0], "The name of model a/b has a slash: only /invocations?model_name= reaches it")
		assert.Equal(t, "hello", f.predict(model.Ref{Name: "a/b"}, "hello"))
	})
	t.Run("MGT-049 a later version is not the default", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{version: "2.0"})
		f.put("old.mar", source{version: "1.0"})
		f.registered(model.Registration{URL: "noop.mar"})
		f.registered(model.Registration{URL: "old.mar"})
		all, err := f.DescribeAll("noop")
		require.NoError(t, err)
		require.Len(t, all, 2)
		assert.Equal(t, model.Version("1.0"), all[0].Archive.Version, "MGT-049")
		assert.False(t, all[0].Default)
		assert.True(t, all[1].Default)
		assert.Equal(t, []model.Listed{{Name: "noop", URL: "noop.mar"}}, f.List())
	})
}

// TestRegisterRefused is about what fails before there are workers.
func TestRegisterRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url     string
		put     source
		kind    fault.Kind
		message string
	}{
		"MGT-012 empty":      {"", source{}, fault.ModelNotFound, "empty url"},
		"MGT-012 upwards":    {"../noop.mar", source{}, fault.ModelNotFound, "Relative path is not allowed in url: ../noop.mar"},
		"MGT-013 missing":    {"nope.mar", source{}, fault.ModelNotFound, "Model not found at: nope.mar"},
		"MGT-019 no name":    {"noop.mar", source{name: "-"}, fault.InvalidModel, "Model name is not defined."},
		"C++ ranks":          {"noop.mar", source{runtime: "LSP", yaml: "parallelType: tp\nparallelLevel: 2\n"}, fault.InvalidModel, "This server does not support parallelType with the runtime LSP yet"},
		"too many workers":   {"noop.mar", source{yaml: "minWorkers: 5000\nmaxWorkers: 5000\n"}, fault.BadRequest, "A model can have at most 4096 workers, not 5000."},
		"MGT-035 other file": {"sub/nope.mar", source{}, fault.ModelNotFound, "Model not found at: sub/nope.mar"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.put("noop.mar", c.put)
			_, err := f.Register(t.Context(), model.Registration{URL: c.url, Workers: new(1), Synchronous: true})
			f.fails(err, c.kind, c.message)
			assert.Empty(t, f.List())
			assert.Empty(t, f.unpacked())
			assert.Equal(t, []string{"noop.mar"}, f.stored())
		})
	}
}

// TestRollBack is about registrations whose workers fail: nothing of them is
// left, and the same call can be repeated.
func TestRollBack(t *testing.T) {
	t.Parallel()
	for behaviour, c := range map[string]struct {
		status  int
		details string
	}{
		workertest.Unloadable: {500, "RuntimeError: no weights"},
		workertest.Exhausts:   {507, "MemoryError"},
		workertest.Absent:     {500, "ImportError: no module"},
	} {
		t.Run("MGT-024 MGT-025 MAR-077 "+behaviour, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			bad := source{handler: behaviour}
			if s, _ := workertest.Named(behaviour); s.Boot.Do != "" {
				bad.script = s // it does not live to hear the name of its handler
			}
			f.put("noop.mar", bad)
			call := model.Registration{URL: "noop.mar", Workers: new(2), Synchronous: true}
			for range 2 {
				_, err := f.Register(t.Context(), call)
				f.fails(err, fault.Worker, "Failed to start workers for model noop version: 1.0")
				assert.Equal(t, c.status, fault.Status(err))
				assert.Contains(t, fault.Details(err), c.details)
				f.gone("noop")
			}
			f.put("noop.mar", source{})
			assert.Equal(t, model.Done, f.registered(call).Progress)
			assert.Equal(t, "hello", f.predict(noop(""), "hello"))
		})
	}
	t.Run("MAR-134 a C++ model without the C++ worker", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		_, err := f.Register(t.Context(), model.Registration{URL: "noop.mar", Runtime: model.LSP, Workers: new(1), Synchronous: true})
		f.fails(err, fault.Worker, "Failed to start workers for model noop version: 1.0")
		assert.Equal(t, 500, fault.Status(err))
		f.gone("noop")
		f.registered(model.Registration{URL: "noop.mar", Runtime: model.LSP})
		assert.Equal(t, model.LSP, f.described(noop("")).Archive.Runtime)
	})
	t.Run("another version stays, and stays the default", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{version: "1.0"})
		f.put("bad.mar", source{version: "2.0", handler: workertest.Unloadable})
		f.registered(model.Registration{URL: "noop.mar", Workers: new(1), Synchronous: true})
		_, err := f.Register(t.Context(), model.Registration{URL: "bad.mar", Workers: new(1), Synchronous: true})
		f.fails(err, fault.Worker, "Failed to start workers for model noop version: 2.0")
		assert.Equal(t, "hello", f.predict(noop(""), "hello"))
		_, err = f.Describe(noop("2.0"))
		f.fails(err, fault.VersionNotFound, "Model version: 2.0 does not exist for model: noop")
	})
	t.Run("MGT-037 a downloaded archive goes, too", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		bad := source{handler: workertest.Unloadable}.mar(t)
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bad) }))
		t.Cleanup(web.Close)
		call := model.Registration{URL: web.URL + "/noop.mar", Workers: new(1), Synchronous: true}
		_, err := f.Register(t.Context(), call)
		f.fails(err, fault.Worker, "Failed to start workers for model noop version: 1.0")
		f.gone("noop")
		assert.Empty(t, f.stored())
		call.Handler = new(workertest.Echoes)
		f.registered(call)
		assert.Equal(t, []string{"noop.mar"}, f.stored())
	})
}

// TestClientGone cuts calls short at their two long moments.
func TestClientGone(t *testing.T) {
	t.Parallel()
	t.Run("while the archive is fetched: nothing is left", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		}))
		t.Cleanup(web.Close)
		_, err := f.Register(ctx, model.Registration{URL: web.URL + "/noop.mar", Workers: new(1), Synchronous: true})
		assert.Equal(t, fault.Canceled, fault.KindOf(err))
		f.gone("noop")
		assert.Empty(t, f.stored())
	})
	for name, c := range map[string]struct {
		load  workertest.Action
		stays bool
	}{
		"while workers start: they go on":                            {workertest.Action{}, true},
		"while workers start that fail: MGT-025 the model goes, too": {workertest.Action{Do: workertest.Fail, Code: 500}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			gate := f.gated("noop", c.load)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				_, err := f.Register(ctx, model.Registration{URL: "noop", Workers: new(1), Synchronous: true})
				ended <- err
			}()
			gate.Await(t)
			cancel()
			gate.Open(t)
			err := <-ended
			if c.stays {
				require.NoError(t, err)
				assert.Equal(t, "hello", f.predict(noop(""), "hello"))
				return
			}
			f.fails(err, fault.Worker, "Failed to start workers for model noop version: 1.0")
			f.gone("noop")
		})
	}
}

// TestStopping is about registrations that a stop of the server overtakes.
func TestStopping(t *testing.T) {
	t.Parallel()
	for name, synchronous := range map[string]bool{"synchronous": true, "asynchronous": false} {
		t.Run("while workers start, "+name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			gate := f.gated("noop", workertest.Action{})
			ended := make(chan error, 1)
			go func() {
				_, err := f.Register(t.Context(), model.Registration{URL: "noop", Workers: new(1), Synchronous: synchronous})
				ended <- err
			}()
			gate.Await(t)
			require.NoError(t, f.Close(t.Context()))
			if synchronous {
				f.fails(<-ended, fault.Busy, "The server is stopping")
			} else {
				require.NoError(t, <-ended, "it was over before")
			}
			assert.Empty(t, f.List())
		})
	}
	t.Run("while the archive is fetched: the download ends", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("PK")) // a client that has gone does not matter
			_ = http.NewResponseController(w).Flush()
			assert.NoError(t, f.Close(context.WithoutCancel(r.Context())))
			<-r.Context().Done()
		}))
		t.Cleanup(web.Close)
		_, err := f.Register(t.Context(), model.Registration{URL: web.URL + "/noop.mar", Workers: new(1), Synchronous: true})
		f.fails(err, fault.Busy, "The server is stopping")
		assert.Empty(t, f.List())
		assert.Empty(t, f.unpacked())
		assert.Empty(t, f.stored())
		_, err = f.Register(t.Context(), model.Registration{URL: web.URL + "/noop.mar"})
		f.fails(err, fault.Busy, "The server is stopping")
	})
	t.Run("while the archive is fetched", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		mar := source{}.mar(t)
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.NoError(t, f.Close(r.Context()))
			_, _ = w.Write(mar)
		}))
		t.Cleanup(web.Close)
		_, err := f.Register(t.Context(), model.Registration{URL: web.URL + "/noop.mar", Workers: new(1), Synchronous: true})
		f.fails(err, fault.Busy, "The server is stopping")
		assert.Empty(t, f.List())
		assert.Empty(t, f.unpacked())
		assert.Empty(t, f.stored())
	})
}
