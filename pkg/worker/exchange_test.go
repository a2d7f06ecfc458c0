package worker_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/wire"
	"github.com/torchserve-go/torchserve/pkg/worker"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

func batchOf(bodies ...string) ([]*job.Job, []*job.Stream) {
	var jobs []*job.Job
	var streams []*job.Stream
	for i, body := range bodies {
		j, s := workertest.NewJob("r"+strconv.Itoa(i), body)
		jobs, streams = append(jobs, j), append(streams, s)
	}
	return jobs, streams
}

// serves checks that the worker is as good as new.
func serves(t *testing.T, w *worker.Worker) {
	t.Helper()
	jobs, streams := batchOf("still good")
	require.NoError(t, w.Exchange(jobs))
	assert.Equal(t, "still good", string(workertest.Reply(t, streams[0]).Body))
}

func TestItems(t *testing.T) {
	t.Parallel()
	t.Run("WRK-029 are matched by id, whatever their order", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, workertest.Action{Do: workertest.Reverse})
		jobs, streams := batchOf("a", "b", "c")
		require.NoError(t, w.Exchange(jobs))
		for i, want := range []string{"a", "b", "c"} {
			assert.Equal(t, want, string(workertest.Reply(t, streams[i]).Body))
		}
	})
	t.Run("go to their jobs even if two clients chose one id", func(t *testing.T) {
		t.Parallel()
		for _, order := range []workertest.Do{workertest.Echo, workertest.Reverse} {
			w := scripted(t, nil, workertest.Action{Do: order})
			jobs, streams := batchOf("a", "b", "c")
			jobs[1].ID = jobs[0].ID
			require.NoError(t, w.Exchange(jobs))
			for _, s := range streams {
				workertest.Reply(t, s)
			}
		}
	})
	t.Run("carry status and headers of the handler", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, workertest.Action{Do: workertest.Item, Code: 418, Text: "tea", Headers: [][2]string{{"X-a", "1"}, {"x-A", "2"}}})
		jobs, streams := batchOf("a")
		require.NoError(t, w.Exchange(jobs))
		assert.Equal(t, job.Reply{
			Status: 418, ContentType: "text/plain", Body: []byte("tea"), Headers: []job.Header{{Name: "X-a", Value: "1"}, {Name: "x-A", Value: "2"}},
		}, workertest.Reply(t, streams[0]))
	})
	t.Run("a missing one is answered 503", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, workertest.Action{Do: workertest.Short}, workertest.Action{})
		jobs, streams := batchOf("a", "b")
		require.NoError(t, w.Exchange(jobs))
		assert.Equal(t, "a", string(workertest.Reply(t, streams[0]).Body))
		err := workertest.Failure(t, streams[1])
		assert.Equal(t, 503, fault.Status(err))
		assert.Equal(t, "number of batch response mismatched", fault.Message(err))
		serves(t, w)
	})
	t.Run("WRK-034 INF-122 an oversized one fails its own request only", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, func(c *worker.Config) { c.MaxResponse = 1000 }, workertest.Action{Do: workertest.Oversize, N: 1001}, workertest.Action{Do: workertest.Oversize, N: 1000}, workertest.Action{})
		jobs, streams := batchOf("a", "b")
		require.NoError(t, w.Exchange(jobs))
		err := workertest.Failure(t, streams[0])
		assert.Equal(t, 500, fault.Status(err))
		assert.Equal(t, "Message size exceed limit: 1001\nConsider increasing the 'max_response_size' in 'config.properties' to fix.", fault.Message(err))
		assert.Equal(t, "b", string(workertest.Reply(t, streams[1]).Body))

		jobs, streams = batchOf("a")
		require.NoError(t, w.Exchange(jobs))
		assert.Len(t, workertest.Reply(t, streams[0]).Body, 1000, "exactly the limit passes")
		serves(t, w)
	})
	t.Run("of a client that has gone are dropped", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil)
		jobs, streams := batchOf("a", "b")
		jobs[0].Abandon()
		require.NoError(t, w.Exchange(jobs))
		assert.Equal(t, "b", string(workertest.Reply(t, streams[1]).Body))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := streams[0].Next(ctx)
		assert.ErrorIs(t, err, context.Canceled, "nothing was delivered")
	})
}

func TestCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		code int
		rest int
		grpc uint32
	}{
		{"SCH-012 INF-114 handler exceptions", 503, 503, 14},
		{"INF-114 413 is shown as 507", 413, 507, 8},
		{"INF-115 out of memory", 507, 507, 13},
		{"a code that is no error", 302, 500, 13},
		{"a negative code", -7, 500, 13},
		{"a code beyond HTTP", 999, 500, 13},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := scripted(t, nil, workertest.Action{Do: workertest.Fail, Code: c.code, Text: "told"}, workertest.Action{})
			jobs, streams := batchOf("a", "b")
			require.NoError(t, w.Exchange(jobs))
			for _, s := range streams {
				err := workertest.Failure(t, s)
				assert.Equal(t, c.rest, fault.Status(err))
				assert.Equal(t, c.grpc, fault.GRPC(err))
				assert.Equal(t, "told", fault.Message(err))
			}
			serves(t, w)
		})
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	next := func(value string) job.Header { return job.Header{Name: wire.StreamNext, Value: value} }
	t.Run("WRK-037 the batch ends with the message that has no more", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, workertest.Action{Do: workertest.Stream, N: 3}, workertest.Action{})
		jobs, streams := batchOf("a", "b")
		require.NoError(t, w.Exchange(jobs))
		for _, s := range streams {
			for n := range 3 {
				r := workertest.Reply(t, s)
				assert.Equal(t, strconv.Itoa(n), string(r.Body))
				assert.Equal(t, n < 2, r.More)
				assert.Equal(t, []job.Header{next(strconv.FormatBool(n < 2))}, r.Headers)
			}
		}
		serves(t, w)
	})
	t.Run("false at first is an ordinary answer", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, workertest.Action{Do: workertest.Stream, N: 1, Headers: [][2]string{{"a", "b"}}})
		jobs, streams := batchOf("a")
		require.NoError(t, w.Exchange(jobs))
		assert.Equal(t, job.Reply{Status: 200, Headers: []job.Header{{Name: "a", Value: "b"}}, Body: []byte("0")}, workertest.Reply(t, streams[0]))
	})
	t.Run("no header after true ends the stream", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, workertest.Action{Do: workertest.Trail, N: 2}, workertest.Action{})
		jobs, streams := batchOf("a")
		require.NoError(t, w.Exchange(jobs))
		assert.True(t, workertest.Reply(t, streams[0]).More)
		assert.False(t, workertest.Reply(t, streams[0]).More)
		assert.True(t, jobs[0].Done())
		serves(t, w)
	})
	t.Run("what follows a piece that fails does not answer the next batch", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, workertest.Action{Do: workertest.Stream, N: 3, Code: 500, Pause: 20 * time.Millisecond}, workertest.Action{})
		jobs, streams := batchOf("a")
		require.NoError(t, w.Exchange(jobs))
		assert.Equal(t, 500, fault.Status(workertest.Failure(t, streams[0])))
		serves(t, w)
	})
	t.Run("SCH-014 each message has its own time", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, func(c *worker.Config) { c.Settings.Timeouts.Response = time.Second }, workertest.Action{Do: workertest.Stream, N: 5, Pause: 300 * time.Millisecond})
		jobs, streams := batchOf("a")
		require.NoError(t, w.Exchange(jobs))
		for range 5 {
			workertest.Reply(t, streams[0])
		}
	})
	t.Run("a death in the middle fails what was begun", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, func(c *worker.Config) { c.Settings.Timeouts.Response = 200 * time.Millisecond }, workertest.Action{Do: workertest.Stream, N: 2, Pause: time.Hour})
		jobs, streams := batchOf("a")
		require.Error(t, w.Exchange(jobs))
		assert.True(t, workertest.Reply(t, streams[0]).More)
		assert.Equal(t, "Worker died.", fault.Message(workertest.Failure(t, streams[0])))
	})
}

func TestBrokenExchange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		action workertest.Action
		rest   int
		grpc   uint32
	}{
		{"SCH-015 WRK-065 INF-118 the process is killed", workertest.Action{Do: workertest.Kill}, 507, 8},
		{"SCH-015 WRK-065 INF-118 it exits with status 137", workertest.Action{Do: workertest.Exit, Code: 137}, 507, 8},
		{"SCH-015 WRK-065 INF-118 it exits", workertest.Action{Do: workertest.Exit, Code: 1}, 500, 13},
		{"garbage", workertest.Action{Do: workertest.Garbage}, 500, 13},
		{"half an answer", workertest.Action{Do: workertest.Half}, 500, 13},
		{"an id that nobody has", workertest.Action{Do: workertest.Stranger}, 500, 13},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := scripted(t, nil, c.action)
			jobs, streams := batchOf("a", "b")
			err := w.Exchange(jobs)
			require.Error(t, err)
			assert.False(t, worker.Unsent(err))
			for _, s := range streams {
				failure := workertest.Failure(t, s)
				assert.Equal(t, c.rest, fault.Status(failure))
				assert.Equal(t, c.grpc, fault.GRPC(failure))
				assert.Equal(t, "Worker died.", fault.Message(failure))
			}
			require.NoError(t, w.Stop(t.Context()))
			assert.Equal(t, worker.Stopped, w.State())
		})
	}
	t.Run("no answer in time, and it is killed at once", func(t *testing.T) {
		t.Parallel()
		out := &logs{}
		w := scripted(t, func(c *worker.Config) {
			c.Settings.Timeouts.Response = 50 * time.Millisecond
			c.Log = out.make
		}, workertest.Action{Do: workertest.Stubborn})
		jobs, streams := batchOf("a")
		require.Error(t, w.Exchange(jobs))
		failure := workertest.Failure(t, streams[0])
		assert.Equal(t, 500, fault.Status(failure))
		assert.Equal(t, "Worker died.", fault.Message(failure))
		began := time.Now()
		require.NoError(t, w.Stop(t.Context()))
		assert.Less(t, time.Since(began), 2*time.Second)
		assert.Contains(t, out.of(t, worker.LogThread),
			"Backend worker error\norg.pytorch.serve.wlm.WorkerInitializationException: Backend worker did not respond in given time")
	})
	t.Run("a describe without an answer says so", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, func(c *worker.Config) { c.Settings.Timeouts.Response = 50 * time.Millisecond }, workertest.Action{Do: workertest.Hang})
		jobs, streams := batchOf("a")
		jobs[0].Kind = job.Describe
		require.Error(t, w.Exchange(jobs))
		assert.Equal(t, "Failed to get customized model matadata.", fault.Message(workertest.Failure(t, streams[0])))
	})
	t.Run("a response timeout of 0 leaves no time", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, func(c *worker.Config) { c.Settings.Timeouts.Response = 0 })
		jobs, streams := batchOf("a")
		err := w.Exchange(jobs)
		require.Error(t, err)
		assert.False(t, worker.Unsent(err))
		assert.Equal(t, 500, fault.Status(workertest.Failure(t, streams[0])))
	})
}

func TestUnsent(t *testing.T) {
	t.Parallel()
	unsent := func(t *testing.T, w *worker.Worker) error {
		t.Helper()
		jobs, _ := batchOf("a")
		err := w.Exchange(jobs)
		require.True(t, worker.Unsent(err), err)
		assert.False(t, jobs[0].Done())
		assert.True(t, jobs[0].Return(), "another worker may have it")
		return err
	}
	t.Run("the process died while idle, and Done told", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil)
		require.NoError(t, syscall.Kill(w.Status().PID, syscall.SIGKILL))
		<-w.Done()
		assert.Error(t, unsent(t, w))
		require.NoError(t, w.Stop(t.Context()))
		assert.Equal(t, worker.Stopped, w.State())
	})
	t.Run("an answer came that nobody had asked for", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, workertest.Action{Do: workertest.Unasked})
		jobs, streams := batchOf("a")
		require.NoError(t, w.Exchange(jobs))
		workertest.Reply(t, streams[0])
		assert.ErrorIs(t, unsent(t, w), wire.ErrProtocol)
	})
	t.Run("the connection was closed", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil)
		w.Interrupt(nil)
		assert.Error(t, unsent(t, w))
	})
	t.Run("there is no process", func(t *testing.T) {
		t.Parallel()
		assert.Error(t, unsent(t, worker.New(workertest.Config(t, workertest.Behaving(t, workertest.Echoes)))))
	})
	assert.False(t, worker.Unsent(io.EOF))
	assert.False(t, worker.Unsent(nil))
}

func TestIdleLongerThanTheTimeout(t *testing.T) {
	t.Parallel()
	w := scripted(t, func(c *worker.Config) { c.Settings.Timeouts.Response = 300 * time.Millisecond })
	for range 2 {
		serves(t, w)
		after(400 * time.Millisecond)
	}
	serves(t, w)
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	a := workertest.Archive(t, workertest.Script{Infer: []workertest.Action{{Gate: true}}})
	gate := workertest.NewGate(t, a)
	w := workertest.Started(t, worker.New(workertest.Config(t, a)))
	jobs, streams := batchOf("a")
	var ended sync.WaitGroup
	ended.Go(func() {
		err := w.Exchange(jobs)
		assert.Error(t, err)
		assert.False(t, worker.Unsent(err))
	})
	gate.Await(t)
	w.Interrupt(nil)
	ended.Wait()
	failure := workertest.Failure(t, streams[0])
	assert.Equal(t, "Worker died.", fault.Message(failure))
	assert.Equal(t, 500, fault.Status(failure), "we did it, not the system")
	gate.Open(t)
}

func TestInterruptWithReason(t *testing.T) {
	t.Parallel()
	a := workertest.Archive(t, workertest.Script{Infer: []workertest.Action{{Gate: true}}})
	gate := workertest.NewGate(t, a)
	w := workertest.Started(t, worker.New(workertest.Config(t, a)))
	jobs, streams := batchOf("a")
	var ended sync.WaitGroup
	ended.Go(func() { assert.Error(t, w.Exchange(jobs)) })
	gate.Await(t)
	w.Interrupt(fault.New(fault.Busy, "stopping"))
	ended.Wait()
	assert.Equal(t, fault.Busy, fault.KindOf(workertest.Failure(t, streams[0])))
	gate.Open(t)
}

func TestConcurrentObservers(t *testing.T) {
	t.Parallel()
	w := worker.New(workertest.Config(t, workertest.Behaving(t, workertest.Echoes)))
	ctx, cancel := context.WithCancelCause(t.Context())
	var observers sync.WaitGroup
	for range 2 {
		observers.Go(func() {
			for ctx.Err() == nil {
				s := w.Status()
				assert.Equal(t, 9000, s.ID)
				assert.True(t, s.PID == -1 || s.PID > 1)
				_ = w.State()
				_ = w.Done()
				after(time.Millisecond)
			}
		})
	}
	for range 5 {
		require.NoError(t, w.Start(t.Context()))
		serves(t, w)
		require.NoError(t, w.Stop(t.Context()))
	}
	cancel(errors.New("enough"))
	observers.Wait()
}
