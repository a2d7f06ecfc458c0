package serving_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/serving"
	"github.com/torchserve-go/torchserve/pkg/snapshot"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

// version is what a snapshot says about a model that was registered without
// wishes, in the place of which change puts some.
func version(name model.Name, change func(*snapshot.Version)) snapshot.Version {
	v := snapshot.Version{
		Name: name, Version: "1.0", Default: true, Archive: "noop.mar",
		Size: model.DefaultBatchSize, Delay: model.DefaultBatchDelay,
		Response: model.DefaultResponse, Startup: model.DefaultStartup, Runtime: model.Python,
	}
	if change != nil {
		change(&v)
	}
	return v
}

func withWorkers(least, most int) func(*snapshot.Version) {
	return func(v *snapshot.Version) { v.Workers = model.Workers{Min: least, Max: most} }
}

// TestJournal: each change that a client makes is reported once, when it is
// ordered.
func TestJournal(t *testing.T) {
	t.Parallel()
	t.Run("MGT-068 CLI-032 register, scale, set-default, unregister", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		f.put("2.mar", source{version: "2.0"})
		two := func(isDefault bool) snapshot.Version {
			return version("noop", func(v *snapshot.Version) { v.Version, v.Archive, v.Default = "2.0", "2.mar", isDefault })
		}
		for _, step := range []struct {
			what string
			do   func() error
			want []snapshot.Version
		}{
			{"register without workers", func() error {
				_, err := f.Register(t.Context(), model.Registration{URL: "noop.mar"})
				return err
			}, []snapshot.Version{version("noop", nil)}},
			{"register with workers", func() error {
				_, err := f.Register(t.Context(), model.Registration{
					URL: "noop.mar", Name: "other", Workers: new(1), Synchronous: true, Handler: new(workertest.Echoes),
					BatchSize: new(3), BatchDelay: new(time.Second), Response: new(5 * time.Second), Startup: new(6 * time.Second),
				})
				return err
			}, []snapshot.Version{version("noop", nil), version("other", func(v *snapshot.Version) {
				v.Workers, v.Handler, v.Size, v.Delay = model.Workers{Min: 1, Max: 1}, new(workertest.Echoes), 3, time.Second
				v.Response, v.Startup = 5*time.Second, 6*time.Second
			})}},
			{"unregister", func() error { return f.Unregister(t.Context(), model.Ref{Name: "other"}) }, []snapshot.Version{version("noop", nil)}},
			{"scale", func() error {
				_, err := f.Scale(t.Context(), noop(""), model.Scaling{Workers: model.Workers{Min: 1, Max: 4}})
				return err
			}, []snapshot.Version{version("noop", withWorkers(1, 4))}},
			{"another version", func() error {
				_, err := f.Register(t.Context(), model.Registration{URL: "2.mar"})
				return err
			}, []snapshot.Version{version("noop", withWorkers(1, 4)), two(false)}},
			{"set-default", func() error { return f.SetDefault(t.Context(), noop("2.0")) }, []snapshot.Version{
				version("noop", func(v *snapshot.Version) { v.Workers, v.Default = model.Workers{Min: 1, Max: 4}, false }), two(true),
			}},
		} {
			require.NoError(t, step.do(), step.what)
			assert.Equal(t, [][]snapshot.Version{step.want}, f.saved.take(), step.what)
		}
		_, err := f.Register(t.Context(), model.Registration{URL: "noop.mar"})
		require.Error(t, err)
		_, err = f.Scale(t.Context(), noop("9"), scaling(1, false))
		require.Error(t, err)
		require.Error(t, f.SetDefault(t.Context(), noop("9")))
		require.Error(t, f.Unregister(t.Context(), noop("2.0")), "the default")
		assert.Empty(t, f.saved.take(), "what was refused has changed nothing")
	})
	t.Run("MGT-068 before the workers are up", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		gate := f.gated("noop", workertest.Action{})
		ended := make(chan error, 1)
		go func() {
			_, err := f.Register(t.Context(), model.Registration{URL: "noop", Workers: new(1), Synchronous: true})
			ended <- err
		}()
		gate.Await(t)
		want := version("noop", func(v *snapshot.Version) { v.Archive, v.Workers = "noop", model.Workers{Min: 1, Max: 1} })
		assert.Equal(t, [][]snapshot.Version{{want}}, f.saved.take())
		gate.Open(t)
		require.NoError(t, <-ended)
		assert.Empty(t, f.saved.take())
	})
	t.Run("MGT-068 a synchronous registration that fails: when it is ordered, and when all is cleaned up", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{handler: workertest.Unloadable})
		_, err := f.Register(t.Context(), model.Registration{URL: "noop.mar", Workers: new(1), Synchronous: true})
		require.Error(t, err)
		assert.Equal(t, [][]snapshot.Version{{version("noop", withWorkers(1, 1))}, nil}, f.saved.take())
	})
	t.Run("D-CLI-12 what is changed when the server stops does not hold", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		f.put("2.mar", source{version: "2.0"})
		f.registered(model.Registration{URL: "noop.mar"})
		f.registered(model.Registration{URL: "2.mar"})
		f.Refuse()
		assert.False(t, f.Ready())
		_, err := f.Scale(t.Context(), noop(""), scaling(1, false))
		f.fails(err, fault.Busy, "The server is stopping")
		f.fails(f.SetDefault(t.Context(), noop("2.0")), fault.Busy, "The server is stopping")
		f.fails(f.Unregister(t.Context(), noop("1.0")), fault.Busy, "The server is stopping")
	})
}

func TestRestore(t *testing.T) {
	t.Parallel()
	restore := func(t *testing.T, f *fixture, all ...snapshot.Version) error {
		t.Helper()
		return f.Restore(t.Context(), snapshot.State{Name: "s.cfg", Created: time.UnixMilli(1), Count: len(all), Versions: all})
	}
	t.Run("CLI-035 as it was, whatever archive and configuration say", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(c *serving.Config) {
			c.Defaults.Workers, c.Models = 7, map[model.Name]map[model.Version]serving.Preset{"noop": {"1.0": {MinWorkers: 5, BatchSize: 5, Runtime: model.LSP}}}
		})
		f.put("noop.mar", source{runtime: "python3", yaml: "minWorkers: 3\nmaxWorkers: 4\nbatchSize: 9\nmaxBatchDelay: 9\nresponseTimeout: 9\nstartupTimeout: 9\nclientTimeoutInMills: 600000\n"})
		f.put("2.mar", source{version: "2.0"})
		want := []snapshot.Version{
			version("noop", func(v *snapshot.Version) {
				v.Workers, v.Size, v.Delay = model.Workers{Min: 1, Max: 2}, 2, 0
				v.Response, v.Startup, v.Default = 60*time.Second, 61*time.Second, false
			}),
			version("noop", func(v *snapshot.Version) { v.Version, v.Archive, v.AtStartup = "2.0", "2.mar", true }),
		}
		require.NoError(t, restore(t, f, want...))
		assert.Equal(t, want, f.Served())
		assert.Equal(t, "hello", f.predict(noop("1.0"), "hello"), "a request waits for the workers")
		status := f.described(noop("1.0"))
		assert.Equal(t, 10*time.Minute, status.Settings.Timeouts.Client, "MAR §5.5: the rest is the archive's")
		assert.False(t, status.LoadedAtStartup)
		name, only := f.StartupModel()
		assert.True(t, only, "D-CLI-22")
		assert.Equal(t, model.Name("noop"), name)
		const log = snapshot.LogName + " "
		said := f.log.of(t, "info")
		assert.Contains(t, said[0], log+"Started restoring models from snapshot {\"name\":\"s.cfg\",\"modelCount\":2,")
		assert.NotContains(t, said[0], "\n")
		assert.Equal(t, []string{log + "Validating snapshot s.cfg", log + "Snapshot s.cfg validated successfully"}, said[1:3])
	})
	t.Run("CLI-045 D-CLI-22 a handler of the registration", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{handler: workertest.Unloadable})
		v := version("noop", func(v *snapshot.Version) {
			v.Workers, v.Handler = model.Workers{Min: 1, Max: 1}, new(workertest.Echoes)
		})
		require.NoError(t, restore(t, f, v))
		assert.Equal(t, "hello", f.predict(noop(""), "hello"))
	})
	t.Run("SCH-068 a parallel level", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, withDevices(4))
		f.put("noop.mar", source{yaml: "parallelType: custom\nparallelLevel: 4\n"})
		require.NoError(t, restore(t, f, version("noop", func(v *snapshot.Version) { v.ParallelLevel = 2 })))
		assert.Equal(t, 2, f.described(noop("")).Settings.Devices.Level)
		assert.Equal(t, 2, f.Served()[0].ParallelLevel)
	})
	t.Run("no models", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		require.NoError(t, restore(t, f))
		assert.Equal(t, []string{snapshot.LogName + " Model snapshot is empty. Starting TorchServe without initial models."}, f.log.of(t, "warn"))
	})
	t.Run("when the server is told to stop it ends", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, f.Restore(ctx, snapshot.State{Count: 1, Versions: []snapshot.Version{version("noop", nil)}}))
		assert.Empty(t, f.List())
		assert.Empty(t, f.log.of(t, "error"))
	})
	t.Run("an archive that holds another version by now", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		f.put("noop.mar", source{version: "3.0"})
		require.NoError(t, restore(t, f, version("noop", nil)))
		assert.True(t, f.described(noop("3.0")).Default)
		assert.Equal(t, []string{snapshot.LogName + " Model noop: the archive noop.mar holds version 3.0 in the place of version 1.0"}, f.log.of(t, "warn"))
	})
}

// TestRestoreFailures is about versions that cannot be restored.
func TestRestoreFailures(t *testing.T) {
	t.Parallel()
	broken := func(t *testing.T, change func(*serving.Config)) (*fixture, snapshot.State) {
		t.Helper()
		f := newFixture(t, change)
		f.put("noop.mar", source{})
		f.file("damaged.mar", "no archive")
		at := func(name model.Name, archive string) snapshot.Version {
			return version(name, func(v *snapshot.Version) { v.Archive, v.Workers = archive, model.Workers{Min: 1, Max: 1} })
		}
		return f, snapshot.State{Name: "s.cfg", Count: 4, Versions: []snapshot.Version{
			at("a", "missing.mar"), at("b", "noop.mar"), at("c", "damaged.mar"), at("d", "gone.mar"),
		}}
	}
	logged := []string{
		snapshot.LogName + " Model archive file for model a, version 1.0 not found in model store",
		snapshot.LogName + " Model archive file for model d, version 1.0 not found in model store",
		snapshot.LogName + " Error while registering model. Details: Failed to read model archive: damaged.mar: not an archive",
	}
	t.Run("CLI-040 all of them are named, and no worker is started", func(t *testing.T) {
		t.Parallel()
		f, s := broken(t, nil)
		assert.False(t, f.Restorable(s))
		err := f.Restore(t.Context(), s)
		f.fails(err, fault.InvalidModel, "Model archive file for model :a, version :1.0 not found in model store (missing.mar); "+
			"model c, version 1.0 (damaged.mar): Failed to read model archive: damaged.mar: not an archive; "+
			"Model archive file for model :d, version :1.0 not found in model store (gone.mar)")
		assert.Equal(t, logged, f.log.of(t, "error"))
		assert.Empty(t, f.described(model.Ref{Name: "b"}).Workers)
	})
	t.Run("CLI-040 D-CLI-17 with snapshot_lenient the others are restored", func(t *testing.T) {
		t.Parallel()
		f, s := broken(t, func(c *serving.Config) { c.Lenient = true })
		require.NoError(t, f.Restore(t.Context(), s))
		assert.Equal(t, logged, f.log.of(t, "error"))
		assert.Equal(t, []model.Listed{{Name: "b", URL: "noop.mar"}}, f.List())
		assert.Equal(t, "hello", f.predict(model.Ref{Name: "b"}, "hello"))
	})
	t.Run("too few devices: nothing is left of the version", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(c *serving.Config) { c.Devices, c.Lenient = 1, true })
		f.put("noop.mar", source{yaml: "parallelType: tp\nparallelLevel: 2\n"})
		require.NoError(t, f.Restore(t.Context(), snapshot.State{Count: 1, Versions: []snapshot.Version{version("noop", withWorkers(1, 1))}}))
		f.gone("noop")
		assert.Contains(t, f.log.of(t, "error"), snapshot.LogName+" Error while registering model. Details: No enough gpu devices for model:noop parallelLevel:2")
	})
}

// TestRestoreLocation is about models that do not come from a file of the store.
func TestRestoreLocation(t *testing.T) {
	t.Parallel()
	t.Run("D-CLI-22 a download is not fetched again, and goes with its model", func(t *testing.T) {
		t.Parallel()
		body := source{}.mar(t)
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
		f := newFixture(t, nil)
		location := h.URL + "/dir/noop.mar?X-Amz-Signature=hidden"
		f.registered(model.Registration{URL: location})
		served := f.Served()
		assert.Equal(t, []snapshot.Version{version("noop", func(v *snapshot.Version) { v.URL = location })}, served)
		h.Close()

		again := newFixtureAt(t, f.store, nil)
		require.NoError(t, again.Restore(t.Context(), snapshot.State{Name: "s.cfg", Count: 1, Versions: served}))
		assert.Equal(t, served, again.Served())
		for _, line := range again.log.of(t, "info") {
			assert.NotContains(t, line, "hidden")
		}
		require.NoError(t, again.Unregister(t.Context(), noop("")))
		assert.Empty(t, again.stored())

		err := newFixtureAt(t, f.store, nil).Restore(t.Context(), snapshot.State{Name: "s.cfg", Count: 1, Versions: served})
		require.Error(t, err, "it is not there any more, and nor is the host")
		assert.Contains(t, fault.Message(err), "model noop, version 1.0 (noop.mar): ")
		assert.NotContains(t, err.Error(), "hidden")
	})
	t.Run("a file in its place is good enough", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		h := httptest.NewServer(http.NotFoundHandler())
		defer h.Close()
		f.put("noop.mar", source{})
		v := version("noop", func(v *snapshot.Version) { v.URL = h.URL + "/noop.mar" })
		require.NoError(t, f.Restore(t.Context(), snapshot.State{Count: 1, Versions: []snapshot.Version{v}}))
		assert.Equal(t, []snapshot.Version{version("noop", nil)}, f.Served())
		assert.Empty(t, f.log.of(t, "error"))
	})
	t.Run("D-CLI-22 a directory by its path", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, nil)
		path := f.directory(filepath.Join("below", "noop"), source{})
		f.registered(model.Registration{URL: path})
		served := f.Served()
		assert.Equal(t, []snapshot.Version{version("noop", func(v *snapshot.Version) { v.Archive, v.URL = "noop", path })}, served)
		again := newFixtureAt(t, f.store, nil)
		s := snapshot.State{Count: 1, Versions: served}
		assert.True(t, again.Restorable(s))
		require.NoError(t, again.Restore(t.Context(), s))
		assert.Equal(t, served, again.Served())
		require.NoError(t, os.RemoveAll(path))
		assert.False(t, again.Restorable(s))
	})
}
