package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/metrics"
	"github.com/torchserve-go/torchserve/pkg/model"
)

const exposition = "text/plain; version=0.0.4; charset=utf-8"

func TestHandler(t *testing.T) {
	t.Parallel()
	t.Run("MET-013 MET-063 in log mode there is nothing but this server's own", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Log, nil)
		predict(b.Recorder, 200)
		b.worker().Line(line)
		text, header := b.scrape(t, "/metrics")
		assert.Equal(t, exposition, header.Get("Content-Type"))
		for line := range strings.Lines(text) {
			assert.True(t, native(line), line)
		}
		text, header = b.scrape(t, "/metrics?name[]=Requests2XX")
		assert.Empty(t, text)
		assert.Equal(t, "0", header.Get("Content-Length"))
		assert.Equal(t, exposition, header.Get("Content-Type"))
	})
	t.Run("MET-051 any method", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, nil)
		b.Answered(200)
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			w := httptest.NewRecorder()
			b.Handler().ServeHTTP(w, httptest.NewRequest(method, "/metrics/x", strings.NewReader("body")))
			assert.Equal(t, http.StatusOK, w.Code)
			assert.Contains(t, w.Body.String(), `Requests2XX{Level="Host",Hostname="node1",} 1.0`)
		}
	})
	t.Run("MET-057 names select samples", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, nil)
		predict(b.Recorder, 200)
		const answers = `# HELP Requests2XX Torchserve prometheus counter metric with unit: Count
# TYPE Requests2XX counter
Requests2XX{Level="Host",Hostname="node1",} 1.0
`
		const queue = `# HELP QueueTime Torchserve prometheus gauge metric with unit: Milliseconds
# TYPE QueueTime gauge
QueueTime{Level="Host",Hostname="node1",} 1.0
`
		for query, want := range map[string]string{
			"name[]=Requests2XX":                         answers,
			"name%5B%5D=QueueTime&name[]=Requests2XX":    answers + queue,
			"name[]=Requests5XX":                         "", // no samples
			"name[]=":                                    "",
			"name[]=nothing":                             "",
			"name[]=nothing&name[]=QueueTime":            queue,
			"name[]=" + "ts_queue_length&name[]=nothing": "",
		} {
			text, _ := b.scrape(t, "/metrics?"+query)
			assert.Equal(t, want, text, query)
		}
		text, _ := b.scrape(t, "/metrics?name=Requests2XX")
		assert.Contains(t, text, queue, "another parameter")
	})
	t.Run("MET-058 a histogram by its samples", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, defining(t, "ts_metrics: {histogram: [{name: H, unit: u, dimensions: []}]}"))
		const header = "# HELP H Torchserve prometheus histogram metric with unit: u\n# TYPE H histogram\n"
		for name, want := range map[string]string{"H": "", "H_count": header + "H_count 0.0\n", "H_sum": header + "H_sum 0.0\n"} {
			text, _ := b.scrape(t, "/metrics?name[]="+name)
			assert.Equal(t, want, text, name)
		}
		text, _ := b.scrape(t, "/metrics?name[]=H_bucket")
		assert.Equal(t, 15, strings.Count(text, "H_bucket{le="))
		assert.NotContains(t, text, "H_count")
	})
	t.Run("a scrape that is counted after its answer", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, nil)
		scrape := func() string {
			w := counted{httptest.NewRecorder(), b.Recorder}
			b.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics?name[]=Requests2XX", http.NoBody))
			return w.Body.String()
		}
		assert.Empty(t, scrape())
		assert.Contains(t, scrape(), "} 1.0\n")
		assert.Contains(t, scrape(), "} 2.0\n")
	})
}

// counted counts answers as the REST edge does.
type counted struct {
	*httptest.ResponseRecorder
	of *metrics.Recorder
}

func (c counted) Write(p []byte) (int, error) {
	c.of.Answered(http.StatusOK)
	return c.ResponseRecorder.Write(p)
}

func TestNative(t *testing.T) {
	t.Parallel()
	figures := []metrics.ModelFigures{
		{Name: "resnet18", Version: "1.0", Queued: 3, Capacity: 100, Oldest: 1500 * time.Millisecond, Running: 8, Loaded: 2},
		{
			Name: "a", Version: "2.0", Workers: 3, Wanted: model.Workers{Min: 1, Max: 4},
			Scalings: map[model.ScalingReason]int{model.JobsWaited: 2, model.WorkersIdle: 0},
		},
	}
	b := newBench(t, metrics.Log, func(cfg *metrics.Config) { cfg.Models = func() []metrics.ModelFigures { return figures } })
	text, _ := b.scrape(t, "/metrics")
	assert.NotContains(t, text, "ts_token_refusals_total")
	assert.Contains(t, text, `# HELP ts_jobs_running Jobs that workers have.
# TYPE ts_jobs_running gauge
ts_jobs_running{model_name="a",model_version="2.0",} 0.0
ts_jobs_running{model_name="resnet18",model_version="1.0",} 8.0
`)
	assert.Contains(t, text, `# HELP ts_autoscale_decisions_total Workers that were added or retired automatically.
# TYPE ts_autoscale_decisions_total counter
ts_autoscale_decisions_total{direction="down",model_name="a",model_version="2.0",reason="idle",} 0.0
ts_autoscale_decisions_total{direction="up",model_name="a",model_version="2.0",reason="wait",} 2.0
`)
	for _, sample := range []string{
		`ts_queue_length{model_name="resnet18",model_version="1.0",} 3.0`,
		`ts_queue_capacity{model_name="resnet18",model_version="1.0",} 100.0`,
		`ts_queue_oldest_wait_seconds{model_name="resnet18",model_version="1.0",} 1.5`,
		`ts_workers_loaded{model_name="resnet18",model_version="1.0",} 2.0`,
		`ts_workers{model_name="a",model_version="2.0",} 3.0`,
		`ts_workers_min{model_name="a",model_version="2.0",} 1.0`,
		`ts_workers_max{model_name="a",model_version="2.0",} 4.0`,
		"# TYPE ts_go_goroutines gauge",
		`ts_go_gc_duration_seconds{quantile="0.5",} `,
		"ts_go_gc_duration_seconds_count ",
	} {
		assert.Contains(t, text, sample)
	}
	figures = nil
	for _, listener := range []string{"inference", "management", "inference"} {
		b.Refused(listener)
	}
	text, _ = b.scrape(t, "/metrics?name[]=ts_token_refusals_total&name[]=ts_jobs_running")
	assert.Equal(t, `# HELP ts_token_refusals_total Requests without the key that they needed.
# TYPE ts_token_refusals_total counter
ts_token_refusals_total{listener="inference",} 2.0
ts_token_refusals_total{listener="management",} 1.0
`, text)
	t.Run("the file's metrics come before this server's own of the same name", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, defining(t, "ts_metrics: {gauge: [{name: ts_go_goroutines, unit: u, dimensions: []}]}"))
		text, _ := b.scrape(t, "/metrics?name[]=ts_go_goroutines")
		assert.Equal(t, "# HELP ts_go_goroutines Torchserve prometheus gauge metric with unit: u\n# TYPE ts_go_goroutines gauge\nts_go_goroutines 0.0\n", text)
	})
	t.Run("figures that cannot be shown do not hide the others", func(t *testing.T) {
		t.Parallel()
		twice := metrics.ModelFigures{Name: "a", Version: "1"}
		b := newBench(t, metrics.Log, func(cfg *metrics.Config) {
			cfg.Models = func() []metrics.ModelFigures { return []metrics.ModelFigures{twice, twice} }
		})
		text, _ := b.scrape(t, "/metrics")
		assert.Contains(t, text, "ts_go_goroutines ")
		assert.Contains(t, b.log.String(), "Some metrics cannot be shown")
	})
}
