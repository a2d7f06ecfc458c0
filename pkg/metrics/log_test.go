package metrics_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/metrics"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// predict makes the calls of one REST prediction that the default version of a
// model answers with status.
func predict(r *metrics.Recorder, status int) {
	r.Requested(resnet)
	r.Answered(status)
	r.Predicted(resnet, 290371129*time.Nanosecond, 1999*time.Microsecond)
}

func TestServerLines(t *testing.T) {
	t.Parallel()
	const end = "|#Level:Host|#hostname:node1,timestamp:1718000000\n"
	const of = "|#model_name:resnet18,model_version:default|#hostname:node1,timestamp:1718000000\n"
	for name, c := range map[string]struct {
		call func(b *bench)
		want string
	}{
		"MET-066 a prediction": {
			func(b *bench) { predict(b.Recorder, 200) },
			"ts_inference_requests_total.Count:1.0" + of + "Requests2XX.Count:1.0" + end +
				"ts_inference_latency_microseconds.Microseconds:290371.129" + of + "ts_queue_latency_microseconds.Microseconds:1999.0" + of +
				"QueueTime.Milliseconds:1.0" + end,
		},
		"MET-017 a version that was named": {
			func(b *bench) { b.Requested(model.Ref{Name: "m", Version: "2.0"}) },
			"ts_inference_requests_total.Count:1.0|#model_name:m,model_version:2.0|#hostname:node1,timestamp:1718000000\n",
		},
		"statuses, 1XX and 3XX in none (D2)": {
			func(b *bench) {
				for _, status := range []int{101, 201, 299, 302, 400, 499, 500, 600} {
					b.Answered(status)
				}
			},
			"Requests2XX.Count:1.0" + end + "Requests2XX.Count:1.0" + end + "Requests4XX.Count:1.0" + end + "Requests4XX.Count:1.0" + end +
				"Requests5XX.Count:1.0" + end + "Requests5XX.Count:1.0" + end,
		},
		"MET-027 the load time of a worker": {
			func(b *bench) {
				b.worker().WorkerLoadTime("W-9000-resnet18_1.0", 4593*time.Millisecond+999*time.Microsecond)
			},
			"WorkerLoadTime.Milliseconds:4593.0|#WorkerName:W-9000-resnet18_1.0,Level:Host|#hostname:node1,timestamp:1718000000\n",
		},
		"MET-027 the thread time of a worker": {
			func(b *bench) { b.worker().WorkerThreadTime(2999 * time.Microsecond) }, "WorkerThreadTime.Milliseconds:2.0" + end,
		},
		"a name cannot begin a line of its own": {
			func(b *bench) { b.Requested(model.Ref{Name: "a\nb\x7f"}) },
			`ts_inference_requests_total.Count:1.0|#model_name:a\x0ab\x7f,model_version:default|#hostname:node1,timestamp:1718000000` + "\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, metrics.Log, nil)
			c.call(b)
			assert.Equal(t, c.want, b.server.String())
			assert.Empty(t, b.model.String())
			assert.Empty(t, b.log.String())
			assert.Empty(t, b.samples(t))
		})
	}
}

func TestServerLinesFollowTheFile(t *testing.T) {
	t.Parallel()
	t.Run("MET-006 what is not in the file does not exist", func(t *testing.T) {
		t.Parallel()
		for _, mode := range []metrics.Mode{metrics.Log, metrics.Prometheus, metrics.Legacy} {
			b := newBench(t, mode, defining(t, "ts_metrics: {gauge: [{name: QueueTime, unit: ms, dimensions: [L, H]}]}"))
			for _, status := range []int{200, 404, 500} {
				predict(b.Recorder, status)
			}
			b.worker().WorkerLoadTime("W", time.Second)
			b.worker().WorkerThreadTime(time.Second)
			b.Forget("W")
			if mode == metrics.Prometheus {
				assert.Equal(t, []string{`QueueTime{L="Host",H="node1",} 1.0`}, b.samples(t))
				assert.Empty(t, b.server.String())
			} else {
				line := "QueueTime.ms:1.0|#L:Host|#hostname:node1,timestamp:1718000000\n"
				assert.Equal(t, line+line+line, b.server.String())
				assert.Empty(t, b.samples(t))
			}
			assert.Empty(t, b.log.String())
		}
	})
	t.Run("a file without metrics", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Log, defining(t, "{}"))
		predict(b.Recorder, 200)
		b.worker().Line(line)
		assert.Empty(t, b.server.String()+b.model.String()+b.log.String())
	})
	t.Run("another number of dimensions is told once (D5)", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Log, defining(t, `
ts_metrics:
  counter:
  - {name: Requests2XX, unit: Count, dimensions: []}
  - {name: Requests4XX, unit: Count, dimensions: [Level]}
  - {name: Requests5XX, unit: Count, dimensions: [Level, Zone, Hostname]}
`))
		told := `{"level":"error","message":"Failed to load metrics configuration: ts_metrics.counter \"Requests2XX\": it has 0 dimensions, its updates have 2 values; they are cut or filled up"}
{"level":"error","message":"Failed to load metrics configuration: ts_metrics.counter \"Requests4XX\": it has 1 dimensions, its updates have 2 values; they are cut or filled up"}
{"level":"error","message":"Failed to load metrics configuration: ts_metrics.counter \"Requests5XX\": it has 3 dimensions, its updates have 2 values; they are cut or filled up"}
`
		assert.Equal(t, told, b.log.String())
		b.Answered(200)
		b.Answered(400)
		b.Answered(500)
		assert.Equal(t, `Requests2XX.Count:1.0|#|#hostname:node1,timestamp:1718000000
Requests4XX.Count:1.0|#Level:Host|#hostname:node1,timestamp:1718000000
Requests5XX.Count:1.0|#Level:Host|#hostname:node1,timestamp:1718000000
`, b.server.String())
		assert.Equal(t, told, b.log.String())
	})
	t.Run("the host is that of the system, the clock too", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Log, func(cfg *metrics.Config) { cfg.Host, cfg.Now = "", nil })
		b.Answered(200)
		assert.Regexp(t, `^Requests2XX\.Count:1\.0\|#Level:Host\|#hostname:[^,]+,timestamp:\d{10}\n$`, b.server.String())
		assert.NotContains(t, b.server.String(), "hostname:node1,")
	})
}
