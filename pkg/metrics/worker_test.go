package metrics_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/metrics"
)

const line = "PredictionTime.Milliseconds:83.13|#ModelName:resnet18,Level:Model|#type:GAUGE|#hostname:node2,1718000001,id-a,id-b"

func TestWorkerLines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"MET-049 MET-066 the unit is the file's": {
			line, "PredictionTime.ms:83.13|#ModelName:resnet18,Level:Model|#hostname:node2,requestID:id-a,id-b,timestamp:1718000000\n",
		},
		"MET-042 MET-066 neither type nor request": {
			"HandlerTime.Milliseconds:1|#ModelName:m,Level:Model|#hostname:n,1",
			"HandlerTime.ms:1.0|#ModelName:m,Level:Model|#hostname:n,requestID:null,timestamp:1718000000\n",
		},
		"MET-043 a large number": {
			"HandlerTime.ms:1e+16|#ModelName:m,Level:Model|#hostname:n,1",
			"HandlerTime.ms:1.0E16|#ModelName:m,Level:Model|#hostname:n,requestID:null,timestamp:1718000000\n",
		},
		"MET-044 marks in values": {
			"HandlerTime.ms:1|#ModelName:a,b c,Level:x:y|#hostname:n,1",
			"HandlerTime.ms:1.0|#ModelName:a,b c,Level:x:y|#hostname:n,requestID:null,timestamp:1718000000\n",
		},
		"too many dimensions, by position as 0.12 (MET §4.1)": {
			"HandlerTime.ms:1|#A:1,B:2,C:3,D:4|#hostname:n,1",
			"HandlerTime.ms:1.0|#ModelName:1,Level:2,Hostname:3|#hostname:n,requestID:null,timestamp:1718000000\n",
		},
		"too few dimensions":              {"HandlerTime.ms:1|#|#hostname:n,1", "HandlerTime.ms:1.0|#|#hostname:n,requestID:null,timestamp:1718000000\n"},
		"MET-046 unknown, and not wanted": {"Other.ms:1|#|#type:GAUGE|#hostname:n,1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, metrics.Log, nil)
			b.worker().Line(c.text)
			assert.Equal(t, c.want, b.model.String())
			assert.Empty(t, b.log.String())
			assert.Empty(t, b.server.String())
		})
	}
	t.Run("MET-045 what is no metric line", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Log, nil)
		b.worker().Line("Failed to update metric with name:x")
		assert.Equal(t, `{"level":"error","message":"Failed to parse metrics line: \"[METRICS]Failed to update metric with name:x\"."}`+"\n", b.log.String())
		assert.Empty(t, b.model.String())
	})
	t.Run("what is not a number", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Log, nil)
		b.worker().Line("HandlerTime.ms:nan|#ModelName:m,Level:Model|#hostname:n,1")
		assert.Equal(t, `{"level":"warn","message":"Metric HandlerTime is dropped, its value is nan"}`+"\n", b.log.String())
		assert.Empty(t, b.model.String())
	})
}

func detecting(cfg *metrics.Config) { cfg.AutoDetect = true }

const (
	unknown    = "Images.Count:2|#ModelName:resnet18,Kind:png|#type:COUNTER|#hostname:node2,1718000001,id-a"
	registered = `{"level":"info","message":"Registering auto detected backend metric: Images.Count:2|#ModelName:resnet18,Kind:png|#hostname:node2,requestID:id-a,timestamp:1718000001"}` + "\n"
)

func TestDetection(t *testing.T) {
	t.Parallel()
	t.Run("MET-047 MET-049 in log mode", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Log, detecting)
		b.worker().Line(unknown)
		b.worker().Line(strings.Replace(unknown, "Count:2", "Other:3", 1))
		assert.Equal(t, `Images.Count:2.0|#ModelName:resnet18,Kind:png|#hostname:node2,requestID:id-a,timestamp:1718000000
Images.Count:3.0|#ModelName:resnet18,Kind:png|#hostname:node2,requestID:id-a,timestamp:1718000000
`, b.model.String())
		assert.Equal(t, registered, b.log.String())
	})
	t.Run("MET-047 as series", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, detecting)
		b.worker().Line(unknown)
		b.worker().Line(unknown)
		assert.Equal(t, []string{`Images{ModelName="resnet18",Kind="png",Hostname="node2",} 4.0`}, b.samples(t))
		assert.Equal(t, registered, b.log.String())
		assert.Empty(t, b.model.String())
		text, _ := b.scrape(t, "/metrics?name[]=Images")
		assert.Contains(t, text, "# HELP Images Torchserve prometheus counter metric with unit: Count\n# TYPE Images counter\n")
	})
	t.Run("names are made legal for series and kept in lines", func(t *testing.T) {
		t.Parallel()
		const odd = "2 img/s-é.m/s:1|#__a-b:x,1:y,:z|#type:GAUGE|#hostname:n,1"
		b := newBench(t, metrics.Prometheus, detecting)
		b.worker().Line(odd)
		assert.Equal(t, []string{`_2_img_s__{_a_b="x",_1="y",_="z",Hostname="n",} 1.0`}, b.samples(t))
		b = newBench(t, metrics.Log, detecting)
		b.worker().Line(odd)
		assert.Equal(t, "2 img/s-é.m/s:1.0|#__a-b:x,1:y,:z|#hostname:n,requestID:null,timestamp:1718000000\n", b.model.String())
	})
	t.Run("the type must be known", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Log, detecting)
		b.worker().Line("Images.Count:1|#|#hostname:n,1")
		b.worker().Line("Images.Count:1|#|#type:gauge|#hostname:n,1")
		assert.Equal(t, `{"level":"error","message":"Failed to update backend metric Images: no such type: \"\""}
{"level":"error","message":"Failed to update backend metric Images: no such type: \"gauge\""}
`, b.log.String())
		assert.Empty(t, b.model.String())
	})
	t.Run("a name of the server is told once", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, detecting)
		for range 3 {
			b.worker().Line("QueueTime.Count:1|#|#type:COUNTER|#hostname:n,1")
			b.worker().Line("PredictionTime.Count:1|#|#type:COUNTER|#hostname:n,1")
		}
		assert.Equal(t, 1, strings.Count(b.log.String(), "Failed to update backend metric QueueTime: Collector already registered that provides name: QueueTime"))
		assert.Equal(t, 3, strings.Count(b.log.String(), "Failed to update backend metric PredictionTime: Incorrect number of labels."))
		assert.Empty(t, b.samples(t))
	})
	t.Run("MET-048 two workers at once", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, detecting)
		const workers, lines = 4, 50
		var all sync.WaitGroup
		for range workers {
			w := b.worker()
			all.Go(func() {
				for i := range lines {
					w.Line(fmt.Sprintf("Sum%d.Count:1|#|#type:COUNTER|#hostname:n,1", i))
				}
			})
		}
		all.Wait()
		samples := b.samples(t)
		assert.Len(t, samples, lines)
		for i := range lines {
			assert.Contains(t, samples, fmt.Sprintf(`Sum%d{Hostname="n",} %d.0`, i, workers))
		}
	})
}

func TestDetectionIsBounded(t *testing.T) {
	t.Parallel()
	const most, more = 1000, 1100
	for name, c := range map[string]struct {
		mode   metrics.Mode
		format string
	}{
		"metrics in log mode": {metrics.Log, "M%d.Count:1|#|#type:GAUGE|#hostname:n,1"},
		"metrics with series": {metrics.Prometheus, "M%d.Count:1|#|#type:GAUGE|#hostname:n,1"},
		"series":              {metrics.Prometheus, "M.Count:1|#Id:%d|#type:GAUGE|#hostname:n,1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, c.mode, detecting)
			first, second := b.worker(), b.worker()
			for i := range more {
				first.Line(fmt.Sprintf(c.format, i))
				second.Line(fmt.Sprintf(c.format, i))
			}
			const warning = `{"level":"warn","message":"Model resnet18 has more than 1000 auto detected metrics or series, further ones are dropped"}` + "\n"
			assert.Equal(t, 1, strings.Count(b.log.String(), warning))
			if c.mode == metrics.Log {
				assert.Equal(t, 2*most, strings.Count(b.model.String(), "\n"))
			} else {
				assert.Len(t, b.samples(t), most)
			}
			other := b.Worker("another", zerolog.New(&b.log))
			other.Line(fmt.Sprintf(c.format, more))
			assert.Equal(t, 1, strings.Count(b.log.String(), warning))
			assert.NotContains(t, b.log.String(), "Model another")
		})
	}
	t.Run("a defined metric is not", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, metrics.Prometheus, detecting)
		w := b.worker()
		for i := range more {
			w.Line(fmt.Sprintf("HandlerTime.ms:1|#ModelName:%d,Level:Model|#hostname:n,1", i))
		}
		assert.Len(t, b.samples(t), more)
		assert.Empty(t, b.log.String())
	})
}
