package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/torchserve-go/torchserve/pkg/fault"
	"github.com/torchserve-go/torchserve/pkg/model"
	"github.com/torchserve-go/torchserve/pkg/pool"
)

func TestClose(t *testing.T) {
	t.Run("MGT-071 queued jobs are refused at once, SCH-034 the one in work is answered", func(t *testing.T) {
		bubble(t, &team{work: 5 * time.Second}, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := submit(t, p, "a")
			synctest.Wait()
			b := submit(t, p, "b")
			require.NoError(t, p.Close(t.Context()))
			a.answered(t, 5*time.Second)
			b.failed(t, fault.Busy, 0)
			refused(t, p)
			assert.Empty(t, ports(p))
		})
	})
	t.Run("SCH-034 what lasts longer than the limit is cut", func(t *testing.T) {
		bubble(t, &team{work: time.Hour}, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := submit(t, p, "a")
			synctest.Wait()
			require.NoError(t, p.Close(t.Context()))
			a.failed(t, fault.Worker, 10*time.Second)
		})
	})
	t.Run("ctx cuts it, too", func(t *testing.T) {
		bubble(t, &team{work: time.Hour, polite: time.Minute}, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 2)
			a := submit(t, p, "a")
			synctest.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.NoError(t, p.Close(ctx))
			a.failed(t, fault.Worker, 0)
			assert.Zero(t, time.Since(a.job.Created), "nor is there time for politeness")
		})
	})
	t.Run("CLI-025 what is cut gets the cause of ctx", func(t *testing.T) {
		bubble(t, &team{work: time.Hour}, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := submit(t, p, "a")
			synctest.Wait()
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, fault.New(fault.Busy, ""))
			defer cancel()
			require.NoError(t, p.Close(ctx))
			a.failed(t, fault.Busy, time.Second)
		})
	})
	t.Run("it waits for workers that were scaled away", func(t *testing.T) {
		bubble(t, &team{work: 5 * time.Second}, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := submit(t, p, "a")
			synctest.Wait()
			_, err := p.Scale(t.Context(), model.Workers{})
			require.NoError(t, err)
			require.NoError(t, p.Close(t.Context()))
			a.answered(t, 5*time.Second)
		})
	})
	t.Run("a process that does not end is a fault, and tried again", func(t *testing.T) {
		tm := &team{stop: func(_ *fake, n int) error {
			if n <= 2 {
				return fault.New(fault.CleanupTimeout, "")
			}
			return nil
		}}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 2)
			for range 2 {
				assert.Equal(t, fault.CleanupTimeout, fault.KindOf(p.Close(t.Context())))
				assert.Empty(t, ports(p))
				assert.Empty(t, tm.gone())
			}
			require.NoError(t, p.Close(t.Context()))
			assert.ElementsMatch(t, []int{9000, 9001}, tm.gone())
		})
	})
	t.Run("a second caller waits for the first, as long as its ctx", func(t *testing.T) {
		bubble(t, &team{work: 5 * time.Second}, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			submit(t, p, "a")
			synctest.Wait()
			first := make(chan error, 1)
			go func() { first <- p.Close(t.Context()) }()
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			assert.Equal(t, fault.CleanupTimeout, fault.KindOf(p.Close(ctx)))
			require.NoError(t, p.Close(t.Context()))
			require.NoError(t, <-first)
		})
	})
	t.Run("a pool that is closing is not scaled", func(t *testing.T) {
		bubble(t, &team{work: 5 * time.Second}, base(), func(t *testing.T, p *pool.Pool) {
			scale(t, p, 1)
			a := submit(t, p, "a")
			synctest.Wait()
			closed := make(chan error, 1)
			go func() { closed <- p.Close(t.Context()) }()
			synctest.Wait()
			_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
			assert.Equal(t, fault.Busy, fault.KindOf(err))
			assert.Zero(t, time.Since(a.job.Created), "it does not wait for that")
			require.NoError(t, <-closed)
		})
	})
	t.Run("a pool that was closed meanwhile is not scaled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tm := &team{}
			cfg := tm.config(base())
			assign, entered, gate := cfg.Assign, make(chan struct{}), make(chan struct{})
			cfg.Assign = func() pool.Slot {
				close(entered)
				<-gate
				return assign()
			}
			p := pool.New(cfg)
			one := model.Workers{Min: 1, Max: 1}
			results := make(chan error, 3)
			go func() { _, err := p.Scale(t.Context(), one); results <- err }()
			<-entered
			go func() { results <- p.Close(t.Context()) }()
			synctest.Wait()
			go func() { _, err := p.Scale(t.Context(), one); results <- err }()
			synctest.Wait()
			close(gate)
			require.NoError(t, <-results)
			refusals := 0
			for range 2 {
				if err := <-results; err != nil {
					assert.Equal(t, fault.Busy, fault.KindOf(err))
					refusals++
				}
			}
			assert.Equal(t, 1, refusals)
			assert.Equal(t, 1, tm.size())
			assert.Empty(t, ports(p))
		})
	})
	t.Run("a closed pool is not scaled", func(t *testing.T) {
		tm := &team{}
		bubble(t, tm, base(), func(t *testing.T, p *pool.Pool) {
			require.NoError(t, p.Close(t.Context()))
			_, err := scaleAndWait(t.Context(), p, model.Workers{Min: 1, Max: 1})
			assert.Equal(t, fault.Busy, fault.KindOf(err))
			assert.Zero(t, tm.size())
		})
	})
}
