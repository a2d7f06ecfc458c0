package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/job"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
)

func TestScaleNumbers(t *testing.T) {
	for name, c := range map[string]struct {
		from, to model.Workers
		ports    []int
	}{
		"from nothing": {model.Workers{}, model.Workers{Min: 2, Max: 2}, []int{9000, 9001}},
		"up":           {model.Workers{Min: 1, Max: 1}, model.Workers{Min: 3, Max: 3}, []int{9000, 9001, 9002}},
		"SCH-029 down to the maximum, oldest stay": {model.Workers{Min: 3, Max: 3}, model.Workers{Min: 1, Max: 2}, []int{9000, 9001}},
		"SCH-030 nothing changes in between":       {model.Workers{Min: 3, Max: 3}, model.Workers{Min: 1, Max: 5}, []int{9000, 9001, 9002}},
		"SCH-031 to nothing":                       {model.Workers{Min: 2, Max: 2}, model.Workers{}, []int{}},
		"SCH-032 a maximum alone keeps none":       {model.Workers{Min: 1, Max: 1}, model.Workers{Min: 0, Max: 1}, []int{}},
		"MGT-044 a maximum alone ends all workers": {model.Workers{Min: 3, Max: 3}, model.Workers{Min: 0, Max: 5}, []int{}},
		"a maximum alone starts none":              {model.Workers{}, model.Workers{Min: 0, Max: 5}, []int{}},
	} {
		t.Run(name, func(t *testing.T) {
			tm := &team{load: time.Second}
			bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
				_, err := scaleAndWait(t.Context(), p, c.from)
				require.NoError(t, err)
				progress, err := scaleAndWait(t.Context(), p, c.to)
				require.NoError(t, err)
				assert.Equal(t, model.Done, progress)
				assert.Equal(t, c.ports, ports(p))
				assert.Equal(t, len(c.ports), p.Running())
				assert.Equal(t, len(c.ports), tm.processes())
				assert.Equal(t, c.to, p.Workers())
				if len(c.ports) == 0 {
					refused(t, p)
				}
			})
		})
	}
}

func TestScaleWaits(t *testing.T) {
	t.Run("for every new worker", func(t *testing.T) {
		bubble(t, &team{load: 5 * time.Second}, base(), func(t *testing.T, p *pool.Pool) {
			began := time.Now()
			scale(t, p, 2)
			assert.Equal(t, 5*time.Second, time.Since(began))
			assert.True(t, p.Ready())
		})
	})
	t.Run("MGT-023 not when told so, and the workers are shown at once", func(t *testing.T) {
		tm := &team{load: time.Second, start: func(*fake, int) error { return errors.New("never") }}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			began := time.Now()
			_, err := p.Scale(t.Context(), model.Workers{Min: 2, Max: 2})
			require.NoError(t, err)
			assert.Equal(t, []int{9000, 9001}, ports(p))
			assert.Zero(t, time.Since(began))
		})
	})
	t.Run("the first failure decides, the others go on", func(t *testing.T) {
		tm := &team{load: time.Second, start: func(f *fake, n int) error {
			if f.place.Port == 9001 && n == 1 {
				return errors.New("no luck")
			}
			return nil
		}}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			_, err := scaleAndWait(t.Context(), p, model.Workers{Min: 2, Max: 2})
			require.Error(t, err)
			assert.Equal(t, fault.Worker, fault.KindOf(err))
			assert.Equal(t, 500, fault.Status(err))
			assert.Equal(t, []int{9000, 9001}, ports(p))
			pass(2 * time.Second) // a pause and a load
			assert.True(t, p.Ready())
		})
	})
	t.Run("nothing to start is done at once", func(t *testing.T) {
		bubble(t, &team{load: time.Second}, base(), func(t *testing.T, p *pool.Pool) {
			_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
			require.NoError(t, err)
			began := time.Now()
			scale(t, p, 1)
			assert.Zero(t, time.Since(began))
		})
	})
	t.Run("fewer than wanted are partial progress", func(t *testing.T) {
		bubble(t, &team{load: time.Second}, base(), func(t *testing.T, p *pool.Pool) {
			var progress model.Progress
			var err error
			waited := make(chan struct{})
			go func() {
				defer close(waited)
				progress, err = scaleAndWait(t.Context(), p, model.Workers{Min: 2, Max: 2})
			}()
			synctest.Wait()
			scale(t, p, 0) // another caller changes its mind
			<-waited
			require.NoError(t, err)
			assert.Equal(t, model.Partial, progress)
		})
	})
	t.Run("ctx ends the waiting, not the work", func(t *testing.T) {
		bubble(t, &team{load: time.Minute}, base(), func(t *testing.T, p *pool.Pool) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := scaleAndWait(ctx, p, model.Workers{Min: 1, Max: 1})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			pass(time.Minute)
			assert.True(t, p.Ready())
		})
	})
	t.Run("a waiting call does not hold up others", func(t *testing.T) {
		bubble(t, &team{load: time.Hour}, base(), func(t *testing.T, p *pool.Pool) {
			waited := make(chan struct{})
			go func() {
				defer close(waited)
				_, _ = scaleAndWait(t.Context(), p, model.Workers{Min: 1, Max: 1}) // Partial, or done: looked at elsewhere
			}()
			synctest.Wait()
			began := time.Now()
			_, err := p.Scale(t.Context(), model.Workers{Min: 3, Max: 3})
			require.NoError(t, err)
			assert.Equal(t, []int{9000, 9001, 9002}, ports(p))
			assert.Zero(t, time.Since(began))
			require.NoError(t, p.Close(t.Context()))
			<-waited
		})
	})
}

func TestScaleDown(t *testing.T) {
	t.Run("SCH-033 a batch in work is finished, and executed once", func(t *testing.T) {
		tm := &team{work: time.Minute}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 2)
			a, b := submit(t, p, "a"), submit(t, p, "b")
			synctest.Wait()
			began := time.Now()
			scale(t, p, 1)
			assert.Equal(t, time.Minute, time.Since(began), "returns when the worker has stopped")
			synctest.Wait()
			a.answered(t, time.Minute)
			b.answered(t, time.Minute)
			assert.Len(t, tm.at(0).seen(), 1)
			assert.Len(t, tm.at(1).seen(), 1)
			assert.Equal(t, []int{9001}, tm.gone())
		})
	})
	t.Run("SCH-D57 its place is free for another as soon as it is on its way out", func(t *testing.T) {
		tm := &team{work: time.Minute}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 2)
			submit(t, p, "a")
			submit(t, p, "b")
			synctest.Wait()
			_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
			require.NoError(t, err)
			assert.Equal(t, []int{9001}, tm.left())
			assert.Empty(t, tm.gone(), "its batch is in work")
			pass(2 * time.Minute)
			assert.Equal(t, []int{9001}, tm.gone())
			require.NoError(t, p.Close(t.Context()))
			assert.Equal(t, []int{9001, 9000}, tm.left(), "each once")
		})
	})
	t.Run("a retired worker takes no further batch", func(t *testing.T) {
		tm := &team{work: time.Second}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 2)
			var all []*client
			for _, id := range []string{"a", "b", "c", "d"} {
				all = append(all, submit(t, p, id))
			}
			synctest.Wait()
			scale(t, p, 1)
			pass(time.Minute)
			for i, c := range all {
				c.answered(t, []time.Duration{time.Second, time.Second, 2 * time.Second, 3 * time.Second}[i])
			}
			assert.Len(t, tm.at(1).seen(), 1)
		})
	})
	t.Run("SCH-031 queued jobs are refused, MGT-072 the one in work is answered", func(t *testing.T) {
		bubble(t, &team{work: time.Second}, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a, b := submit(t, p, "a"), newClient("b")
			synctest.Wait()
			require.NoError(t, p.Submit(t.Context(), b.job))
			_, err := p.Scale(t.Context(), model.Workers{})
			require.NoError(t, err)
			synctest.Wait()
			b.failed(t, fault.Busy, 0)
			assert.Empty(t, ports(p), "a worker that leaves is not shown")
			refused(t, p)
			scale(t, p, 1)
			c := submit(t, p, "c")
			pass(time.Minute)
			a.answered(t, time.Second)
			c.answered(t, time.Second)
		})
	})
	t.Run("jobs of a batch that is being filled are refused with the last worker", func(t *testing.T) {
		s := base()
		s.Batching = model.Batching{Size: 8, Delay: time.Minute}
		bubble(t, &team{}, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := submit(t, p, "a")
			synctest.Wait()
			scale(t, p, 0)
			a.failed(t, fault.Busy, 0)
		})
	})
	t.Run("jobs of a batch that is being filled go to a worker that stays", func(t *testing.T) {
		s := base()
		s.Batching = model.Batching{Size: 8, Delay: time.Minute}
		tm := &team{}
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 2)
			tm.at(0).die()
			synctest.Wait()
			a := submit(t, p, "a") // the second worker fills its batch
			pass(2 * time.Second)  // the first is back
			scale(t, p, 1)
			pass(time.Hour)
			a.answered(t, time.Minute)
			assert.Equal(t, [][]string{{"a"}}, tm.at(0).seen())
			assert.Empty(t, tm.at(1).seen())
		})
	})
	for name, leave := range map[string]func(p *pool.Pool, ctx context.Context){
		"scaled away": func(p *pool.Pool, ctx context.Context) { _, _ = scaleAndWait(ctx, p, model.Workers{}) },
		"closed":      func(p *pool.Pool, ctx context.Context) { _ = p.Close(ctx) },
	} {
		t.Run("a batch that could not be sent is refused when the last worker is "+name, func(t *testing.T) {
			tm := &team{answer: func(f *fake, _ []*job.Job) error {
				<-time.NewTimer(time.Second).C
				f.die()
				return errUnsent()
			}}
			bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
				scale(t, p, 1)
				a := submit(t, p, "a")
				synctest.Wait()
				leave(p, t.Context())
				a.failed(t, fault.Busy, time.Second)
			})
		})
	}
	t.Run("a worker that has gone is left alone", func(t *testing.T) {
		tm := &team{polite: time.Second}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			began := time.Now()
			scale(t, p, 0)
			assert.Equal(t, time.Second, time.Since(began), "a worker that did nothing wrong is stopped politely")
			pass(time.Hour)
			assert.Zero(t, tm.at(0).interrupts)
		})
	})
	t.Run("a booting worker leaves at once", func(t *testing.T) {
		tm := &team{load: time.Hour}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
			require.NoError(t, err)
			synctest.Wait()
			began := time.Now()
			scale(t, p, 0)
			assert.Zero(t, time.Since(began))
		})
	})
	t.Run("a worker between two lives leaves at once", func(t *testing.T) {
		tm := &team{start: func(*fake, int) error { return errors.New("never") }}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
			require.NoError(t, err)
			pass(5 * time.Second)
			began := time.Now()
			scale(t, p, 0)
			assert.Zero(t, time.Since(began))
		})
	})
	t.Run("a stream that does not end is cut at the response time-out", func(t *testing.T) {
		bubble(t, &team{work: 24 * time.Hour}, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := submit(t, p, "a")
			synctest.Wait()
			scale(t, p, 0)
			a.failed(t, fault.Worker, 120*time.Second)
		})
	})
	t.Run("a process that does not end is told", func(t *testing.T) {
		tm := &team{stop: func(_ *fake, n int) error {
			if n == 1 {
				return fault.New(fault.CleanupTimeout, "")
			}
			return nil
		}}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			_, err := scaleAndWait(t.Context(), p, model.Workers{})
			assert.Equal(t, fault.CleanupTimeout, fault.KindOf(err))
			assert.Empty(t, tm.gone())
		}) // Close tries again
	})
}
