package worker_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/procgroup/procgrouptest"
	"github.com/torchserve-go/torchserve/pkg/worker"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

// parallel is the configuration of a worker of several ranks that follow a script,
// and what it logs.
func parallel(t *testing.T, kind string, ranks int, s workertest.Script) (worker.Config, *logs) {
	t.Helper()
	out := &logs{}
	cfg := workertest.Config(t, workertest.Archive(t, s))
	cfg.Port, cfg.Log = 29500, out.make
	workertest.NewMeeting(t, cfg.Archive, ranks)
	workertest.Parallel(t, &cfg, kind, ranks)
	return cfg, out
}

// skipped counts the batches that a rank other than the first has worked on.
func (l *logs) skipped(t *testing.T) (n int) {
	t.Helper()
	for _, m := range l.of(t, worker.LogModel) {
		if strings.HasPrefix(m, "skip sending response at rank ") {
			n++
		}
	}
	return n
}

// pids returns the processes that have said that they listen.
func (l *logs) pids(t *testing.T) (all []string) {
	t.Helper()
	for _, m := range l.of(t, worker.LogModel) {
		if pid, ok := strings.CutPrefix(m, "[PID]"); ok {
			all = append(all, pid)
		}
	}
	return all
}

// nothingLeft checks that no process and no socket of a stopped worker is there.
func nothingLeft(t *testing.T, cfg worker.Config, out *logs, ranks int) {
	t.Helper()
	pids := out.pids(t)
	assert.Len(t, pids, ranks)
	for _, pid := range pids {
		assert.Eventually(t, func() bool { return procgrouptest.Ended(number(t, pid)) }, 10*time.Second, time.Millisecond, "rank %s", pid)
	}
	left, err := os.ReadDir(cfg.Launch.SocketDir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// describes sends a describe job and waits for its answer.
func describes(t *testing.T, w *worker.Worker) {
	t.Helper()
	jobs, streams := batchOf("")
	jobs[0].Kind = job.Describe
	require.NoError(t, w.Exchange(jobs))
	workertest.Reply(t, streams[0])
}

func TestRanks(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{model.Tensor, model.TensorPipeline} {
		t.Run("SCH-065 WRK-044 WRK-054 WRK-064 every rank gets every batch, the first one answers: "+kind, func(t *testing.T) {
			t.Parallel()
			cfg, out := parallel(t, kind, 3, workertest.Script{Infer: []workertest.Action{{Meet: true}}})
			w := worker.New(cfg)
			require.NoError(t, w.Start(t.Context()))
			for _, socket := range []string{".ts.sock.29500", ".ts.sock.29501", ".ts.sock.29502"} {
				assert.Contains(t, out.of(t, worker.LogThread), "Connecting to: "+filepath.Join(cfg.Launch.SocketDir, socket))
			}
			serves(t, w)
			large := string(bytes.Repeat([]byte("a"), 5<<20))
			jobs, streams := batchOf("small", large)
			require.NoError(t, w.Exchange(jobs))
			assert.Equal(t, "small", string(workertest.Reply(t, streams[0]).Body))
			assert.True(t, large == string(workertest.Reply(t, streams[1]).Body))
			require.NoError(t, w.Stop(t.Context()))
			assert.Equal(t, 4, out.skipped(t), "two ranks, two batches")
			nothingLeft(t, cfg, out, 3)
		})
	}
	t.Run("SCH-065 describe is the first rank's alone", func(t *testing.T) {
		t.Parallel()
		cfg, out := parallel(t, model.Tensor, 2, workertest.Script{
			Infer: []workertest.Action{{}, {Meet: true}},
			Ranks: map[int]workertest.Script{1: {Infer: []workertest.Action{{Meet: true}}}},
		})
		w := worker.New(cfg)
		require.NoError(t, w.Start(t.Context()))
		describes(t, w)
		serves(t, w)
		require.NoError(t, w.Stop(t.Context()))
		assert.Equal(t, 1, out.skipped(t))
	})
	t.Run("SCH-065 of a pipeline the first rank gets the batches", func(t *testing.T) {
		t.Parallel()
		cfg, out := parallel(t, model.Pipeline, 2, workertest.Script{})
		w := worker.New(cfg)
		require.NoError(t, w.Start(t.Context()))
		serves(t, w)
		describes(t, w)
		require.NoError(t, w.Stop(t.Context()))
		assert.Zero(t, out.skipped(t))
		assert.Contains(t, out.of(t, worker.LogModel), "model_name: m, batchSize: 4")
		nothingLeft(t, cfg, out, 2)
	})
	t.Run("a single rank", func(t *testing.T) {
		t.Parallel()
		cfg, out := parallel(t, model.Tensor, 1, workertest.Script{})
		w := worker.New(cfg)
		require.NoError(t, w.Start(t.Context()))
		serves(t, w)
		require.NoError(t, w.Stop(t.Context()))
		nothingLeft(t, cfg, out, 1)
	})
	t.Run("continuous batching", func(t *testing.T) {
		t.Parallel()
		goesOn := [][2]string{{"ts_stream_next", "true"}}
		cfg, _ := parallel(t, model.Tensor, 2, workertest.Script{Infer: []workertest.Action{
			{Meet: true, Do: workertest.Item, Code: 200, Headers: goesOn}, {Meet: true},
		}})
		w := workertest.Started(t, worker.New(cfg))
		jobs, streams := batchOf("first", "second")
		err := w.Iterate(jobs[:1], 0, nil)
		require.NoError(t, err)
		assert.True(t, workertest.Reply(t, streams[0]).More)
		err = w.Iterate(jobs, 1, nil)
		require.NoError(t, err)
		assert.Empty(t, workertest.Reply(t, streams[0]).Body, "its parameters are known")
		assert.Equal(t, "second", string(workertest.Reply(t, streams[1]).Body))
	})
	t.Run("read-ahead, but not of what all ranks work on", func(t *testing.T) {
		t.Parallel()
		for kind, asked := range map[string]bool{model.Tensor: false, model.Pipeline: true} {
			cfg, _ := parallel(t, kind, 2, workertest.Script{})
			w := workertest.Started(t, worker.New(cfg))
			first, _ := batchOf("a")
			second, answers := batchOf("b")
			was := false
			require.NoError(t, w.ExchangeAhead(first, func() []*job.Job { was = true; return second }))
			assert.Equal(t, asked, was, kind)
			require.NoError(t, w.Exchange(second))
			assert.Equal(t, "b", string(workertest.Reply(t, answers[0]).Body))
		}
	})
	t.Run("SCH-067 parallelType custom is one process and one connection", func(t *testing.T) {
		t.Parallel()
		cfg, out := parallel(t, model.Custom, 2, workertest.Script{})
		w := workertest.Started(t, worker.New(cfg))
		serves(t, w)
		assert.Len(t, out.pids(t), 1)
		sockets, err := os.ReadDir(cfg.Launch.SocketDir)
		require.NoError(t, err)
		assert.Len(t, sockets, 1)
	})
	t.Run("over TCP", func(t *testing.T) {
		t.Parallel()
		cfg, _ := parallel(t, model.Tensor, 2, workertest.Script{Infer: []workertest.Action{{Meet: true}}})
		cfg.Launch.TCP, cfg.Port = true, freePorts(t, 2) // one for each rank
		serves(t, workertest.Started(t, worker.New(cfg)))
	})
	t.Run("start and stop, again and again", func(t *testing.T) {
		t.Parallel()
		cfg, out := parallel(t, model.Tensor, 2, workertest.Script{Infer: []workertest.Action{{Meet: true}}})
		w := worker.New(cfg)
		for range 3 {
			require.NoError(t, w.Start(t.Context()))
			serves(t, w)
			require.NoError(t, w.Stop(t.Context()))
		}
		nothingLeft(t, cfg, out, 6)
	})
}

func TestRankFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		load    workertest.Action
		message string
		status  int
	}{
		{"refuses", workertest.Action{Do: workertest.Fail, Code: 507, Text: "System out of memory"}, "System out of memory", 507},
		{"ends", workertest.Action{Do: workertest.Exit, Code: 1}, "Worker died.", 500},
		{"answers nonsense", workertest.Action{Do: workertest.Garbage}, "Worker died.", 500},
	} {
		t.Run("SCH-066 one rank "+c.name+" while the other waits for it", func(t *testing.T) {
			t.Parallel()
			cfg, out := parallel(t, model.Pipeline, 2, workertest.Script{
				Load:  workertest.Action{Do: workertest.Stubborn},
				Ranks: map[int]workertest.Script{1: {Load: c.load}},
			})
			err := fails(t, worker.New(cfg))
			assert.Equal(t, c.message, fault.Message(err))
			assert.Equal(t, c.status, fault.Status(err))
			nothingLeft(t, cfg, out, 2)
		})
	}
	t.Run("SCH-066 one rank does not answer", func(t *testing.T) {
		t.Parallel()
		cfg, out := parallel(t, model.Tensor, 2, workertest.Script{Ranks: map[int]workertest.Script{1: {Load: workertest.Action{Do: workertest.Hang}}}})
		cfg.Settings.Timeouts.Startup = 100 * time.Millisecond
		assert.Equal(t, "Backend worker did not respond in given time", fault.Message(fails(t, worker.New(cfg))))
		nothingLeft(t, cfg, out, 2)
	})
	t.Run("WRK-054 one rank does not come up", func(t *testing.T) {
		t.Parallel()
		cfg, out := parallel(t, model.Tensor, 3, workertest.Script{Ranks: map[int]workertest.Script{2: {Boot: workertest.Action{Do: workertest.Exit, Code: 1, Print: "Traceback (most recent call last):\nno such device\n"}}}})
		err := fails(t, worker.New(cfg))
		assert.Equal(t, "Backend stream closed.", fault.Message(err))
		assert.Contains(t, fault.Details(err), "no such device")
		nothingLeft(t, cfg, out, len(out.pids(t)))
	})
	t.Run("while all of them load, and nobody wants them any more", func(t *testing.T) {
		t.Parallel()
		cfg, out := parallel(t, model.Tensor, 2, workertest.Script{Load: workertest.Action{Meet: true, Do: workertest.Stubborn}})
		ctx, cancel := context.WithCancel(t.Context())
		w := worker.New(cfg)
		var started sync.WaitGroup
		started.Go(func() { assert.ErrorIs(t, w.Start(ctx), context.Canceled) })
		assert.Eventually(t, func() bool { return w.State() == worker.Started }, 10*time.Second, time.Millisecond)
		cancel()
		started.Wait()
		nothingLeft(t, cfg, out, 2)
	})
}

func TestRankIsLost(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]workertest.Do{"ends": workertest.Exit, "is killed": workertest.Kill} {
		t.Run("SCH-065 one that "+name+" in a batch, which the first one would wait for", func(t *testing.T) {
			t.Parallel()
			cfg, out := parallel(t, model.Tensor, 2, workertest.Script{
				Infer: []workertest.Action{{Do: workertest.Stubborn}},
				Ranks: map[int]workertest.Script{1: {Infer: []workertest.Action{{Do: do, Code: 1}}}},
			})
			w := worker.New(cfg)
			require.NoError(t, w.Start(t.Context()))
			jobs, streams := batchOf("a")
			err := w.Exchange(jobs)
			assert.False(t, worker.Unsent(err))
			failure := workertest.Failure(t, streams[0])
			assert.Equal(t, "Worker died.", fault.Message(failure))
			assert.Equal(t, 500, fault.Status(failure))
			require.NoError(t, w.Stop(t.Context()))
			nothingLeft(t, cfg, out, 2)
			assert.True(t, slices.ContainsFunc(out.of(t, worker.LogThread), func(m string) bool {
				return strings.HasPrefix(m, "Backend worker error\nrank 1: ")
			}), "the log says which")
		})
	}
	t.Run("one that dies while the worker is idle", func(t *testing.T) {
		t.Parallel()
		for _, rank := range []int{0, 1} {
			cfg, out := parallel(t, model.Pipeline, 2, workertest.Script{})
			w := worker.New(cfg)
			require.NoError(t, w.Start(t.Context()))
			pids := out.pids(t)
			require.NoError(t, syscall.Kill(number(t, pids[rank]), syscall.SIGKILL))
			<-w.Done()
			jobs, _ := batchOf("a")
			assert.True(t, worker.Unsent(w.Exchange(jobs)), "nobody got it")
			require.NoError(t, w.Stop(t.Context()))
			nothingLeft(t, cfg, out, 2)
		}
	})
	t.Run("WRK-064 torchrun is killed, and ranks do not listen to the end of their connections", func(t *testing.T) {
		t.Parallel()
		cfg, out := parallel(t, model.Tensor, 2, workertest.Script{Last: workertest.Action{Do: workertest.Stubborn}, Load: workertest.Action{Fork: true}})
		w := worker.New(cfg)
		require.NoError(t, w.Start(t.Context()))
		ranks := out.pids(t)
		require.Len(t, ranks, 2)
		above := procgrouptest.Parent(number(t, ranks[0]))
		require.Positive(t, above)
		require.NoError(t, syscall.Kill(above, syscall.SIGKILL))
		<-w.Done()
		require.NoError(t, w.Stop(t.Context()))
		nothingLeft(t, cfg, out, 2)
		for _, m := range out.of(t, worker.LogModel) {
			if child, ok := strings.CutPrefix(m, "forked "); ok {
				assert.Eventually(t, func() bool { return procgrouptest.Ended(number(t, child)) }, 10*time.Second, time.Millisecond)
			}
		}
	})
	t.Run("WRK-064 ranks that listen to nothing are killed", func(t *testing.T) {
		t.Parallel()
		cfg, out := parallel(t, model.Tensor, 2, workertest.Script{Last: workertest.Action{Do: workertest.Stubborn}})
		w := worker.New(cfg)
		require.NoError(t, w.Start(t.Context()))
		require.NoError(t, w.Stop(t.Context()))
		nothingLeft(t, cfg, out, 2)
	})
	// A rank that reads nothing any more blocks who writes a large batch to it.
	deaf := workertest.Script{
		Infer: []workertest.Action{{}, {Print: "the first rank has it\n"}},
		Ranks: map[int]workertest.Script{1: {Infer: []workertest.Action{{Do: workertest.Hang}}}},
	}
	large := string(bytes.Repeat([]byte("a"), 5<<20))
	t.Run("one that reads nothing: the response time-out", func(t *testing.T) {
		t.Parallel()
		cfg, _ := parallel(t, model.Tensor, 2, deaf)
		cfg.Settings.Timeouts.Response = 2 * time.Second
		w := workertest.Started(t, worker.New(cfg))
		serves(t, w)
		jobs, streams := batchOf(large)
		require.Error(t, w.Exchange(jobs))
		assert.Equal(t, "Worker died.", fault.Message(workertest.Failure(t, streams[0])))
	})
	t.Run("one that reads nothing: an interrupt", func(t *testing.T) {
		t.Parallel()
		cfg, out := parallel(t, model.Tensor, 2, deaf)
		w := workertest.Started(t, worker.New(cfg))
		serves(t, w)
		jobs, streams := batchOf(large)
		var sent sync.WaitGroup
		sent.Go(func() { assert.Error(t, w.Exchange(jobs)) })
		assert.Eventually(t, func() bool {
			return slices.Contains(out.of(t, worker.LogModel), "the first rank has it")
		}, 10*time.Second, time.Millisecond)
		w.Interrupt(fault.New(fault.Busy, "stopping"))
		sent.Wait()
		assert.Equal(t, fault.Busy, fault.KindOf(workertest.Failure(t, streams[0])))
	})
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}
