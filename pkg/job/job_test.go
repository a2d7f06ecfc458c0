package job_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
)

// record counts what a sink was told.
type record struct {
	replies []job.Reply
	errs    []error
}

func (r *record) Deliver(reply job.Reply) bool {
	r.replies = append(r.replies, reply)
	return true
}
func (r *record) Fail(err error) { r.errs = append(r.errs, err) }

func newJob() (*job.Job, *record) {
	r := &record{}
	return &job.Job{Sink: r, Created: time.Now()}, r
}

func TestLife(t *testing.T) {
	now := time.Now()
	t.Run("taken, answered in pieces, done", func(t *testing.T) {
		j, r := newJob()
		assert.True(t, j.Take(now))
		assert.False(t, j.Take(now))
		assert.True(t, j.Deliver(job.Reply{More: true}))
		assert.False(t, j.Done())
		assert.True(t, j.Deliver(job.Reply{}))
		assert.True(t, j.Done())
		assert.Len(t, r.replies, 2)
	})
	t.Run("is answered once", func(t *testing.T) {
		j, r := newJob()
		j.Take(now)
		assert.True(t, j.Fail(errors.New("first")))
		assert.False(t, j.Fail(errors.New("second")))
		assert.False(t, j.Deliver(job.Reply{}))
		j.Deliver(job.Reply{More: true})
		assert.Empty(t, r.replies)
		assert.Len(t, r.errs, 1)
	})
	t.Run("can fail in the queue", func(t *testing.T) {
		j, r := newJob()
		assert.True(t, j.Fail(errors.New("full")))
		assert.False(t, j.Take(now))
		assert.Len(t, r.errs, 1)
	})
	t.Run("returned, taken again", func(t *testing.T) {
		j, _ := newJob()
		assert.False(t, j.Return())
		j.Take(now)
		assert.True(t, j.Return())
		assert.True(t, j.Take(now.Add(time.Second)))
		assert.Equal(t, now.Add(time.Second).Sub(j.Created), j.Waited())
	})
	t.Run("given up in the queue", func(t *testing.T) {
		j, r := newJob()
		assert.True(t, j.Abandon())
		assert.True(t, j.Done())
		assert.False(t, j.Take(now))
		assert.False(t, j.Fail(errors.New("late")))
		assert.Empty(t, r.errs)
	})
	t.Run("given up while a worker has it", func(t *testing.T) {
		j, r := newJob()
		j.Take(now)
		assert.False(t, j.Abandon())
		assert.True(t, j.Abandoned())
		assert.False(t, j.Return())
		j.Deliver(job.Reply{More: true})
		assert.True(t, j.Deliver(job.Reply{}))
		assert.True(t, j.Done())
		assert.Empty(t, r.replies)
	})
	t.Run("given up after the answer", func(t *testing.T) {
		j, _ := newJob()
		j.Take(now)
		j.Deliver(job.Reply{})
		assert.False(t, j.Abandon())
		assert.False(t, j.Abandoned())
	})
}

func TestTwoSides(t *testing.T) {
	for range 500 {
		j, r := newJob()
		var sides sync.WaitGroup
		var takes, free bool
		sides.Go(func() {
			if takes = j.Take(time.Now()); takes {
				j.Deliver(job.Reply{})
			}
		})
		sides.Go(func() { free = j.Abandon() })
		sides.Wait()
		require.NotEqual(t, takes, free, "exactly one side was first")
		require.True(t, j.Done())
		require.LessOrEqual(t, len(r.replies), 1)
	}
}

func TestTimes(t *testing.T) {
	now := time.Now()
	j := &job.Job{Created: now}
	assert.False(t, j.Expired(now.Add(time.Hour)), "no deadline")
	assert.Zero(t, j.Waited())
	j.Deadline = now.Add(time.Second)
	assert.False(t, j.Expired(now.Add(time.Second-1)))
	assert.True(t, j.Expired(now.Add(time.Second)))
	assert.Equal(t, fault.Expired, fault.KindOf(j.TimedOut()))
	assert.Equal(t, "Request timed out after 1000 ms", fault.Message(j.TimedOut()))
}

func TestKind(t *testing.T) {
	assert.Equal(t, "PREDICT", job.Predict.String())
	assert.Equal(t, "PREDICT", job.Explain.String())
	assert.Equal(t, "DESCRIBE", job.Describe.String())
}

func TestStream(t *testing.T) {
	t.Run("keeps the order, then the error", func(t *testing.T) {
		s := job.NewStream()
		for i := range 3 {
			s.Deliver(job.Reply{Status: i, More: true})
		}
		broken := errors.New("broken")
		s.Fail(broken)
		s.Fail(errors.New("again"))
		s.Deliver(job.Reply{Status: 9})
		for i := range 3 {
			r, err := s.Next(t.Context())
			require.NoError(t, err)
			assert.Equal(t, i, r.Status)
		}
		_, err := s.Next(t.Context())
		assert.ErrorIs(t, err, broken)
	})
	t.Run("wakes its reader", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := job.NewStream()
			go func() {
				for i := range 100 {
					synctest.Wait() // the reader waits
					s.Deliver(job.Reply{Body: []byte(strconv.Itoa(i)), More: i < 99})
				}
			}()
			for i := range 100 {
				r, err := s.Next(t.Context())
				require.NoError(t, err)
				assert.Equal(t, strconv.Itoa(i), string(r.Body))
			}
		})
	})
	t.Run("ends with the reader's context", func(t *testing.T) {
		gone := errors.New("client gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		_, err := job.NewStream().Next(ctx)
		assert.ErrorIs(t, err, gone)
	})
	t.Run("a reader that is too slow loses its stream, and its place at the worker", func(t *testing.T) {
		s := job.NewStream()
		j := &job.Job{Sink: s}
		j.Take(time.Now())
		piece := make([]byte, job.MaxUnread/4)
		for i := range 8 {
			assert.Equal(t, i > 4, j.Abandoned())
			assert.True(t, j.Deliver(job.Reply{Body: piece, More: true}))
		}
		read := 0
		for {
			r, err := s.Next(t.Context())
			if err != nil {
				assert.Equal(t, "The client reads its stream too slowly", fault.Message(err))
				break
			}
			read += len(r.Body)
		}
		assert.LessOrEqual(t, read, job.MaxUnread+len(piece))
	})
	t.Run("a reader that keeps up reads any amount", func(t *testing.T) {
		s := job.NewStream()
		piece := make([]byte, job.MaxUnread/2)
		for range 8 {
			s.Deliver(job.Reply{Body: piece, More: true})
			_, err := s.Next(t.Context())
			require.NoError(t, err)
		}
	})
	t.Run("one answer of any size is kept", func(t *testing.T) {
		s := job.NewStream()
		s.Deliver(job.Reply{Body: make([]byte, job.MaxUnread+1)})
		_, err := s.Next(t.Context())
		assert.NoError(t, err)
	})
}

func TestDeliverAllocatesNothing(t *testing.T) {
	jobs := make([]job.Job, 200)
	next := 0
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		j := &jobs[next]
		j.Sink = quiet{}
		next++
		j.Take(time.Time{})
		j.Deliver(job.Reply{Body: nil})
	}))
}

// quiet is a sink that drops everything.
type quiet struct{}

func (quiet) Deliver(job.Reply) bool { return true }
func (quiet) Fail(error)             {}

func ExampleStream() {
	s := job.NewStream()
	j := &job.Job{ID: "r1", Sink: s}
	j.Take(time.Now()) // a worker's side
	j.Deliver(job.Reply{Status: 200, Body: []byte("cat")})
	r, _ := s.Next(context.Background()) // the client's side
	fmt.Println(string(r.Body))
	// Output: cat
}
