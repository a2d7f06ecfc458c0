package metrics_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/metrics"
	"github.com/torchserve-go/torchserve/pkg/model"
)

// Paths of the files that users and workers get.
const (
	sample  = "../../configs/metrics.yaml"
	workers = "../backend/ts/configs/metrics.yaml"
)

// sink collects what is written to a log.
type sink struct {
	mu   sync.Mutex // Protects the field below
	text strings.Builder
}

func (s *sink) Write(p []byte) (int, error) {
	s.add(p)
	return len(p), nil
}

func (s *sink) add(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// bench is a recorder with its logs.
type bench struct {
	*metrics.Recorder
	server, model sink
	log           sink // what is wrong, as JSON
}

// definitions reads a file of this text.
func definitions(t testing.TB, text string) metrics.Definitions {
	t.Helper()
	defs, err := metrics.Load(write(t, text), zerolog.Nop())
	require.NoError(t, err)
	return defs
}

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "metrics.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// shipped returns the definitions that users get.
func shipped(t testing.TB) metrics.Definitions {
	t.Helper()
	defs, err := metrics.Load(sample, zerolog.Nop())
	require.NoError(t, err)
	return defs
}

func newBench(t testing.TB, mode metrics.Mode, change func(cfg *metrics.Config)) *bench {
	t.Helper()
	b := new(bench)
	cfg := metrics.Config{
		Mode: mode, Definitions: shipped(t), Host: "node1",
		Server: b.server.add, Model: b.model.add,
		Now: func() time.Time { return time.Unix(1718000000, 999) },
		Log: zerolog.New(&b.log),
	}
	if change != nil {
		change(&cfg)
	}
	b.Recorder = metrics.New(cfg)
	return b
}

// defining returns a change that sets the definitions.
func defining(t testing.TB, text string) func(cfg *metrics.Config) {
	t.Helper()
	defs := definitions(t, text)
	return func(cfg *metrics.Config) { cfg.Definitions = defs }
}

// worker returns a worker of resnet18 that complains to b.log.
func (b *bench) worker() *metrics.Worker { return b.Worker("resnet18", zerolog.New(&b.log)) }

// scrape returns the answer to a target of the metrics listener.
func (b *bench) scrape(t testing.TB, target string) (string, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	b.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, http.NoBody))
	answer := w.Result()
	defer func() { assert.NoError(t, answer.Body.Close()) }()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(text), answer.Header
}

// samples returns the samples of /metrics beside those of this server's own.
func (b *bench) samples(t testing.TB) []string {
	t.Helper()
	text, _ := b.scrape(t, "/metrics")
	var own []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && !native(line) {
			own = append(own, strings.TrimSuffix(line, "\n"))
		}
	}
	return own
}

// native reports whether a sample, or a line about it, is this server's own.
func native(line string) bool {
	name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
	return strings.HasPrefix(name, "ts_") && !strings.HasPrefix(name, "ts_inference_") && !strings.HasPrefix(name, "ts_queue_latency_")
}

var resnet = model.Ref{Name: "resnet18"}
