package serving_test

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/serving"
	"github.com/torchserve-go/torchserve/pkg/worker"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

func scaling(n int, synchronous bool) model.Scaling {
	return model.Scaling{Workers: model.Workers{Min: n, Max: n}, Synchronous: synchronous}
}

func TestScale(t *testing.T) {
	t.Parallel()
	t.Run("MGT-040 synchronous and asynchronous", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		f.registered(model.Registration{URL: "noop.mar"})
		progress, err := f.Scale(t.Context(), noop("1.0"), scaling(2, true))
		require.NoError(t, err)
		assert.Equal(t, model.Done, progress)
		assert.Equal(t, "hello", f.predict(noop(""), "hello"))
		progress, err = f.Scale(t.Context(), noop(""), scaling(3, false))
		require.NoError(t, err)
		assert.Equal(t, model.Accepted, progress)
		status := f.described(noop(""))
		assert.Len(t, status.Workers, 3, "MGT-023")
		assert.Equal(t, model.Workers{Min: 3, Max: 3}, status.Settings.Workers)
		assert.Contains(t, f.log.of(t, "debug"), serving.LogManager+" updateModel: noop, count: 3")
	})
	t.Run("MGT-044 to none, whatever the maximum", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		f.registered(model.Registration{URL: "noop.mar", Workers: new(2), Synchronous: true})
		progress, err := f.Scale(t.Context(), noop(""), model.Scaling{Workers: model.Workers{Max: 5}, Synchronous: true})
		require.NoError(t, err)
		assert.Equal(t, model.Done, progress)
		assert.Empty(t, f.described(noop("")).Workers)
		j, _ := newJob(noop(""), "x")
		f.fails(f.Submit(t.Context(), j), fault.Busy, "")
	})
	t.Run("MGT-042 unknown ones", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		f.registered(model.Registration{URL: "noop.mar"})
		_, err := f.Scale(t.Context(), noop("9.9"), scaling(1, true))
		f.fails(err, fault.VersionNotFound, "Model version: 9.9 does not exist for model: noop")
		_, err = f.Scale(t.Context(), model.Ref{Name: "x"}, scaling(1, true))
		f.fails(err, fault.ModelNotFound, "Model not found: x")
	})
	t.Run("to more than a machine can have", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		f.registered(model.Registration{URL: "noop.mar"})
		for _, synchronous := range []bool{true, false} {
			_, err := f.Scale(t.Context(), noop(""), scaling(math.MaxInt32, synchronous))
			f.fails(err, fault.BadRequest, "A model can have at most 4096 workers, not 2147483647.")
		}
		assert.Equal(t, model.Workers{}, f.described(noop("")).Settings.Workers)
	})
	for version, text := range map[model.Version]string{"": "null", "1.0": "1.0"} {
		t.Run("a worker fails: the model stays, version "+text, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.put("noop.mar", source{handler: workertest.Exhausts})
			f.registered(model.Registration{URL: "noop.mar"})
			_, err := f.Scale(t.Context(), noop(version), scaling(1, true))
			f.fails(err, fault.Worker, "Failed to start workers for model noop version: "+text)
			assert.Equal(t, 507, fault.Status(err))
			assert.Contains(t, fault.Details(err), "MemoryError")
			assert.Len(t, f.described(noop("")).Workers, 1)
		})
	}
	t.Run("the client goes: the work goes on", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		gate := f.gated("noop", workertest.Action{})
		f.registered(model.Registration{URL: "noop"})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := f.Scale(ctx, noop(""), scaling(1, true))
			ended <- err
		}()
		gate.Await(t)
		cancel()
		assert.Equal(t, fault.Canceled, fault.KindOf(<-ended))
		gate.Open(t)
		assert.Equal(t, "hello", f.predict(noop(""), "hello"))
	})
}

func TestSetDefault(t *testing.T) {
	t.Parallel()
	t.Run("MGT-056 the version without a name, from one to another", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		for file, version := range map[string]string{"1.mar": "1.0", "2.mar": "2.0"} {
			answer := workertest.Action{Do: workertest.Item, Code: 200, Text: version}
			f.put(file, source{version: version, script: workertest.Script{Infer: []workertest.Action{answer}}})
		}
		for _, url := range []string{"1.mar", "2.mar"} {
			f.registered(model.Registration{URL: url, Workers: new(1), Synchronous: true})
		}
		assert.Equal(t, "1.0", f.predict(noop(""), "x"))
		require.NoError(t, f.SetDefault(t.Context(), noop("2.0")))
		assert.Equal(t, "2.0", f.predict(noop(""), "x"), "MGT-056")
		assert.Equal(t, "1.0", f.predict(noop("1.0"), "x"))
		assert.Equal(t, []model.Listed{{Name: "noop", URL: "2.mar"}}, f.List())
		assert.True(t, f.described(noop("2.0")).Default)
		assert.False(t, f.described(noop("1.0")).Default)
		f.fails(f.SetDefault(t.Context(), noop("9.9")), fault.VersionNotFound, "Model version 9.9 does not exist for model noop")
		f.fails(f.SetDefault(t.Context(), model.Ref{Name: "x", Version: "1.0"}), fault.ModelNotFound, "Model not found: x")
	})
}

func TestUnregister(t *testing.T) {
	t.Parallel()
	t.Run("MGT-053 the default version while there are others", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("1.mar", source{})
		f.put("2.mar", source{version: "2.0"})
		f.registered(model.Registration{URL: "1.mar", Workers: new(1), Synchronous: true})
		f.registered(model.Registration{URL: "2.mar"})
		for _, ref := range []model.Ref{noop(""), noop("1.0")} {
			f.fails(f.Unregister(t.Context(), ref), fault.DefaultVersion, "Cannot remove default version for model noop")
		}
		assert.Equal(t, "hello", f.predict(noop(""), "hello"), "it serves on")
	})
	t.Run("MGT-054 the last version, then it is gone", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		f.registered(model.Registration{URL: "noop.mar", Workers: new(1), Synchronous: true})
		require.NoError(t, f.Unregister(t.Context(), noop("")))
		f.gone("noop")
		f.fails(f.Unregister(t.Context(), noop("")), fault.ModelNotFound, "Model not found: noop")
		assert.Equal(t, []string{"noop.mar"}, f.stored(), "MGT-055 an archive of the store stays")
		assert.Contains(t, f.log.of(t, "info"), serving.LogManager+" Model noop unregistered.")
		assert.Equal(t, model.Done, f.registered(model.Registration{URL: "noop.mar", Workers: new(1), Synchronous: true}).Progress)
	})
	t.Run("MGT-055 a downloaded archive goes", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		mar := source{}.mar(t)
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(mar) }))
		t.Cleanup(web.Close)
		f.registered(model.Registration{URL: web.URL + "/noop.mar"})
		assert.Equal(t, []string{"noop.mar"}, f.stored())
		require.NoError(t, f.Unregister(t.Context(), noop("")))
		f.gone("noop")
		assert.Empty(t, f.stored())
	})
	t.Run("unknown ones", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		f.registered(model.Registration{URL: "noop.mar"})
		f.fails(f.Unregister(t.Context(), noop("9.9")), fault.VersionNotFound, "Model version: 9.9 does not exist for model: noop")
	})
	t.Run("MGT-071 what is in work is answered, what is queued is refused at once", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		dir := f.directory("noop", source{script: workertest.Script{Infer: []workertest.Action{{Gate: true}}}})
		gate := workertest.NewGate(t, model.Archive{Dir: dir})
		f.registered(model.Registration{URL: "noop", Workers: new(1), Synchronous: true})
		_, working := f.submit(noop(""), "working")
		gate.Await(t)
		_, queued := f.submit(noop(""), strings.Repeat("q", worker.MaxAhead)) // too much to be sent ahead
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Unregister(ctx, noop("")) }()
		f.fails(workertest.Failure(t, queued), fault.Busy, "")
		cancel() // the client goes; the removal goes on
		gate.Open(t)
		assert.Equal(t, "working", string(workertest.Reply(t, working).Body))
		require.NoError(t, <-ended)
		f.gone("noop")
	})
	t.Run("everybody at once", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		f.registered(model.Registration{URL: "noop.mar", Workers: new(1), Synchronous: true})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := f.Unregister(t.Context(), noop("")); err != nil {
					assert.Equal(t, fault.ModelNotFound, fault.KindOf(err))
				}
			})
			all.Go(func() {
				if _, err := f.Scale(t.Context(), noop(""), scaling(2, true)); err != nil {
					assert.Contains(t, []fault.Kind{fault.ModelNotFound, fault.Busy}, fault.KindOf(err), "%v", err)
				}
			})
		}
		all.Wait()
		f.gone("noop")
	})
}

// TestHealth follows a model from its registration to the end of the server.
func TestHealth(t *testing.T) {
	t.Parallel()
	t.Run("INF-130 MGT-061 from no model to the end", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		type health struct{ healthy, ready, anyLoaded, allLoaded bool }
		is := func() health { return health{f.Healthy(), f.Ready(), f.AnyLoaded(), f.AllLoaded()} }
		loaded := func(name model.Name) bool {
			ok, err := f.Loaded(name)
			require.NoError(t, err)
			return ok
		}
		assert.Equal(t, health{healthy: true, ready: true}, is(), "no models")

		gate := f.gated("noop", workertest.Action{})
		f.registered(model.Registration{URL: "noop", Workers: new(1)})
		assert.Equal(t, health{healthy: true}, is(), "a worker that loads is healthy, and not ready")
		assert.False(t, loaded("noop"), "MGT-061")
		gate.Await(t)
		gate.Open(t)
		f.predict(noop(""), "x")
		assert.Equal(t, health{true, true, true, true}, is())
		assert.True(t, loaded("noop"), "MGT-061")

		f.put("bare.mar", source{name: "bare"})
		f.registered(model.Registration{URL: "bare.mar"})
		assert.Equal(t, health{healthy: true, ready: true, anyLoaded: true}, is(), "a model that wants no workers")
		assert.False(t, loaded("bare"))

		f.put("2.mar", source{version: "2.0", handler: workertest.Unloadable})
		f.registered(model.Registration{URL: "2.mar", Workers: new(1)})
		assert.Equal(t, health{healthy: true, ready: true, anyLoaded: true}, is(), "only default versions count")

		_, err := f.Loaded("x")
		f.fails(err, fault.ModelNotFound, "Model not found: x")

		_, err = f.Scale(t.Context(), noop(""), scaling(0, true))
		require.NoError(t, err)
		assert.Equal(t, health{healthy: true, ready: true}, is(), "scaled to none")

		require.NoError(t, f.Close(t.Context()))
		assert.False(t, f.Healthy())
		assert.False(t, f.Ready())
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	t.Run("CLI-024 what is in work is answered, what is queued and what comes is refused", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		dir := f.directory("noop", source{script: workertest.Script{Infer: []workertest.Action{{Gate: true}}}})
		gate := workertest.NewGate(t, model.Archive{Dir: dir})
		f.registered(model.Registration{URL: "noop", Workers: new(1), Synchronous: true})
		_, working := f.submit(noop(""), "working")
		gate.Await(t)
		_, queued := f.submit(noop(""), strings.Repeat("q", worker.MaxAhead)) // too much to be sent ahead
		ended := make(chan error, 1)
		go func() { ended <- f.Close(t.Context()) }()
		f.fails(workertest.Failure(t, queued), fault.Busy, "")
		assert.False(t, f.Healthy())
		late, _ := newJob(noop(""), "late")
		f.fails(f.Submit(t.Context(), late), fault.Busy, "")
		gate.Open(t)
		assert.Equal(t, "working", string(workertest.Reply(t, working).Body))
		require.NoError(t, <-ended)
		f.fails(f.Submit(t.Context(), late), fault.Busy, "")
	})
	t.Run("CLI-025 what takes longer than the grace is refused", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		forever := workertest.Action{Gate: true, Do: workertest.Hang}
		dir := f.directory("noop", source{script: workertest.Script{Infer: []workertest.Action{forever}}})
		gate := workertest.NewGate(t, model.Archive{Dir: dir})
		f.registered(model.Registration{URL: "noop", Workers: new(1), Synchronous: true})
		_, s := f.submit(noop(""), "x")
		gate.Await(t)
		gate.Open(t)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 0, fault.New(fault.Busy, ""))
		defer cancel()
		require.NoError(t, f.Close(ctx))
		f.fails(workertest.Failure(t, s), fault.Busy, "")
	})
	t.Run("CLI-027 its lines, once", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("1.mar", source{})
		f.put("2.mar", source{version: "2.0"})
		f.registered(model.Registration{URL: "1.mar", Workers: new(1), Synchronous: true})
		f.registered(model.Registration{URL: "2.mar"})
		require.NoError(t, f.Close(t.Context()))
		require.NoError(t, f.Close(t.Context()))
		said := map[string]int{}
		for _, line := range f.log.of(t, "info") {
			said[line]++
		}
		assert.Equal(t, 1, said[serving.LogServer+" Unregistering model noop version 1.0"])
		assert.Equal(t, 1, said[serving.LogServer+" Unregistering model noop version 2.0"])
		assert.Equal(t, 2, said[serving.LogManager+" Model noop unregistered."])
	})
}
