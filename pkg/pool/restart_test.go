package pool_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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

// attempts starts a worker that never loads and returns the seconds at which it
// was launched.
func attempts(t *testing.T, window, watch time.Duration) []int {
	t.Helper()
	var at []int
	tm := &team{}
	s := base()
	s.Timeouts.Retry = window
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tm.start = func(*fake, int) error {
			at = append(at, int(time.Since(began).Seconds()))
			return errors.New("never")
		}
		p := pool.New(tm.config(s))
		_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
		require.NoError(t, err)
		pass(watch)
		require.NoError(t, p.Close(t.Context()))
	})
	return at
}

func TestRestartPacing(t *testing.T) {
	t.Run("SCH-016 the pauses grow as 0.12's", func(t *testing.T) {
		assert.Equal(t,
			[]int{0, 1, 2, 4, 7, 12, 20, 33, 54, 88, 143, 232, 376, 609, 986, 1596, 2583, 4180, 5777},
			attempts(t, 24*time.Hour, 6000*time.Second))
	})
	t.Run("SCH-017 none is scheduled after the window", func(t *testing.T) {
		assert.Equal(t,
			[]int{0, 1, 2, 4, 7, 12, 20, 33, 54, 88, 143, 232, 376},
			attempts(t, 300*time.Second, 24*time.Hour))
	})
	t.Run("SCH-018 a window of nothing allows no restart", func(t *testing.T) {
		assert.Equal(t, []int{0}, attempts(t, 0, 24*time.Hour))
	})
	t.Run("SCH-016 a successful load starts the pauses anew", func(t *testing.T) {
		tm := &team{start: func(_ *fake, n int) error {
			if n == 2 || n == 3 || n == 4 {
				return errors.New("not yet")
			}
			return nil
		}}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			f := tm.at(0)
			f.die()
			pass(6 * time.Second) // 1 + 1 + 2 + 3, less one
			assert.Equal(t, 4, f.launches())
			pass(time.Second)
			assert.True(t, p.Ready())
			f.die()
			pass(999 * time.Millisecond)
			assert.Equal(t, 5, f.launches())
			pass(time.Millisecond)
			assert.Equal(t, 6, f.launches())
			assert.Equal(t, []int{9000}, ports(p), "a restart keeps the number")
			assert.Equal(t, 1, tm.size())
		})
	})
}

func TestHealth(t *testing.T) {
	t.Run("SCH-019 healthy within the window, not after it, again after recovery", func(t *testing.T) {
		s := base()
		s.Timeouts.Retry = 10 * time.Second
		tm := &team{start: func(_ *fake, n int) error {
			if n > 1 && n < 7 {
				return errors.New("not yet")
			}
			return nil
		}}
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			assert.True(t, p.Healthy())
			tm.at(0).die() // launches follow after 1, 2, 4, 7, 12 and 20 s
			pass(9 * time.Second)
			assert.True(t, p.Healthy())
			assert.False(t, p.Ready())
			pass(time.Second)
			assert.False(t, p.Healthy())
			pass(time.Hour)
			assert.False(t, p.Healthy(), "gave up after the launch at 12 s")
			scale(t, p, 1)
			assert.True(t, p.Healthy())
		})
	})
	t.Run("SCH-019 a recovery after the window is healthy again", func(t *testing.T) {
		s := base()
		s.Timeouts.Retry = 10 * time.Second
		tm := &team{start: func(_ *fake, n int) error {
			if n > 1 && n < 6 {
				return errors.New("not yet")
			}
			return nil
		}}
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			tm.at(0).die()
			pass(11 * time.Second)
			assert.False(t, p.Healthy())
			pass(time.Second)
			assert.True(t, p.Healthy())
			assert.True(t, p.Ready())
		})
	})
	t.Run("one of two is too few", func(t *testing.T) {
		s := base()
		s.Timeouts.Retry = 0
		tm := &team{}
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 2)
			tm.at(1).die()
			synctest.Wait()
			assert.False(t, p.Healthy())
			assert.True(t, p.Loaded())
			assert.False(t, p.Ready())
			assert.Equal(t, 1, p.Running())
			assert.False(t, p.Status().GaveUp, "the other one serves")
		})
	})
}

func TestGivingUp(t *testing.T) {
	s := base()
	s.Timeouts.Retry = 0
	broken := func(*fake, int) error { return errors.New("never") }
	t.Run("SCH-021 queued and new jobs are refused", func(t *testing.T) {
		tm := &team{load: time.Second, start: broken}
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			_, err := p.Scale(t.Context(), model.Workers{Min: 2, Max: 2})
			require.NoError(t, err)
			a := submit(t, p, "a")
			pass(time.Minute)
			a.failed(t, fault.Busy, time.Second)
			refused(t, p)
			status := p.Status()
			assert.True(t, status.GaveUp)
			require.Len(t, status.Workers, 2)
			assert.Equal(t, "WORKER_STOPPED", status.Workers[0].State)
			assert.Zero(t, p.Running())
		})
	})
	t.Run("SCH-021 jobs wait while one may come back", func(t *testing.T) {
		tm := &team{load: time.Second, start: func(f *fake, _ int) error {
			if f.place.Port == 9000 {
				return errors.New("never")
			}
			return nil
		}}
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			_, err := p.Scale(t.Context(), model.Workers{Min: 2, Max: 2})
			require.NoError(t, err)
			a := submit(t, p, "a")
			pass(time.Minute)
			a.answered(t, time.Second)
			assert.False(t, p.Status().GaveUp)
		})
	})
	t.Run("SCH-022 a scale call makes new workers in their place", func(t *testing.T) {
		tm := &team{}
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 3)
			tm.at(0).die()
			tm.at(1).die()
			synctest.Wait()
			progress, err := scaleAndWait(t.Context(), p, model.Workers{Min: 2, Max: 3})
			require.NoError(t, err)
			assert.Equal(t, model.Done, progress)
			assert.Equal(t, []int{9002, 9003}, ports(p), "one that lives, one that is new, none for the maximum")
			assert.ElementsMatch(t, []int{9000, 9001}, tm.gone())
			assert.True(t, p.Healthy())
			a := submit(t, p, "a")
			synctest.Wait()
			a.answered(t, 0)
		})
	})
}

func TestDeath(t *testing.T) {
	t.Run("an idle worker's death is noticed and repaired", func(t *testing.T) {
		tm := &team{}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			tm.at(0).die()
			synctest.Wait()
			assert.False(t, p.Loaded())
			a := submit(t, p, "a")
			pass(time.Second)
			a.answered(t, time.Second)
		})
	})
	t.Run("SCH-037 a batch that was being filled is served by the next worker", func(t *testing.T) {
		s := base()
		s.Batching = model.Batching{Size: 4, Delay: time.Minute}
		tm := &team{}
		bubble(t, tm, s, func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a, b := submit(t, p, "a"), submit(t, p, "b")
			synctest.Wait()
			tm.at(0).die()
			pass(2 * time.Minute)
			a.answered(t, time.Minute)
			b.answered(t, time.Minute)
			assert.Equal(t, [][]string{{"a", "b"}}, tm.at(0).seen())
		})
	})
	t.Run("a batch in work is answered, the worker comes back after a second", func(t *testing.T) {
		tm := &team{work: time.Minute, polite: time.Minute}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a, b := submit(t, p, "a"), submit(t, p, "b")
			synctest.Wait()
			tm.at(0).die()
			pass(time.Hour)
			a.failed(t, fault.Worker, 0)
			b.answered(t, time.Second+time.Minute)
		})
	})
	t.Run("SCH-038 a batch that could not be sent keeps its place before a full queue", func(t *testing.T) {
		s := base()
		s.QueueSize = 2
		s.Batching = model.Batching{Size: 2, Delay: time.Second} // nobody takes one alone
		tm := &team{}
		gate := make(chan struct{})
		tm.answer = func(f *fake, jobs []*job.Job) error {
			if f.launches() == 1 {
				<-gate
				f.die()
				return errUnsent()
			}
			return f.finish(jobs, 0, nil, nil)
		}
		synctest.Test(t, func(t *testing.T) {
			gate = make(chan struct{})
			p := pool.New(tm.config(s))
			scale(t, p, 1)
			a, b := submit(t, p, "a"), submit(t, p, "b")
			synctest.Wait()
			c, d := submit(t, p, "c"), submit(t, p, "d")
			refused(t, p)
			close(gate)
			pass(time.Minute)
			for _, x := range []*client{a, b, c, d} {
				x.answered(t, time.Second)
			}
			assert.Equal(t, [][]string{{"a", "b"}, {"a", "b"}, {"c", "d"}}, tm.at(0).seen())
			require.NoError(t, p.Close(t.Context()))
		})
	})
	t.Run("a batch that cannot be sent is not tried for ever", func(t *testing.T) {
		tm := &team{answer: func(f *fake, _ []*job.Job) error {
			f.die()
			return errUnsent()
		}}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := submit(t, p, "a")
			pass(time.Minute)
			a.failed(t, fault.Worker, time.Second)
			assert.Equal(t, "Worker died.", fault.Message(a.err))
			assert.Equal(t, 500, fault.Status(a.err))
		})
	})
}

func TestLogLines(t *testing.T) {
	tm := &team{log: &bytes.Buffer{}, start: func(_ *fake, n int) error {
		if n == 2 {
			return errors.New("not yet")
		}
		return nil
	}}
	var died time.Time
	bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
		scale(t, p, 1)
		tm.at(0).die()
		died = time.Now()
		pass(time.Minute)
		require.NoError(t, p.Close(t.Context()))
	})
	type line struct{ Level, Logger, Thread, Message string }
	var lines []line
	for d := json.NewDecoder(tm.log); d.More(); {
		var l line
		require.NoError(t, d.Decode(&l))
		assert.Equal(t, "org.pytorch.serve.wlm.WorkerThread", l.Logger)
		assert.Equal(t, "W-9000-m_1.0", l.Thread)
		lines = append(lines, line{Level: l.Level, Message: l.Message})
	}
	assert.Equal(t, []line{
		{Level: "info", Message: "9000 Worker disconnected. WORKER_MODEL_LOADED"},
		{Level: "info", Message: fmt.Sprintf("Auto recovery start timestamp: %d", died.UnixMilli())},
		{Level: "info", Message: "Retry worker: 9000 in 1 seconds."},
		{Level: "warn", Message: "Auto recovery failed again"},
		{Level: "info", Message: "Retry worker: 9000 in 1 seconds."},
		{Level: "info", Message: "Auto recovery succeeded, reset recoveryStartTS"},
		{Level: "debug", Message: "Shutting down the thread .. Scaling down."},
	}, lines)
}
