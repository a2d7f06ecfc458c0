package metrics_test

import (
	"testing"
	"time"

	"github.com/torchserve-go/torchserve/pkg/metrics"
)

// newSilent returns a recorder whose lines nobody reads.
func newSilent(tb testing.TB, mode metrics.Mode) *bench {
	tb.Helper()
	return newBench(tb, mode, func(cfg *metrics.Config) { cfg.Server, cfg.Model, cfg.Now = nil, nil, nil })
}

// BenchmarkRequest is all that one request costs in this package.
func BenchmarkRequest(b *testing.B) {
	for _, mode := range []metrics.Mode{metrics.Log, metrics.Prometheus} {
		b.Run(string(mode), func(b *testing.B) {
			r := newSilent(b, mode)
			w := r.worker()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r.Requested(resnet)
					w.WorkerThreadTime(60 * time.Microsecond)
					w.Line(line)
					r.Answered(200)
					r.Predicted(resnet, 1234567*time.Nanosecond, 345678*time.Nanosecond)
				}
			})
		})
	}
}

func BenchmarkPredicted(b *testing.B) {
	r := newSilent(b, metrics.Log)
	b.ReportAllocs()
	for b.Loop() {
		r.Predicted(resnet, 1234567*time.Nanosecond, 345678*time.Nanosecond)
	}
}

func BenchmarkLine(b *testing.B) {
	w := newSilent(b, metrics.Log).worker()
	b.ReportAllocs()
	for b.Loop() {
		w.Line(line)
	}
}

func BenchmarkScrape(b *testing.B) {
	r := newSilent(b, metrics.Prometheus)
	predict(r.Recorder, 200)
	b.ReportAllocs()
	for b.Loop() {
		r.scrape(b, "/metrics")
	}
}
