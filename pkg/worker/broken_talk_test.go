package worker_test

import (
	"context"
	"errors"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/worker"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

func TestConverseFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		action workertest.Action
		status int
	}{
		"SCH-062 SCH-015 the process is killed": {workertest.Action{Do: workertest.Kill}, 507},
		"SCH-062 SCH-015 the process ends":      {workertest.Action{Do: workertest.Exit, Code: 1}, 500},
		"half an answer":                        {workertest.Action{Do: workertest.Half}, 500},
		"bytes without sense":                   {workertest.Action{Do: workertest.Garbage}, 500},
		"SCH-D53 silence":                       {tell(), 500},
	} {
		t.Run(name+" fails all in flight", func(t *testing.T) {
			t.Parallel()
			w, talk := talking(t, quickly(time.Second), tell(piece("r0", "begun", "true")), tell(), c.action)
			jobs, streams := batchOf("a", "b", "c")
			talk.say(t, jobs[0])
			assert.True(t, workertest.Reply(t, streams[0]).More)
			talk.say(t, jobs[1:]...)
			for _, s := range streams {
				err := workertest.Failure(t, s)
				assert.Equal(t, "Worker died.", fault.Message(err))
				assert.Equal(t, c.status, fault.Status(err))
			}
			talk.failed(t, 3)
			require.NoError(t, w.Stop(t.Context()))
			require.NoError(t, w.Start(t.Context()), "and it can begin again")
			again := converse(t, t.Context(), w)
			last := talk.landed.Load()
			again.enough(t, 0)
			assert.Equal(t, last, talk.landed.Load())
		})
	}
	t.Run("the process dies while nothing is asked of it", func(t *testing.T) {
		t.Parallel()
		w, c := talking(t, nil)
		require.NoError(t, syscall.Kill(w.Status().PID, syscall.SIGKILL))
		c.failed(t, 0)
	})
	t.Run("a worker that does not read", func(t *testing.T) {
		t.Parallel()
		_, c := talking(t, quickly(500*time.Millisecond), workertest.Action{Do: workertest.Hang})
		jobs, streams := batchOf("a", string(make([]byte, 4<<20)))
		c.say(t, jobs...)
		for _, s := range streams {
			assert.Equal(t, "Worker died.", fault.Message(workertest.Failure(t, s)))
		}
		c.failed(t, 2)
	})
	t.Run("a response timeout of 0 leaves no time", func(t *testing.T) {
		t.Parallel()
		_, c := talking(t, quickly(0), tell())
		jobs, streams := batchOf("a")
		c.say(t, jobs...)
		<-c.over
		require.Error(t, c.err)
		if c.unsent == nil {
			assert.Equal(t, 500, fault.Status(workertest.Failure(t, streams[0])))
		}
	})
	t.Run("there is no process", func(t *testing.T) {
		t.Parallel()
		w := worker.New(workertest.Config(t, workertest.Behaving(t, workertest.Echoes)))
		c := converse(t, t.Context(), w)
		<-c.over
		assert.True(t, worker.Unsent(c.err))
	})
}

// Each job that was given is answered, or handed back, never both: whenever the
// process dies.
func TestConverseUntilItDies(t *testing.T) {
	t.Parallel()
	for n := range 20 {
		w, c := talking(t, nil, workertest.Action{})
		var given []*job.Job
		dead := w.Done()
		for i := 0; ; i++ {
			if i == n {
				require.NoError(t, syscall.Kill(w.Status().PID, syscall.SIGKILL))
			}
			j, _ := workertest.NewJob(strconv.Itoa(i), "x")
			select {
			case c.jobs <- j:
				given = append(given, j)
				continue
			case <-c.over:
			}
			break
		}
		<-dead
		require.Error(t, c.err)
		landed := len(given)
		for i, j := range given {
			if j == c.unsent {
				landed--
				assert.False(t, j.Done(), "job %d of %d was handed back", i, len(given))
				assert.Equal(t, len(given)-1, i)
				continue
			}
			assert.True(t, j.Done(), "job %d of %d", i, len(given))
		}
		require.EqualValues(t, landed, c.landed.Load(), "of %d jobs", len(given))
	}
}

func TestConverseInterrupted(t *testing.T) {
	t.Parallel()
	w, c := talking(t, nil, tell(), tell(piece("r1", "they are in the air", "true")))
	jobs, streams := batchOf("a", "b")
	c.say(t, jobs...)
	workertest.Reply(t, streams[1])
	w.Interrupt(fault.New(fault.Busy, "stopping"))
	for _, s := range streams {
		assert.Equal(t, fault.Busy, fault.KindOf(workertest.Failure(t, s)))
	}
	<-c.over
	assert.Equal(t, fault.Busy, fault.KindOf(c.err))
	assert.EqualValues(t, 2, c.landed.Load())
}

// When ctx ends, what the worker has is finished, and nothing more is sent.
func TestConverseEnds(t *testing.T) {
	t.Parallel()
	a := workertest.Archive(t, workertest.Script{Infer: []workertest.Action{tell(), {Do: workertest.Say, Gate: true, Says: []workertest.Message{answersTo("r1", "r0")}}}})
	gate := workertest.NewGate(t, a)
	w := workertest.Started(t, worker.New(workertest.Config(t, a)))
	gone := errors.New("scaled away")
	ctx, cancel := context.WithCancelCause(t.Context())
	c := converse(t, ctx, w)
	jobs, streams := batchOf("a", "b")
	c.say(t, jobs...)
	gate.Await(t)
	cancel(gone)
	select {
	case <-c.over:
		assert.Fail(t, "it does not wait for the answers")
	case <-time.NewTimer(50 * time.Millisecond).C:
	}
	gate.Open(t)
	assert.Equal(t, []string{"r0", "r1"}, bodies(t, streams))
	<-c.over
	require.ErrorIs(t, c.err, gone)
	assert.EqualValues(t, 2, c.landed.Load())
	require.NoError(t, w.Stop(t.Context()))
}
