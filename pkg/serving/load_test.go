package serving_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/serving"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

// TestLoad is about models that are loaded when the server starts.
func TestLoad(t *testing.T) {
	t.Parallel()
	t.Run("CFG-033 MAR-078 MAR-080 MGT-069 all of the store", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("a.mar", source{name: "a"})
		f.directory("dir", source{name: "b"})
		f.put(".hidden.mar", source{name: "hidden"})
		f.file("notes.txt", "no model")
		f.file("broken.tar.gz", "no archive")
		f.put("z.mar", source{name: "z"})
		f.LoadAll(t.Context())
		assert.Equal(t, []model.Listed{{Name: "a", URL: "a.mar"}, {Name: "b", URL: "dir"}, {Name: "z", URL: "z.mar"}}, f.List())
		for _, listed := range f.List() {
			status := f.described(model.Ref{Name: listed.Name})
			assert.True(t, status.LoadedAtStartup, "MGT-069 %s", listed.Name)
			assert.Len(t, status.Workers, 1)
			assert.Equal(t, "hello", f.predict(model.Ref{Name: listed.Name}, "hello"))
		}
		assert.Equal(t, []string{serving.LogServer + " Failed to load model: " + filepath.Join(f.store, "broken.tar.gz")}, f.log.of(t, "warn"))
		assert.Contains(t, f.log.of(t, "debug"), serving.LogServer+" Loading models from model store: a.mar")
	})
	t.Run("a store that is gone", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		require.NoError(t, os.Remove(f.store))
		f.LoadAll(t.Context())
		assert.Equal(t, []string{serving.LogServer + " Model store path is not found: " + f.store}, f.log.of(t, "warn"))
	})
	t.Run("CFG-034 CFG-036 MAR-081 MAR-082 a list, with a duplicate and a broken one", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("a.mar", source{})
		f.put("b.mar", source{yaml: "minWorkers: [broken\n"})
		f.Load(t.Context(), "", "a.mar")
		f.Load(t.Context(), "", "a.mar")
		f.Load(t.Context(), "", "none.mar")
		f.Load(t.Context(), "named", "b.mar")
		assert.Equal(t, []model.Listed{{Name: "named", URL: "b.mar"}, {Name: "noop", URL: "a.mar"}}, f.List())
		assert.Equal(t, []string{
			serving.LogServer + " Failed to load model: a.mar",
			serving.LogServer + " Failed to load model: none.mar",
		}, f.log.of(t, "warn"))
		assert.Contains(t, f.log.of(t, "info"), serving.LogServer+" Loading initial models: none.mar")
		assert.Len(t, f.unpacked(), 2, "nothing is left of the duplicate")
	})
	t.Run("CFG-037 MAR-079 a model without any name", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("my-model v1.2.mar", source{name: "-"})
		f.Load(t.Context(), "", "my-model v1.2.mar")
		assert.Equal(t, "hello", f.predict(model.Ref{Name: "my_model_v1_2"}, "hello"))
	})
	t.Run("workers that fail are not waited for, and the model stays", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{handler: workertest.Unloadable})
		f.Load(t.Context(), "", "noop.mar")
		assert.Len(t, f.described(noop("")).Workers, 1)
	})
	t.Run("MAR-093 half a pair of workers is told", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{yaml: "minWorkers: 2\n"})
		f.Load(t.Context(), "", "noop.mar")
		assert.Len(t, f.described(noop("")).Workers, 1)
		assert.Equal(t, []string{serving.LogServer + " Invalid model config in mar, minWorkers:2, maxWorkers:0"}, f.log.of(t, "warn"))
	})
	t.Run("the startup is stopped", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("a.mar", source{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		f.LoadAll(ctx)
		assert.Empty(t, f.List())
	})
	t.Run("the model that needs no name in a request", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		only := func() string {
			name, ok := f.StartupModel()
			assert.Equal(t, ok, name != "")
			return string(name)
		}
		f.put("api.mar", source{name: "api"})
		f.registered(model.Registration{URL: "api.mar"})
		assert.Empty(t, only(), "registered by a client")
		f.put("1.mar", source{version: "1.0"})
		f.put("2.mar", source{version: "2.0"})
		f.put("other.mar", source{name: "other"})
		f.Load(t.Context(), "", "1.mar")
		assert.Equal(t, "noop", only())
		f.Load(t.Context(), "", "2.mar")
		assert.Equal(t, "noop", only(), "versions of one name are one model")
		f.Load(t.Context(), "", "other.mar")
		assert.Empty(t, only(), "two")
		require.NoError(t, f.Unregister(t.Context(), model.Ref{Name: "other"}))
		assert.Equal(t, "noop", only())
	})
}

// TestStoreUntouched proves that serving a directory in place and giving it up
// leaves the directory alone.
func TestStoreUntouched(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	dir := f.directory("noop", source{})
	f.registered(model.Registration{URL: "noop"})
	require.NoError(t, f.Unregister(t.Context(), noop("")))
	assert.FileExists(t, filepath.Join(dir, "MAR-INF", "MANIFEST.json"))
}
