package workertest

import (
	"bytes"
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/worker"
)

// A Factory makes a worker, not started, of a model whose handler shows the
// behaviour. change may alter its configuration; nil: nothing.
type Factory func(t *testing.T, behaviour string, change func(*worker.Config)) *worker.Worker

// Run proves the contract between the server and a worker process: that what
// newWorker makes loads, answers, fails and ends as the reference says.
func Run(t *testing.T, newWorker Factory) {
	t.Run("answers", func(t *testing.T) { answers(t, newWorker) })
	t.Run("failures", func(t *testing.T) { failures(t, newWorker) })
	t.Run("ends", func(t *testing.T) { ends(t, newWorker) })
	t.Run("loading", func(t *testing.T) { loading(t, newWorker) })
}

func answers(t *testing.T, newWorker Factory) {
	t.Run("one", func(t *testing.T) {
		t.Parallel()
		w := Started(t, newWorker(t, Echoes, nil))
		assert.Equal(t, "hello", string(predict(t, w, "hello").Body))
		assert.Equal(t, worker.ModelLoaded, w.State())
		assert.Positive(t, w.Status().PID)
	})
	t.Run("a batch, each job its own", func(t *testing.T) {
		t.Parallel()
		w := Started(t, newWorker(t, Echoes, nil))
		jobs, streams := batchOf(4)
		require.NoError(t, w.Exchange(jobs))
		for i, s := range streams {
			assert.Equal(t, strconv.Itoa(i), string(Reply(t, s).Body))
		}
	})
	t.Run("sizes", func(t *testing.T) {
		t.Parallel()
		w := Started(t, newWorker(t, Echoes, nil))
		for _, n := range []int{0, 1, 4095, 4096, 4097, 1 << 16, 5 << 20} {
			body := bytes.Repeat([]byte("a"), n)
			assert.True(t, bytes.Equal(body, predict(t, w, string(body)).Body), "%d bytes", n)
		}
	})
	t.Run("pieces", func(t *testing.T) {
		t.Parallel()
		w := Started(t, newWorker(t, Streams, nil))
		j, s := NewJob("r1", "x")
		require.NoError(t, w.Exchange([]*job.Job{j}))
		for n := range 3 {
			r := Reply(t, s)
			assert.Equal(t, strconv.Itoa(n), string(r.Body))
			assert.Equal(t, n < 2, r.More)
		}
		assert.True(t, j.Done())
	})
	t.Run("after a flood of output", func(t *testing.T) {
		t.Parallel()
		w := Started(t, newWorker(t, Chats, nil))
		assert.Equal(t, "still here", string(predict(t, w, "still here").Body))
	})
}

// failures of a handler reach all jobs of the batch, and the worker lives.
func failures(t *testing.T, newWorker Factory) {
	for _, c := range []struct {
		behaviour string
		status    int
		message   string
	}{
		{Raises, 503, "Prediction failed"},
		{Refuses, 404, "not today"},
		{Miscounts, 503, "number of batch response mismatched"},
	} {
		t.Run(c.behaviour, func(t *testing.T) {
			t.Parallel()
			w := Started(t, newWorker(t, c.behaviour, nil))
			for range 2 {
				jobs, streams := batchOf(2)
				require.NoError(t, w.Exchange(jobs))
				for _, s := range streams {
					err := Failure(t, s)
					assert.Equal(t, c.status, fault.Status(err))
					assert.Equal(t, c.message, fault.Message(err))
				}
			}
			assert.Equal(t, worker.ModelLoaded, w.State())
		})
	}
}

func ends(t *testing.T, newWorker Factory) {
	t.Run("by itself in a batch", func(t *testing.T) {
		t.Parallel()
		w := Started(t, newWorker(t, Exits, nil))
		assert.Equal(t, 500, fault.Status(died(t, w)))
		require.NoError(t, w.Stop(t.Context()))
		assert.Equal(t, worker.Stopped, w.State())
	})
	t.Run("as told, quickly", func(t *testing.T) {
		t.Parallel()
		w := Started(t, newWorker(t, Echoes, nil))
		done := w.Done()
		require.NoError(t, w.Stop(t.Context()))
		assert.True(t, isClosed(done))
		assert.Equal(t, worker.Stopped, w.State())
		assert.Equal(t, -1, w.Status().PID)
	})
	t.Run("out of time", func(t *testing.T) {
		t.Parallel()
		w := Started(t, newWorker(t, Sleeps, func(c *worker.Config) {
			c.Settings.Timeouts.Response = 50 * time.Millisecond
		}))
		assert.Equal(t, 500, fault.Status(died(t, w)))
		require.NoError(t, w.Stop(t.Context()))
		assert.True(t, isClosed(w.Done()))
	})
	t.Run("and again", func(t *testing.T) {
		t.Parallel()
		w := Started(t, newWorker(t, Echoes, nil))
		require.NoError(t, w.Stop(t.Context()))
		Started(t, w)
		assert.Equal(t, "again", string(predict(t, w, "again").Body))
	})
}

func loading(t *testing.T, newWorker Factory) {
	for _, c := range []struct {
		behaviour string
		status    int
		details   string
	}{
		{Unloadable, 500, "RuntimeError"},
		{Exhausts, 507, "MemoryError"},
		{Absent, 500, ""},
	} {
		t.Run(c.behaviour, func(t *testing.T) {
			t.Parallel()
			w := newWorker(t, c.behaviour, nil)
			err := w.Start(t.Context())
			require.Error(t, err)
			assert.Equal(t, fault.Worker, fault.KindOf(err))
			assert.Equal(t, c.status, fault.Status(err))
			assert.Contains(t, fault.Details(err), c.details)
			assert.Equal(t, worker.Stopped, w.State())
			assert.True(t, isClosed(w.Done()))
		})
	}
}

// Started starts w for the length of the test and returns it.
func Started(t testing.TB, w *worker.Worker) *worker.Worker {
	t.Helper()
	require.NoError(t, w.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, w.Stop(context.WithoutCancel(t.Context()))) })
	return w
}

// Reply returns the next reply of a stream that must have one.
func Reply(t testing.TB, s *job.Stream) job.Reply {
	t.Helper()
	r, err := s.Next(t.Context())
	require.NoError(t, err)
	return r
}

// Failure returns the error of a stream that must have failed.
func Failure(t testing.TB, s *job.Stream) error {
	t.Helper()
	_, err := s.Next(t.Context())
	require.Error(t, err)
	return err
}

func predict(t *testing.T, w *worker.Worker, body string) job.Reply {
	t.Helper()
	j, s := NewJob("r1", body)
	require.NoError(t, w.Exchange([]*job.Job{j}))
	r := Reply(t, s)
	assert.False(t, r.More)
	return r
}

// died sends a batch that the worker does not survive and returns what its job
// was told.
func died(t *testing.T, w *worker.Worker) error {
	t.Helper()
	j, s := NewJob("r1", "x")
	err := w.Exchange([]*job.Job{j})
	require.Error(t, err)
	assert.False(t, worker.Unsent(err))
	failure := Failure(t, s)
	assert.Equal(t, "Worker died.", fault.Message(failure))
	return failure
}

func batchOf(n int) ([]*job.Job, []*job.Stream) {
	jobs, streams := make([]*job.Job, n), make([]*job.Stream, n)
	for i := range n {
		jobs[i], streams[i] = NewJob("r"+strconv.Itoa(i), strconv.Itoa(i))
	}
	return jobs, streams
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
