package logging_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/torchserve-go/torchserve/pkg/logging"
)

func prediction() logging.AccessLine {
	return logging.AccessLine{
		Remote: "127.0.0.1:64003", Method: "POST", URI: "/predictions/resnet18", Protocol: "HTTP/1.1", Status: 200, Elapsed: 3 * time.Millisecond,
	}
}

const metric = "Requests2XX.Count:1.0|#Level:Host|#hostname:node1,timestamp:1718000000"

// running returns a log whose lines are written while the test goes on.
func running(tb testing.TB) *bench {
	tb.Helper()
	b := newBench(tb, func(cfg *logging.Config) { cfg.Console, cfg.Now = io.Discard, nil })
	go func() { _ = b.Run(tb.Context()) }()
	return b
}

func BenchmarkAccessLog(b *testing.B) {
	access := running(b).Access("http")
	line := prediction()
	b.ReportAllocs()
	for b.Loop() {
		access.Log(line)
	}
}

func BenchmarkLogger(b *testing.B) {
	log := running(b).Logger(logging.MetricsName, "metrics")
	b.ReportAllocs()
	for b.Loop() {
		log.Info().Msg(metric)
	}
}

func BenchmarkLines(b *testing.B) {
	for name, count := range map[string]int{"1": 1, "3": 3} {
		b.Run(name, func(b *testing.B) {
			lines := running(b).Lines(logging.MetricsName, "metrics")
			text := bytes.Repeat([]byte(metric+"\n"), count)
			b.ReportAllocs()
			for b.Loop() {
				lines.Log(text)
			}
		})
	}
}
