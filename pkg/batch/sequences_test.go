package batch_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/batch"
	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
)

func anyLimits(changes ...func(*batch.SequenceLimits)) batch.SequenceLimits {
	l := batch.SequenceLimits{Number: 8, QueueSize: 8, Loose: 8, MaxIdle: time.Minute}
	for _, change := range changes {
		change(&l)
	}
	return l
}

func always() bool { return true }

// of puts a job that belongs to a sequence.
func of(t *testing.T, s *batch.Sequences, sequence, id string, changes ...func(*job.Job)) *job.Job {
	t.Helper()
	j, _ := newJob(id, append(changes, func(j *job.Job) { j.Sequence = sequence })...)
	_, err := s.Put(j, always)
	require.NoError(t, err)
	return j
}

// offer puts a job and returns how it was refused.
func offer(s *batch.Sequences, sequence string) error {
	j, _ := newJob("x", func(j *job.Job) { j.Sequence = sequence })
	_, err := s.Put(j, always)
	return err
}

func refused(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	assert.Equal(t, fault.Busy, fault.KindOf(err))
}

// pass lets virtual time pass. Go 1.26 runs a timer of a bubble that is due at
// once on the goroutine that asks for it, and its race detector does not survive
// two at a time (mended in Go 1.27): there is none for no time.
func pass(d time.Duration) {
	if d > 0 {
		<-time.NewTimer(d).C
	}
}

func taken(t *testing.T, l batch.Line, size int) []*job.Job {
	t.Helper()
	jobs, err := l.Collect(t.Context(), batch.Limits{Size: size}, nil)
	require.NoError(t, err)
	return jobs
}

// answer is what a worker does with a batch.
func answer(l batch.Line, jobs []*job.Job) {
	for _, j := range jobs {
		j.Deliver(job.Reply{Status: 200})
	}
	l.Settle(nil)
}

func TestSequences(t *testing.T) {
	t.Parallel()
	t.Run("SCH-051 SCH-052 one job of each sequence at a time, in order", func(t *testing.T) {
		t.Parallel()
		s := batch.NewSequences(anyLimits())
		l := s.Line()
		for _, id := range []string{"a1", "a2", "b1", "a3", "b2"} {
			of(t, s, id[:1], id)
		}
		first := taken(t, l, 4)
		assert.Equal(t, []string{"a1", "b1"}, names(first))
		assert.Empty(t, l.More(4, first[0], nil), "the next ones wait for the answers")
		answer(l, first)
		second := taken(t, l, 4)
		assert.Equal(t, []string{"a2", "b2"}, names(second))
		answer(l, second)
		assert.Equal(t, []string{"a3"}, names(taken(t, l, 4)))
	})
	t.Run("SCH-051 a sequence stays with its worker, new ones go to that with the fewest", func(t *testing.T) {
		t.Parallel()
		s := batch.NewSequences(anyLimits())
		l, m := s.Line(), s.Line()
		for _, id := range []string{"a", "b", "c", "d"} {
			of(t, s, id, id+"1")
		}
		one, other := taken(t, l, 4), taken(t, m, 4)
		assert.Equal(t, []string{"a1", "c1"}, names(one))
		assert.Equal(t, []string{"b1", "d1"}, names(other))
		answer(l, one)
		answer(m, other)
		of(t, s, "b", "b2")
		of(t, s, "a", "a2")
		assert.Equal(t, []string{"a2"}, names(taken(t, l, 4)))
		assert.Equal(t, []string{"b2"}, names(taken(t, m, 4)))
	})
	t.Run("SCH-053 no more sequences than allowed, until one was idle for long enough", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := batch.NewSequences(anyLimits(func(l *batch.SequenceLimits) { l.Number = 2 }))
			l := s.Line()
			of(t, s, "a", "a1")
			of(t, s, "b", "b1")
			err := offer(s, "c")
			refused(t, err)
			require.ErrorIs(t, err, batch.ErrSequences)
			answer(l, taken(t, l, 4))
			pass(time.Minute - 1)
			refused(t, offer(s, "c"))
			of(t, s, "a", "a2")
			answer(l, taken(t, l, 4))
			pass(1)
			synctest.Wait()
			assert.Equal(t, 1, s.Open(), "b has ended, a goes on")
			of(t, s, "c", "c1")
			assert.Equal(t, []string{"c1"}, names(taken(t, l, 4)))
			s.Close()
		})
	})
	t.Run("SCH-054 no more waiting jobs in a sequence than allowed", func(t *testing.T) {
		t.Parallel()
		s := batch.NewSequences(anyLimits(func(l *batch.SequenceLimits) { l.QueueSize = 2 }))
		l := s.Line()
		of(t, s, "a", "a1")
		gone := of(t, s, "a", "a2")
		refused(t, offer(s, "a"))
		assert.True(t, gone.Abandon())
		of(t, s, "a", "a3")
		first := taken(t, l, 1)
		assert.Equal(t, []string{"a1"}, names(first))
		answer(l, first)
		assert.Equal(t, []string{"a3"}, names(taken(t, l, 1)), "a client that has gone takes no turn")
	})
	t.Run("SCH-055 the time of a sequence ends although it is active", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := batch.NewSequences(anyLimits(func(l *batch.SequenceLimits) { l.Timeout = 10 * time.Second }))
			l := s.Line()
			at, waiting := of(t, s, "a", "a1"), of(t, s, "a", "a2")
			jobs := taken(t, l, 1)
			pass(10 * time.Second)
			synctest.Wait()
			assert.True(t, waiting.Done(), "what waits is answered (SCH-D46)")
			assert.False(t, at.Done(), "what the worker has is finished")
			refused(t, offer(s, "a"))
			answer(l, jobs)
			assert.True(t, at.Done())
			assert.Zero(t, s.Open())
			of(t, s, "a", "a3")
			assert.Equal(t, []string{"a3"}, names(taken(t, l, 1)), "the same id begins a new sequence")
			s.Close()
		})
	})
	t.Run("SCH-052 SCH-055 nor does another one of its id share its last batch", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := batch.NewSequences(anyLimits(func(l *batch.SequenceLimits) { l.Timeout = 10 * time.Second }))
			l := s.Line()
			of(t, s, "a", "a1")
			var late sync.WaitGroup
			late.Go(func() {
				pass(11 * time.Second)
				refused(t, offer(s, "a"))
				of(t, s, "b", "b1")
			})
			jobs, err := l.Collect(t.Context(), batch.Limits{Size: 4, Delay: 20 * time.Second}, nil)
			require.NoError(t, err)
			assert.Equal(t, []string{"a1", "b1"}, names(jobs))
			late.Wait()
			assert.Equal(t, jobs[:1], l.Return(jobs), "what is not sent after all is over, too")
			of(t, s, "a", "a2")
			s.Close()
		})
	})
	t.Run("SCH-056 several jobs of a sequence are live, and it ends when the model says so", func(t *testing.T) {
		t.Parallel()
		s := batch.NewSequences(anyLimits())
		l := s.Line()
		of(t, s, "a", "a1")
		of(t, s, "a", "a2")
		waiting := of(t, s, "a", "a3")
		live := taken(t, l, 4)
		assert.Empty(t, l.More(4, live[0], nil))
		l.Settle(live) // an iteration
		live = append(live, l.More(4, live[0], nil)...)
		assert.Equal(t, []string{"a1", "a2"}, names(live))
		s.End([]string{"a", "unknown"})
		assert.True(t, waiting.Done())
		assert.Zero(t, s.Open())
		l.Settle(live)
		assert.Empty(t, l.More(4, live[0], nil))
		answer(l, live)
	})
	t.Run("SCH-058 jobs of no sequence are done by any worker, describe alone", func(t *testing.T) {
		t.Parallel()
		s := batch.NewSequences(anyLimits())
		l := s.Line()
		of(t, s, "a", "a1")
		of(t, s, "", "loose")
		of(t, s, "", "describe", kind(job.Describe))
		assert.Equal(t, []string{"loose", "a1"}, names(taken(t, l, 4)))
		assert.Equal(t, []string{"describe"}, names(taken(t, l, 4)))
	})
	t.Run("SCH-047 a describe gets its turn however many sequences there are", func(t *testing.T) {
		t.Parallel()
		s := batch.NewSequences(anyLimits())
		l := s.Line()
		of(t, s, "a", "a1")
		live := taken(t, l, 4)
		of(t, s, "", "describe", kind(job.Describe))
		of(t, s, "b", "b1", func(j *job.Job) { j.Created = j.Created.Add(time.Second) })
		l.Settle(live)
		assert.Empty(t, l.More(4, live[0], nil), "nobody overtakes it")
		answer(l, live)
		assert.Equal(t, []string{"describe"}, names(taken(t, l, 4)))
		assert.Equal(t, []string{"b1"}, names(taken(t, l, 4)))
	})
	t.Run("a batch waits for jobs of other sequences", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := batch.NewSequences(anyLimits())
			l := s.Line()
			of(t, s, "a", "a1")
			var others sync.WaitGroup
			others.Go(func() {
				pass(time.Second)
				of(t, s, "b", "b1")
			})
			jobs, err := l.Collect(t.Context(), batch.Limits{Size: 4, Delay: 2 * time.Second}, nil)
			require.NoError(t, err)
			assert.Equal(t, []string{"a1", "b1"}, names(jobs))
			others.Wait()
			s.Close()
		})
	})
}

func TestSequencesOfALostWorker(t *testing.T) {
	t.Parallel()
	t.Run("SCH-057 those that it has begun end, the others go to another worker", func(t *testing.T) {
		t.Parallel()
		s := batch.NewSequences(anyLimits())
		l := s.Line()
		of(t, s, "a", "a1")
		waiting := of(t, s, "a", "a2")
		of(t, s, "b", "b1")
		jobs := taken(t, l, 1)
		assert.Equal(t, []string{"a1"}, names(jobs))
		m := s.Line()
		assert.Equal(t, []*job.Job{waiting}, l.Close())
		assert.Equal(t, []string{"b1"}, names(taken(t, m, 4)))
		of(t, s, "a", "a3")
	})
	t.Run("a job that was not sent keeps its sequence", func(t *testing.T) {
		t.Parallel()
		s := batch.NewSequences(anyLimits())
		l := s.Line()
		of(t, s, "a", "a1")
		of(t, s, "a", "a2")
		of(t, s, "", "loose")
		jobs := taken(t, l, 4)
		assert.Equal(t, []string{"loose", "a1"}, names(jobs))
		assert.Empty(t, l.Return(jobs))
		assert.Empty(t, l.Close())
		m := s.Line()
		jobs = taken(t, m, 4)
		assert.Equal(t, []string{"loose", "a1"}, names(jobs))
		answer(m, jobs)
		assert.Equal(t, []string{"a2"}, names(taken(t, m, 4)))
	})
	t.Run("without a worker jobs wait for one, in order", func(t *testing.T) {
		t.Parallel()
		s := batch.NewSequences(anyLimits())
		for i := range 5 {
			of(t, s, fmt.Sprint(i), fmt.Sprint(i), func(j *job.Job) { j.Created = j.Created.Add(time.Duration(i)) })
		}
		pending, free := s.Waiting()
		assert.Equal(t, [2]int{5, 59}, [2]int{pending, free})
		assert.False(t, s.Oldest().IsZero())
		assert.Equal(t, []string{"0", "1", "2", "3", "4"}, names(taken(t, s.Line(), 8)))
	})
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		s := batch.NewSequences(anyLimits())
		l := s.Line()
		j, loose := of(t, s, "a", "a1"), of(t, s, "", "loose")
		assert.ElementsMatch(t, []*job.Job{j, loose}, s.Close())
		_, err := l.Collect(context.Background(), batch.Limits{Size: 1}, nil)
		require.ErrorIs(t, err, batch.ErrClosed)
		refused(t, offer(s, "a"))
	})
}

// Whatever happens to workers and sequences, every job has one end.
func TestEveryJobOfASequenceIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := batch.NewSequences(anyLimits(func(l *batch.SequenceLimits) {
			l.MaxIdle, l.Timeout, l.Number = 20*time.Millisecond, 300*time.Millisecond, 6
		}))
		ctx, stop := context.WithCancel(t.Context())
		var workers, clients sync.WaitGroup
		for n := range 3 {
			workers.Go(func() { unsteady(ctx, s, time.Duration(n+3)*time.Millisecond) })
		}
		var mu sync.Mutex
		var streams []*job.Stream
		for n := range 5 {
			clients.Go(func() {
				for i := range 200 {
					j, stream := newJob(fmt.Sprint(n, i), func(j *job.Job) { j.Sequence = fmt.Sprint((n * i) % 7) })
					if _, err := s.Put(j, always); err == nil {
						mu.Lock()
						streams = append(streams, stream)
						mu.Unlock()
					}
					pass(time.Duration(i%5) * time.Millisecond)
				}
			})
		}
		clients.Wait()
		stop()
		workers.Wait()
		for _, j := range s.Close() {
			j.Fail(fault.New(fault.Busy, ""))
		}
		require.NotEmpty(t, streams)
		for _, stream := range streams {
			_, err := stream.Next(t.Context())
			if err != nil {
				refused(t, err)
			}
		}
	})
}

// unsteady is a worker that dies again and again, at one moment or another.
func unsteady(ctx context.Context, s *batch.Sequences, work time.Duration) {
	for life := 0; ctx.Err() == nil; life++ {
		l := s.Line()
		for n := range 10 {
			jobs, err := l.Collect(ctx, batch.Limits{Size: 3, Delay: time.Millisecond}, nil)
			if err != nil {
				break
			}
			if n == 9 && life%2 == 0 {
				l.Return(jobs)
				break
			}
			pass(work)
			answer(l, jobs)
		}
		for _, j := range l.Close() {
			j.Fail(fault.New(fault.Busy, ""))
		}
	}
}
