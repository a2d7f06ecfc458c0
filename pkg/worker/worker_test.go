package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/torchserve-go/torchserve/pkg/worker"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

func TestMain(m *testing.M) {
	workertest.Main()
	goleak.VerifyTestMain(m)
}

func TestContract(t *testing.T) {
	workertest.Run(t, func(t *testing.T, behaviour string, change func(*worker.Config)) *worker.Worker {
		return newWorker(t, workertest.Config(t, workertest.Behaving(t, behaviour)), change)
	})
}

// newWorker makes a worker of a valid configuration, changed.
func newWorker(_ *testing.T, cfg worker.Config, change func(*worker.Config)) *worker.Worker {
	if change != nil {
		change(&cfg)
	}
	return worker.New(cfg)
}

// scripted starts a worker that handles batches as told.
func scripted(t *testing.T, change func(*worker.Config), infer ...workertest.Action) *worker.Worker {
	t.Helper()
	cfg := workertest.Config(t, workertest.Archive(t, workertest.Script{Infer: infer}))
	return workertest.Started(t, newWorker(t, cfg, change))
}

// after blocks for a time that a test cannot do without.
func after(d time.Duration) { <-time.NewTimer(d).C }

// line is one record of a log; below the message stands the error, if there is one.
type line struct{ Level, Logger, Thread, Message string }

// logs collects what a worker logs, from all goroutines.
type logs struct {
	mu   sync.Mutex // Protects fields below
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// make is a worker.Config.Log.
func (l *logs) make(name, thread string) zerolog.Logger {
	return zerolog.New(l).With().Str("logger", name).Str("thread", thread).Logger()
}

func (l *logs) lines(t *testing.T) []line {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []line
	for text := range strings.SplitSeq(strings.TrimSpace(l.text.String()), "\n") {
		var one struct {
			line
			Error string
		}
		require.NoError(t, json.Unmarshal([]byte(text), &one), text)
		if one.Error != "" {
			one.Message += "\n" + one.Error
		}
		all = append(all, one.line)
	}
	return all
}

// of returns the messages of one logger.
func (l *logs) of(t *testing.T, logger string) []string {
	t.Helper()
	var messages []string
	for _, one := range l.lines(t) {
		if one.Logger == logger {
			messages = append(messages, one.Message)
		}
	}
	return messages
}

// figures records what metrics are told.
type figures struct {
	worker.NoMetrics
	mu    sync.Mutex // Protects fields below
	loads []time.Duration
	trips int
	texts []string
}

func (f *figures) WorkerLoadTime(_ string, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loads = append(f.loads, d)
}

func (f *figures) WorkerThreadTime(time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trips++
}

func (f *figures) Line(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.texts = append(f.texts, text)
}

// canceled returns a context that has ended.
func canceled(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}
