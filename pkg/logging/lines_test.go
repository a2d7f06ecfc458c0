package logging_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/torchserve-go/torchserve/pkg/logging"
)

func TestLines(t *testing.T) {
	t.Parallel()
	t.Run("LOG-005 each line is an event", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		lines := b.Lines(logging.MetricsName, "metrics")
		lines.Log([]byte("a.Count:1.0\nb.Count:2.0\nnot ended"))
		lines.Log(nil)
		lines.Log([]byte("c.Count:3.0\n"))
		after := b.Logger(logging.MetricsName, "metrics")
		after.Info().Msg("after")
		b.end(t)
		want := stamp + " - a.Count:1.0\n" + stamp + " - b.Count:2.0\n" + stamp + " - c.Count:3.0\n" + stamp + " - after\n"
		assert.Equal(t, want, b.read(t, "ts_metrics.log"))
		full := strings.ReplaceAll(want, " - ", " [INFO ] metrics TS_METRICS - ")
		assert.Equal(t, full, b.console.String())
		assert.Equal(t, full, b.read(t, "ts_log.log"))
		assert.Empty(t, b.read(t, "model_metrics.log"))
	})
	t.Run("a logger that is off", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(cfg *logging.Config) { cfg.Levels = map[string]string{logging.MetricsName: "off"} })
		b.Lines(logging.MetricsName, "metrics").Log([]byte("a\n"))
		b.end(t)
		assert.Empty(t, b.read(t, "ts_metrics.log"))
		assert.Empty(t, b.console.String())
	})
	t.Run("JSON", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(cfg *logging.Config) { cfg.JSON = true })
		b.Lines(logging.MetricsName, "metrics").Log([]byte("a\n\"b\"\n"))
		b.end(t)
		begin := `{"@timestamp":"` + objectStamp + `","log.level":"INFO","process.thread.name":"metrics","log.logger":"TS_METRICS","message":`
		assert.Equal(t, begin+`"a"}`+"\n"+begin+`"\"b\""}`+"\n", b.console.String())
	})
	t.Run("lines that do not fit are counted", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil) // nobody writes before the end
		const count, width = 10, 1 << 20
		b.Lines(logging.MetricsName, "metrics").Log([]byte(strings.Repeat(strings.Repeat("x", width-1)+"\n", count)))
		b.end(t)
		text := b.read(t, "ts_metrics.log")
		written := strings.Count(text, "xxx\n")
		assert.Positive(t, written)
		assert.Less(t, written, count)
		assert.Contains(t, text, strconv.Itoa(count-written)+" lines were lost here")
	})
}
