package pool_test

import (
	"context"
	"fmt"
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

// modes are the ways in which a pool hands jobs to its workers.
func modes() map[string]func(s *model.Settings, tm *team) {
	return map[string]func(s *model.Settings, tm *team){
		"plain": func(*model.Settings, *team) {},
		"continuous": func(s *model.Settings, tm *team) {
			s.Sequence.Continuous = true
			tm.unique = true
		},
		"sequences": func(s *model.Settings, tm *team) {
			s.Sequence = model.Sequence{Batching: true, MaxNumber: 8, QueueSize: 4, MaxIdle: time.Minute}
			tm.apart = true
		},
		"continuous sequences": func(s *model.Settings, tm *team) {
			s.Sequence = model.Sequence{Batching: true, Continuous: true, MaxNumber: 8, QueueSize: 4, MaxIdle: time.Minute}
			tm.unique = true
		},
		"async":         func(s *model.Settings, _ *team) { s.Async = true },
		"async, one":    func(s *model.Settings, _ *team) { s.Async, s.AsyncLimit = true, 1 },
		"tickets":       func(s *model.Settings, _ *team) { s.JobTicket = true },
		"async tickets": func(s *model.Settings, _ *team) { s.Async, s.AsyncLimit, s.JobTicket = true, 2, true },
		"continuous tickets": func(s *model.Settings, tm *team) {
			s.Sequence.Continuous, s.JobTicket = true, true
			tm.unique = true
		},
	}
}

// event is what may happen to a pool with two clients.
type event func(p *pool.Pool, tm *team, ctx context.Context, clients []*client)

func events() map[string]event {
	scaled := func(n int) event {
		return func(p *pool.Pool, _ *team, ctx context.Context, _ []*client) {
			_, _ = p.Scale(ctx, model.Workers{Min: n, Max: n})
		}
	}
	dies := func(_ *pool.Pool, tm *team, _ context.Context, _ []*client) { tm.at(0).die() }
	return map[string]event{
		"the worker dies":          dies,
		"the worker dies for good": dies, // see moment
		"it is scaled away":        scaled(0),
		"it is scaled up":          scaled(2),
		"it dies while scaled away": func(p *pool.Pool, tm *team, ctx context.Context, _ []*client) {
			scaled(0)(p, tm, ctx, nil)
			tm.at(0).die()
		},
		"it dies while scaled up": func(p *pool.Pool, tm *team, ctx context.Context, _ []*client) {
			scaled(2)(p, tm, ctx, nil)
			tm.at(0).die()
		},
		"it is scaled away and back": func(p *pool.Pool, tm *team, ctx context.Context, _ []*client) {
			scaled(0)(p, tm, ctx, nil)
			scaled(1)(p, tm, ctx, nil)
		},
		"the model is unregistered": func(p *pool.Pool, _ *team, ctx context.Context, _ []*client) { _ = p.Close(ctx) },
		"the server has no time left": func(p *pool.Pool, _ *team, ctx context.Context, _ []*client) {
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(fault.New(fault.Busy, ""))
			_ = p.Close(ctx)
		},
		"the first client leaves": func(_ *pool.Pool, _ *team, _ context.Context, clients []*client) { clients[0].leave() },
		"all clients leave": func(_ *pool.Pool, _ *team, _ context.Context, clients []*client) {
			for _, c := range clients {
				c.leave()
			}
		},
		"a client leaves and the worker dies": func(_ *pool.Pool, tm *team, _ context.Context, clients []*client) {
			clients[0].leave()
			tm.at(0).die()
		},
	}
}

// TestMoments lets each thing happen at each moment, in each mode: every
// accepted job must have exactly one final answer, soon, and a pool that still
// has workers must serve as before.
func TestMoments(t *testing.T) {
	// Jobs arrive at 10 s, 11 s and 22 s. A batch is full or its delay over at
	// 20 s, its answer, or that of its first step, is due at 30 s. Workers load
	// within 5 s.
	moments := map[string]time.Duration{
		"booting":            2 * time.Second,
		"loaded":             5 * time.Second,
		"idle":               7 * time.Second,
		"taking":             10 * time.Second,
		"filling":            15 * time.Second,
		"sending":            20 * time.Second,
		"computing":          21 * time.Second,
		"others wait":        25 * time.Second,
		"answering":          30 * time.Second,
		"in the second step": 35 * time.Second,
		"in the last step":   45 * time.Second,
		"idle after all":     100 * time.Second,
		"delivering":         delivering,
	}
	for mode, change := range modes() {
		for name, happens := range events() {
			for moment, at := range moments {
				t.Run(fmt.Sprintf("SCH-081 %s: %s while %s", mode, name, moment), func(t *testing.T) {
					s := base()
					s.Batching = model.Batching{Size: 3, Delay: 10 * time.Second}
					if name == "the worker dies for good" {
						s.Timeouts.Retry = 0
					}
					tm := &team{load: 5 * time.Second, work: 10 * time.Second, steps: func(*job.Job) int { return 3 }}
					change(&s, tm)
					bubble(t, tm, s, func(t *testing.T, p *pool.Pool) { story(t, p, tm, happens, at) })
				})
			}
		}
	}
}

// delivering is the moment in which the first job is told something, before the
// worker is asked for the next step.
const delivering = -1

func story(t *testing.T, p *pool.Pool, tm *team, happens event, at time.Duration) {
	t.Helper()
	_, err := p.Scale(t.Context(), model.Workers{Min: 1, Max: 1})
	require.NoError(t, err)
	clients := []*client{newClient("1"), newClient("2"), newClient("3")}
	for i, c := range clients {
		c.job.Request.Headers = []job.Header{{Name: "Sequence", Value: fmt.Sprint(i % 2)}}
	}
	over := make(chan struct{})
	happen := sync.OnceFunc(func() {
		go func() {
			defer close(over)
			<-after(at)
			happens(p, tm, t.Context(), clients)
		}()
	})
	if at == delivering {
		clients[0].told = func() { happen(); synctest.Wait() }
	} else {
		happen()
	}
	accepted := make([]bool, len(clients))
	for i, wait := range []time.Duration{10 * time.Second, time.Second, 11 * time.Second} {
		<-after(wait)
		clients[i].job.Created = time.Now()
		accepted[i] = p.Submit(t.Context(), clients[i].job) == nil
	}
	pass(time.Hour)
	<-over
	for i, c := range clients {
		switch {
		case !accepted[i]:
			assert.Zero(t, c.answers(), "answers of %s, which was refused", c.job.ID)
		case c.hasLeft():
			assert.LessOrEqual(t, c.answers(), 1, "answers of %s, whose client has gone", c.job.ID)
		default:
			assert.Equal(t, 1, c.answers(), "answers of %s", c.job.ID)
		}
	}
	status := p.Status()
	assert.Zero(t, status.Running)
	assert.Zero(t, status.QueuePending)
	last := newClient("4")
	if err := p.Submit(t.Context(), last.job); err != nil {
		assert.False(t, p.Loaded(), "a loaded worker is there for new jobs")
		return
	}
	pass(time.Hour)
	assert.Equal(t, 1, last.answers())
	assert.NotNil(t, last.reply)
}
