package worker_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/worker"
	"github.com/torchserve-go/torchserve/pkg/worker/workertest"
)

// errEnough is how a test says that there are no more jobs.
var errEnough = errors.New("no more jobs")

// talk is a conversation under test.
type talk struct {
	jobs   chan *job.Job // closed: there are no more
	landed atomic.Int64
	over   chan struct{}
	unsent *job.Job // read after over
	err    error
}

// converse lets a worker talk until the jobs end, or ctx does, or the test.
func converse(t *testing.T, ctx context.Context, w *worker.Worker) *talk { //nolint:revive // the test comes first
	t.Helper()
	c := &talk{jobs: make(chan *job.Job), over: make(chan struct{})}
	ctx, cancel := context.WithCancel(ctx)
	next := func(ctx context.Context) (*job.Job, error) {
		select {
		case j, ok := <-c.jobs:
			if !ok {
				return nil, errEnough
			}
			return j, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	go func() {
		defer close(c.over)
		c.unsent, c.err = w.Converse(ctx, next, func() { c.landed.Add(1) })
	}()
	t.Cleanup(func() {
		cancel()
		w.Interrupt(nil)
		<-c.over
	})
	return c
}

// say has jobs sent, one after the other.
func (c *talk) say(t *testing.T, jobs ...*job.Job) {
	t.Helper()
	for _, j := range jobs {
		select {
		case c.jobs <- j:
		case <-c.over:
			require.Fail(t, "the conversation is over", "%v", c.err)
		}
	}
}

// enough ends the jobs and requires that it was a good conversation of n jobs.
func (c *talk) enough(t *testing.T, n int) {
	t.Helper()
	close(c.jobs)
	<-c.over
	require.ErrorIs(t, c.err, errEnough)
	assert.Nil(t, c.unsent)
	assert.EqualValues(t, n, c.landed.Load(), "each job lands once")
}

// failed requires that the incarnation has failed when it had n jobs.
func (c *talk) failed(t *testing.T, n int) {
	t.Helper()
	<-c.over
	require.Error(t, c.err)
	require.NotErrorIs(t, c.err, errEnough)
	assert.Equal(t, fault.Worker, fault.KindOf(c.err))
	assert.Nil(t, c.unsent)
	assert.EqualValues(t, n, c.landed.Load(), "each job lands once")
}

func talking(t *testing.T, change func(*worker.Config), infer ...workertest.Action) (*worker.Worker, *talk) {
	t.Helper()
	w := scripted(t, func(c *worker.Config) {
		c.Settings.Async = true
		if change != nil {
			change(c)
		}
	}, infer...)
	return w, converse(t, t.Context(), w)
}

// quickly sets the response timeout.
func quickly(d time.Duration) func(*worker.Config) {
	return func(c *worker.Config) { c.Settings.Timeouts.Response = d }
}

// answersTo makes a message of final answers.
func answersTo(ids ...string) workertest.Message {
	var m workertest.Message
	for _, id := range ids {
		m.Items = append(m.Items, workertest.Answer{ID: id, Body: id})
	}
	return m
}

func piece(id, body, next string) workertest.Message {
	return workertest.Message{Items: []workertest.Answer{{ID: id, Body: body, Next: next}}}
}

// tell is an action of these messages; none: silence.
func tell(messages ...workertest.Message) workertest.Action {
	return workertest.Action{Do: workertest.Say, Says: messages}
}

func bodies(t *testing.T, streams []*job.Stream) (all []string) {
	t.Helper()
	for _, s := range streams {
		all = append(all, string(workertest.Reply(t, s).Body))
	}
	return all
}

func TestConverseWithoutClients(t *testing.T) {
	t.Parallel()
	t.Run("without waiting for jobs whose clients have gone", func(t *testing.T) {
		t.Parallel()
		w := scripted(t, nil, workertest.Action{Do: workertest.Hang})
		jobs, _ := batchOf("a", "b")
		enough := errors.New("enough")
		var landed atomic.Int64
		unsent, err := w.Converse(t.Context(), func(context.Context) (*job.Job, error) {
			if len(jobs) == 0 {
				return nil, enough
			}
			j := jobs[0]
			jobs = jobs[1:]
			j.Abandon()
			return j, nil
		}, func() { landed.Add(1) })
		require.ErrorIs(t, err, enough)
		assert.Nil(t, unsent)
		assert.EqualValues(t, 2, landed.Load(), "they count as over")
	})
}
