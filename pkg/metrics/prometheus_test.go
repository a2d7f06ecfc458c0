package metrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/metrics"
	"github.com/torchserve-go/torchserve/pkg/model"
)

func TestSeries(t *testing.T) {
	t.Parallel()
	t.Run("MET-059 MET-060 MET-062 everything that the server measures", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, nil)
		predict(b.Recorder, 200)
		predict(b.Recorder, 404)
		b.worker().WorkerLoadTime("W-9000-resnet18_1.0", 4593*time.Millisecond)
		b.worker().Line(line)
		assert.Equal(t, []string{
			`Requests2XX{Level="Host",Hostname="node1",} 1.0`,
			`Requests4XX{Level="Host",Hostname="node1",} 1.0`,
			`ts_inference_requests_total{model_name="resnet18",model_version="default",hostname="node1",} 2.0`,
			`ts_inference_latency_microseconds{model_name="resnet18",model_version="default",hostname="node1",} 580742.258`,
			`ts_queue_latency_microseconds{model_name="resnet18",model_version="default",hostname="node1",} 3998.0`,
			`QueueTime{Level="Host",Hostname="node1",} 1.0`,
			`WorkerLoadTime{WorkerName="W-9000-resnet18_1.0",Level="Host",Hostname="node1",} 4593.0`,
			`PredictionTime{ModelName="resnet18",Level="Model",Hostname="node2",} 83.13`,
		}, b.samples(t))
		assert.Empty(t, b.server.String()+b.model.String()+b.log.String())
		text, _ := b.scrape(t, "/metrics")
		assert.True(t, strings.HasPrefix(text, `# HELP Requests2XX Torchserve prometheus counter metric with unit: Count
# TYPE Requests2XX counter
Requests2XX{Level="Host",Hostname="node1",} 1.0
# HELP Requests4XX Torchserve prometheus counter metric with unit: Count
# TYPE Requests4XX counter
Requests4XX{Level="Host",Hostname="node1",} 1.0
# HELP Requests5XX Torchserve prometheus counter metric with unit: Count
# TYPE Requests5XX counter
# HELP ts_inference_requests_total Torchserve prometheus counter metric with unit: Count
`), text)
		assert.Contains(t, text, "# HELP HandlerTime Torchserve prometheus gauge metric with unit: ms\n# TYPE HandlerTime gauge\n# HELP PredictionTime ")
		b.Predicted(resnet, 20*time.Second, 0)
		assert.Contains(t, b.samples(t), `ts_inference_latency_microseconds{model_name="resnet18",model_version="default",hostname="node1",} 2.0580742258E7`)
	})
	t.Run("MET-014 legacy", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Legacy, nil)
		predict(b.Recorder, 200)
		b.worker().Line(line)
		assert.Equal(t, []string{
			`ts_inference_requests_total{model_name="resnet18",model_version="default",hostname="node1",} 1.0`,
			`ts_inference_latency_microseconds{model_name="resnet18",model_version="default",hostname="node1",} 290371.129`,
			`ts_queue_latency_microseconds{model_name="resnet18",model_version="default",hostname="node1",} 1999.0`,
		}, b.samples(t))
		assert.Equal(t, `Requests2XX.Count:1.0|#Level:Host|#hostname:node1,timestamp:1718000000
QueueTime.Milliseconds:1.0|#Level:Host|#hostname:node1,timestamp:1718000000
`, b.server.String())
		assert.Contains(t, b.model.String(), "PredictionTime.ms:83.13|")
		text, _ := b.scrape(t, "/metrics")
		for line := range strings.Lines(text) {
			assert.True(t, native(line) || strings.Contains(line, "ts_inference_") || strings.Contains(line, "ts_queue_latency_"), line)
		}
	})
	t.Run("legacy counters are counters whatever the file says", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Legacy, defining(t,
			"ts_metrics: {gauge: [{name: ts_inference_requests_total, unit: Count, dimensions: [m, v, h]}]}"))
		b.Requested(resnet)
		b.Requested(resnet)
		assert.Equal(t, []string{`ts_inference_requests_total{m="resnet18",v="default",h="node1",} 2.0`}, b.samples(t))
	})
	t.Run("MET-007 the section is the type", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, defining(t, `
ts_metrics:
  counter: [{name: QueueTime, unit: Milliseconds, dimensions: [Level, Hostname]}]
  gauge: [{name: Requests2XX, unit: Count, dimensions: [Level, Hostname]}]
`))
		predict(b.Recorder, 200)
		predict(b.Recorder, 200)
		text, _ := b.scrape(t, "/metrics?name[]=QueueTime&name[]=Requests2XX")
		assert.Equal(t, `# HELP QueueTime Torchserve prometheus counter metric with unit: Milliseconds
# TYPE QueueTime counter
QueueTime{Level="Host",Hostname="node1",} 2.0
# HELP Requests2XX Torchserve prometheus gauge metric with unit: Count
# TYPE Requests2XX gauge
Requests2XX{Level="Host",Hostname="node1",} 1.0
`, text)
	})
	t.Run("MET-061 a histogram", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, defining(t, "ts_metrics: {histogram: [{name: Requests2XX, unit: Count, dimensions: [Level, Hostname]}]}\n"+
			"model_metrics: {histogram: [{name: T, unit: s, dimensions: []}]}"))
		for _, v := range []string{"0.005", "0.0051", "0.3", "10", "11"} {
			b.worker().Line("T.s:" + v + "|#|#hostname:n,1")
		}
		b.Answered(200)
		text, _ := b.scrape(t, "/metrics?name[]=T_bucket&name[]=T_sum&name[]=T_count")
		assert.Equal(t, `# HELP T Torchserve prometheus histogram metric with unit: s
# TYPE T histogram
T_bucket{Hostname="n",le="0.005",} 1.0
T_bucket{Hostname="n",le="0.01",} 2.0
T_bucket{Hostname="n",le="0.025",} 2.0
T_bucket{Hostname="n",le="0.05",} 2.0
T_bucket{Hostname="n",le="0.075",} 2.0
T_bucket{Hostname="n",le="0.1",} 2.0
T_bucket{Hostname="n",le="0.25",} 2.0
T_bucket{Hostname="n",le="0.5",} 3.0
T_bucket{Hostname="n",le="0.75",} 3.0
T_bucket{Hostname="n",le="1.0",} 3.0
T_bucket{Hostname="n",le="2.5",} 3.0
T_bucket{Hostname="n",le="5.0",} 3.0
T_bucket{Hostname="n",le="7.5",} 3.0
T_bucket{Hostname="n",le="10.0",} 4.0
T_bucket{Hostname="n",le="+Inf",} 5.0
T_count{Hostname="n",} 5.0
T_sum{Hostname="n",} 21.3101
`, text)
		assert.Contains(t, b.samples(t), `Requests2XX_count{Level="Host",Hostname="node1",} 1.0`)
	})
	t.Run("MET-064 marks in label values", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, nil)
		b.Requested(model.Ref{Name: "a\"b\\c\nd é 模", Version: "\xff"})
		assert.Equal(t, []string{`ts_inference_requests_total{model_name="a\"b\\c\nd é 模",model_version="` + "\uFFFD" + `",hostname="node1",} 1.0`}, b.samples(t))
	})
	t.Run("MET-050 a negative counter", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, defining(t, "model_metrics: {counter: [{name: C, unit: u, dimensions: []}]}"))
		b.worker().Line("C.u:2|#|#hostname:n,1")
		b.worker().Line("C.u:-1|#|#hostname:n,1")
		assert.Equal(t, []string{`C{Hostname="n",} 2.0`}, b.samples(t))
		assert.Equal(t, `{"level":"error","message":"Failed to update backend metric C: Amount to increment must be non-negative."}`+"\n", b.log.String())
	})
	t.Run("MET-008 one more label for each metric of models", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, defining(t,
			"ts_metrics: {gauge: [{name: QueueTime, unit: u, dimensions: &l [A, B]}]}\n"+
				"model_metrics: {gauge: [{name: M, unit: u, dimensions: *l}, {name: N, unit: u, dimensions: *l}]}"))
		predict(b.Recorder, 200)
		b.worker().Line("M.u:1|#A:1,B:2|#hostname:n,1")
		b.worker().Line("N.u:1|#A:1,B:2|#hostname:n,1")
		assert.Equal(t, []string{`QueueTime{A="Host",B="node1",} 1.0`, `M{A="1",B="2",Hostname="n",} 1.0`, `N{A="1",B="2",Hostname="n",} 1.0`}, b.samples(t))
		assert.Empty(t, b.log.String())
	})
	t.Run("the load time goes with its worker (D6)", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, nil)
		for _, name := range []string{"W-9000-m_1.0", "W-9001-m_1.0"} {
			b.worker().WorkerLoadTime(name, time.Second)
		}
		b.Forget("W-9000-m_1.0")
		b.Forget("W-9002-m_1.0")
		assert.Equal(t, []string{`WorkerLoadTime{WorkerName="W-9001-m_1.0",Level="Host",Hostname="node1",} 1000.0`}, b.samples(t))
		b.worker().WorkerLoadTime("W-9000-m_1.0", 2*time.Second)
		assert.Len(t, b.samples(t), 2)
	})
	t.Run("another number of dimensions (D5)", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, defining(t, `
ts_metrics:
  counter:
  - {name: Requests2XX, unit: Count, dimensions: []}
  - {name: Requests4XX, unit: Count, dimensions: [Level]}
  - {name: Requests5XX, unit: Count, dimensions: [Level, Zone, Hostname]}
`))
		assert.Equal(t, []string{"Requests2XX 0.0"}, b.samples(t), "without dimensions it is there at once")
		b.Answered(200)
		b.Answered(400)
		b.Answered(500)
		assert.Equal(t, []string{"Requests2XX 1.0", `Requests4XX{Level="Host",} 1.0`, `Requests5XX{Level="Host",Zone="",Hostname="node1",} 1.0`}, b.samples(t))
	})
}

func TestSeriesThatCannotBe(t *testing.T) {
	t.Parallel()
	define := func(kind metrics.Type, name string, dimensions ...string) metrics.Definition {
		return metrics.Definition{Name: name, Unit: "u", Type: kind, Dimensions: dimensions}
	}
	for name, c := range map[string]struct {
		def  metrics.Definition
		want string
	}{
		"name":                  {define(metrics.Counter, "a-b"), `ts_metrics.counter \"a-b\": Invalid metric name: a-b`},
		"name with a digit":     {define(metrics.Counter, "1a"), `Invalid metric name: 1a`},
		"label":                 {define(metrics.Gauge, "a", "b:c"), `ts_metrics.gauge \"a\": Invalid metric label name: b:c`},
		"empty label":           {define(metrics.Gauge, "a", ""), `Invalid metric label name: `},
		"reserved label":        {define(metrics.Gauge, "a", "__b"), `Invalid metric label name, reserved for internal use: __b`},
		"label of a histogram":  {define(metrics.Histogram, "a", "le"), `ts_metrics.histogram \"a\": Invalid metric label name: le`},
		"label twice":           {define(metrics.Gauge, "a", "b", "b"), `Invalid metric label name: b`},
		"suffix of a histogram": {define(metrics.Gauge, "Good_sum"), `Collector already registered that provides name: Good_sum`},
		"MET-011 the same name": {define(metrics.Gauge, "Good"), `Collector already registered that provides name: Good`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := func(cfg *metrics.Config) {
				cfg.Definitions = metrics.Definitions{Server: []metrics.Definition{define(metrics.Histogram, "Good"), c.def}}
			}
			b := newBench(t, metrics.Prometheus, change)
			assert.Equal(t, 1, strings.Count(b.log.String(), "\n"), b.log.String())
			assert.Contains(t, b.log.String(), `{"level":"error","message":"Failed to load metrics configuration: `)
			assert.Contains(t, b.log.String(), c.want)
			assert.Contains(t, b.samples(t), "Good_sum 0.0", "the rest is there")
			assert.Empty(t, newBench(t, metrics.Log, change).log.String(), "lines can be anything")
		})
	}
	t.Run("MET-011 a metric of models has a name of the server", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, func(cfg *metrics.Config) {
			cfg.Definitions = metrics.Definitions{
				Server: []metrics.Definition{define(metrics.Gauge, "QueueTime", "L", "H")},
				Model:  []metrics.Definition{define(metrics.Counter, "QueueTime")},
			}
		})
		assert.Contains(t, b.log.String(), `model_metrics.counter \"QueueTime\": Collector already registered that provides name: QueueTime`)
		b.worker().Line("QueueTime.u:5|#|#hostname:n,1")
		predict(b.Recorder, 200)
		assert.Equal(t, []string{`QueueTime{L="Host",H="node1",} 1.0`}, b.samples(t))
	})
}
