package metrics_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/metrics"
	"github.com/torchserve-go/torchserve/pkg/yaml11"
)

// withoutDocument compares what was made of a file.
var withoutDocument = cmpopts.IgnoreFields(metrics.Definitions{}, "Document")

func TestShipped(t *testing.T) {
	t.Parallel()
	t.Run("MET-002 the shipped definitions", func(t *testing.T) {
		t.Parallel()
		define := func(kind metrics.Type, unit string, dimensions string, names ...string) []metrics.Definition {
			var defs []metrics.Definition
			for _, name := range names {
				defs = append(defs, metrics.Definition{Name: name, Unit: unit, Type: kind, Dimensions: strings.Fields(dimensions)})
			}
			return defs
		}
		join := func(parts ...[]metrics.Definition) (all []metrics.Definition) {
			for _, p := range parts {
				all = append(all, p...)
			}
			return all
		}
		c, g, host, gpu := metrics.Counter, metrics.Gauge, "Level Hostname", "Level DeviceId Hostname"
		want := metrics.Definitions{
			Server: join(
				define(c, "Count", host, "Requests2XX", "Requests4XX", "Requests5XX"),
				define(c, "Count", "model_name model_version hostname", "ts_inference_requests_total"),
				define(c, "Microseconds", "model_name model_version hostname", "ts_inference_latency_microseconds", "ts_queue_latency_microseconds"),
				define(g, "Milliseconds", host, "QueueTime", "WorkerThreadTime"),
				define(g, "Milliseconds", "WorkerName Level Hostname", "WorkerLoadTime"),
				define(g, "Percent", host, "CPUUtilization"),
				define(g, "Megabytes", host, "MemoryUsed", "MemoryAvailable"),
				define(g, "Percent", host, "MemoryUtilization"),
				define(g, "Gigabytes", host, "DiskUsage"),
				define(g, "Percent", host, "DiskUtilization"),
				define(g, "Gigabytes", host, "DiskAvailable"),
				define(g, "Percent", gpu, "GPUMemoryUtilization"),
				define(g, "Megabytes", gpu, "GPUMemoryUsed"),
				define(g, "Percent", gpu, "GPUUtilization"),
			),
			Model: define(g, "ms", "ModelName Level", "HandlerTime", "PredictionTime"),
		}
		got := shipped(t)
		assert.NotEmpty(t, got.Document)
		assert.Empty(t, cmp.Diff(want, got, withoutDocument))
	})
	t.Run("the sample is the file that workers get", func(t *testing.T) {
		t.Parallel()
		a, err := os.ReadFile(sample)
		require.NoError(t, err)
		b, err := os.ReadFile(workers)
		require.NoError(t, err)
		assert.Equal(t, string(b), string(a))
	})
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	t.Run("a missing file", func(t *testing.T) {
		t.Parallel()
		_, err := metrics.Load("/no/metrics.yaml", zerolog.Nop())
		require.ErrorIs(t, err, os.ErrNotExist)
		assert.EqualError(t, err, "Failed to load metrics configuration: /no/metrics.yaml: no such file or directory")
	})
	t.Run("what is not YAML", func(t *testing.T) {
		t.Parallel()
		var log sink
		path := write(t, "ts_metrics: [\n")
		_, err := metrics.Load(path, zerolog.New(&log))
		require.ErrorContains(t, err, "Failed to load metrics configuration: "+path+": ")
		assert.Empty(t, log.String())
	})
}

const good = "{name: Good, unit: Count, dimensions: []}"

func TestLoadSkips(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, level, want string }{
		"an empty document": {"", "error", "the file: must be a mapping"},
		"a list":            {"- a", "error", "the file: must be a mapping"},
		"an unknown key":    {"metrics: {}\nts_metrics: {gauge: [" + good + "]}", "warn", `unknown key \"metrics\" in the file is ignored`},
		"an unknown type":   {"ts_metrics: {Summary: [], gauge: [" + good + "]}", "warn", `unknown key \"Summary\" in ts_metrics is ignored`},
		"an unknown key of a metric": {
			"ts_metrics: {gauge: [" + strings.Replace(good, "{", "{help: x, ", 1) + "]}", "warn",
			`unknown key \"help\" in ts_metrics.gauge entry 1 is ignored`,
		},
		"a section that is a list":   {"ts_metrics: []", "error", "ts_metrics: must be a mapping"},
		"a type that is a mapping":   {"ts_metrics: {counter: {}, gauge: [" + good + "]}", "error", "ts_metrics.counter: must be a list"},
		"an entry that is a text":    {"ts_metrics: {gauge: [x, " + good + "]}", "error", "ts_metrics.gauge entry 1: must be a mapping"},
		"MET-009 no name":            {"ts_metrics: {gauge: [" + good + ", {unit: a, dimensions: []}]}", "error", `ts_metrics.gauge entry 2 \"\": Metric name cannot be empty.`},
		"MET-009 no unit":            {"ts_metrics: {gauge: [{name: a, dimensions: []}, " + good + "]}", "error", `ts_metrics.gauge entry 1 \"a\": Metric unit cannot be empty.`},
		"an empty unit":              {"ts_metrics: {gauge: [{name: a, unit: '', dimensions: []}, " + good + "]}", "error", `Metric unit cannot be empty.`},
		"MET-009 no dimensions":      {"ts_metrics: {gauge: [{name: a, unit: b}, " + good + "]}", "error", `ts_metrics.gauge entry 1 \"a\": dimensions must be a list of names`},
		"dimensions that are a text": {"ts_metrics: {gauge: [{name: a, unit: b, dimensions: c}, " + good + "]}", "error", `dimensions must be a list of names`},
		"a dimension that is a list": {"ts_metrics: {gauge: [{name: a, unit: b, dimensions: [[c]]}, " + good + "]}", "error", `dimensions must be a list of names`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log sink
			path := write(t, c.text)
			defs, err := metrics.Load(path, zerolog.New(&log))
			require.NoError(t, err)
			lines := strings.Split(log.String(), "\n")
			require.Len(t, lines, 3, "one finding, the success, and nothing after it: %s", log.String())
			assert.Contains(t, lines[0], `"level":"`+c.level+`"`)
			assert.Contains(t, lines[0], c.want)
			if c.level == "error" {
				assert.Contains(t, lines[0], `"message":"Failed to load metrics configuration: `)
			}
			assert.JSONEq(t, `{"level":"info","message":"Successfully loaded metrics configuration from `+path+`"}`, lines[1])
			if strings.Contains(c.text, good) {
				assert.Equal(t, []metrics.Definition{{Name: "Good", Unit: "Count", Type: metrics.Gauge, Dimensions: []string{}}}, defs.Server)
			}
		})
	}
}

func TestLoadAccepts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want metrics.Definitions
	}{
		"null sections":   {"ts_metrics:\nmodel_metrics: ~", metrics.Definitions{}},
		"null types":      {"ts_metrics: {counter: ~, gauge: }\nmodel_metrics: {}", metrics.Definitions{Server: []metrics.Definition{}, Model: []metrics.Definition{}}},
		"only dimensions": {"dimensions: {anything: goes}", metrics.Definitions{}},
		"numbers and such": {
			"ts_metrics: {histogram: [{name: 12, unit: true, dimensions: [1.5, yes, 99999999999999999999]}]}",
			metrics.Definitions{Server: []metrics.Definition{{
				Name: "12", Unit: "true", Type: metrics.Histogram, Dimensions: []string{"1.5", "true", "99999999999999999999"},
			}}},
		},
		"a shared list": {
			"model_metrics:\n  counter:\n  - {name: a, unit: u, dimensions: &d [x]}\n  - {name: b, unit: u, dimensions: *d}",
			metrics.Definitions{Model: []metrics.Definition{
				{Name: "a", Unit: "u", Dimensions: []string{"x"}}, {Name: "b", Unit: "u", Dimensions: []string{"x"}},
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log sink
			defs, err := metrics.Load(write(t, c.text), zerolog.New(&log))
			require.NoError(t, err)
			assert.Equal(t, 1, strings.Count(log.String(), "\n"), "only the success: %s", log.String())
			document, err := yaml11.Parse([]byte(c.text))
			require.NoError(t, err)
			assert.Equal(t, document, defs.Document)
			assert.Empty(t, cmp.Diff(c.want, defs, withoutDocument))
		})
	}
	t.Run("MET-011 the last of several definitions counts", func(t *testing.T) {
		t.Parallel()
		var log sink
		defs, err := metrics.Load(write(t, `
ts_metrics:
  gauge: [{name: a, unit: second, dimensions: []}]
  counter: [{name: a, unit: first, dimensions: []}, `+good+`]
`), zerolog.New(&log))
		require.NoError(t, err)
		require.Len(t, defs.Server, 2)
		assert.Equal(t, "Good", defs.Server[0].Name)
		assert.Equal(t, metrics.Definition{Name: "a", Unit: "second", Type: metrics.Gauge, Dimensions: []string{}}, defs.Server[1])
		assert.Contains(t, log.String(), `{"level":"warn","message":"Metrics configuration: ts_metrics defines \"a\" more than once; the last definition counts"}`)
	})
}
