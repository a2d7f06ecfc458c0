package pool_test

import (
	"context"
	"fmt"
	"math/rand/v2"
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

// TestRandomKills is TestMoments with everything at once: workers that die at any
// moment, batches that cannot be sent, scaling, clients that give up or are late, and at the end a pool that drains or closes.
func TestRandomKills(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprintf("SCH-081 seed %d", seed), func(t *testing.T) {
			t.Parallel()
			dice := rand.New(rand.NewPCG(seed, seed))
			s := base()
			s.JobTicket = seed%5 == 4
			s.QueueSize = 1 + dice.IntN(20)
			s.Batching = model.Batching{Size: 1 + dice.IntN(5), Delay: time.Duration(dice.IntN(50)) * time.Millisecond}
			s.Timeouts.Retry = time.Duration(1+dice.IntN(10)) * time.Second
			tm := &team{load: 50 * time.Millisecond}
			refuse, works := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
			tm.answer = func(f *fake, jobs []*job.Job) error {
				f.team.mu.Lock()
				unsent, work := refuse.IntN(6) == 0, time.Duration(works.IntN(80))*time.Millisecond
				f.team.mu.Unlock()
				f.mu.Lock()
				died, interrupt := f.died, f.interrupt
				f.mu.Unlock()
				if unsent {
					f.die()
					return errUnsent()
				}
				return f.finish(jobs, work, died, interrupt)
			}
			bubble(t, tm, s, func(t *testing.T, p *pool.Pool) { rush(t, p, tm, dice) })
		})
	}
}

func rush(t *testing.T, p *pool.Pool, tm *team, dice *rand.Rand) {
	t.Helper()
	_, err := p.Scale(t.Context(), model.Workers{Min: 2, Max: 2}, false)
	require.NoError(t, err)
	var accepted, abandoned []*client
	for i := range 400 {
		<-time.NewTimer(time.Duration(dice.IntN(30)) * time.Millisecond).C
		switch dice.IntN(40) {
		case 0, 1:
			tm.at(dice.IntN(tm.size())).die()
		case 2:
			n := dice.IntN(4)
			_, err := p.Scale(t.Context(), model.Workers{Min: n, Max: n}, false)
			require.NoError(t, err)
		}
		c := newClient(fmt.Sprint(i))
		if dice.IntN(10) == 0 {
			c.job.Deadline = time.Now().Add(time.Duration(dice.IntN(100)) * time.Millisecond)
		}
		if err := p.Submit(t.Context(), c.job); err != nil {
			require.Equal(t, fault.Busy, fault.KindOf(err))
			continue
		}
		if dice.IntN(10) == 0 {
			c.job.Abandon()
			abandoned = append(abandoned, c)
			continue
		}
		accepted = append(accepted, c)
	}
	require.NotEmpty(t, accepted)
	synctest.Wait()
	require.NoError(t, p.Close(t.Context()))
	for _, c := range accepted {
		assert.Equal(t, 1, c.answers(), "answers of %s", c.job.ID)
	}
	for _, c := range abandoned {
		assert.Zero(t, c.answers(), "answers of %s, which its client gave up", c.job.ID)
	}
}

// TestLastMoment lets the last worker leave while a job is being accepted.
func TestLastMoment(t *testing.T) {
	for name, leave := range map[string]func(p *pool.Pool, ctx context.Context){
		"scaled away": func(p *pool.Pool, ctx context.Context) { _, _ = p.Scale(ctx, model.Workers{}, false) },
		"closed":      func(p *pool.Pool, ctx context.Context) { _ = p.Close(ctx) },
	} {
		t.Run("SCH-081 "+name, func(t *testing.T) {
			bubble(t, &team{}, base(), func(t *testing.T, p *pool.Pool) {
				scale(t, p, 1)
				ctx, c := t.Context(), newClient("a")
				err := p.Submit(hooked{ctx, func() { leave(p, ctx); synctest.Wait() }}, c.job)
				if err == nil {
					c.failed(t, fault.Busy, 0)
				} else {
					assert.Equal(t, fault.Busy, fault.KindOf(err))
					assert.Zero(t, c.answers())
				}
			})
		})
	}
}

// hooked is a context that does something when it is asked whether it ended.
type hooked struct {
	context.Context //nolint:containedctx // it is one

	hook func()
}

func (h hooked) Err() error {
	h.hook()
	return h.Context.Err()
}
