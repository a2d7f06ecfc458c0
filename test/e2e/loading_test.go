package e2e

import (
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/test/e2e/e2etest"
)

// listed returns the models of a server with their URLs.
func listed(t *testing.T, s *e2etest.Server) map[string]string {
	t.Helper()
	var page struct {
		Models []struct{ ModelName, ModelURL string }
	}
	s.In(t).Manage(http.MethodGet, "/models").JSON(t, &page)
	all := make(map[string]string, len(page.Models))
	for _, m := range page.Models {
		all[m.ModelName] = m.ModelURL
	}
	return all
}

// nameless is an archive whose manifest names no model.
func nameless() e2etest.Archive {
	return e2etest.Archive{Handler: e2etest.Echo, Files: map[string]string{manifestFile: manifest(`{"handler": "handler.py"}`)}}
}

// named returns an archive under another name.
func named(a e2etest.Archive, name string, form e2etest.Form) e2etest.Archive {
	a.Name, a.Form = name, form
	return a
}

func TestLoading(t *testing.T) {
	t.Parallel()
	echo := e2etest.Archive{Handler: e2etest.Echo}
	t.Run("MAR-078 MAR-079 MAR-080 MAR-081 CFG-033 CFG-036 CFG-037 all of the store", func(t *testing.T) {
		t.Parallel()
		site := e2etest.NewSite(t, e2etest.NoTokens(), e2etest.Shelve(
			named(echo, "zip", e2etest.Mar), named(echo, "tar", e2etest.TarGz), named(echo, "folder", e2etest.Folder), named(echo, ".hidden", e2etest.Folder),
			named(nameless(), "my-model v1.2", e2etest.Mar), named(nameless(), "tg", e2etest.Folder),
		), e2etest.Args("--models", "ALL"))
		old := named(echo, "old", e2etest.Mar)
		require.NoError(t, os.Rename(filepath.Join(site.Store, old.Write(t, site.Store)), filepath.Join(site.Store, "old.model")))
		twin := named(echo, "twin", e2etest.Folder)
		twin.Files = map[string]string{manifestFile: manifest(`{"modelName": "zip", "handler": "handler.py"}`)}
		twin.Write(t, site.Store)
		put(t, site.Store, map[string]string{"broken.mar": "no zip", "notes.txt": "no model", ".hidden.mar": "no zip"})
		s := site.Start()
		all := listed(t, s)
		assert.Contains(t, []string{"zip.mar", "twin"}, filepath.Base(all["zip"]))
		delete(all, "zip")
		assert.Equal(t, []string{"folder", "my_model_v1_2", "old", "tar", "tg"}, slices.Sorted(maps.Keys(all)))
		s.AwaitReady()
		for name := range all {
			assert.Equal(t, name, s.Predict(name, name).Body)
			assert.True(t, describe(t, s, name).AtStartup, "MGT-069")
		}
		s.Stop()
		failed := lines(s.Logs("ts_log.log"), "[WARN ] main org.pytorch.serve.ModelServer - Failed to load model: ")
		require.Len(t, failed, 2, "the broken one, and one of the two that are named zip")
		assert.Contains(t, strings.Join(failed, " "), "broken.mar")
	})
	t.Run("CFG-034 MAR-080 a list, with names, blanks and what is not there", func(t *testing.T) {
		t.Parallel()
		site := e2etest.NewSite(t, e2etest.NoTokens(), e2etest.Properties("load_models=one.mar, other=two.mar , none.mar,,"),
			e2etest.Shelve(named(echo, "one", e2etest.Mar), named(echo, "two", e2etest.Mar), named(echo, "three", e2etest.Mar)))
		s := site.Start()
		assert.Equal(t, map[string]string{"one": "one.mar", "other": "two.mar"}, listed(t, s))
		for _, line := range []string{
			"Loading initial models: one.mar", "Loading initial models: two.mar", "Loading initial models: none.mar",
			"Model other loaded.", "Failed to load model: none.mar",
		} {
			s.AwaitLog("ts_log.log", line)
		}
	})
	t.Run("CFG-035 MAR-082 URLs", func(t *testing.T) {
		t.Parallel()
		content := packed(t, named(echo, "remote", e2etest.Mar))
		w := newWeb(t, map[string]string{"/a.mar": content, "/b.mar": content})
		s := e2etest.Start(t, e2etest.NoTokens(), e2etest.Properties("load_models="+w.URL+"/a.mar?k=v,given="+w.URL+"/b.mar"))
		assert.Equal(t, map[string]string{"remote": w.URL + "/a.mar?k=v", "given": w.URL + "/b.mar"}, listed(t, s))
	})
}

// TestStartWorkers is about the numbers of workers of models that are loaded at the
// start, and the key models.
func TestStartWorkers(t *testing.T) {
	t.Parallel()
	models := e2etest.Properties(`models={\`, `  "preset": {"1.0": {\`, `    "minWorkers": 2, "maxWorkers": 3, "batchSize": 4, "maxBatchDelay": 5, "responseTimeout": 6, "startupTimeout": 7}},\`,
		`  "yaml": {"1.0": {"minWorkers": 3, "maxWorkers": 3, "batchSize": 9, "responseTimeout": 9}},\`,
		`  "lab": {"9.9": {"batchSize": 9}, "1.0": {"batchSize": 0, "maxBatchDelay": -1}}}`)
	yaml := named(labArchive("minWorkers: 1\nmaxWorkers: 2\nbatchSize: 8\n"), "yaml", e2etest.Mar)
	l := newLab(t, models, e2etest.Serve(named(labArchive(""), "preset", e2etest.Mar), yaml))
	t.Run("CFG-038 MAR-093 the archive, the key models, the default", func(t *testing.T) {
		t.Parallel()
		for name, want := range map[string][2]int{"preset": {2, 3}, "yaml": {1, 2}, "lab": {1, 1}} {
			d := l.describe(t, name)
			assert.Equal(t, want, [2]int{d.Min, d.Max}, name)
			assert.Len(t, d.Workers, want[0])
		}
	})
	t.Run("CFG-038 without a number there are as many as CPUs", func(t *testing.T) {
		t.Parallel()
		s := e2etest.Start(t, e2etest.NoTokens(), e2etest.Properties("default_workers_per_model=0"), e2etest.Serve(labArchive("")))
		_, cpus, found := strings.Cut(s.Stdout.String(), "Number of CPUs: ")
		require.True(t, found)
		cpus, _, _ = strings.Cut(cpus, "\n")
		assert.Len(t, describe(t, s, "lab").Workers, number(t, cpus))
	})
	t.Run("CFG-039 MAR-101 MAR-102 the key models and the archive", func(t *testing.T) {
		t.Parallel()
		preset := l.describe(t, "preset")
		assert.Equal(t, []int{4, 5, 6, 7}, []int{preset.BatchSize, preset.BatchDelay, preset.Response, preset.Startup})
		fromYAML := l.describe(t, "yaml")
		assert.Equal(t, []int{8, 100, 9, 120}, []int{fromYAML.BatchSize, fromYAML.BatchDelay, fromYAML.Response, fromYAML.Startup})
		plain := l.describe(t, "lab")
		assert.Equal(t, []int{1, 100, 120, 120}, []int{plain.BatchSize, plain.BatchDelay, plain.Response, plain.Startup})
	})
	t.Run("MGT-032 MAR-101 a call beats the archive, which beats the key models", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, models)
		location := yaml.Write(t, l.Store)
		register(t, l.Server, "batch_size=2&max_batch_delay=3&initial_workers=0&url="+location)
		d := l.describe(t, "yaml")
		assert.Equal(t, []int{2, 3}, []int{d.BatchSize, d.BatchDelay})
		assert.Equal(t, []int{1, 2}, []int{d.Min, d.Max}, "MGT-031 MAR-093 but for the workers")
		assert.Len(t, d.Workers, 1)
	})
	t.Run("CFG-040 no JSON", func(t *testing.T) {
		t.Parallel()
		site := e2etest.NewSite(t, e2etest.Properties("models={"))
		got := site.Run("--start", "--foreground", "--ncs", "--model-store", site.Store)
		assert.Equal(t, 1, got.Code)
		assert.Contains(t, got.Stdout, "Invalid configuration: models: ")
	})
}

// TestModelConfig registers a model with a model-config.yaml and looks at what
// becomes of it.
func TestModelConfig(t *testing.T) {
	t.Parallel()
	l := newLab(t, e2etest.Properties("default_response_timeout=77", "default_startup_timeout=88"))
	for name, c := range map[string]struct {
		yaml, query string
		want        described // the fields that are compared
		log         string
	}{
		"MAR-090 the keys of the server": {
			"batchSize: 3\nmaxBatchDelay: 4\nresponseTimeout: 5\nstartupTimeout: 6\nmaxRetryTimeoutInSec: 7\nclientTimeoutInMills: 8000\nuseJobTicket: true\njobQueueSize: 9\ndeviceType: CPU\n", "",
			described{BatchSize: 3, BatchDelay: 4, Response: 5, Startup: 6, Retry: 7, ClientTimeout: 8000, JobTicket: true},
			"",
		},
		"MAR-105 an empty file":                       {"# nothing\n", "", described{}, ""},
		"MAR-106 no YAML":                             {"a: [\n", "", described{}, "Failed to parse model config file model-config.yaml"},
		"MAR-091 a text for a number":                 {"batchSize: 'x'\n", "", described{}, "Invalid batchSize: x, should be integer"},
		"MAR-092 MAR-095 numbers without meaning":     {"batchSize: 0\nmaxBatchDelay: 0\nresponseTimeout: 3000000000\n", "", described{}, "Invalid responseTimeout: 3000000000, should be integer"},
		"MAR-094 numbers and booleans of YAML 1.1":    {"batchSize: 0x1F\nmaxBatchDelay: 010\nresponseTimeout: 1_000\nuseJobTicket: yes\n", "", described{BatchSize: 31, BatchDelay: 8, Response: 1000, JobTicket: true}, ""},
		"MAR-096 no such device":                      {"deviceType: neuron\n", "", described{}, "Invalid DeviceType:neuron"},
		"MAR-096 a device that is not there":          {"deviceType: GPU\n", "", described{}, ""},
		"MAR-098 SCH-068 a level without a type":      {"parallelLevel: 4\n", "", described{}, ""},
		"MAR-097 a device number that is not there":   {"deviceIds: [7]\n", "", described{}, "Invalid deviceId:7, ignore deviceIds list"},
		"MGT-033 MAR-103 SCH-074 time-outs of a call": {"batchSize: 2\n", "response_timeout=44&startup_timeout=55", described{BatchSize: 2, Response: 44, Startup: 55}, ""},
		"MGT-033 MAR-103 a call beats the archive":    {"responseTimeout: 33\n", "response_timeout=7", described{Response: 7}, ""},
		"MAR-103 an archive without":                  {"batchSize: 2\n", "", described{BatchSize: 2}, ""},
		"MGT-032 lax numbers of a call":               {"batchSize: 2\n", "batch_size=dd&max_batch_delay=-7", described{BatchSize: 2, BatchDelay: -1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			model := strings.NewReplacer(" ", "_", ".", "_").Replace(name)
			a := named(labArchive(c.yaml), model, e2etest.Mar)
			register(t, l.Server, "initial_workers=0&"+c.query+"&url="+url.QueryEscape(a.Write(t, l.Store)))
			got := l.describe(t, model)
			want := c.want
			for field, standard := range map[*int]int{&want.BatchSize: 1, &want.BatchDelay: 100, &want.Response: 77, &want.Startup: 88, &want.Retry: 300} {
				if *field == 0 {
					*field = standard
				}
			}
			want.BatchDelay = max(want.BatchDelay, 0)
			assert.Equal(t, want, described{
				BatchSize: got.BatchSize, BatchDelay: got.BatchDelay, Response: got.Response, Startup: got.Startup,
				Retry: got.Retry, ClientTimeout: got.ClientTimeout, JobTicket: got.JobTicket, ParallelLevel: got.ParallelLevel,
			})
			assert.Equal(t, "cpu", got.DeviceType)
			if c.log != "" {
				l.In(t).AwaitLog("ts_log.log", c.log)
			}
		})
	}
	t.Run("MAR-105 MAR-107 the handler sees what is in the file", func(t *testing.T) {
		t.Parallel()
		l.archive(t, "empty", "# nothing\n")
		assert.Equal(t, map[string]any{}, l.world(t, "empty").Config)
		l.archive(t, "full", "batchSize: 2\nmaxBatchDelay: 1\nhandler:\n  deep: [1, yes, 0x10]\n")
		assert.Equal(t, map[string]any{
			"batchSize": 2.0, "maxBatchDelay": 1.0, "handler": map[string]any{"deep": []any{1.0, true, 16.0}},
		}, l.world(t, "full").Config)
	})
}
