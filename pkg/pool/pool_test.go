package pool_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
)

func TestSubmit(t *testing.T) {
	t.Run("a pool without workers refuses", func(t *testing.T) {
		bubble(t, &team{}, base(), func(t *testing.T, p *pool.Pool) {
			refused(t, p)
		})
	})
	t.Run("SCH-002 a job waits for a worker that is booting", func(t *testing.T) {
		tm := &team{load: 5 * time.Second, work: time.Second}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
			require.NoError(t, err)
			c := submit(t, p, "a")
			pass(time.Minute)
			c.answered(t, 6*time.Second)
		})
	})
	t.Run("SCH-003 a full queue refuses", func(t *testing.T) {
		s := base()
		s.QueueSize = 2
		bubble(t, &team{work: time.Second}, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			first := submit(t, p, "in work")
			synctest.Wait()
			waiting := []*client{submit(t, p, "b"), submit(t, p, "c")}
			refused(t, p)
			status := p.Status()
			assert.Equal(t, 2, status.QueuePending)
			assert.Equal(t, 0, status.QueueCapacity)
			pass(time.Minute)
			first.answered(t, time.Second)
			waiting[0].answered(t, 2*time.Second)
			waiting[1].answered(t, 3*time.Second)
		})
	})
	t.Run("a client that has gone is not queued", func(t *testing.T) {
		bubble(t, &team{}, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			c := newClient("a")
			require.ErrorIs(t, p.Submit(ctx, c.job), context.Canceled)
			assert.Zero(t, p.Status().QueuePending)
		})
	})
	t.Run("batches are collected by size and delay", func(t *testing.T) {
		s := base()
		s.Batching = model.Batching{Size: 2, Delay: time.Second}
		tm := &team{}
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a, b, c := submit(t, p, "a"), submit(t, p, "b"), submit(t, p, "c")
			pass(time.Minute)
			a.answered(t, 0)
			b.answered(t, 0)
			c.answered(t, time.Second)
			assert.Equal(t, [][]string{{"a", "b"}, {"c"}}, tm.at(0).seen())
		})
	})
	t.Run("an eager worker takes what is there", func(t *testing.T) {
		s := base()
		s.Batching = model.Batching{Size: 2, Delay: time.Second, Eager: true}
		bubble(t, &team{}, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := submit(t, p, "a")
			synctest.Wait()
			a.answered(t, 0)
		})
	})
}

func TestAnsweredJobsAreForgotten(t *testing.T) {
	tm := &team{}
	var batch []*job.Job
	tm.answer = func(f *fake, jobs []*job.Job) error {
		batch = jobs
		return f.finish(jobs, 0, nil, nil)
	}
	bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
		scale(t, p, 1)
		submit(t, p, "a")
		pass(time.Second)
		assert.Equal(t, []*job.Job{nil}, batch, "an idle worker must not hold the last request")
	})
}

func TestJobTickets(t *testing.T) {
	s := base()
	s.JobTicket = true
	t.Run("SCH-039 only an idle worker takes a job", func(t *testing.T) {
		bubble(t, &team{work: time.Second}, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			synctest.Wait()
			a := submit(t, p, "a")
			refused(t, p) // promised
			synctest.Wait()
			refused(t, p) // in work
			pass(time.Second)
			b := submit(t, p, "b")
			pass(time.Minute)
			a.answered(t, time.Second)
			b.answered(t, time.Second)
		})
	})
	t.Run("a booting worker has no ticket", func(t *testing.T) {
		bubble(t, &team{load: time.Second}, s, func(t *testing.T, p *pool.Pool) {
			_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
			require.NoError(t, err)
			refused(t, p)
		})
	})
	t.Run("SCH-040 a worker killed while idle leaves no ticket behind", func(t *testing.T) {
		tm := &team{work: time.Second}
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			synctest.Wait()
			tm.at(0).die()
			synctest.Wait()
			refused(t, p)
			pass(2 * time.Second) // it is back
			a := submit(t, p, "a")
			refused(t, p)
			pass(time.Minute)
			a.answered(t, time.Second)
		})
	})
	t.Run("a job that its client gave up frees its ticket", func(t *testing.T) {
		slow := s
		slow.Batching = model.Batching{Size: 4, Delay: time.Hour}
		bubble(t, &team{}, slow, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			synctest.Wait()
			a := newClient("a")
			require.True(t, a.job.Abandon(), "not collected yet, nor will it be")
			require.NoError(t, p.Submit(t.Context(), a.job))
			submit(t, p, "b")
		})
	})
	t.Run("a job given up in a batch that was not sent frees its ticket", func(t *testing.T) {
		slow := s
		slow.Batching = model.Batching{Size: 4, Delay: time.Hour}
		tm := &team{}
		bubble(t, tm, slow, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			synctest.Wait()
			a := submit(t, p, "a")
			synctest.Wait()
			require.False(t, a.job.Abandon(), "collected")
			tm.at(0).die()
			pass(2 * time.Second)
			submit(t, p, "b")
		})
	})
	t.Run("a batch that came back keeps its tickets", func(t *testing.T) {
		slow := s
		slow.Batching = model.Batching{Size: 4, Delay: 10 * time.Second}
		var exchanges atomic.Int32
		tm := &team{answer: func(f *fake, jobs []*job.Job) error {
			if exchanges.Add(1) == 1 {
				<-time.NewTimer(2 * time.Second).C
				f.die()
				return errUnsent()
			}
			return f.finish(jobs, 0, nil, nil)
		}}
		bubble(t, tm, slow, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 3)
			a := submit(t, p, "a")
			pass(11 * time.Second) // a is with the first worker
			b := submit(t, p, "b")
			pass(1500 * time.Millisecond) // a has come back and shares the second one's batch with b
			refused(t, p)                 // though the third one is idle, too
			pass(time.Minute)
			a.answered(t, 21*time.Second)
			b.answered(t, 10*time.Second)
		})
	})
	t.Run("there is one for each place among the live jobs", func(t *testing.T) {
		many := s
		many.Sequence.Continuous = true
		many.Batching = model.Batching{Size: 2, Delay: time.Second}
		bubble(t, &team{work: time.Second}, many, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			synctest.Wait()
			a := submit(t, p, "a")
			synctest.Wait()
			b := submit(t, p, "b") // while a is being collected
			refused(t, p)
			pass(time.Minute)
			a.answered(t, time.Second)
			b.answered(t, time.Second)
		})
	})
	t.Run("there is one for each place of an asynchronous worker", func(t *testing.T) {
		for limit, most := range map[int]int{0: 20, 2: 1} { // limit: jobs beside the first
			async := s
			async.Async, async.AsyncLimit = true, limit
			bubble(t, &team{work: time.Second}, async, func(t *testing.T, p *pool.Pool) {
				scale(t, p, 1)
				synctest.Wait()
				submit(t, p, "first")
				for range most {
					submit(t, p, "x")
				}
				if limit > 0 {
					refused(t, p)
				}
			})
		}
	})
}

func TestStatus(t *testing.T) {
	t.Run("MGT-047 a loading worker is not ready, a loaded one is", func(t *testing.T) {
		bubble(t, &team{load: time.Second}, base(), func(t *testing.T, p *pool.Pool) {
			began := time.Now()
			_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 2})
			require.NoError(t, err)
			synctest.Wait()
			s := p.Status()
			require.Len(t, s.Workers, 1)
			assert.False(t, s.Workers[0].Ready)
			assert.Equal(t, -1, s.Workers[0].PID)
			assert.Equal(t, began, s.Workers[0].Created)
			assert.Equal(t, 1, p.Running())
			assert.True(t, p.Healthy())
			assert.False(t, p.Ready())
			assert.False(t, p.Loaded())

			pass(time.Second)
			s = p.Status()
			assert.True(t, s.Workers[0].Ready)
			assert.Equal(t, model.Name("m"), s.Archive.Name)
			assert.Equal(t, model.Workers{Min: 1, Max: 2}, s.Settings.Workers)
			assert.Equal(t, model.Workers{Min: 1, Max: 2}, p.Workers())
			assert.Equal(t, 100, s.QueueCapacity)
			assert.True(t, p.Ready())
			assert.True(t, p.Loaded())
		})
	})
	t.Run("an empty pool that wants no worker is healthy and ready, not loaded", func(t *testing.T) {
		bubble(t, &team{}, base(), func(t *testing.T, p *pool.Pool) {
			assert.True(t, p.Healthy())
			assert.True(t, p.Ready())
			assert.False(t, p.Loaded())
			assert.False(t, p.Status().GaveUp)
		})
	})
}
