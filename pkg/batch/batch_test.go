package batch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/torchserve-go/torchserve/pkg/batch"
	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newJob(id string, changes ...func(*job.Job)) (*job.Job, *job.Stream) {
	s := job.NewStream()
	j := &job.Job{ID: id, Sink: s, Created: time.Now()}
	for _, change := range changes {
		change(j)
	}
	return j, s
}

func kind(k job.Kind) func(*job.Job) { return func(j *job.Job) { j.Kind = k } }

func deadline(d time.Duration) func(*job.Job) {
	return func(j *job.Job) { j.Deadline = j.Created.Add(d) }
}

// put fills q with jobs of these names.
func put(t *testing.T, q *batch.Queue, ids ...string) []*job.Job {
	t.Helper()
	jobs := make([]*job.Job, 0, len(ids))
	for _, id := range ids {
		j, _ := newJob(id)
		require.NoError(t, q.Put(j))
		jobs = append(jobs, j)
	}
	return jobs
}

func names(jobs []*job.Job) []string {
	ids := []string{}
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

func collect(t *testing.T, q *batch.Queue, l batch.Limits) []string {
	t.Helper()
	jobs, err := q.Collect(t.Context(), l, nil)
	require.NoError(t, err)
	return names(jobs)
}

// virtually runs f with a clock of its own.
func virtually(f func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) { synctest.Test(t, f) }
}

func TestPut(t *testing.T) {
	t.Run("SCH-003 a full queue refuses", func(t *testing.T) {
		q := batch.NewQueue(2)
		put(t, q, "a", "b")
		j, _ := newJob("c")
		assert.Equal(t, fault.Busy, fault.KindOf(q.Put(j)))
		assert.False(t, j.Done())
		assert.Equal(t, []string{"a"}, collect(t, q, batch.Limits{Size: 1}))
		assert.NoError(t, q.Put(j))
	})
	t.Run("capacity is at least 1", func(t *testing.T) {
		q := batch.NewQueue(0)
		put(t, q, "a")
		pending, free := q.Waiting()
		assert.Equal(t, []int{1, 0}, []int{pending, free})
	})
	t.Run("jobs whose client has gone take no place", func(t *testing.T) {
		q := batch.NewQueue(2)
		jobs := put(t, q, "a", "b")
		assert.True(t, jobs[0].Abandon())
		pending, free := q.Waiting()
		assert.Equal(t, []int{1, 1}, []int{pending, free})
		put(t, q, "c")
		assert.Equal(t, []string{"b", "c"}, collect(t, q, batch.Limits{Size: 2}))
	})
	t.Run("oldest", virtually(func(t *testing.T) {
		q := batch.NewQueue(5)
		assert.Zero(t, q.Oldest())
		a := put(t, q, "a")[0]
		<-time.NewTimer(time.Second).C
		b := put(t, q, "b")[0]
		assert.Equal(t, a.Created, q.Oldest())
		a.Abandon()
		assert.Equal(t, b.Created, q.Oldest())
	}))
}

func TestCollect(t *testing.T) {
	t.Run("SCH-005 batch size 1 adds no delay", virtually(func(t *testing.T) {
		q, start := batch.NewQueue(5), time.Now()
		put(t, q, "a", "b")
		assert.Equal(t, []string{"a"}, collect(t, q, batch.Limits{Size: 1, Delay: time.Second}))
		assert.Zero(t, time.Since(start))
	}))
	t.Run("SCH-006 one request waits the whole delay", virtually(func(t *testing.T) {
		q, start := batch.NewQueue(5), time.Now()
		put(t, q, "a")
		assert.Equal(t, []string{"a"}, collect(t, q, batch.Limits{Size: 2, Delay: time.Second}))
		assert.Equal(t, time.Second, time.Since(start))
	}))
	t.Run("SCH-007 SCH-010 a full batch leaves at once, in order of arrival", virtually(func(t *testing.T) {
		q, start := batch.NewQueue(5), time.Now()
		put(t, q, "a", "b", "c", "d")
		assert.Equal(t, []string{"a", "b", "c"}, collect(t, q, batch.Limits{Size: 3, Delay: time.Second}))
		assert.Zero(t, time.Since(start))
	}))
	t.Run("SCH-008 the delay counts from the arrival of the first", virtually(func(t *testing.T) {
		q, start := batch.NewQueue(5), time.Now()
		put(t, q, "a")
		<-time.NewTimer(700 * time.Millisecond).C // all workers were busy
		go func() {
			<-time.NewTimer(200 * time.Millisecond).C
			put(t, q, "b")
		}()
		assert.Equal(t, []string{"a", "b"}, collect(t, q, batch.Limits{Size: 3, Delay: time.Second}))
		assert.Equal(t, time.Second, time.Since(start))
	}))
	t.Run("what waited longer than the delay leaves at once", virtually(func(t *testing.T) {
		q := batch.NewQueue(5)
		put(t, q, "a", "b")
		<-time.NewTimer(2 * time.Second).C
		start := time.Now()
		assert.Equal(t, []string{"a", "b"}, collect(t, q, batch.Limits{Size: 3, Delay: time.Second}))
		assert.Zero(t, time.Since(start))
	}))
	t.Run("SCH-009 no delay takes what is there", virtually(func(t *testing.T) {
		q, start := batch.NewQueue(9), time.Now()
		put(t, q, "a", "b", "c", "d")
		assert.Equal(t, []string{"a", "b", "c", "d"}, collect(t, q, batch.Limits{Size: 8}))
		assert.Zero(t, time.Since(start))
	}))
	t.Run("a batch is filled by what arrives meanwhile", virtually(func(t *testing.T) {
		q, start := batch.NewQueue(5), time.Now()
		go func() {
			for _, id := range []string{"a", "b", "c"} {
				<-time.NewTimer(100 * time.Millisecond).C
				put(t, q, id)
			}
		}()
		assert.Equal(t, []string{"a", "b", "c"}, collect(t, q, batch.Limits{Size: 3, Delay: time.Second}))
		assert.Equal(t, 300*time.Millisecond, time.Since(start))
	}))
	t.Run("jobs are appended and stamped", virtually(func(t *testing.T) {
		q := batch.NewQueue(5)
		j := put(t, q, "a")[0]
		<-time.NewTimer(time.Second).C
		other, _ := newJob("other")
		jobs, err := q.Collect(t.Context(), batch.Limits{Size: 1}, []*job.Job{other})
		require.NoError(t, err)
		assert.Equal(t, []string{"other", "a"}, names(jobs))
		assert.Equal(t, time.Second, j.Waited())
	}))
}

func TestCollectKinds(t *testing.T) {
	fill := func(t *testing.T, kinds ...job.Kind) *batch.Queue {
		t.Helper()
		q := batch.NewQueue(9)
		for i, k := range kinds {
			j, _ := newJob(fmt.Sprint(i), kind(k))
			require.NoError(t, q.Put(j))
		}
		return q
	}
	limits := batch.Limits{Size: 8, Delay: time.Second}
	t.Run("INF-108 predictions and explanations never share a batch", virtually(func(t *testing.T) {
		q, start := fill(t, job.Predict, job.Predict, job.Explain, job.Explain, job.Predict), time.Now()
		assert.Equal(t, []string{"0", "1"}, collect(t, q, limits))
		assert.Equal(t, []string{"2", "3"}, collect(t, q, limits))
		assert.Zero(t, time.Since(start))
		assert.Equal(t, []string{"4"}, collect(t, q, limits))
	}))
	t.Run("SCH-011 a describe is alone and keeps its place", virtually(func(t *testing.T) {
		q, start := fill(t, job.Predict, job.Describe, job.Describe, job.Predict, job.Predict), time.Now()
		assert.Equal(t, []string{"0"}, collect(t, q, limits))
		assert.Equal(t, []string{"1"}, collect(t, q, limits))
		assert.Equal(t, []string{"2"}, collect(t, q, limits))
		assert.Zero(t, time.Since(start))
		assert.Equal(t, []string{"3", "4"}, collect(t, q, limits))
	}))
	t.Run("another kind that has gone ends no batch", virtually(func(t *testing.T) {
		q := batch.NewQueue(9)
		put(t, q, "a")
		gone, _ := newJob("gone", kind(job.Explain))
		require.NoError(t, q.Put(gone))
		gone.Abandon()
		put(t, q, "b")
		assert.Equal(t, []string{"a", "b"}, collect(t, q, batch.Limits{Size: 2, Delay: time.Second}))
	}))
}

func TestExpiry(t *testing.T) {
	t.Run("SCH-042 expired jobs use up no place, the first one neither", virtually(func(t *testing.T) {
		q := batch.NewQueue(9)
		var late []*job.Stream
		for _, id := range []string{"x", "y"} {
			j, s := newJob(id, deadline(50*time.Millisecond))
			require.NoError(t, q.Put(j))
			late = append(late, s)
		}
		put(t, q, "a", "b")
		<-time.NewTimer(50 * time.Millisecond).C
		assert.Equal(t, []string{"a", "b"}, collect(t, q, batch.Limits{Size: 2, Delay: time.Second}))
		for _, s := range late {
			_, err := s.Next(t.Context())
			assert.Equal(t, fault.Expired, fault.KindOf(err))
			assert.Equal(t, "Request timed out after 50 ms", fault.Message(err))
		}
	}))
	t.Run("a job in time is taken", virtually(func(t *testing.T) {
		q := batch.NewQueue(9)
		j, _ := newJob("a", deadline(time.Second))
		require.NoError(t, q.Put(j))
		assert.Equal(t, []string{"a"}, collect(t, q, batch.Limits{Size: 1}))
	}))
}

func TestCancel(t *testing.T) {
	limits := batch.Limits{Size: 3, Delay: time.Hour}
	died := errors.New("worker died")
	t.Run("SCH-037 what was collected goes back, in order", virtually(func(t *testing.T) {
		q := batch.NewQueue(2)
		ctx, cancel := context.WithCancelCause(t.Context())
		put(t, q, "a", "b")
		go func() {
			synctest.Wait() // both are collected
			put(t, q, "c")
			synctest.Wait()
			put(t, q, "d")
			cancel(died)
		}()
		jobs, err := q.Collect(ctx, batch.Limits{Size: 9, Delay: time.Hour}, nil)
		require.ErrorIs(t, err, died)
		assert.Empty(t, jobs)
		assert.Equal(t, []string{"a", "b", "c"}, collect(t, q, limits))
		assert.Equal(t, []string{"d"}, collect(t, q, batch.Limits{Size: 1}))
	}))
	t.Run("while waiting for a first job", virtually(func(t *testing.T) {
		q := batch.NewQueue(2)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, died)
		defer cancel()
		_, err := q.Collect(ctx, limits, nil)
		assert.ErrorIs(t, err, died)
	}))
	t.Run("a collector whose time is over takes nothing", virtually(func(t *testing.T) {
		q := batch.NewQueue(2)
		put(t, q, "a")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(died)
		for range 50 {
			_, err := q.Collect(ctx, limits, nil)
			require.ErrorIs(t, err, died)
		}
		assert.Equal(t, []string{"a"}, collect(t, q, batch.Limits{Size: 1}))
	}))
	t.Run("while another one collects", virtually(func(t *testing.T) {
		q := batch.NewQueue(2)
		ctx, cancel := context.WithCancelCause(t.Context())
		first := make(chan []string)
		go func() { first <- collect(t, q, batch.Limits{Size: 1}) }()
		synctest.Wait()
		go func() {
			synctest.Wait()
			cancel(died)
		}()
		_, err := q.Collect(ctx, limits, nil)
		require.ErrorIs(t, err, died)
		put(t, q, "a")
		assert.Equal(t, []string{"a"}, <-first)
	}))
}

func TestReturn(t *testing.T) {
	t.Run("SCH-038 to the head, in order, beyond the capacity", func(t *testing.T) {
		q := batch.NewQueue(2)
		put(t, q, "a", "b")
		jobs, err := q.Collect(t.Context(), batch.Limits{Size: 2}, nil)
		require.NoError(t, err)
		put(t, q, "c", "d")
		assert.Empty(t, q.Return(jobs))
		pending, free := q.Waiting()
		assert.Equal(t, []int{4, 0}, []int{pending, free})
		assert.Equal(t, []string{"a", "b", "c", "d"}, collect(t, q, batch.Limits{Size: 9}))
	})
	t.Run("of a client that has gone", func(t *testing.T) {
		q := batch.NewQueue(2)
		put(t, q, "a", "b")
		jobs, err := q.Collect(t.Context(), batch.Limits{Size: 2}, nil)
		require.NoError(t, err)
		assert.False(t, jobs[0].Abandon())
		assert.Empty(t, q.Return(jobs))
		assert.Equal(t, []string{"b"}, names(q.Drain()))
	})
	t.Run("to a closed queue comes back to the caller", func(t *testing.T) {
		q := batch.NewQueue(2)
		put(t, q, "a")
		jobs, err := q.Collect(t.Context(), batch.Limits{Size: 1}, nil)
		require.NoError(t, err)
		q.Close()
		refused := q.Return(jobs)
		assert.Equal(t, []string{"a"}, names(refused))
		assert.True(t, refused[0].Fail(fault.New(fault.Busy, "")))
	})
}

func TestClose(t *testing.T) {
	t.Run("hands out what waits, refuses the rest, ends collectors", virtually(func(t *testing.T) {
		q := batch.NewQueue(5)
		var ended sync.WaitGroup
		for range 3 {
			ended.Go(func() {
				_, err := q.Collect(t.Context(), batch.Limits{Size: 1}, nil)
				assert.ErrorIs(t, err, batch.ErrClosed)
			})
		}
		synctest.Wait()
		assert.Empty(t, q.Close())
		ended.Wait()
		j, _ := newJob("a")
		assert.Equal(t, fault.Busy, fault.KindOf(q.Put(j)))
		assert.Empty(t, q.Close())
	}))
	t.Run("returns the waiting jobs once", func(t *testing.T) {
		q := batch.NewQueue(5)
		put(t, q, "a", "b")
		assert.Equal(t, []string{"a", "b"}, names(q.Close()))
		assert.Empty(t, q.Close())
		assert.Empty(t, q.Drain())
	})
	t.Run("a batch in the making still goes out", virtually(func(t *testing.T) {
		q := batch.NewQueue(5)
		put(t, q, "a")
		go func() {
			synctest.Wait()
			q.Close()
		}()
		assert.Equal(t, []string{"a"}, collect(t, q, batch.Limits{Size: 2, Delay: time.Hour}))
	}))
}

// TestOneOutcome lets clients come and go, collectors be cut short and jobs be
// returned: every job is collected, or given up by its client, exactly once.
func TestOneOutcome(t *testing.T) {
	const jobs, collectors = 2000, 4
	q := batch.NewQueue(jobs)
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	served := make([][]string, collectors)
	for c := range collectors {
		work.Go(func() {
			for n := 0; ; n++ {
				got, err := q.Collect(ctx, batch.Limits{Size: 1 + n%5, Delay: 100 * time.Microsecond}, nil)
				if err != nil {
					return
				}
				if n%3 == 0 {
					q.Return(got)
					continue
				}
				served[c] = append(served[c], names(got)...)
				for _, j := range got {
					j.Deliver(job.Reply{})
				}
			}
		})
	}
	given := map[string]bool{}
	streams := map[string]*job.Stream{}
	for i := range jobs {
		j, s := newJob(fmt.Sprint(i))
		require.NoError(t, q.Put(j))
		if i%7 == 0 && j.Abandon() {
			given[j.ID] = true
		} else if i%7 != 0 {
			streams[j.ID] = s
		}
	}
	for _, s := range streams {
		_, err := s.Next(t.Context())
		require.NoError(t, err)
	}
	cancel()
	work.Wait()
	all := slices.Concat(served...)
	slices.Sort(all)
	assert.Equal(t, all, slices.Compact(slices.Clone(all)), "none is served twice")
	for _, id := range all {
		assert.False(t, given[id], "%s was given up before", id)
	}
}

func TestReady(t *testing.T) {
	const room = 1000
	ready := func(q *batch.Queue, l batch.Limits) []string { return names(q.Ready(l, room, nil)) }
	t.Run("nothing is waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := batch.NewQueue(10)
			assert.Empty(t, ready(q, batch.Limits{Size: 1}))
			put(t, q, "a", "b", "c")
			l := batch.Limits{Size: 4, Delay: time.Second}
			assert.Empty(t, ready(q, l), "the batch may still be filled")
			assert.Equal(t, []string{"a", "b"}, ready(q, batch.Limits{Size: 2, Delay: time.Second}), "it is full")
			time.Sleep(time.Second) //nolint:forbidigo // virtual
			assert.Equal(t, []string{"c"}, ready(q, l), "its delay is over")
		})
	})
	t.Run("what is refused stays at the head, in order", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := batch.NewQueue(10)
			put(t, q, "a", "b", "c")
			l := batch.Limits{Size: 5, Delay: time.Hour}
			assert.Empty(t, ready(q, l))
			assert.Empty(t, q.Ready(batch.Limits{Size: 2}, 10, nil), "larger than the room")
			assert.Equal(t, []string{"a", "b", "c"}, collect(t, q, batch.Limits{Size: 3}))
		})
	})
	t.Run("a describe job is left to the collector", func(t *testing.T) {
		q := batch.NewQueue(10)
		j, _ := newJob("d", kind(job.Describe))
		require.NoError(t, q.Put(j))
		assert.Empty(t, ready(q, batch.Limits{Size: 1}))
		assert.Equal(t, []string{"d"}, collect(t, q, batch.Limits{Size: 1}))
	})
	t.Run("INF-D27 kinds are not mixed", func(t *testing.T) {
		q := batch.NewQueue(10)
		put(t, q, "a")
		j, _ := newJob("e", kind(job.Explain))
		require.NoError(t, q.Put(j))
		assert.Equal(t, []string{"a"}, ready(q, batch.Limits{Size: 2}))
		assert.Equal(t, []string{"e"}, ready(q, batch.Limits{Size: 2}))
	})
	t.Run("another collector's turn", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := batch.NewQueue(10)
			ctx, cancel := context.WithCancel(t.Context())
			var collector sync.WaitGroup
			collector.Go(func() { _, _ = q.Collect(ctx, batch.Limits{Size: 1}, nil) })
			synctest.Wait()
			assert.Empty(t, ready(q, batch.Limits{Size: 1}))
			cancel()
			collector.Wait()
		})
	})
}
