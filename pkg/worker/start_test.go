package worker_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
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
	"github.com/torchserve-go/torchserve/pkg/procgroup/procgrouptest"
	"github.com/torchserve-go/torchserve/pkg/worker"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

func TestStart(t *testing.T) {
	t.Parallel()
	t.Run("over TCP", func(t *testing.T) {
		t.Parallel()
		cfg := workertest.Config(t, workertest.Behaving(t, workertest.Echoes))
		cfg.Launch.TCP, cfg.Port = true, freePorts(t, 1)
		serves(t, workertest.Started(t, worker.New(cfg)))
	})
	t.Run("WRK-053 nothing is sent before the process says that it listens", func(t *testing.T) {
		t.Parallel()
		a := workertest.Archive(t, workertest.Script{Boot: workertest.Action{Gate: true}})
		gate := workertest.NewGate(t, a)
		w := worker.New(workertest.Config(t, a))
		var started sync.WaitGroup
		started.Go(func() { workertest.Started(t, w) })
		gate.Await(t)
		assert.Equal(t, worker.None, w.State())
		assert.Equal(t, "null", w.Status().State)
		assert.False(t, w.Status().Ready)
		gate.Open(t)
		started.Wait()
		assert.True(t, w.Status().Ready)
	})
	t.Run("WRK-056 WRK-057 WRK-059 LOG-026 SCH-079 what is logged", func(t *testing.T) {
		t.Parallel()
		out, seen := &logs{}, &figures{}
		cfg := workertest.Config(t, workertest.Archive(t, workertest.Script{
			Load:  workertest.Action{Print: "[METRICS]Load.Milliseconds:1|#Level:Model\nINFO > [METRICS]Other.Unit:2\n"},
			Infer: []workertest.Action{{Print: "hello [METRICS]\n\xff\n", Complain: "UserWarning: deprecated\n"}},
		}))
		cfg.Log, cfg.Metrics = out.make, seen
		w := worker.New(cfg)
		require.NoError(t, w.Start(t.Context()))
		pid := strconv.Itoa(w.Status().PID)
		serves(t, w)
		w.Retire()
		require.NoError(t, w.Stop(t.Context()))
		lines := out.lines(t)
		for _, want := range []line{
			{"debug", worker.LogThread, "W-9000-m_1.0", "W-9000-m_1.0 State change null -> WORKER_STARTED"},
			{"debug", worker.LogThread, "W-9000-m_1.0", "W-9000-m_1.0 State change WORKER_STARTED -> WORKER_MODEL_LOADED"},
			{"debug", worker.LogThread, "W-9000-m_1.0", "W-9000-m_1.0 State change WORKER_MODEL_LOADED -> WORKER_SCALED_DOWN"},
			{"info", worker.LogThread, "W-9000-m_1.0", "Connecting to: " + filepath.Join(cfg.Launch.SocketDir, ".ts.sock.9000")},
			{"info", worker.LogModel, "W-9000-m_1.0-stdout", "[PID]" + pid},
			{"info", worker.LogModel, "W-9000-m_1.0-stdout", "Torch worker started."},
			{"info", worker.LogModel, "W-9000-m_1.0-stdout", "model_name: m, batchSize: 4"},
			{"info", worker.LogModel, "W-9000-m_1.0-stdout", "hello [METRICS]"},
			{"info", worker.LogModel, "W-9000-m_1.0-stdout", "\uFFFD"},
			{"info", worker.LogModel, "W-9000-m_1.0-stdout", "Frontend disconnected."},
			{"warn", worker.LogModel, "W-9000-m_1.0-stderr", "UserWarning: deprecated"},
			{"info", worker.LogLifeCycle, "W-9000-m_1.0", "Stopped Scanner - W-9000-m_1.0-stdout"},
			{"info", worker.LogLifeCycle, "W-9000-m_1.0", "Stopped Scanner - W-9000-m_1.0-stderr"},
			{"debug", worker.LogLifeCycle, "W-9000-m_1.0", "result=[METRICS]Other.Unit:2, pattern=[METRICS]"},
			{"debug", worker.LogBatch, "W-9000-m_1.0", "Sending response for jobId r0"},
		} {
			assert.Contains(t, lines, want)
		}
		assert.False(t, slices.ContainsFunc(out.of(t, worker.LogModel), func(m string) bool { return strings.HasPrefix(m, "[METRICS]") }))
		assert.Equal(t, []string{"Load.Milliseconds:1|#Level:Model", "Other.Unit:2"}, seen.texts)
		assert.Equal(t, 2, seen.trips, "load and batch")
		assert.Equal(t, worker.ScaledDown, w.State())
	})
	t.Run("WRK-048 it works in the directory of the model", func(t *testing.T) {
		t.Parallel()
		a := workertest.Archive(t, workertest.Script{Starts: 1})
		workertest.Started(t, worker.New(workertest.Config(t, a)))
		assert.FileExists(t, filepath.Join(a.Dir, "fake-worker.starts"))
	})
	t.Run("SCH-080 each start reports its own duration", func(t *testing.T) {
		t.Parallel()
		seen := &figures{}
		cfg := workertest.Config(t, workertest.Behaving(t, workertest.Echoes))
		cfg.Metrics = seen
		w := worker.New(cfg)
		after(500 * time.Millisecond)
		for range 2 {
			began := time.Now()
			require.NoError(t, w.Start(t.Context()))
			assert.LessOrEqual(t, seen.loads[len(seen.loads)-1], time.Since(began))
			require.NoError(t, w.Stop(t.Context()))
		}
		assert.Len(t, seen.loads, 2)
	})
}

// fails starts a worker that cannot and returns the fault.
func fails(t *testing.T, w *worker.Worker) error {
	t.Helper()
	err := w.Start(t.Context())
	require.Error(t, err)
	assert.Equal(t, fault.Worker, fault.KindOf(err))
	assert.Equal(t, worker.Stopped, w.State())
	<-w.Done()
	return err
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		script  workertest.Script
		message string
		status  int
	}{
		{"the process ends before it listens", workertest.Script{Boot: workertest.Action{Do: workertest.Exit, Code: 1, Print: "why\n"}}, "Backend stream closed.", 500},
		{"the process is killed before it listens", workertest.Script{Boot: workertest.Action{Do: workertest.Kill}}, "Backend stream closed.", 507},
		{"WRK-065 the process is killed while loading", workertest.Script{Load: workertest.Action{Do: workertest.Kill}}, "Worker died.", 507},
		{"the process ends while loading", workertest.Script{Load: workertest.Action{Do: workertest.Exit, Code: 3}}, "Worker died.", 500},
		{"garbage for an answer", workertest.Script{Load: workertest.Action{Do: workertest.Garbage}}, "Worker died.", 500},
		{"half an answer", workertest.Script{Load: workertest.Action{Do: workertest.Half}}, "Worker died.", 500},
		{"the load is refused", workertest.Script{Load: workertest.Action{Do: workertest.Fail, Code: 507, Text: "System out of memory"}}, "System out of memory", 507},
		{"the load is refused with nonsense", workertest.Script{Load: workertest.Action{Do: workertest.Fail, Code: 7, Text: "?"}}, "?", 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := fails(t, worker.New(workertest.Config(t, workertest.Archive(t, c.script))))
			assert.Equal(t, c.message, fault.Message(err))
			assert.Equal(t, c.status, fault.Status(err))
			if c.script.Boot.Print != "" {
				assert.Equal(t, "why", fault.Details(err))
			}
		})
	}
	t.Run("SCH-024 LOG-046 the load is not answered in time", func(t *testing.T) {
		t.Parallel()
		out := &logs{}
		cfg := workertest.Config(t, workertest.Archive(t, workertest.Script{Load: workertest.Action{Do: workertest.Hang}}))
		cfg.Settings.Timeouts.Startup, cfg.Log = 100*time.Millisecond, out.make
		w := worker.New(cfg)
		err := fails(t, w)
		assert.Equal(t, "Backend worker did not respond in given time", fault.Message(err))
		assert.Equal(t, 500, fault.Status(err))
		assert.Contains(t, fault.Details(err), "The model did not load within 0.1 s. If it needs longer, raise startupTimeout in "+
			"model-config.yaml, startup_timeout of the registration, or default_startup_timeout. It")
		assert.Equal(t, fault.Details(err), w.Status().Error)
		assert.Contains(t, out.of(t, worker.LogThread),
			"Backend worker error\norg.pytorch.serve.wlm.WorkerInitializationException: Backend worker did not respond in given time")
		assert.Contains(t, out.of(t, worker.LogThread), "Load model failed: m, error: Worker died.")
		assert.Contains(t, strings.Join(out.of(t, worker.LogThread), "\n"), "raise startupTimeout in model-config.yaml")
	})
	t.Run("a startup timeout of 0 leaves no time", func(t *testing.T) {
		t.Parallel()
		cfg := workertest.Config(t, workertest.Behaving(t, workertest.Echoes))
		cfg.Settings.Timeouts.Startup = 0
		assert.Equal(t, "Backend worker did not respond in given time", fault.Message(fails(t, worker.New(cfg))))
	})
	t.Run("no such interpreter", func(t *testing.T) {
		t.Parallel()
		cfg := workertest.Config(t, workertest.Behaving(t, workertest.Echoes))
		cfg.Launch.Python = "/no/such/python"
		w := worker.New(cfg)
		err := fails(t, w)
		assert.Equal(t, "Failed start worker process", fault.Message(err))
		assert.Contains(t, w.Status().Error, "/no/such/python")
	})
	t.Run("the last words are the traceback, until a start succeeds", func(t *testing.T) {
		t.Parallel()
		cfg := workertest.Config(t, workertest.Archive(t, workertest.Script{Starts: 1, Load: workertest.Action{Do: workertest.Fail, Code: 500, Text: "no", Print: "noise\nTraceback (most recent call last):\n  line\nKeyError: 'x'\n"}}))
		w := worker.New(cfg)
		err := fails(t, w)
		assert.Contains(t, fault.Details(err), "Traceback (most recent call last):\n  line\nKeyError: 'x'")
		assert.NotContains(t, fault.Details(err), "noise")
		assert.Equal(t, fault.Details(err), w.Status().Error)
		serves(t, workertest.Started(t, w))
		assert.Empty(t, w.Status().Error)
	})
}

func TestStartIsCanceled(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]workertest.Script{
		"while it boots": {Boot: workertest.Action{Gate: true, Do: workertest.Stubborn}},
		"while it loads": {Load: workertest.Action{Gate: true, Do: workertest.Stubborn}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := workertest.Archive(t, script)
			gate := workertest.NewGate(t, a)
			w := worker.New(workertest.Config(t, a))
			enough := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			var started sync.WaitGroup
			started.Go(func() { assert.ErrorIs(t, w.Start(ctx), enough) })
			gate.Await(t)
			cancel(enough)
			started.Wait()
			assert.Equal(t, worker.Stopped, w.State())
			<-w.Done()
			gate.Open(t)
		})
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	t.Run("without a process nothing happens", func(t *testing.T) {
		t.Parallel()
		w := worker.New(workertest.Config(t, workertest.Behaving(t, workertest.Echoes)))
		<-w.Done()
		require.NoError(t, w.Stop(t.Context()))
		assert.Equal(t, worker.None, w.State())
		w.Interrupt(nil)
	})
	t.Run("no socket stays, of a killed process neither", func(t *testing.T) {
		t.Parallel()
		cfg := workertest.Config(t, workertest.Behaving(t, workertest.Echoes))
		w := workertest.Started(t, worker.New(cfg))
		require.NoError(t, syscall.Kill(w.Status().PID, syscall.SIGKILL))
		<-w.Done()
		require.NoError(t, w.Stop(t.Context()))
		left, err := os.ReadDir(cfg.Launch.SocketDir)
		require.NoError(t, err)
		assert.Empty(t, left)
	})
	t.Run("a cut short ladder kills what does not listen", func(t *testing.T) {
		t.Parallel()
		w := workertest.Started(t, worker.New(workertest.Config(t, workertest.Archive(t, workertest.Script{Last: workertest.Action{Do: workertest.Stubborn}}))))
		done := w.Done()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		require.NoError(t, w.Stop(ctx))
		assert.Less(t, time.Since(began), 2*time.Second)
		<-done
	})
	t.Run("a process that does not listen to the end of its connection is terminated", func(t *testing.T) {
		t.Parallel()
		w := workertest.Started(t, worker.New(workertest.Config(t, workertest.Archive(t, workertest.Script{Last: workertest.Action{Do: workertest.Hang}}))))
		began := time.Now()
		require.NoError(t, w.Stop(t.Context()))
		assert.Less(t, time.Since(began), 5*time.Second)
	})
	t.Run("what the worker has started goes with it", func(t *testing.T) {
		t.Parallel()
		out := &logs{}
		cfg := workertest.Config(t, workertest.Archive(t, workertest.Script{Load: workertest.Action{Fork: true}}))
		cfg.Log = out.make
		w := workertest.Started(t, worker.New(cfg))
		began := time.Now()
		require.NoError(t, w.Stop(t.Context()))
		assert.Less(t, time.Since(began), time.Second, "its open output delays nobody")
		child := ""
		for _, m := range out.of(t, worker.LogModel) {
			if pid, ok := strings.CutPrefix(m, "forked "); ok {
				child = pid
			}
		}
		require.NotEmpty(t, child)
		assert.Eventually(t, func() bool { return procgrouptest.Ended(number(t, child)) }, 10*time.Second, time.Millisecond)
	})
}

// freePorts returns the first of n TCP ports in a row that were free a moment ago.
// They lie below those that the system gives to whoever asks for any.
func freePorts(t *testing.T, n int) (first int) {
	t.Helper()
	const lowest, highest = 20000, 32000
	for range 100 {
		first = lowest + rand.IntN(highest-lowest)
		if areFree(first, n) {
			return first
		}
	}
	require.Fail(t, "no free ports")
	return 0
}

func areFree(first, n int) bool {
	for port := first; port < first+n; port++ {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil || l.Close() != nil {
			return false
		}
	}
	return true
}
