package pool_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
	"github.com/torchserve-go/torchserve/pkg/worker"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

// processes returns a pool whose workers are processes, closed after the test.
func processes(t *testing.T, a model.Archive, s model.Settings) *pool.Pool {
	t.Helper()
	launch := workertest.Launch(t)
	var port atomic.Int32
	p := pool.New(pool.Config{
		Archive:  a,
		Settings: s,
		Assign:   func() pool.Slot { return pool.Slot{Port: 8999 + int(port.Add(1)), GPU: -1} },
		NewWorker: func(place pool.Slot) pool.Worker {
			return worker.New(worker.Config{
				Port: place.Port, Archive: a, Settings: s, GPU: place.GPU, Env: place.Env, Launch: launch,
				MaxResponse: 1 << 20, StopLimit: time.Minute, Metrics: worker.NoMetrics{}, Log: nolog,
			})
		},
		StopLimit: time.Minute,
		Log:       nolog,
	})
	t.Cleanup(func() { require.NoError(t, p.Close(context.WithoutCancel(t.Context()))) })
	return p
}

// ask submits a job and returns the stream of its replies.
func ask(t *testing.T, p *pool.Pool, id string) *job.Stream {
	t.Helper()
	s := job.NewStream()
	require.NoError(t, p.Submit(t.Context(), &job.Job{
		ID: id, Ref: model.Ref{Name: "m"}, Sink: s, Created: time.Now(),
		Request: job.Request{Parameters: []job.Parameter{{Name: "body", Value: []byte(id)}}},
	}))
	return s
}

// signal sends sig to the process of the i-th worker and returns its number.
func signal(t *testing.T, p *pool.Pool, i int, sig syscall.Signal) (pid int) {
	t.Helper()
	pid = p.Status().Workers[i].PID
	require.Positive(t, pid)
	process, err := os.FindProcess(pid)
	require.NoError(t, err)
	require.NoError(t, process.Signal(sig))
	return pid
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	t.Run("answers come from several workers", func(t *testing.T) {
		t.Parallel()
		p := processes(t, workertest.Behaving(t, workertest.Echoes), base())
		scale(t, p, 2)
		assert.True(t, p.Ready())
		var streams []*job.Stream
		for i := range 50 {
			streams = append(streams, ask(t, p, fmt.Sprint(i)))
		}
		for i, s := range streams {
			assert.Equal(t, fmt.Sprint(i), string(workertest.Reply(t, s).Body))
		}
	})
	t.Run("a worker killed while idle comes back", func(t *testing.T) {
		t.Parallel()
		p := processes(t, workertest.Behaving(t, workertest.Echoes), base())
		scale(t, p, 1)
		old := signal(t, p, 0, syscall.SIGKILL)
		require.Eventually(t, func() bool { return !p.Loaded() }, time.Minute, time.Millisecond)
		assert.Equal(t, "a", string(workertest.Reply(t, ask(t, p, "a")).Body))
		assert.NotEqual(t, old, p.Status().Workers[0].PID)
		assert.Equal(t, 9000, p.Status().Workers[0].ID)
	})
	t.Run("SCH-015 a worker killed in a batch fails that batch only", func(t *testing.T) {
		t.Parallel()
		a := workertest.Archive(t, workertest.Script{Infer: []workertest.Action{{Gate: true}}, Starts: 1})
		gate := workertest.NewGate(t, a)
		p := processes(t, a, base())
		scale(t, p, 1)
		first := ask(t, p, "a")
		gate.Await(t)
		second := ask(t, p, "b")
		signal(t, p, 0, syscall.SIGKILL)
		err := workertest.Failure(t, first)
		assert.Equal(t, "Worker died.", fault.Message(err))
		assert.Equal(t, 507, fault.Status(err))
		assert.Equal(t, "b", string(workertest.Reply(t, second).Body))
		gate.Open(t)
	})
	t.Run("SCH-013 a worker out of time is replaced", func(t *testing.T) {
		t.Parallel()
		s := base()
		s.Timeouts.Response = 200 * time.Millisecond
		p := processes(t, workertest.Archive(t, workertest.Script{Infer: []workertest.Action{{Do: workertest.Stubborn}}, Starts: 1}), s)
		scale(t, p, 1)
		old := p.Status().Workers[0].PID
		err := workertest.Failure(t, ask(t, p, "a"))
		assert.Equal(t, "Worker died.", fault.Message(err))
		assert.Equal(t, 500, fault.Status(err))
		failed := time.Now()
		assert.Equal(t, "b", string(workertest.Reply(t, ask(t, p, "b")).Body))
		assert.Greater(t, time.Since(failed), 900*time.Millisecond, "a second after its end, which the client saw a little later")
		assert.NotEqual(t, old, p.Status().Workers[0].PID)
		require.ErrorIs(t, syscall.Kill(old, 0), syscall.ESRCH)
	})
	t.Run("a model that cannot be loaded", func(t *testing.T) {
		t.Parallel()
		p := processes(t, workertest.Behaving(t, workertest.Exhausts), base())
		_, err := scaleAndWait(t.Context(), p, model.Workers{Min: 1, Max: 1})
		assert.Equal(t, fault.Worker, fault.KindOf(err))
		assert.Equal(t, 507, fault.Status(err))
		assert.Contains(t, fault.Details(err), "MemoryError")
		assert.Contains(t, p.Status().Workers[0].Error, "MemoryError")
	})
	t.Run("MGT-047 a loading worker", func(t *testing.T) {
		t.Parallel()
		a := workertest.Archive(t, workertest.Script{Load: workertest.Action{Gate: true}})
		gate := workertest.NewGate(t, a)
		p := processes(t, a, base())
		_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
		require.NoError(t, err)
		gate.Await(t)
		w := p.Status().Workers[0]
		assert.False(t, w.Ready)
		assert.Positive(t, w.PID)
		gate.Open(t)
	})
	t.Run("a closed pool leaves no process", func(t *testing.T) {
		t.Parallel()
		a := workertest.Archive(t, workertest.Script{Infer: []workertest.Action{{Gate: true, Do: workertest.Stubborn}}})
		gate := workertest.NewGate(t, a)
		p := processes(t, a, base())
		scale(t, p, 2)
		stream := ask(t, p, "a")
		gate.Await(t)
		gate.Open(t)
		var pids []int
		for _, w := range p.Status().Workers {
			pids = append(pids, w.PID)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.NoError(t, p.Close(ctx))
		assert.Equal(t, "Worker died.", fault.Message(workertest.Failure(t, stream)))
		for _, pid := range pids {
			require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
		}
	})
}

// TestKilledUnderLoad kills one of two workers again and again.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	s := base()
	s.Batching = model.Batching{Size: 4, Delay: time.Millisecond}
	p := processes(t, workertest.Behaving(t, workertest.Echoes), s)
	scale(t, p, 2)
	var answered, died atomic.Int32
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for c := range 8 {
		clients.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d.%d", c, i)
				r, err := ask(t, p, id).Next(t.Context())
				switch {
				case err == nil && string(r.Body) == id:
					answered.Add(1)
				case fault.Message(err) == "Worker died.":
					died.Add(1)
				default:
					t.Errorf("answer to %s: %q, %v", id, r.Body, err)
				}
			}
		})
	}
	killed := 0
	for range 3 {
		before := answered.Load()
		require.Eventually(t, func() bool { // its death may not have been noticed yet
			pid := p.Status().Workers[1].PID
			return pid > 0 && pid != killed && p.Ready() && answered.Load() > before+200
		}, time.Minute, time.Millisecond)
		killed = signal(t, p, 1, syscall.SIGKILL)
	}
	require.Eventually(t, p.Ready, time.Minute, time.Millisecond)
	close(stop)
	clients.Wait()
	assert.LessOrEqual(t, died.Load(), int32(3*4), "only the requests in its hands fail")
}
