package pool_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
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
// moment, batches that cannot be sent, scaling, clients that give up or are late,
// sequences that end, ids that two clients chose, and at the end a pool that
// drains or closes.
func TestRandomKills(t *testing.T) {
	t.Parallel()
	for mode, change := range modes() {
		for seed := range uint64(30) {
			t.Run(fmt.Sprintf("SCH-081 %s, seed %d", mode, seed), func(t *testing.T) {
				t.Parallel()
				dice := rand.New(rand.NewPCG(seed, seed))
				s, tm := restless(dice, seed)
				change(&s, tm)
				if s.Sequence.Batching {
					s.Sequence.MaxIdle = time.Duration(1+dice.IntN(200)) * time.Millisecond
					s.Sequence.Timeout = time.Duration(dice.IntN(2000)) * time.Millisecond
				}
				bubble(t, tm, s, func(t *testing.T, p *pool.Pool) { rush(t, p, tm, dice) })
			})
		}
	}
}

// restless makes a model of random settings whose workers are of random speed
// and often cannot be sent what they should.
func restless(dice *rand.Rand, seed uint64) (model.Settings, *team) {
	s := base()
	s.QueueSize = 1 + dice.IntN(20)
	s.Batching = model.Batching{Size: 1 + dice.IntN(5), Delay: time.Duration(dice.IntN(50)) * time.Millisecond}
	s.Timeouts.Retry = time.Duration(1+dice.IntN(10)) * time.Second
	tm := &team{load: 50 * time.Millisecond, most: 2 * s.Batching.Size}
	refuse, works := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
	tm.refuse = func() bool { return refuse.IntN(12) == 0 }
	tm.pace = func() time.Duration { return time.Duration(works.IntN(80)) * time.Millisecond }
	tm.steps = func(*job.Job) int { return 1 + works.IntN(4) }
	tm.ends = func(jobs []*job.Job) []string {
		if works.IntN(20) > 0 {
			return nil
		}
		return []string{jobs[0].Sequence, "unknown"}
	}
	return s, tm
}

func rush(t *testing.T, p *pool.Pool, tm *team, dice *rand.Rand) {
	t.Helper()
	_, err := p.Scale(t.Context(), model.Workers{Min: 2, Max: 4})
	require.NoError(t, err)
	var accepted, abandoned, late []*client
	var leavers sync.WaitGroup
	defer leavers.Wait()
	for i := range 400 {
		pass(time.Duration(dice.IntN(30)) * time.Millisecond)
		disturb(t, p, tm, dice)
		c := newClient(fmt.Sprint(i))
		vary(c.job, dice)
		if err := p.Submit(t.Context(), c.job); err != nil {
			require.Equal(t, fault.Busy, fault.KindOf(err))
			continue
		}
		switch dice.IntN(20) {
		case 0:
			if c.job.Abandon() || c.job.Abandoned() {
				abandoned = append(abandoned, c)
			} else { // a worker without work to do was faster
				late = append(late, c)
			}
		case 1:
			leavers.Go(func() {
				<-time.NewTimer(50 * time.Millisecond).C
				c.leave()
			})
		default:
			accepted = append(accepted, c)
		}
	}
	require.NotEmpty(t, accepted)
	if dice.IntN(2) == 0 {
		pass(time.Hour)
		assert.Zero(t, p.Status().Running)
		assert.Zero(t, p.Status().QueuePending)
	}
	synctest.Wait()
	require.NoError(t, p.Close(t.Context()))
	for _, c := range accepted {
		assert.Equal(t, 1, c.answers(), "answers of %s", c.job.ID)
	}
	for _, c := range abandoned {
		assert.Zero(t, c.answers(), "answers of %s, which its client gave up", c.job.ID)
	}
	for _, c := range late {
		assert.LessOrEqual(t, c.answers(), 1, "answers of %s, which its client gave up too late", c.job.ID)
	}
}

// disturb lets something happen to the workers, seldom.
func disturb(t *testing.T, p *pool.Pool, tm *team, dice *rand.Rand) {
	t.Helper()
	switch dice.IntN(40) {
	case 0, 1:
		tm.at(dice.IntN(tm.size())).die()
	case 2:
		n := dice.IntN(4)
		_, err := p.Scale(t.Context(), model.Workers{Min: n, Max: n})
		require.NoError(t, err)
	}
}

// vary makes a job one of many.
func vary(j *job.Job, dice *rand.Rand) {
	if dice.IntN(10) == 0 {
		j.Deadline = time.Now().Add(time.Duration(dice.IntN(100)) * time.Millisecond)
	}
	switch dice.IntN(20) {
	case 0:
		j.Kind = job.Describe
	case 1:
		j.Kind = job.Explain
	case 2:
		j.ID = "chosen by two"
	}
	j.Request.Headers = []job.Header{{Name: "SEQUENCE", Value: fmt.Sprint(dice.IntN(12))}}
}

// TestLastMoment lets the last worker leave while a job is being accepted.
func TestLastMoment(t *testing.T) {
	for name, leave := range map[string]func(p *pool.Pool, ctx context.Context){
		"scaled away": func(p *pool.Pool, ctx context.Context) { _, _ = p.Scale(ctx, model.Workers{}) },
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
